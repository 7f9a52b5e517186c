"""What every test may ask for.

Rule: only what more than one folder of tests needs. Clocks, worlds and servers belong to the folder that uses them.
"""

import gc
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Generator, Iterator
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.examples import choose_profile
from ticketstub.local_plex.domain import passwords

pytest_plugins = ["tests.strangers.gathering"]  # here: with xdist, the first process sees no deeper conftest.py

Require = Callable[[str, str], str]
RequirePackage = Callable[[str, str], None]
REAL_COST = passwords.ARGON2_COST
REAL_FSYNC, REAL_CONNECT = os.fsync, sqlite3.connect
HERE = Path(__file__).parent

# What `make test` leaves out: folders and files below tests/ whose tests each start programs, or run for seconds. A
# single test elsewhere gets `@pytest.mark.long` instead, but its file is still imported.
LONG = (
    "contract",
    "faults",
    "strangers",
    "e2e",
    "stateful",
    "docs/test_as_read.py",
    "docs/test_pictures.py",
    "docs/test_site.py",
    "docs/test_testing_examples.py",
    "cli/test_completion.py",
    "cli/test_exec.py",
    "cli/test_processes.py",
    "cli/test_run.py",
    "cli/test_run_control.py",
    "cli/test_run_transparent.py",
    "cli/test_serve.py",
    "cli/test_serve_control.py",
    "cli/test_serve_tls.py",
    "client/test_connect_processes.py",
    "client/transports/test_interrupts.py",
    "compat/test_same_programs.py",
    "credentials/test_crashes.py",
    "testing/test_chaos_sign_in.py",
    "testing/test_env.py",
    "testing/test_masks.py",
    "testing/test_pages.py",
    "testing/test_plugin.py",
    "testing/test_without_server.py",
)
# The folders that begin: those whose single files take longest. `tests` is this one.
FIRST = ("contract", "faults", "strangers", "e2e", "docs", "cli", "stateful", "testing", "tests")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the number of examples; let programs be interrupted that tests start, also in a shell's background."""
    choose_profile(short=config.option.short)
    for name in {"SIGHUP", "SIGINT", "SIGQUIT"} & {each.name for each in signal.Signals}:
        if signal.getsignal(signal.Signals[name]) is signal.SIG_IGN:  # programs inherit that
            signal.signal(signal.Signals[name], signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--short`, which is what `make test` runs."""
    parser.addoption("--short", action="store_true", help="leave out the long tests, without importing them")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Use more workers than cores: some tests wait, and the long ones mostly do, for programs that they started."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return (os.cpu_count() or 1) + (1 if config.option.short else 2)


@cache
def is_long(path: Path) -> bool:
    """Tell whether a file or folder belongs to the long tests."""
    return any(path.is_relative_to(HERE / name) for name in LONG)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `--short`, do not import the long tests, except those that the command line names."""
    if not config.option.short or not is_long(collection_path):
        return None
    named = [path for arg in config.args if is_long(path := config.invocation_params.dir / arg.partition("::")[0])]
    return None if any(collection_path.is_relative_to(path) for path in named) else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the long tests, and begin with the folders that take longest, so that no worker is left alone with one."""
    for item in items:
        if is_long(item.path):
            item.add_marker("long")
    if config.option.short:
        left_out = {item for item in items if item.get_closest_marker("long") and not is_long(item.path)}
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    last = len(FIRST)
    places = {name: number for number, name in enumerate(FIRST)}
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
        _leave_out(f"{tool} is not on the PATH: {how_to_get}")

    return find


@pytest.fixture(scope="session")
def require_package() -> RequirePackage:
    """See that a package is installed that `make setup` does not install, as `require` does for a program."""

    def see(package: str, how_to_get: str) -> None:
        if not find_spec(package):
            _leave_out(f"{package} is not installed: {how_to_get}")

    return see


def _leave_out(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


class Unsynced(sqlite3.Connection):
    """A connection that leaves it to the system when what it writes reaches the disk."""

    def execute(self, statement: str, /, *parameters: Any) -> sqlite3.Cursor:
        """Execute a statement, but for the one that asks for syncs."""
        return super().execute(statement.replace("synchronous = FULL", "synchronous = OFF"), *parameters)


@pytest.fixture(scope="session", autouse=True)
def _no_syncs() -> Iterator[None]:
    """Wait for no disk in the tests' own process: their thousands of syncs take a minute where others use it, too.

    Programs that tests start sync, and so does a test that asks for `real_syncs`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        patch.setattr(sqlite3, "connect", partial(REAL_CONNECT, factory=Unsynced))
        yield


@pytest.fixture
def real_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync to the disk, where that is what is tested."""
    monkeypatch.setattr(os, "fsync", REAL_FSYNC)
    monkeypatch.setattr(sqlite3, "connect", REAL_CONNECT)


@pytest.fixture(scope="session", autouse=True)
def _cheap_hashes() -> Iterator[None]:
    """Hash passwords as cheaply as argon2 allows: the thousands of the tests' own would take a minute of a core.

    Programs that tests start hash at the real cost, and so does a test that asks for `costly_hashes`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "ARGON2_COST", {"time_cost": 1, "memory_cost": 8})
        yield


@pytest.fixture
def costly_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash at the real cost, where that is what is tested, or where many at once must find a worker busy."""
    monkeypatch.setattr(passwords, "ARGON2_COST", REAL_COST)
