"""The command with a defect in it, so that a test can show that it would be noticed.

Run as `python -m tests.faults.defective NAME …`. Defects: `normal` answers writes before they are synced to the disk.
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

from ticketstub.cli import main
from ticketstub.local_plex.storage import sqlite_file


def normal() -> None:
    """Sync at checkpoints only."""
    right = sqlite_file.open_writer

    def writer(path: Path, trace: sqlite_file.TraceCallback | None) -> sqlite3.Connection:
        connection = right(path, trace)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    sqlite_file.open_writer = writer


if __name__ == "__main__":
    {"normal": normal}[sys.argv.pop(1)]()
    main()
