"""A folder of small private files: read only if nobody else can, written so that a crash leaves the old or the new one.

Rule: a new file is a draft first (never through a link, never over something), synced to the disk, renamed into place,
and the folder synced; a draft that a killed process left is deleted by a later write, an hour on. On POSIX, files are
0600 in a folder of 0700; on Windows they have the access list of the user's own folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from ticketstub.credentials.locks import exclusive
from ticketstub.errors import CredentialsError

LARGEST = 64 * 1024
"""The most bytes that are read of a file: a credential has about one thousand (ours)."""

_DRAFT = ".draft-"
_DRAFTS_LIVE = 3600.0
_DRAFTS_AT_ONCE = 20
_POSIX = os.name == "posix"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ANYHOW = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


class PrivateFolder:
    """A folder that is made when the first file is written.

    Args:
        path: where it is.
        clock: epoch seconds; tells how old a draft is.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path.absolute()
        self._clock = clock

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or `None` if there is no such file.

        Raises:
            CredentialsError: it is a link, somebody else's, open to others, too large, or cannot be read.
        """
        path = self.path / name
        with _faults(path, "read"):
            try:
                descriptor = os.open(path, os.O_RDONLY | _ANYHOW)
            except (FileNotFoundError, NotADirectoryError):
                return None
            try:
                _demand_private(path, os.fstat(descriptor))
                return _all_of(descriptor, path)
            finally:
                os.close(descriptor)

    def write(self, name: str, data: bytes) -> None:
        """Put a file there, whole, or leave what is there.

        Raises:
            CredentialsError: it cannot be written, or others can write in the folder.
        """
        path, draft = self.path / name, self.path / f"{_DRAFT}{secrets.token_hex(8)}"
        with _faults(path, "written"):
            self._make()
            self._delete_old_drafts()
            try:
                _write_draft(draft, data)
                draft.replace(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    draft.unlink()
                raise
            self._sync()

    def remove(self, name: str) -> bool:
        """Delete a file (of a link, the link); tell whether there was one."""
        with _faults(self.path / name, "deleted"):
            try:
                (self.path / name).unlink()
            except FileNotFoundError:
                return False
            self._sync()
            return True

    def names(self, suffix: str) -> list[str]:
        """List the files whose names end so, sorted."""
        with _faults(self.path, "listed"):
            try:
                found = [path.name for path in self.path.iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(name for name in found if name.endswith(suffix) and not name.startswith("."))

    @contextmanager
    def locks(self, names: Iterable[str], patience: float) -> Generator[None, None, None]:
        """Hold the locks of some lock files, taken in this order; see `exclusive`."""
        with contextlib.ExitStack() as held:
            for name in names:
                held.enter_context(self._lock(self.path / f"{name}.lock", patience))
            yield

    @contextmanager
    def _lock(self, path: Path, patience: float) -> Generator[None, None, None]:
        held = exclusive(path, patience)
        with _faults(path, "locked"):
            self._make()
            held.__enter__()
        try:
            yield
        finally:
            held.__exit__(None, None, None)

    def _make(self) -> None:
        """Make the folder and its parents, for this user alone whatever the umask is."""
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(0o700, exist_ok=True)
        facts = self.path.stat()
        if _POSIX and not _ours(facts):
            raise CredentialsError(f"the folder {self.path} is another user's", hint="choose one of your own")
        if _POSIX and facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CredentialsError(f"others can write in {self.path}", hint=f"chmod 700 {self.path}")

    def _delete_old_drafts(self) -> None:
        old = self._clock() - _DRAFTS_LIVE
        for draft in islice(self.path.glob(f"{_DRAFT}*"), _DRAFTS_AT_ONCE):
            with contextlib.suppress(OSError):  # its writer was quicker
                if draft.lstat().st_mtime < old:
                    draft.unlink()

    def _sync(self) -> None:
        """Have the disk keep the folder's names; Windows cannot, and does it by itself."""
        if not _POSIX:
            return
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems sync no folders
                raise
        finally:
            os.close(descriptor)


def _write_draft(draft: Path, data: bytes) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _ANYHOW, 0o600)
    try:
        if _POSIX:
            os.fchmod(descriptor, 0o600)  # a umask may have taken even our own rights
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _all_of(descriptor: int, path: Path) -> bytes:
    found = b""
    while piece := os.read(descriptor, LARGEST + 1 - len(found)):
        found += piece
    if len(found) > LARGEST:
        raise CredentialsError(f"{path} is too large to be ours", hint="move it away and sign in again")
    return found


def _demand_private(path: Path, facts: os.stat_result) -> None:
    if not _POSIX and path.is_symlink():  # Windows cannot open without following
        raise _a_link(path)
    if not stat.S_ISREG(facts.st_mode):
        raise CredentialsError(f"{path} is no file", hint="move it away and sign in again")
    if not _POSIX:
        return
    if not _ours(facts):
        raise CredentialsError(f"{path} belongs to another user", hint="move it away and sign in again")
    if facts.st_mode & _OTHERS:
        raise CredentialsError(
            f"{path} can be read or written by others, who may have its token",
            hint=f"sign out and in again; to use it nevertheless: chmod 600 {path}",
        )


def _ours(facts: os.stat_result) -> bool:
    return facts.st_uid == os.geteuid() or os.geteuid() == 0  # root in a container has folders of all owners


def _a_link(path: Path) -> CredentialsError:
    return CredentialsError(f"{path} is a link and was not followed", hint="delete the link and sign in again")


@contextmanager
def _faults(path: Path, done: str) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK}:  # the BSDs say the latter
            raise _a_link(path) from None
        raise CredentialsError(
            f"{path} cannot be {done}: {error.strerror}", hint="see to the folder's rights and the disk's space"
        ) from None
