"""One process for each database: the lock that it holds for its whole life.

Rule: the operating system holds the lock and frees it when the process ends, however it ends. The lock file
(`<database>.lock`) stays; what it says of its holder is read only while somebody holds it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Generator
from pathlib import Path

from ticketstub.local_plex.storage.base import StoreError

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
