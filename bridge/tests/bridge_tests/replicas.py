"""Replicas: bridges in several processes, on one database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge_tests.clusters import run_cluster
from bridge_tests.processes import ServedBridge
from ticketstub.testing import LocalPlexController

DATABASES = ("sqlite", "postgresql")


@contextmanager
def run_replicas(
    kind: str, count: int, local_plex: LocalPlexController, folder: Path, top: str = ""
) -> Iterator[list[ServedBridge]]:
    """Run replicas with one address and one key, on a database of a kind of `DATABASES`."""
    if kind == "sqlite":
        with _run(f"sqlite:///{folder / 'bridge.db'}", count, local_plex, folder, top) as replicas:
            yield replicas
        return
    with run_cluster() as cluster, _run(cluster.create_database(), count, local_plex, folder, top) as replicas:
        yield replicas


@contextmanager
def _run(
    database: str, count: int, local_plex: LocalPlexController, folder: Path, top: str
) -> Iterator[list[ServedBridge]]:
    replicas: list[ServedBridge] = []
    try:
        for number in range(count):
            place = folder / f"replica-{number}"
            place.mkdir()
            if replicas:
                shutil.copy(replicas[0].folder / "bridge.key", place)
            url = replicas[0].url if replicas else None
            replicas.append(ServedBridge(local_plex, place, database, url, top=top))
            replicas[-1].start()
        yield replicas
    finally:
        for each in replicas:
            each.kill()
