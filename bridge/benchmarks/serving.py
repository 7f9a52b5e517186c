"""Bridges in processes, for benchmarks.

Rule: each is ended by its starter; all traffic stays on loopback.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bridge_tests.processes import ServedBridge
from ticketstub.testing import LocalPlexController, local_plex


@contextmanager
def run_plex() -> Generator[LocalPlexController]:
    """Run a local Plex with the demonstration's people."""
    with local_plex() as plex:
        yield plex


@contextmanager
def run_bridge(plex: LocalPlexController) -> Generator[ServedBridge]:
    """Run a bridge on SQLite as `ticketstub bridge serve` does."""
    with tempfile.TemporaryDirectory() as folder:
        served = ServedBridge(plex, Path(folder) / "bridge")
        served.start()
        try:
            yield served
        finally:
            served.kill()
