"""Locks among threads and processes: one holder at a time, a bounded wait, and freed by the death of the holder.

Rule: among processes the kernel keeps the lock, on an open file (flock, or a locked byte on Windows), so that a killed
process leaves none behind; among threads a plain lock does, which any thread may release. A forked child holds nothing
of its parent's. Lock files hold nothing and are never deleted here.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

from ticketstub.errors import CredentialsError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Turns:
    """Turns among the threads of this process, one holder at a time for each key."""

    def __init__(self) -> None:
        self.forget()
        _ALL_TURNS.add(self)

    def forget(self) -> None:
        """Free everything: in a forked child nobody is left who would."""
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    @contextmanager
    def turn(self, key: str, patience: float) -> Generator[None, None, None]:
        """Wait for the turn, at most `patience` seconds, and hold it."""
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        if not lock.acquire(timeout=min(max(patience, 0.0), threading.TIMEOUT_MAX)):
            raise waited(patience)
        try:
            yield
        finally:
            lock.release()


_ALL_TURNS: WeakSet[Turns] = WeakSet()
_TURNS = Turns()
_OPEN: set[int] = set()
"""The descriptors of lock files that are open now."""


@contextmanager
def exclusive(path: Path, patience: float) -> Generator[None, None, None]:
    """Hold the lock file's lock, made if it is missing, after at most `patience` seconds of waiting.

    Raises:
        CredentialsError: it was not free in time, or the file system has no locks.
        OSError: the file cannot be opened.
    """
    deadline = time.monotonic() + patience
    with _TURNS.turn(str(path), patience):  # some network file systems keep one lock a process, not one an open file
        descriptor, process = _locked(path, deadline, patience), os.getpid()
        try:
            yield
        finally:
            if os.getpid() == process:
                _release(descriptor)


def waited(patience: float) -> CredentialsError:
    """Make the error of a wait that was too long."""
    return CredentialsError(
        f"another program held these credentials for {patience:g} seconds",
        hint="it may be renewing them on a slow network: try again, or end it",
    )


def _locked(path: Path, deadline: float, patience: float) -> int:
    pause = _FIRST_PAUSE
    while True:
        descriptor = os.open(path, _FLAGS, 0o600)
        _OPEN.add(descriptor)
        try:
            if _try(descriptor) and _is_at(descriptor, path):
                return descriptor
        except BaseException:
            _close(descriptor)
            raise
        _close(descriptor)
        if time.monotonic() >= deadline:
            raise waited(patience)
        time.sleep(min(pause, max(deadline - time.monotonic(), 0.0)))
        pause = min(2 * pause, _LONGEST_PAUSE)


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether the file that we locked is still the one that others would open: somebody may have deleted it."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    return False


def _release(descriptor: int) -> None:
    _unlock(descriptor)
    _close(descriptor)


def _close(descriptor: int) -> None:
    _OPEN.discard(descriptor)
    os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:  # Windows says the same of a held lock and of a missing one
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise CredentialsError(
                f"the file system of the credentials has no locks: {error.strerror}",
                hint="choose a directory on a local disk",
            ) from None
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _in_the_child() -> None:
        """Close what the parent holds, else its lock would outlive it, and free the turns of threads that are gone."""
        for descriptor in _OPEN:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        _OPEN.clear()
        for turns in list(_ALL_TURNS):
            turns.forget()

    os.register_at_fork(after_in_child=_in_the_child)
