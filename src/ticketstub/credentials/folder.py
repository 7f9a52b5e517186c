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
from ticketstub.credentials.store import COMMAND, DEFAULT_PROFILE, PATIENCE, Credential, Entry, waited
from ticketstub.errors import CredentialsError
from ticketstub.tracebacks import hide_locals

LARGEST = 64 * 1024
"""The most bytes that are read of a file: a credential has about one thousand (ours)."""
SUFFIX = ".kept"
WRITING = 10.0
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
        with _faults(self.path / name, "read"):
            try:
                return private_files.read(self.path / name, LARGEST)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, name: str, data: bytes) -> None:
        """Put a file there, whole, or leave what is there.

        Raises:
            CredentialsError: it cannot be written, or others can write in the folder.
        """
        with _faults(self.path / name, "written"):
            self._make()
            private_files.write(self.path / name, data)

    def remove(self, name: str) -> bool:
        """Delete a file (of a link, the link); tell whether there was one."""
        with _faults(self.path / name, "deleted"):
            return private_files.remove(self.path / name)

    def names(self, *suffixes: str) -> list[str]:
        """List the files whose names end in one of these ways, sorted."""
        with _faults(self.path, "listed"):
            try:
                found = [path.name for path in self.path.iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(name for name in found if name.endswith(suffixes) and not name.startswith("."))

    @contextmanager
    def locks(self, names: Iterable[str], patience: float) -> Generator[None, None, None]:
        """Hold the locks of some lock files, taken in this order, each after at most `patience` seconds of waiting.

        Raises:
            CredentialsError: one was not free in time, or the file system has no locks.
        """
        from filelock import FileLock, Timeout  # only who writes pays for it

        with ExitStack() as held:
            for path in [self.path / f"{name}.lock" for name in names]:
                lock = FileLock(path, thread_local=False, fallback_to_soft=False, mode=0o600, poll_interval=0.01)
                with _faults(path, "locked"):
                    self._make()
                    try:
                        held.enter_context(lock.acquire(timeout=max(patience, 0.0)))
                    except Timeout:
                        raise waited(patience) from None
                    except NotImplementedError:
                        raise CredentialsError(
                            "the file system of the credentials has no locks", hint="choose a directory on a local disk"
                        ) from None
            yield

    def _make(self) -> None:
        """Make the folder, and refuse one that others could change."""
        private_files.make_folder(self.path)
        facts = self.path.stat()
        if not private_files.is_ours(facts):
            raise CredentialsError(f"the folder {self.path} is another user's", hint="choose one of your own")
        if os.name == "posix" and facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CredentialsError(f"others can write in {self.path}", hint=f"chmod 700 {self.path}")


@contextmanager
def _faults(path: Path, done: str) -> Generator[None, None, None]:
    try:
        yield
    except private_files.OpenToOthers as error:
        raise CredentialsError(
            f"{path} {error}, who may have its token",
            hint=f"sign out and in again; to use it nevertheless: chmod 600 {path}",
        ) from None
    except private_files.NotPrivate as error:
        raise CredentialsError(f"{path} {error}", hint=f"{error.advice} and sign in again") from None
    except OSError as error:
        if private_files.is_of_a_link(error):
            raise CredentialsError(
                f"{path} is a link and was not followed", hint="delete the link and sign in again"
            ) from None
        raise CredentialsError(
            f"{path} cannot be {done}: {error.strerror}",
            hint="see to the folder's rights and the disk's space",
        ) from None


def file_name(entry: Entry, *, earlier: bool = False) -> str:
    """Return the name of the file or note of an entry, today or in an earlier version."""
    return legacy.name_of(entry) if earlier else f"{stored.name_of(entry)}{SUFFIX}"


@hide_locals
class FolderStore(ABC):
    """A store that keeps credentials in a folder, or notes there what it keeps elsewhere.

    Args:
        directory: the folder.
        devices: the folder of remembered client identifiers, which tell whose a sign-in is that an earlier version kept
            without an app; by default the user's.
        patience: how many seconds a writer waits for another one.
    """

    def __init__(self, directory: Path, devices: Path | None, patience: float) -> None:
        self._folder = PrivateFolder(directory)
        self._devices = devices
        self._patience = patience

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> Credential | None:
        """Return what is kept, or `None`.

        Raises:
            CredentialsError: it cannot be read, is open to others, damaged, or another issuer's, app's or profile's; or
                there is no keyring, it fails, is locked or silent.
        """
        return self._load(Entry.of(issuer, profile, app))

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        """Keep it if nothing changed since `replacing` was loaded; see `Credentials.save`.

        Raises:
            CredentialsError: as `load`, or it cannot be written; then the old one is still there.
        """
        entry = credential.entry
        with self._writing(entry):
            now = self._load(entry)
            if now != replacing:
                return None
            if self._is_moving(entry):
                # As it is, before it is replaced. Killed between the two steps, both are there and the same: the next
                # save or removal deletes the earlier one.
                if self._read(entry) is None and (before := self._before(entry)):
                    self._keep(entry, before)
                self._delete(entry, earlier=True)
            kept = msgspec.structs.replace(credential, version=now.version + 1 if now else 1)
            self._keep(entry, kept)
            return kept

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> bool:
        """Delete it, whatever it is; tell whether there was anything."""
        entry = Entry.of(issuer, profile, app)
        with self._writing(entry):
            gone = self._is_moving(entry) and self._delete(entry, earlier=True)
            return self._delete(entry) or gone

    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND, *, patience: float = PATIENCE
    ) -> AbstractContextManager[None]:
        """Keep other threads and processes from holding the same lock; see `Credentials.lock`."""
        return self._folder.locks(self._lock_names(Entry.of(issuer, profile, app)), patience)

    @abstractmethod
    def _read(self, entry: Entry, *, earlier: bool = False) -> Credential | None:
        """Return what is kept for an entry, by this version or by an earlier one."""

    @abstractmethod
    def _keep(self, entry: Entry, credential: Credential) -> None:
        """Keep it, whole or not at all."""

    @abstractmethod
    def _delete(self, entry: Entry, *, earlier: bool = False) -> bool:
        """Delete what is kept; tell whether there was anything."""

    @abstractmethod
    def _entry(self, name: str, data: bytes) -> Entry:
        """Return the entry that a file says it is of."""

    def _entries(self, *suffixes: str) -> tuple[Entry, ...]:
        """List the entries of the files whose names end so, sorted; one that was deleted meanwhile is left out."""
        files = [(name, self._folder.read(name)) for name in self._folder.names(*suffixes)]
        return tuple(sorted({self._entry(name, data) for name, data in files if data is not None}))

    def _writing(self, entry: Entry) -> AbstractContextManager[None]:
        """Hold the writers' lock, which is another than that of `lock`: its holder saves, too."""
        return self._folder.locks([f"{name}.writing" for name in self._lock_names(entry)], self._patience)

    def _lock_names(self, entry: Entry) -> list[str]:
        """Name the lock, and that of an earlier version while both may use the same sign-in."""
        own = [stored.name_of(entry)]
        return [*own, legacy.name_of(entry).removesuffix(legacy.SUFFIX)] if self._is_moving(entry) else own

    def _load(self, entry: Entry) -> Credential | None:
        return self._read(entry) or self._before(entry)

    def _before(self, entry: Entry) -> Credential | None:
        """Return what an earlier version kept, if it is this app's. What cannot be read is the command's to tell."""
        try:
            found = self._read(entry._replace(app=COMMAND), earlier=True)
        except CredentialsError:
            if entry.app == COMMAND:
                raise
            return None
        return legacy.claimed(found, entry, self._devices) if found else None

    def _is_still_there(self, entry: Entry) -> bool:
        """Tell whether what is kept is still where an earlier version kept it."""
        try:
            return self._folder.read(file_name(entry)) is None and self._before(entry) is not None
        except CredentialsError:
            return False

    def _is_moving(self, entry: Entry) -> bool:
        """Tell whether what an earlier version kept is this entry's, or is left of a move that did not end."""
        try:
            before = self._before(entry)
        except CredentialsError:  # it cannot be read, and so is the command's
            return True
        try:
            own = self._read(entry) if before else None
        except CredentialsError:
            return False
        return before is not None and (own is None or legacy.same(before, own))
