"""Credentials in files: one for each issuer, app and profile, readable only by this user.

Rule: a file is replaced as a whole or not at all, by one writer at a time. A file that is a symbolic link, accessible
to others, damaged or of another entry is refused and left unchanged. The kernel holds the locks, so a killed process
leaves none behind and a forked child does not inherit its parent's. Lock files are empty and are never deleted here.

Earlier versions stored one sign-in per issuer and profile, without an app. It belongs to the app whose stored client
identifier it contains, otherwise to the command, and never just to the app that asks first. It stays where earlier
versions find it until its app saves or removes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

import msgspec

from ticketstub import private_files
from ticketstub.credentials.store import (
    COMMAND_APP,
    DEFAULT_PROFILE,
    LOCK_TIMEOUT,
    Credential,
    Entry,
    decode_credential,
    encode_credential,
    make_lock_timeout_error,
    make_wrong_entry_error,
)
from ticketstub.device import build_file_name, find_device_names, get_data_directory
from ticketstub.errors import CredentialsError
from ticketstub.tokens import hide_locals

SUFFIX = ".kept"
LEGACY_SUFFIX = ".json"
"""The suffix of earlier versions' files and notes, without an app. They do not read files with the new suffix."""

WRITE_TIMEOUT = 10.0
"""How many seconds a save waits for another save, which usually takes milliseconds (our choice)."""

MAX_FILE_BYTES = 64 * 1024
"""The largest file that is read. A credential has about one thousand bytes (our choice)."""

_COMMAND_DEVICE = re.compile(r"ticketstub(-[0-9a-f]{12})?", re.IGNORECASE)
"""The device names of the command: one for each profile."""


class PrivateFolder:
    """A folder of private files. It is created when the first file is written.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or `None` if it does not exist.

        Raises:
            CredentialsError: It is a symbolic link, another user's, accessible to others, too large or unreadable.
        """
        with _translate_errors(self.path / name, "read"), suppress(FileNotFoundError, NotADirectoryError):
            return private_files.read(self.path / name, MAX_FILE_BYTES)
        return None

    def write(self, name: str, data: bytes) -> None:
        """Create or replace a file as a whole, or leave it unchanged.

        Raises:
            CredentialsError: It cannot be written, or others can write to the folder.
        """
        with _translate_errors(self.path / name, "written"):
            self._create()
            private_files.write(self.path / name, data)

    def remove(self, name: str) -> bool:
        """Delete a file or a symbolic link, and return whether there was one.

        Raises:
            CredentialsError: It cannot be deleted.
        """
        with _translate_errors(self.path / name, "deleted"):
            return private_files.remove(self.path / name)

    def list_names(self, *suffixes: str) -> list[str]:
        """Return the sorted names of the files with one of these suffixes, without hidden ones (drafts).

        Raises:
            CredentialsError: The folder exists but cannot be listed.
        """
        with _translate_errors(self.path, "listed"), suppress(FileNotFoundError, NotADirectoryError):
            names = [path.name for path in self.path.iterdir()]
            return sorted(name for name in names if name.endswith(suffixes) and not name.startswith("."))
        return []

    @contextmanager
    def hold_locks(self, names: Iterable[str], timeout: float) -> Generator[None, None, None]:
        """Hold several locks, acquired in this order, each within `timeout` seconds.

        Raises:
            CredentialsError: A lock was not free in time, or the file system does not support locks.
        """
        from filelock import FileLock, Timeout  # only a writer needs it

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
                            f"the file system of {self.path} does not support locks",
                            hint="choose a folder on a local disk",
                        ) from None
            yield

    def _create(self) -> None:
        """Create the folder, and refuse one that others could change."""
        private_files.make_folder(self.path)
        file_stat = self.path.stat()
        if not private_files.is_owned_by_user(file_stat):
            raise CredentialsError(
                f"the folder {self.path} belongs to another user", hint="choose a folder of your own"
            )
        if os.name == "posix" and file_stat.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CredentialsError(f"others can write to the folder {self.path}", hint=f"chmod 700 {self.path}")


@contextmanager
def _translate_errors(path: Path, action: str) -> Generator[None, None, None]:
    try:
        yield
    except private_files.UnsafePermissionsError as error:
        raise CredentialsError(
            f"{path} {error}, who may have seen its token",
            hint=f"sign out and in again; to use it anyway: chmod 600 {path}",
        ) from None
    except private_files.UnsafeFileError as error:
        raise CredentialsError(f"{path} {error}", hint=f"{error.advice} and sign in again") from None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK}:  # BSD systems use the latter
            raise CredentialsError(
                f"{path} is a symbolic link and was not followed", hint="delete the link and sign in again"
            ) from None
        raise CredentialsError(
            f"{path} cannot be {action}: {error.strerror}",
            hint="check the permissions of the folder and the free space on the disk",
        ) from None


def get_entry_name(entry: Entry, *, is_legacy: bool = False) -> str:
    """Return the name of an entry's file or note, without suffix; `is_legacy` is the name in earlier versions.

    It is readable, valid on every system, and unique: the digest distinguishes entries whose readable parts are
    equal or differ only in case. It starts with `http`, so it is neither hidden nor reserved on Windows.
    """
    key = [entry.issuer, entry.profile] if is_legacy else [entry.issuer, entry.app, entry.profile]
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:16]
    app = "" if is_legacy else f"{_sanitize_name(entry.app.lower())[:30]}-"
    return f"{_sanitize_name(entry.issuer)[:60]}-{app}{entry.profile}-{digest}"


def get_file_name(entry: Entry, *, is_legacy: bool = False) -> str:
    """Return the name of an entry's file or note, with suffix."""
    return get_entry_name(entry, is_legacy=is_legacy) + (LEGACY_SUFFIX if is_legacy else SUFFIX)


def _sanitize_name(text: str) -> str:
    """Replace what a file system might not accept."""
    return re.sub(r"[^a-z0-9.]+", "-", text)


@hide_locals
class FolderStore(ABC):
    """A store whose entries are files in a folder: either the credentials themselves, or notes of them.

    Args:
        directory: The folder.
        device_directory: The folder of stored client identifiers, which show to which app an earlier version's sign-in
            belongs; by default `devices` in the user's data directory for Ticketstub.
        write_timeout: How many seconds a writer waits for another one.
    """

    def __init__(self, directory: Path, device_directory: Path | None, write_timeout: float) -> None:
        self._folder = PrivateFolder(directory)
        self._device_directory = device_directory
        self._write_timeout = write_timeout

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> Credential | None:
        """Return the stored credential, or `None`.

        Raises:
            CredentialsError: It is unreadable, accessible to others, damaged or of another entry; or the keyring is
                missing, fails, is locked or does not answer.
        """
        return self._load(Entry.create(issuer, profile, app))

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        """Store a credential if the stored one is still `replacing`; see `CredentialStore.save`.

        Raises:
            CredentialsError: As `load`; or it cannot be written, in which case the old one stays.
        """
        entry = credential.entry
        with self._hold_write_lock(entry):
            current = self._load(entry)
            if current != replacing:
                return None
            if self._needs_migration(entry):
                # The old sign-in is copied unchanged before it is replaced. If the process is killed between the two
                # steps, both copies exist; the next save or removal deletes the earlier version's.
                if current and self._read(entry) is None:
                    self._write(entry, current)
                self._delete(entry, is_legacy=True)
            saved = msgspec.structs.replace(credential, version=current.version + 1 if current else 1)
            return self._write(entry, saved)

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> bool:
        """Delete the credential, even if it cannot be read, and return whether there was one."""
        entry = Entry.create(issuer, profile, app)
        with self._hold_write_lock(entry):
            was_removed = self._needs_migration(entry) and self._delete(entry, is_legacy=True)
            return self._delete(entry) or was_removed

    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP, *, timeout: float = LOCK_TIMEOUT
    ) -> AbstractContextManager[None]:
        """Lock an entry against all other threads and processes; see `CredentialStore.lock`."""
        return self._folder.hold_locks(self._get_lock_names(Entry.create(issuer, profile, app)), timeout)

    @abstractmethod
    def _read(self, entry: Entry, *, is_legacy: bool = False) -> Credential | None:
        """Return what this version, or an earlier one, stored for an entry."""

    @abstractmethod
    def _write(self, entry: Entry, credential: Credential) -> Credential:
        """Store a credential as a whole or not at all, and return what is stored: known servers may be left out."""

    @abstractmethod
    def _delete(self, entry: Entry, *, is_legacy: bool = False) -> bool:
        """Delete what is stored for an entry and return whether there was anything."""

    @abstractmethod
    def _parse_entry(self, name: str, data: bytes) -> Entry:
        """Read the entry of a file or note."""

    def _parse_entries(self, *suffixes: str) -> tuple[Entry, ...]:
        """Return the sorted entries of the files with these suffixes, without those deleted in the meantime."""
        files = [(name, self._folder.read(name)) for name in self._folder.list_names(*suffixes)]
        return tuple(sorted({self._parse_entry(name, data) for name, data in files if data is not None}))

    def _hold_write_lock(self, entry: Entry) -> AbstractContextManager[None]:
        """Hold the lock for writers. It is not the one of `lock`, whose holder also saves."""
        return self._folder.hold_locks([f"{name}.writing" for name in self._get_lock_names(entry)], self._write_timeout)

    def _get_lock_names(self, entry: Entry) -> list[str]:
        """Return the name of the entry's lock, and the earlier versions' name while they may use the same sign-in."""
        is_shared = self._needs_migration(entry)
        return [get_entry_name(entry), *([get_entry_name(entry, is_legacy=True)] if is_shared else [])]

    def _load(self, entry: Entry) -> Credential | None:
        return self._read(entry) or self._load_legacy(entry)

    def _load_legacy(self, entry: Entry) -> Credential | None:
        """Return what an earlier version stored if it is this app's. Only the command reports that it is unreadable."""
        try:
            found = self._read(entry._replace(app=COMMAND_APP), is_legacy=True)
        except CredentialsError:
            if entry.app == COMMAND_APP:
                raise
            return None
        device_names = {entry.app, build_file_name(entry.app), build_file_name(entry.app, entry.profile)}
        if found is None or device_names.isdisjoint(self._find_owners(found)):
            return None
        return msgspec.structs.replace(found, app=entry.app)

    def _find_owners(self, credential: Credential) -> frozenset[str]:
        """Return the device names of the app to which an earlier version's sign-in belongs."""
        names = find_device_names(credential.client_identifier, self._device_directory)
        is_command = not names or any(map(_COMMAND_DEVICE.fullmatch, names))
        return frozenset({COMMAND_APP}) if is_command else names

    def _is_stored_as_legacy(self, entry: Entry) -> bool:
        """Return whether the sign-in is still where an earlier version stored it."""
        return not os.path.lexists(self._folder.path / get_file_name(entry)) and self._needs_migration(entry)

    def _needs_migration(self, entry: Entry) -> bool:
        """Return whether an earlier version's copy of this entry's sign-in still exists."""
        try:
            legacy_credential = self._load_legacy(entry)
        except CredentialsError:  # it cannot be read, and therefore belongs to the command
            return True
        try:
            current = self._read(entry) if legacy_credential else None
        except CredentialsError:
            return False
        return legacy_credential is not None and (current is None or legacy_credential.is_same_sign_in(current))


@hide_locals
class FileStore(FolderStore):
    """Stores credentials in files.

    Args:
        directory: The folder, created when needed; by default `credentials` in the user's data directory for
            Ticketstub.
        device_directory: The folder of stored client identifiers, which show to which app an earlier version's sign-in
            belongs; by default `devices` in the user's data directory for Ticketstub.

    Raises:
        CredentialsError: No directory is given and the user's home folder is unknown.
    """

    def __init__(
        self, directory: str | os.PathLike[str] | None = None, *, device_directory: Path | None = None
    ) -> None:
        super().__init__(get_credentials_directory(directory), device_directory, WRITE_TIMEOUT)

    @property
    def directory(self) -> Path:
        """The folder of the files."""
        return self._folder.path

    def has_files(self) -> bool:
        """Return whether there is any file, without reading one."""
        return bool(self._folder.list_names(SUFFIX, LEGACY_SUFFIX))

    def is_writable(self) -> bool:
        """Return whether the folder can be created and written to, without creating anything."""
        existing = next((folder for folder in (self.directory, *self.directory.parents) if folder.exists()), None)
        return existing is not None and existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> Credential | None:
        """Return the stored credential, or `None`.

        Raises:
            CredentialsError: The file is a symbolic link, accessible to others, damaged or of another entry.
        """
        entry = Entry.create(issuer, profile, app)
        # On Windows, a file that is open for reading cannot be replaced.
        with self._hold_write_lock(entry) if os.name == "nt" and self.has_files() else nullcontext():
            return self._load(entry)

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> bool:
        """Delete the file, even if it cannot be read, and return whether there was one."""
        entry = Entry.create(issuer, profile, app)
        names = {get_file_name(entry), get_file_name(entry, is_legacy=True)}
        return not names.isdisjoint(self._folder.list_names(SUFFIX, LEGACY_SUFFIX)) and super().remove(*entry)

    def list_entries(self) -> tuple[Entry, ...]:
        """Return all entries, sorted.

        Raises:
            CredentialsError: As `load`, for any of the files.
        """
        return self._parse_entries(SUFFIX, LEGACY_SUFFIX)

    def describe_location(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> str:
        """Describe in which file the credential is or would be stored."""
        entry = Entry.create(issuer, profile, app)
        path = self.directory / get_file_name(entry, is_legacy=self._is_stored_as_legacy(entry))
        return f"in the file {path}, which only you can read"

    def _read(self, entry: Entry, *, is_legacy: bool = False) -> Credential | None:
        name = get_file_name(entry, is_legacy=is_legacy)
        data = self._folder.read(name)
        return None if data is None else self._decode(name, data, entry)

    def _write(self, entry: Entry, credential: Credential) -> Credential:
        self._folder.write(get_file_name(entry), encode_credential(credential))
        return credential

    def _delete(self, entry: Entry, *, is_legacy: bool = False) -> bool:
        return self._folder.remove(get_file_name(entry, is_legacy=is_legacy))

    def _parse_entry(self, name: str, data: bytes) -> Entry:
        found = self._decode(name, data)
        if name == get_file_name(found.entry):
            return found.entry
        if name == get_file_name(found.entry, is_legacy=True):
            return found.entry._replace(app=min(self._find_owners(found)))
        raise make_wrong_entry_error(f"{self.directory / name}", self._make_hint(name))

    def _decode(self, name: str, data: bytes, entry: Entry | None = None) -> Credential:
        return decode_credential(data, f"{self.directory / name}", hint=self._make_hint(name), entry=entry)

    def _make_hint(self, name: str) -> str:
        return f"delete {self.directory / name} and sign in again"


def get_credentials_directory(directory: str | os.PathLike[str] | None) -> Path:
    """Return the given folder for credentials, or the one in the user's data directory.

    Raises:
        CredentialsError: The user's home folder is unknown.
    """
    try:
        return get_data_directory("credentials") if directory is None else Path(directory)
    except OSError:
        raise CredentialsError("there is no folder to store sign-ins in", hint="set HOME to your home folder") from None
