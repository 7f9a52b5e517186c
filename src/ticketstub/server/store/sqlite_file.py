"""Opening SQLite files: which file a URL means, whether it is ours, and how its connections are set.

Rule: a file that is not ours, or newer than we know, is refused before anything is written to it; nothing is repaired
in silence. Writers sync at every commit (`synchronous=FULL`); only the writer checkpoints.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import cast

from ticketstub.server.store.base import StoreError
from ticketstub.server.store.schema import APPLICATION_ID, TABLES, VERSION

Trace = Callable[[str], None]

_SCHEME = "sqlite:///"
_PATIENCE = 2.0  # seconds to wait for another process's lock: then 503 is the better answer


def database_path(url: str) -> Path:
    """Return the file that a URL names: `sqlite:///relative.db` or `sqlite:////absolute.db`.

    Raises:
        StoreError: it is no such URL.
    """
    path = url.removeprefix(_SCHEME)
    if path == url or not path or "?" in path or "\0" in path:
        raise StoreError("a database is given as sqlite:///relative.db or sqlite:////absolute.db")
    if Path(path).is_dir():
        raise StoreError(f"{path} is a folder: name a file in it")
    return Path(path)


def remove_database(url: str) -> None:
    """Delete a database, so that the next start begins anew; its key file stays and is used again.

    Raises:
        StoreError: the URL names no SQLite file, the file is another program's, or it cannot be deleted.
    """
    path = database_path(url)
    if not path.exists():
        return
    with closing(_connect(path)) as connection:
        _version(connection, path)
    try:
        for suffix in ("-wal", "-shm", ""):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be deleted: {error.strerror}") from None


def in_memory(trace: Trace | None) -> sqlite3.Connection:
    """Make a database in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    _create(connection)
    connection.set_trace_callback(trace)
    return connection


def prepare(path: Path) -> None:
    """Make sure that a file is a database of ours with the present tables, making it where there is none.

    Raises:
        StoreError: it belongs to another program or a newer version, is damaged, or cannot be made.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # before SQLite would make it for all to read
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}") from None
    with closing(_connect(path)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            version = _version(connection, path)
            if version is None:
                _create(connection)
            elif version != VERSION:
                raise StoreError(f"{path} was made by another version of ticketstub (tables {version}, here {VERSION})")
            connection.execute("COMMIT")
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be used: {error}") from None
    if mode != "wal":
        raise StoreError(f"{path} is on a file system without shared memory: put the database on a local disk")


def reader(path: Path) -> sqlite3.Connection:
    """Open a connection that only reads."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA cache_size = -32768")  # 32 MiB at most: 200,000 tokens stay in memory
    return connection


def writer(path: Path, trace: Trace | None) -> sqlite3.Connection:
    """Open the connection that writes."""
    connection = _connect(path)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.set_trace_callback(trace)
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be opened: {error}") from None


def _version(connection: sqlite3.Connection, path: Path) -> int | None:
    """Return the version of our tables, or `None` where there are none yet; refuse what is not ours."""
    try:
        application, version, tables = connection.execute(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)"
            " FROM pragma_application_id, pragma_user_version"
        ).fetchone()
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} cannot be used: {error}") from None
    if not tables and not application:
        return None
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program: name another file")
    return cast("int", version)


def _create(connection: sqlite3.Connection) -> None:
    for statement in TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
