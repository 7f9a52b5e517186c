"""The contract of the store, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge_tests.bridges import make_config
from bridge_tests.clusters import Cluster, run_cluster
from bridge_tests.store_suite import *  # noqa: F403  # the tests
from ticketstub_bridge.storage import Clock, Database, Store
from ticketstub_bridge.storage.migrate import migrate


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with run_cluster() as cluster:
        yield cluster


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(cluster: Cluster) -> str:
    url = cluster.create_database()
    migrate(url)
    return url


@pytest.fixture
def store(url: str, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    database = Database(url, clock)
    yield Store(database, make_config(tmp_path))
    database.close()
