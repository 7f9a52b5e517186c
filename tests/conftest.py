"""What every test may ask for.

Rule: only what more than one folder of tests needs. Clocks, worlds and servers belong to the folder that uses them.
"""

import gc
import os
import shutil
from collections.abc import Callable, Generator, Iterator

import pytest

from ticketstub.server import passwords

pytest_plugins = ["tests.strangers.gathering"]  # here: with xdist, the first process sees no deeper conftest.py

Require = Callable[[str, str], str]
REAL_COST = passwords.COST
LONG = ("contract", "strangers", "e2e", "docs", "cli", "stateful")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Have two workers more than cores: many tests only wait for programs that they started."""
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders that take longest, so that no worker is alone with one of them in the end."""
    last = len(LONG)
    places = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.parent.name, last))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from looking, all along, at ten thousand tests that live until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(scope="session")
def require() -> Require:
    """Find a program that not every machine has: `require("node", "install Node.js 20 or newer")` returns its path.

    On a user's machine the test is skipped and says how to get the program; where CI is set it fails, so that nothing
    is silently left untested there.
    """

    def find(tool: str, how_to_get: str) -> str:
        if found := shutil.which(tool):
            return found
        reason = f"{tool} is not on the PATH: {how_to_get}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

    return find


@pytest.fixture(scope="session", autouse=True)
def _cheap_hashes() -> Iterator[None]:
    """Hash passwords as cheaply as argon2 allows: the thousands of the tests' own would take a minute of a core.

    Programs that tests start hash at the real cost, and so does a test that asks for `costly_hashes`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "COST", passwords.Cost(rounds=1, kibibytes=8))
        yield


@pytest.fixture
def costly_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash at the real cost, where that is what is tested, or where many at once must find a worker busy."""
    monkeypatch.setattr(passwords, "COST", REAL_COST)
