"""Opening SQLite files: which file a URL means, whether it is ours, and how its connections are set.

Rule: a file that is not ours, newer than we know, damaged or another key's is refused before anything is written to it;
nothing is repaired in silence. Writers sync at every commit (`synchronous=FULL`); only the writer checkpoints.
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

_SCHEME = "sqlite:///"
_LOCK_TIMEOUT = 2.0  # seconds to wait for another process's lock: then 503 is the better answer
# Which keys a database was made under, where it does not say so itself: what is sealed names its key.
_SELECT_KEY_ID = """
    SELECT lower(hex(substr(sealed, 1, 4))) FROM signing_key
    UNION ALL SELECT lower(hex(substr(sealed, 1, 4))) FROM token
    LIMIT 1
"""

_SELECT_PEPPERED = """
    SELECT 1 FROM account WHERE password_hash LIKE 'pepper:%'
    UNION ALL SELECT 1 FROM passcode WHERE hash LIKE 'pepper:%'
    LIMIT 1
"""


def parse_database_url(url: str) -> Path:
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


@contextmanager
def replace_database(path: Path) -> Generator[Path]:
    """Replace a database by a new one, once that is whole and closed.

    The new one is made in the file that this yields. What goes wrong before the `with` is over, a crash too, leaves
    the old one as it is.

    Args:
        path: the old one's file, which this process alone uses; there may be none.

    Raises:
        StoreError: the file is another program's, or it cannot be replaced.
    """
    if path.exists():
        _check_application(path)
    draft = Path(f"{path}.draft")
    _delete_files(draft)  # a start that was killed left it
    try:
        yield draft
        _install_draft(path, draft)
    finally:
        _delete_files(draft)


def _install_draft(path: Path, draft: Path) -> None:
    if Path(f"{draft}-wal").exists():
        raise StoreError(f"{draft} could not be written to its end")
    try:
        for suffix in ("-wal", "-shm"):  # SQLite would take the old one's log for the new one's
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be replaced: {error.strerror}") from None


def _delete_files(path: Path) -> None:
    for suffix in ("-wal", "-shm", ""):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _check_application(path: Path) -> None:
    """Refuse another program's file. Closing the connection leaves all that a healthy one holds in this one file."""
    with closing(_connect(path)) as connection:
        try:
            _read_version(connection, path)
        except StoreDamaged:
            with path.open("rb") as file:
                head = file.read(72)
            if head[68:] != APPLICATION_ID.to_bytes(4):
                raise


def open_in_memory(trace: TraceCallback | None) -> sqlite3.Connection:
    """Make a database in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    _create_tables(connection)
    connection.set_trace_callback(trace)
    return connection


def prepare_database(path: Path, instance_id: str | None = None) -> None:
    """Make sure that a file is a whole database of ours with the present tables, making it where there is none.

    Args:
        path: the file.
        instance_id: the id of the keys that it must have been made under (`InstanceKeys.id`); a new one gets it.

    Raises:
        StoreDamaged: it is damaged.
        StoreError: it belongs to another program, other keys or a newer version, or cannot be made.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # before SQLite would make it for all to read
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}") from None
    with closing(_connect(path)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            version = _read_version(connection, path)
            if version is None:
                _create_tables(connection)
            else:
                _check_integrity(connection, path)
                _migrate(connection, version, path)
            if instance_id is not None:
                _check_instance(connection, instance_id, path)
            connection.execute("COMMIT")
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.Error as error:
            raise _translate_error(path, error) from None
    if mode != "wal":
        raise StoreError(f"{path} is on a file system without shared memory: put the database on a local disk")


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that only reads."""
    # 32 MiB of cache at most: 200,000 tokens stay in memory.
    return _connect(path, "query_only = ON", "wal_autocheckpoint = 0", "cache_size = -32768")


def open_writer(path: Path, trace: TraceCallback | None) -> sqlite3.Connection:
    """Open the connection that writes."""
    connection = _connect(path, "synchronous = FULL", "foreign_keys = ON")
    connection.set_trace_callback(trace)
    return connection


def _connect(path: Path, *pragmas: str) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be opened: {error}") from None
    try:
        for pragma in pragmas:  # the first reads the file, and may have to write its log's index
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"{path} cannot be opened: {error}") from None
    return connection


def _read_version(connection: sqlite3.Connection, path: Path) -> int | None:
    """Return the version of our tables, or `None` where there are none yet; refuse what is not ours."""
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


def _check_integrity(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a damaged file, and say what the first fault is. 100,000 tokens take about 0.1 s."""
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise StoreDamaged(f"{path} is damaged: {found.splitlines()[-1]}")


def _migrate(connection: sqlite3.Connection, version: int, path: Path) -> None:
    """Lead the tables of an earlier version to the present ones."""
    if version != SCHEMA_VERSION and version not in MIGRATIONS:
        raise StoreError(f"{path} was made by another version of ticketstub (tables {version}, here {SCHEMA_VERSION})")
    if connection.execute(_SELECT_PEPPERED).fetchone():
        raise StoreError(
            f"{path} holds passwords that an earlier version of ticketstub hashed with a pepper, and this one does not "
            "know: start it over with --reset, or name another file"
        )
    for step in range(version, SCHEMA_VERSION):
        for statement in MIGRATIONS[step]:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _check_instance(connection: sqlite3.Connection, instance_id: str, path: Path) -> None:
    """Refuse a database that was made under other keys; note these ones where it does not say which."""
    stored_id = connection.execute("SELECT id FROM instance").fetchone()
    key_id = stored_id or connection.execute(_SELECT_KEY_ID).fetchone()
    if key_id and key_id[0] != instance_id:
        raise StoreError(
            f"{path}.key belongs to another database: it holds key {instance_id}, {path} was made with {key_id[0]}"
        )
    if not stored_id:
        connection.execute("INSERT INTO instance (id) VALUES (?1)", (instance_id,))


def _create_tables(connection: sqlite3.Connection) -> None:
    for statement in TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


_MAX_HOLDER_BYTES = 300


# Windows lets nobody else read a locked byte, and byte zero is the one that is locked.
_LOCKED_BYTE = b" "


class DatabaseInUse(StoreError):
    """Another process uses the database.

    Attributes:
        pid: that process, or `None` if it cannot be told.
    """

    def __init__(self, path: Path, pid: int | None, host: str | None = None) -> None:
        process = "another process" if pid is None else f"process {pid}"
        where = f" on {host}" if host else ""
        super().__init__(f"{path} is in use by {process}{where}: end that, or name another database")
        self.pid = pid


@contextlib.contextmanager
def lock_database(path: Path) -> Generator[None]:
    """Keep every other process from using a database for as long as the `with` lasts.

    Args:
        path: the database's file, resolved, so that all its names mean one lock. It need not exist.

    Raises:
        DatabaseInUse: another one uses it.
        StoreError: it cannot be locked; the message says why.
    """
    from filelock import FileLock, Timeout  # only a database in a file needs it

    if not path.parent.is_dir():  # filelock would make it
        raise StoreError(f"{path} cannot be opened: there is no folder {path.parent}")
    lock = FileLock(f"{path}.lock", thread_local=False, fallback_to_soft=False, mode=0o600, on_acquired=_write_holder)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DatabaseInUse(path, *_read_holder(Path(f"{path}.lock"))) from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"{path} cannot be locked: {reason}") from None
    try:
        yield
    finally:
        lock.release()


def _write_holder(descriptor: int) -> None:
    """Note whose the lock is; where there is no room for that, the lock is held all the same."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, _LOCKED_BYTE + f"{os.getpid()} {socket.gethostname()}".encode())


def _read_holder(path: Path) -> tuple[int | None, str | None]:
    """Return the process that holds the lock, and its machine where that is another one; `None` if unknown."""
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(len(_LOCKED_BYTE))
            number, _, host = file.read(_MAX_HOLDER_BYTES).decode("utf-8", "replace").strip().partition(" ")
    except OSError:
        return None, None
    if not (number.isascii() and number.isdecimal()):
        return None, None
    pid = int(number)
    if host != socket.gethostname():  # a container's, or a machine that shares the folder
        return pid, "".join(each for each in host if each.isprintable())
    return (pid if _is_running(pid) else None), None


def _is_running(pid: int) -> bool:
    """Tell whether there is such a process: a holder that was killed may be named for a moment after it."""
    if os.name != "posix":
        return True  # there, asking so would end it
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError) as error:
        return isinstance(error, PermissionError)
    return True
