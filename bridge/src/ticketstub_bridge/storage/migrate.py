"""Bring a database's tables up to date: `python -m ticketstub_bridge.storage.migrate`, with its address on stdin.

Rule: the bridge runs this as a process of its own, so that it never loads Alembic itself. On PostgreSQL replicas that
start together wait for each other. A migration only adds: code of the version before keeps working beside it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from ticketstub_bridge.storage.database import Database, StoreError

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 7143228571  # any number that nobody else uses


def migrate(url: str, revision: str = "head", folder: Path = _FOLDER) -> None:
    """Migrate a database in this process.

    Args:
        url: the database.
        revision: the migration to stop at.
        folder: where the migrations are.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text

    database = Database(url, connections=1)
    try:
        with database.write() as connection:
            if not database.is_sqlite:
                connection.execute(text("SET LOCAL lock_timeout = '60s'"))
                connection.execute(text("SET LOCAL statement_timeout = '600s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            config = Config()
            config.set_main_option("script_location", str(folder).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        database.close()


def migrate_if_needed(url: str) -> None:
    """Migrate a database in a process of its own, unless it has all that this code needs.

    Raises:
        StoreError: it failed; the database is as before.
    """
    database = Database(url, connections=1)
    try:
        database.check_schema()
    except (StoreError, SQLAlchemyError):  # if it does not answer at all, the migration says why
        run_migration_process(url)
    finally:
        database.close()


def run_migration_process(url: str) -> None:
    """Migrate a database in a process of its own.

    Raises:
        StoreError: it failed; the database is as before.
    """
    result = subprocess.run(
        [sys.executable, "-m", "ticketstub_bridge.storage.migrate"],
        input=url,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise StoreError(f"the database cannot be migrated: {lines[-1][:300]}")


def _main() -> int:
    from alembic.util import CommandError

    try:
        migrate(sys.stdin.read().strip())
    except CommandError as error:
        is_newer = "Can't locate revision" in str(error)
        print("a newer version of the bridge has migrated it" if is_newer else error, file=sys.stderr)  # noqa: T201  # as below
        return 1
    except Exception as error:  # noqa: BLE001  # whatever it is, the process that asked reports it
        cause = getattr(error, "orig", None) or error
        print(f"{type(error).__name__}: {' '.join(str(cause).split())}", file=sys.stderr)  # noqa: T201  # this process's only way to say it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
