"""The contract of the store, on SQLite."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge_tests.bridges import make_config
from bridge_tests.store_suite import *  # noqa: F403  # the tests
from ticketstub_bridge.storage import Clock, Database, Store
from ticketstub_bridge.storage.migrate import migrate


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(tmp_path: Path, empty_database: Path) -> str:
    shutil.copy(empty_database, tmp_path / "bridge.db")
    return f"sqlite:///{tmp_path / 'bridge.db'}"


@pytest.fixture
def store(url: str, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    database = Database(url, clock)
    yield Store(database, make_config(tmp_path))
    database.close()


@pytest.mark.parametrize("name", ["new.db", "new%20one.db", "new?one.db"])
def test_only_its_owner_can_read_the_database(tmp_path: Path, name: str) -> None:
    """The database and what SQLite keeps beside it have mode 0600, whatever the umask and its folder's name are."""
    before = os.umask(0)
    try:
        url = f"sqlite:///{tmp_path / name}"
        migrate(url)
        database = Database(url)
        database.check_key("fingerprint")
        assert {name: 0o600, f"{name}-wal": 0o600, f"{name}-shm": 0o600} == {
            each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()
        }
        database.close()
    finally:
        os.umask(before)
