"""A local Plex and a stranger beside it, started once a stranger and ended together at the end of the run."""

import sys
from collections.abc import Callable, Iterator

import pytest
from tests.strangers.environments import CannotSetUp, node_environment, python_environment
from tests.strangers.kinds import Caller
from tests.strangers.processes import LocalPlex, Stranger

Require = Callable[[str, str], str]
Start = Callable[[str], tuple[Stranger, LocalPlex]]

NODE = "install Node.js 20 or newer (nodejs.org, `apt install nodejs npm`, `brew install node`)"


def set_up(folder: str, require: Require) -> list[str]:
    """Return the command of one stranger's program; its environment is made when it is not there."""
    try:
        if folder.startswith("plexjs"):
            return node_environment(folder, require("node", NODE), require("npm", NODE))
        return python_environment(folder)
    except CannotSetUp as why:
        pytest.fail(f"{folder} could not be set up: {why}", pytrace=False)


@pytest.fixture(scope="session")
def start_stranger(tmp_path_factory: pytest.TempPathFactory, require: Require) -> Iterator[Start]:
    """Start a stranger and a local Plex of its own, once each; at the end the local Plex must end well."""
    started: dict[str, tuple[Stranger, LocalPlex]] = {}

    def start(folder: str) -> tuple[Stranger, LocalPlex]:
        if folder not in started:
            command = set_up(folder, require)
            place = tmp_path_factory.mktemp(folder)
            plex = LocalPlex(place)
            started[folder] = Stranger(folder, command, place), plex
        return started[folder]

    yield start
    for stranger, _ in started.values():
        stranger.end()
    endings = {folder: plex.end() for folder, (_, plex) in started.items()}
    if sys.platform != "win32":  # which has no SIGTERM: there the process is just ended
        assert dict.fromkeys(endings, 0) == endings


@pytest.fixture
def caller(request: pytest.FixtureRequest, start_stranger: Start) -> Caller:
    """The stranger and way of `@callers`."""
    kind, way = request.param
    return Caller(kind, way, *start_stranger(kind.folder))
