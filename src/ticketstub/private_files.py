"""Private files: read only if nobody else can, and written so that a crash leaves the old one, the new one, or none.

Rule: a new file is a draft first (never through a link, never over something), synced to the disk, renamed into place,
and the folder synced. A draft that a killed process left goes with the next write or removal of its file, which has one
writer at a time. On POSIX, files have mode 0600; on Windows they have the access list of their folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

_POSIX = os.name == "posix"
# Not all of these exist everywhere. A pipe is not waited for.
_OPEN_FLAGS = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


class UnsafeFileError(Exception):
    """A file is none that only its owner can read. The text says why, behind the file's name; `advice` what to do."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.advice = advice


class UnsafePermissionsError(UnsafeFileError):
    """Others can read or write the file."""


def read(path: Path, max_size: int) -> bytes:
    """Return a file's bytes.

    Args:
        path: the file.
        max_size: how many bytes it may have.

    Raises:
        UnsafeFileError: it is a link, no file, somebody else's, open to others, or too large.
        OSError: it cannot be read; `FileNotFoundError`: there is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _OPEN_FLAGS)
    except OSError as error:
        if is_symlink_error(error):
            raise _build_symlink_error() from None
        raise
    try:
        file_stat = os.fstat(descriptor)
        if not _POSIX and path.is_symlink():  # Windows cannot open without following
            raise _build_symlink_error()
        if not stat.S_ISREG(file_stat.st_mode):
            raise UnsafeFileError("is not a file", "move it away")
        if not is_owned_by_user(file_stat):
            raise UnsafeFileError("belongs to another user", "move it away")
        if _POSIX and file_stat.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UnsafePermissionsError("can be read or written by others", "chmod 600")
        found = b""
        while piece := os.read(descriptor, max_size + 1 - len(found)):
            found += piece
    finally:
        os.close(descriptor)
    if len(found) > max_size:
        raise UnsafeFileError("is too large to be ours", "move it away")
    return found


def write(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Put a file there, whole, or leave what is there; its folder exists.

    Args:
        path: the file.
        content: what is to be in it.
        sync: whether the disk has it afterwards, for what cannot be lost.

    Raises:
        OSError: it cannot be written.
    """
    draft = _get_draft_path(path)
    draft.unlink(missing_ok=True)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if _POSIX:
                os.fchmod(descriptor, 0o600)  # a umask may have taken even our own rights
            file.write(content)
            file.flush()
            if sync:
                os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    if sync:
        sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, for this user alone whatever the umask is."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(0o700, exist_ok=True)


def remove(path: Path) -> bool:
    """Delete a file (of a link, the link); tell whether there was one.

    Raises:
        OSError: it cannot be deleted.
    """
    _get_draft_path(path).unlink(missing_ok=True)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """Have the disk keep a folder's names; Windows cannot, and does it by itself."""
    if not _POSIX:
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems sync no folders
            raise
    finally:
        os.close(descriptor)


def is_owned_by_user(file_stat: os.stat_result) -> bool:
    """Tell whether a file or folder is this user's; root, as in a container, has those of all owners."""
    return not _POSIX or file_stat.st_uid == os.geteuid() or os.geteuid() == 0


def is_symlink_error(error: OSError) -> bool:
    """Tell whether something was not opened because it is a link."""
    return error.errno in {errno.ELOOP, errno.EMLINK}  # the BSDs say the latter


def _build_symlink_error() -> UnsafeFileError:
    return UnsafeFileError("is a link and was not followed", "delete the link")


def _get_draft_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.draft")
