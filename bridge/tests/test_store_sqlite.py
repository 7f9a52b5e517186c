"""The contract of the store, on SQLite."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge_tests.bridges import make_config
from bridge_tests.store_suite import *  # noqa: F403  # the tests
from ticketstub_bridge.storage import Clock, Database, Store


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
