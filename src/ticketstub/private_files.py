"""Private files: read only if nobody else can read them, and written so that a crash leaves the old or the new file.

Rule: a file is first written to a draft (never through a symbolic link or over another file), synced to the disk and
renamed into place; then the folder is synced. A draft left by a killed process is deleted with the next write or
removal of its file, which must have one writer at a time. On POSIX systems files have mode 0600; on Windows they have
the access list of their folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

_POSIX = os.name == "posix"
# Not every system has all of these. O_NONBLOCK avoids waiting for a pipe.
_OPEN_FLAGS = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


class UnsafeFileError(Exception):
    """A file is not one that only its owner can read.

    Its text follows the file's name in a sentence: "is not a regular file". `advice` says what to do, for example
    "chmod 600", and the caller completes it.
    """

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.advice = advice


class UnsafePermissionsError(UnsafeFileError):
    """Others can read or write the file."""


def read(path: Path, max_size: int) -> bytes:
    """Return the content of a file.

    Args:
        path: The file.
        max_size: The largest allowed size in bytes.

    Raises:
        UnsafeFileError: It is a symbolic link, not a regular file, another user's, accessible to others, or too large.
        OSError: It cannot be read; `FileNotFoundError` if it does not exist.
    """
    if path.is_symlink():  # the flags refuse a link that is made after this check, except on Windows
        raise UnsafeFileError("is a symbolic link and was not followed", "delete the link")
    descriptor = os.open(path, os.O_RDONLY | _OPEN_FLAGS)
    try:
        file_stat = os.fstat(descriptor)
        if not stat.S_ISREG(file_stat.st_mode):
            raise UnsafeFileError("is not a regular file", "move it away")
        if not is_owned_by_user(file_stat):
            raise UnsafeFileError("belongs to another user", "move it away")
        if _POSIX and file_stat.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UnsafePermissionsError("can be read or written by others", "chmod 600")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(max_size + 1)
    finally:
        os.close(descriptor)
    if len(content) > max_size:
        raise UnsafeFileError("is too large to be a file of Ticketstub", "move it away")
    return content


def write(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Create or replace a file in an existing folder as a whole, or leave it unchanged.

    Args:
        path: The file.
        content: Its new content.
        sync: Whether to wait until the disk has it, for content that must not be lost.

    Raises:
        OSError: It cannot be written.
    """
    draft = _get_draft_path(path)
    draft.unlink(missing_ok=True)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if _POSIX:
                os.fchmod(descriptor, 0o600)  # the umask may have removed even the owner's permissions
            file.write(content)
            file.flush()
            if sync:
                os.fsync(descriptor)
        draft.replace(path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()  # it still exists if anything failed
    if sync:
        sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, accessible only to this user whatever the umask is.

    Raises:
        OSError: It cannot be created.
    """
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(0o700, exist_ok=True)


def remove(path: Path) -> bool:
    """Delete a file or a symbolic link, and return whether there was one.

    Raises:
        OSError: It cannot be deleted.
    """
    _get_draft_path(path).unlink(missing_ok=True)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """Wait until the disk has a folder's list of files, so that a crash undoes no renaming or deletion.

    Windows has no call for this and needs none.

    Raises:
        OSError: The folder cannot be synced.
    """
    if not _POSIX:
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems do not sync folders
            raise
    finally:
        os.close(descriptor)


def is_owned_by_user(file_stat: os.stat_result) -> bool:
    """Return whether a file or folder belongs to this user. For root, as in a container, every file does."""
    return not _POSIX or file_stat.st_uid == os.geteuid() or os.geteuid() == 0


def _get_draft_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.draft")
