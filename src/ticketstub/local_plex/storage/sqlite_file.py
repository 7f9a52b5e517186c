"""SQLite files: locking, checking, creating, migrating, replacing and opening them.

Rule: one process uses a database, and holds its lock for its whole life. The operating system frees the lock when the
process ends, however it ends; the lock file (`<database>.lock`) stays. A file that is damaged, too new, or belongs to
another program or other keys is refused before anything is written to it; nothing is repaired silently. Writers sync at
every commit (`synchronous=FULL`), and only the writer checkpoints.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

from ticketstub.local_plex.storage.base import StoreDamaged, StoreError
from ticketstub.local_plex.storage.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION, TABLES
from ticketstub.private_files import sync_folder

TraceCallback = Callable[[str], None]

_LOCK_TIMEOUT = 2.0  # seconds to wait for another process's lock, before answering 503


def parse_database_url(url: str) -> Path:
    """Return the file of a URL: `sqlite:///relative.db` or `sqlite:////absolute.db`.

    Raises:
        StoreError: the URL has another form, or names a folder.
    """
    path = url.removeprefix("sqlite:///")
    if path == url or not path or "?" in path or "\0" in path:
        raise StoreError("the database URL must be sqlite:///relative.db or sqlite:////absolute.db")
    if Path(path).is_dir():
        raise StoreError(f"{path} is a folder: name a file in it")
    return Path(path)


@contextmanager
def replace_database(path: Path) -> Generator[Path]:
    """Replace a database with a new one.

    Yields the file for the new database, which replaces the old one when the `with` block ends. An error or crash
    before that leaves the old database unchanged.

    Args:
        path: the old database's file, which only this process uses. It need not exist.

    Raises:
        StoreError: the file belongs to another program, or cannot be replaced.
    """
    if path.exists():
        _check_application(path)
    draft = Path(f"{path}.draft")
    _delete_files(draft, "-wal", "-shm", "")  # left by a process that was killed
    try:
        yield draft
        if Path(f"{draft}-wal").exists():
            raise StoreError(f"{draft} could not be written completely")
        try:
            _delete_files(path, "-wal", "-shm")  # SQLite would apply the old database's log to the new one
            draft.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            raise StoreError(f"{path} cannot be replaced: {error.strerror}") from None
    finally:
        _delete_files(draft, "-wal", "-shm", "")


def _delete_files(path: Path, *suffixes: str) -> None:
    for suffix in suffixes:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _check_application(path: Path) -> None:
    """Refuse another program's file. Closing the connection writes a healthy database's log into the file."""
    with closing(_connect(path)) as connection:
        try:
            _read_version(connection, path)
        except StoreDamaged:
            if path.read_bytes()[68:72] != APPLICATION_ID.to_bytes(4):
                raise


def open_in_memory(trace: TraceCallback | None) -> sqlite3.Connection:
    """Create a database in memory."""
    connection = _connect(":memory:", "foreign_keys = ON", trace=trace)
    for statement in TABLES:
        connection.execute(statement)
    return connection


def prepare_database(path: Path, instance_id: str | None = None) -> None:
    """Create a database, or check and migrate an existing one.

    Args:
        path: the file.
        instance_id: the id of the keys that it must have been created with (`InstanceKeys.id`); a new one records it.

    Raises:
        StoreDamaged: the file is damaged.
        StoreError: it belongs to another program, other keys or a newer version, or cannot be created.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would make it readable by all users
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}") from None
    with closing(_connect(path)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            version = _read_version(connection, path)
            statements: tuple[str, ...] = TABLES
            if version is not None:
                (integrity,) = connection.execute("PRAGMA quick_check(1)").fetchone()  # 100,000 tokens take about 0.1 s
                if integrity != "ok":
                    raise StoreDamaged(f"{path} is damaged: {integrity.splitlines()[-1]}")
                statements = _list_migrations(connection, version, path)
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            if instance_id is not None:
                _check_instance(connection, instance_id, path)
            connection.execute("COMMIT")
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.Error as error:
            raise _translate_error(path, error) from None
    if mode != "wal":
        raise StoreError(f"{path} is on a file system without shared memory: put the database on a local disk")


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a read-only connection."""
    # At most 32 MiB of cache: enough for 200,000 tokens.
    return _connect(path, "query_only = ON", "wal_autocheckpoint = 0", "cache_size = -32768")


def open_writer(path: Path, trace: TraceCallback | None) -> sqlite3.Connection:
    """Open the writing connection."""
    return _connect(path, "synchronous = FULL", "foreign_keys = ON", trace=trace)


def _connect(path: Path | str, *pragmas: str, trace: TraceCallback | None = None) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be opened: {error}") from None
    try:
        for pragma in pragmas:  # the first one reads the file, and may write its log's index
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"{path} cannot be opened: {error}") from None
    connection.set_trace_callback(trace)
    return connection


def _read_version(connection: sqlite3.Connection, path: Path) -> int | None:
    """Return the version of the tables, or `None` for a new file; refuse another program's file."""
    try:
        application, version, tables = connection.execute(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)"
            " FROM pragma_application_id, pragma_user_version"
        ).fetchone()
    except sqlite3.DatabaseError as error:
        raise _translate_error(path, error) from None
    if not tables and not application:
        return None
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program: name another file")
    return cast("int", version)


def _translate_error(path: Path, error: sqlite3.Error) -> StoreError:
    if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CORRUPT:
        return StoreDamaged(f"{path} is damaged: {error}")
    return StoreError(f"{path} cannot be used: {error}")


def _list_migrations(connection: sqlite3.Connection, version: int, path: Path) -> tuple[str, ...]:
    """Return the statements that migrate the tables of an earlier version; refuse those that cannot be migrated."""
    if version != SCHEMA_VERSION and version not in MIGRATIONS:
        raise StoreError(
            f"{path} was created by another version of ticketstub (tables {version}, here {SCHEMA_VERSION})"
        )
    if connection.execute(
        """
        SELECT 1 FROM account WHERE password_hash LIKE 'pepper:%'
        UNION ALL SELECT 1 FROM passcode WHERE hash LIKE 'pepper:%'
        LIMIT 1
        """
    ).fetchone():
        raise StoreError(
            f"{path} contains passwords that an earlier version of ticketstub hashed with a pepper, which this version "
            "does not support: start with --reset, or name another file"
        )
    return tuple(statement for step in range(version, SCHEMA_VERSION) for statement in MIGRATIONS[step])


def _check_instance(connection: sqlite3.Connection, instance_id: str, path: Path) -> None:
    """Refuse a database that was created with other keys; record these in one that names none."""
    stored_id = connection.execute("SELECT id FROM instance").fetchone()
    # If the database names none: sealed data begins with the id of its keys.
    key_id = (
        stored_id
        or connection.execute(
            """
        SELECT lower(hex(substr(sealed, 1, 4))) FROM signing_key
        UNION ALL SELECT lower(hex(substr(sealed, 1, 4))) FROM token
        LIMIT 1
        """
        ).fetchone()
    )
    if key_id and key_id[0] != instance_id:
        raise StoreError(
            f"{path}.key belongs to another database: it contains key {instance_id}, but {path} was created with "
            f"{key_id[0]}"
        )
    if not stored_id:
        connection.execute("INSERT INTO instance (id) VALUES (?1)", (instance_id,))


# filelock locks byte zero, and Windows lets no other process read a locked byte.
_LOCKED_BYTE = b" "


class DatabaseInUse(StoreError):
    """Another process uses the database.

    Attributes:
        pid: that process's id, or `None` if it is unknown.
    """

    def __init__(self, path: Path, pid: int | None, host: str | None = None) -> None:
        process = "another process" if pid is None else f"process {pid}"
        where = f" on {host}" if host else ""
        super().__init__(f"{path} is in use by {process}{where}: stop it, or name another database")
        self.pid = pid


@contextlib.contextmanager
def lock_database(path: Path) -> Generator[None]:
    """Keep other processes from using a database until the `with` block ends.

    Args:
        path: the database's file, resolved, so that all its names share one lock. It need not exist.

    Raises:
        DatabaseInUse: another process uses it.
        StoreError: it cannot be locked; the message says why.
    """
    from filelock import FileLock, Timeout  # only a database in a file needs it

    if not path.parent.is_dir():  # filelock would create it
        raise StoreError(f"{path} cannot be opened: there is no folder {path.parent}")
    lock = FileLock(f"{path}.lock", thread_local=False, fallback_to_soft=False, mode=0o600, on_acquired=_write_holder)
    try:
        lease = lock.acquire(timeout=0)
    except Timeout:
        raise DatabaseInUse(path, *_read_holder(Path(f"{path}.lock"))) from None
    except (OSError, NotImplementedError) as error:
        raise StoreError(f"{path} cannot be locked: {getattr(error, 'strerror', None) or error}") from None
    with lease:  # releases the lock
        yield


def _write_holder(descriptor: int) -> None:
    """Write this process's id and host name into the lock file; if the disk is full, the lock still holds."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, _LOCKED_BYTE + f"{os.getpid()} {socket.gethostname()}".encode())


def _read_holder(path: Path) -> tuple[int | None, str | None]:
    """Return the id of the process that holds the lock, and its host if it is another one; `None` if unknown."""
    number = host = ""
    with contextlib.suppress(OSError), path.open("rb", buffering=0) as file:
        file.seek(len(_LOCKED_BYTE))
        number, _, host = file.read(300).decode("utf-8", "replace").strip().partition(" ")
    if not (number.isascii() and number.isdecimal()):
        return None, None
    if host != socket.gethostname():  # a container, or a machine that shares the folder
        return int(number), "".join(each for each in host if each.isprintable())
    return (int(number) if _is_running(int(number)) else None), None


def _is_running(pid: int) -> bool:
    """Return whether a process exists: the lock file may still name one that was killed a moment ago."""
    if os.name == "posix":  # on Windows, os.kill would end it
        try:
            os.kill(pid, 0)
        except (OSError, OverflowError) as error:
            return isinstance(error, PermissionError)
    return True
