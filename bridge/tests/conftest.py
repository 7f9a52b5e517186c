"""A bridge for each test: its database is a file, its Plex is a local one, and nothing uses a socket."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bridge_tests.bridges import BridgeUnderTest, make_config
from bridge_tests.browsing import Application, Browser
from ticketstub.testing import LocalPlexController
from ticketstub_bridge.storage.migrate import migrate

# How long an example takes says something about the computer, not about the bridge.
settings.register_profile("bridge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bridge")

LONG = ("processes", "chromium")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--short`, which is what `make bridge-test` runs."""
    parser.addoption("--short", action="store_true", help="leave out the long tests")


def pytest_configure(config: pytest.Config) -> None:
    """Measure no time in tests of properties: a busy machine is no failure."""
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Use two workers more than cores for the long tests, which often wait for programs that they started."""
    return None if config.option.short else (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--short`, leave out the long tests."""
    for item in items:
        if any(name in item.path.stem for name in LONG):
            item.add_marker("long")
    if config.option.short:
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the tables."""
    path = tmp_path_factory.mktemp("empty") / "bridge.db"
    migrate(f"sqlite:///{path}")
    return path


MakeBridge = Callable[..., BridgeUnderTest]


@pytest.fixture
def make_bridge(local_plex: LocalPlexController, tmp_path: Path, empty_database: Path) -> Iterator[MakeBridge]:
    """A function that makes a bridge; its arguments change the configuration."""
    made: list[BridgeUnderTest] = []

    def make(**changes: str) -> BridgeUnderTest:
        if not (tmp_path / "bridge.db").exists():
            shutil.copy(empty_database, tmp_path / "bridge.db")
        tested = BridgeUnderTest(local_plex, make_config(tmp_path, **changes), is_migrated=True)
        made.append(tested)
        return tested

    yield make
    for tested in made:
        tested.database.close()


@pytest.fixture
def tested(make_bridge: MakeBridge) -> BridgeUnderTest:
    """A bridge for the people of Attic."""
    return make_bridge()


@pytest.fixture
def browser(tested: BridgeUnderTest) -> Browser:
    """A browser."""
    return Browser(tested)


@pytest.fixture
def films(tested: BridgeUnderTest) -> Application:
    """An application with a secret."""
    return Application(tested)
