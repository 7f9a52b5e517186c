"""Credentials in a folder of small private files, or noted there: what stores of both kinds share.

Rule: one writer at a time, among threads and processes; the kernel keeps the lock, so that a killed process leaves none
behind, and a forked child holds nothing of its parent's. Lock files hold nothing and are never deleted here. A sign-in
that an earlier version kept for an issuer and a profile alone moves to its app when that saves or removes it.
"""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import msgspec

from ticketstub import private_files
from ticketstub.credentials import legacy, stored
from ticketstub.credentials.store import (
    COMMAND_APP,
    DEFAULT_PROFILE,
    LOCK_TIMEOUT,
    Credential,
    Entry,
    make_lock_timeout_error,
)
from ticketstub.errors import CredentialsError
from ticketstub.tracebacks import hide_locals

MAX_FILE_BYTES = 64 * 1024
"""The most bytes that are read of a file: a credential has about one thousand (ours)."""
SUFFIX = ".kept"
WRITE_TIMEOUT = 10.0
"""How many seconds a save waits for another one: each takes some milliseconds (ours)."""


class PrivateFolder:
    """A folder that is made when the first file is written.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or `None` if there is no such file.

        Raises:
            CredentialsError: it is a link, somebody else's, open to others, too large, or cannot be read.
        """
        with _translate_errors(self.path / name, "read"):
            try:
                return private_files.read(self.path / name, MAX_FILE_BYTES)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, name: str, data: bytes) -> None:
        """Put a file there, whole, or leave what is there.

        Raises:
            CredentialsError: it cannot be written, or others can write in the folder.
        """
        with _translate_errors(self.path / name, "written"):
            self._create()
            private_files.write(self.path / name, data)

    def remove(self, name: str) -> bool:
        """Delete a file (of a link, the link); tell whether there was one."""
        with _translate_errors(self.path / name, "deleted"):
            return private_files.remove(self.path / name)

    def list_names(self, *suffixes: str) -> list[str]:
        """List the files whose names end in one of these ways, sorted."""
        with _translate_errors(self.path, "listed"):
            try:
                found = [path.name for path in self.path.iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(name for name in found if name.endswith(suffixes) and not name.startswith("."))

    @contextmanager
    def hold_locks(self, names: Iterable[str], timeout: float) -> Generator[None, None, None]:
        """Hold the locks of some lock files, taken in this order, each after at most `timeout` seconds of waiting.

        Raises:
            CredentialsError: one was not free in time, or the file system has no locks.
        """
        from filelock import FileLock, Timeout  # only who writes pays for it

        with ExitStack() as stack:
            for path in [self.path / f"{name}.lock" for name in names]:
                lock = FileLock(path, thread_local=False, fallback_to_soft=False, mode=0o600, poll_interval=0.01)
                with _translate_errors(path, "locked"):
                    self._create()
                    try:
                        stack.enter_context(lock.acquire(timeout=max(timeout, 0.0)))
                    except Timeout:
                        raise make_lock_timeout_error(timeout) from None
                    except NotImplementedError:
                        raise CredentialsError(
                            "the file system of the credentials has no locks", hint="choose a directory on a local disk"
                        ) from None
            yield

    def _create(self) -> None:
        """Make the folder, and refuse one that others could change."""
        private_files.make_folder(self.path)
        file_stat = self.path.stat()
        if not private_files.is_owned_by_user(file_stat):
            raise CredentialsError(f"the folder {self.path} is another user's", hint="choose one of your own")
        if os.name == "posix" and file_stat.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CredentialsError(f"others can write in {self.path}", hint=f"chmod 700 {self.path}")


@contextmanager
def _translate_errors(path: Path, action: str) -> Generator[None, None, None]:
    try:
        yield
    except private_files.UnsafePermissionsError as error:
        raise CredentialsError(
            f"{path} {error}, who may have its token",
            hint=f"sign out and in again; to use it nevertheless: chmod 600 {path}",
        ) from None
    except private_files.UnsafeFileError as error:
        raise CredentialsError(f"{path} {error}", hint=f"{error.advice} and sign in again") from None
    except OSError as error:
        if private_files.is_symlink_error(error):
            raise CredentialsError(
                f"{path} is a link and was not followed", hint="delete the link and sign in again"
            ) from None
        raise CredentialsError(
            f"{path} cannot be {action}: {error.strerror}",
            hint="see to the folder's rights and the disk's space",
        ) from None


def get_file_name(entry: Entry, *, is_legacy: bool = False) -> str:
    """Return the name of the file or note of an entry, today or in an earlier version."""
    return legacy.get_legacy_name(entry) if is_legacy else f"{stored.get_entry_name(entry)}{SUFFIX}"


@hide_locals
class FolderStore(ABC):
    """A store that keeps credentials in a folder, or notes there what it keeps elsewhere.

    Args:
        directory: the folder.
        device_directory: the folder of remembered client identifiers, which tell whose a sign-in is that an earlier
            version kept without an app; by default the user's.
        write_timeout: how many seconds a writer waits for another one.
    """

    def __init__(self, directory: Path, device_directory: Path | None, write_timeout: float) -> None:
        self._folder = PrivateFolder(directory)
        self._device_directory = device_directory
        self._write_timeout = write_timeout

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> Credential | None:
        """Return what is kept, or `None`.

        Raises:
            CredentialsError: it cannot be read, is open to others, damaged, or another issuer's, app's or profile's; or
                there is no keyring, it fails, is locked or silent.
        """
        return self._load(Entry.create(issuer, profile, app))

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        """Keep it if nothing changed since `replacing` was loaded; see `CredentialStore.save`.

        Raises:
            CredentialsError: as `load`, or it cannot be written; then the old one is still there.
        """
        entry = credential.entry
        with self._hold_write_lock(entry):
            current = self._load(entry)
            if current != replacing:
                return None
            if self._needs_migration(entry):
                # As it is, before it is replaced. Killed between the two steps, both are there and the same: the next
                # save or removal deletes the earlier one.
                if self._read(entry) is None and (legacy_credential := self._load_legacy(entry)):
                    self._write(entry, legacy_credential)
                self._delete(entry, is_legacy=True)
            saved = msgspec.structs.replace(credential, version=current.version + 1 if current else 1)
            self._write(entry, saved)
            return saved

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> bool:
        """Delete it, whatever it is; tell whether there was anything."""
        entry = Entry.create(issuer, profile, app)
        with self._hold_write_lock(entry):
            was_removed = self._needs_migration(entry) and self._delete(entry, is_legacy=True)
            return self._delete(entry) or was_removed

    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP, *, timeout: float = LOCK_TIMEOUT
    ) -> AbstractContextManager[None]:
        """Keep other threads and processes from holding the same lock; see `CredentialStore.lock`."""
        return self._folder.hold_locks(self._get_lock_names(Entry.create(issuer, profile, app)), timeout)

    @abstractmethod
    def _read(self, entry: Entry, *, is_legacy: bool = False) -> Credential | None:
        """Return what is kept for an entry, by this version or by an earlier one."""

    @abstractmethod
    def _write(self, entry: Entry, credential: Credential) -> None:
        """Keep it, whole or not at all."""

    @abstractmethod
    def _delete(self, entry: Entry, *, is_legacy: bool = False) -> bool:
        """Delete what is kept; tell whether there was anything."""

    @abstractmethod
    def _parse_entry(self, name: str, data: bytes) -> Entry:
        """Return the entry that a file says it is of."""

    def _parse_entries(self, *suffixes: str) -> tuple[Entry, ...]:
        """List the entries of the files whose names end so, sorted; one that was deleted meanwhile is left out."""
        files = [(name, self._folder.read(name)) for name in self._folder.list_names(*suffixes)]
        return tuple(sorted({self._parse_entry(name, data) for name, data in files if data is not None}))

    def _hold_write_lock(self, entry: Entry) -> AbstractContextManager[None]:
        """Hold the writers' lock, which is another than that of `lock`: its holder saves, too."""
        return self._folder.hold_locks([f"{name}.writing" for name in self._get_lock_names(entry)], self._write_timeout)

    def _get_lock_names(self, entry: Entry) -> list[str]:
        """Name the lock, and that of an earlier version while both may use the same sign-in."""
        own = [stored.get_entry_name(entry)]
        return (
            [*own, legacy.get_legacy_name(entry).removesuffix(legacy.SUFFIX)] if self._needs_migration(entry) else own
        )

    def _load(self, entry: Entry) -> Credential | None:
        return self._read(entry) or self._load_legacy(entry)

    def _load_legacy(self, entry: Entry) -> Credential | None:
        """Return what an earlier version kept, if it is this app's. What cannot be read is the command's to tell."""
        try:
            found = self._read(entry._replace(app=COMMAND_APP), is_legacy=True)
        except CredentialsError:
            if entry.app == COMMAND_APP:
                raise
            return None
        return legacy.match_entry(found, entry, self._device_directory) if found else None

    def _is_stored_as_legacy(self, entry: Entry) -> bool:
        """Tell whether what is kept is still where an earlier version kept it."""
        try:
            return self._folder.read(get_file_name(entry)) is None and self._load_legacy(entry) is not None
        except CredentialsError:
            return False

    def _needs_migration(self, entry: Entry) -> bool:
        """Tell whether what an earlier version kept is this entry's, or is left of a move that did not end."""
        try:
            legacy_credential = self._load_legacy(entry)
        except CredentialsError:  # it cannot be read, and so is the command's
            return True
        try:
            current = self._read(entry) if legacy_credential else None
        except CredentialsError:
            return False
        return legacy_credential is not None and (current is None or legacy.is_same_sign_in(legacy_credential, current))
