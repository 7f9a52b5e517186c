"""A local Plex and a stranger beside it, started once a stranger and ended together at the end of the run."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext

import pytest

from tests.strangers.environments import HERE, CannotSetUp, Tell, go_environment, node_environment, python_environment
from tests.strangers.kinds import Caller
from tests.strangers.processes import LocalPlex, Stranger

Require = Callable[[str, str], str]
Start = Callable[[str], tuple[Stranger, LocalPlex]]

NODE = "install Node.js 18 or newer (nodejs.org, `apt install nodejs npm`, `brew install node`)"
GO = "install Go 1.21 or newer (go.dev, `apt install golang`, `brew install go`)"


def set_up(folder: str, require: Require, tell: Tell) -> list[str]:
    """Return the command of one stranger's program; its environment is made when it is not there."""
    if folder.startswith(("plexjs", "plexoauth", "ctrlplex")):
        return node_environment(folder, require("node", NODE), require("npm", NODE), tell)
    if folder.startswith("plexgo"):
        return go_environment(folder, go(require), tell)
    if folder == "raw_requests":  # needs nothing but Python
        return [sys.executable, str(HERE / folder / "program.py")]
    return python_environment(folder, tell)


def go(require: Require) -> str:
    """Return Go's path; one that cannot take a newer Go for a build where it is asked for one is as good as none."""
    found = require("go", GO)
    said = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout
    version = re.match(r"go(\d+)\.(\d+)", said)
    if version and (int(version[1]), int(version[2])) < (1, 21):
        require("go 1.21", GO)
    return found


@pytest.fixture(scope="session")
def tell(request: pytest.FixtureRequest) -> Tell:
    """Say something while tests run: what takes a minute must not look like a hang."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        # pytest has no public name for what lets a line through in the middle of a session.
        shown = getattr(capture, "global_and_fixture_disabled", nullcontext)
        with shown():
            print(f"\n{line}", flush=True)

    return say


@pytest.fixture(scope="session")
def start_stranger(tmp_path_factory: pytest.TempPathFactory, require: Require, tell: Tell) -> Iterator[Start]:
    """Start a stranger and a local Plex of its own, once each; at the end the local Plex must end well."""
    started: dict[str, tuple[Stranger, LocalPlex]] = {}
    failed: dict[str, str] = {}

    def start(folder: str) -> tuple[Stranger, LocalPlex]:
        if folder not in started and folder not in failed:
            try:
                command = set_up(folder, require, tell)
                place = tmp_path_factory.mktemp(folder)
                plex = LocalPlex(place)
            except (CannotSetUp, AssertionError) as why:
                failed[folder] = str(why)
            else:
                stranger = Stranger(folder, command, place)
                # Last in, first out: the local Plex ends while its client is still there.
                endings.callback(stranger.end)
                endings.callback(ends_well, plex)
                started[folder] = stranger, plex
        if folder in failed:
            pytest.fail(f"{folder} could not be started: {failed[folder]}", pytrace=False)
        return started[folder]

    with ExitStack() as endings:
        yield start


def ends_well(plex: LocalPlex) -> None:
    """SIGTERM ends `ticketstub serve` with exit status 0 in time."""
    status = plex.end()
    if sys.platform != "win32":  # which has no SIGTERM: there the process is just ended
        assert status == 0


@pytest.fixture
def caller(request: pytest.FixtureRequest, start_stranger: Start) -> Caller:
    """The stranger and way of `@callers`."""
    kind, way = request.param
    return Caller(kind, way, *start_stranger(kind.folder))
