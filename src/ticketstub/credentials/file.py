"""Credentials in files: one for each issuer, app and profile, readable by this user alone.

Rule: a file is
replaced whole or not at all, by one writer at a time; one that is a link, open to others, damaged or another entry's is
refused, and stays as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from ticketstub.credentials import legacy, stored
from ticketstub.credentials.base import COMMAND, DEFAULT_PROFILE, PATIENCE, Credential, Entry
from ticketstub.credentials.folder import PrivateFolder
from ticketstub.errors import CredentialsError
from ticketstub.frames import hide_locals

SUFFIX = ".kept"
WRITING = 10.0
"""How many seconds a save waits for another one: each takes some milliseconds (ours)."""


@hide_locals
class FileCredentials:
    """Keeps credentials in files.

    Args:
        directory: where; by default `credentials` in the user's data directory for Ticketstub. Made when needed.
        clock: epoch seconds; tells which drafts of killed processes are old.
        devices: the folder of remembered client identifiers, which tell whose a sign-in is that an earlier version kept
            without an app; by default the user's.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        devices: Path | None = None,
    ) -> None:
        self._devices = devices
        self._folder = PrivateFolder(Path(directory) if directory is not None else data_directory(), clock)

    @property
    def directory(self) -> Path:
        """The folder of the files."""
        return self._folder.path

    def in_use(self) -> bool:
        """Tell whether there is any file, without reading one."""
        return bool(self._folder.names(SUFFIX) or self._folder.names(legacy.SUFFIX))

    def writable(self) -> bool:
        """Tell whether the folder can be made and written to; nothing is made for that."""
        there = next((one for one in (self.directory, *self.directory.parents) if one.exists()), None)
        return there is not None and there.is_dir() and os.access(there, os.W_OK | os.X_OK)

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> Credential | None:
        """Return what is kept, or `None`.

        Raises:
            CredentialsError: the file is a link, open to others, damaged, or another issuer's, app's or profile's.
        """
        entry = Entry.of(issuer, profile, app)
        # Windows replaces no file that somebody has open.
        alone = self._writing(entry) if os.name == "nt" and self.in_use() else nullcontext()
        with alone:
            return self._load(entry)

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        """Keep it if nothing changed since `replacing` was loaded; see `Credentials.save`.

        Raises:
            CredentialsError: as `load`, or the file cannot be written; then the old one is still there.
        """
        entry = credential.entry
        with self._writing(entry):
            now = self._load(entry)
            if now != replacing:
                return None
            self._move(entry)
            kept = msgspec.structs.replace(credential, version=now.version + 1 if now else 1)
            self._folder.write(_name(entry), stored.written(kept))
            return kept

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> bool:
        """Delete the file, whatever is in it; tell whether there was one."""
        entry = Entry.of(issuer, profile, app)
        if not {_name(entry), legacy.name_of(entry)} & {
            *self._folder.names(SUFFIX),
            *self._folder.names(legacy.SUFFIX),
        }:
            return False
        with self._writing(entry):
            gone = self._is_moving(entry) and self._folder.remove(legacy.name_of(entry))
            return self._folder.remove(_name(entry)) or gone

    def profiles(self) -> tuple[Entry, ...]:
        """List what is kept, sorted.

        Raises:
            CredentialsError: as `load`, for any of the files.
        """
        names = (*self._folder.names(SUFFIX), *self._folder.names(legacy.SUFFIX))
        return tuple(sorted(set(filter(None, map(self._entry, names)))))

    def where(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> str:
        """Name the file."""
        entry = Entry.of(issuer, profile, app)
        here = legacy.name_of(entry) if self._is_still_there(entry) else _name(entry)
        return f"in the file {self._at(here)}, which only you can read"

    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND, *, patience: float = PATIENCE
    ) -> AbstractContextManager[None]:
        """Keep other threads and processes from holding the same lock; see `Credentials.lock`."""
        entry = Entry.of(issuer, profile, app)
        return self._folder.locks(self._lock_names(entry), patience)

    def _writing(self, entry: Entry) -> AbstractContextManager[None]:
        """Hold the writers' lock, which is another than that of `lock`: its holder saves, too."""
        return self._folder.locks([f"{name}.writing" for name in self._lock_names(entry)], WRITING)

    def _lock_names(self, entry: Entry) -> list[str]:
        """Name the lock, and that of an earlier version while both may use the same sign-in."""
        own = [stored.name_of(entry)]
        return [*own, legacy.lock_of(entry)] if self._is_moving(entry) else own

    def _load(self, entry: Entry) -> Credential | None:
        return self._own(entry) or self._before(entry)

    def _own(self, entry: Entry) -> Credential | None:
        name = _name(entry)
        data = self._folder.read(name)
        return None if data is None else stored.read_of(entry, data, self._at(name), hint=self._hint(name))

    def _before(self, entry: Entry) -> Credential | None:
        """Return what an earlier version kept, if it is this app's. What cannot be read is the command's to tell."""
        name = legacy.name_of(entry)
        try:
            data = self._folder.read(name)
            if data is None:
                return None
            found = stored.read_of(entry._replace(app=COMMAND), data, self._at(name), hint=self._hint(name))
        except CredentialsError:
            if entry.app == COMMAND:
                raise
            return None
        return legacy.claimed(found, entry, self._devices)

    def _is_still_there(self, entry: Entry) -> bool:
        try:
            return self._folder.read(_name(entry)) is None and self._before(entry) is not None
        except CredentialsError:
            return False

    def _is_moving(self, entry: Entry) -> bool:
        """Tell whether what an earlier version kept is this entry's, or is left of a move that did not end."""
        try:
            before = self._before(entry)
        except CredentialsError:  # it cannot be read, and so is the command's
            return True
        try:
            own = self._own(entry) if before else None
        except CredentialsError:
            return False
        return before is not None and (own is None or legacy.same(before, own))

    def _move(self, entry: Entry) -> None:
        """Make what an earlier version kept this app's own, as it is, before it is replaced.

        Killed between the two steps, both are there and the same: the next save or removal deletes the earlier one.
        """
        if not self._is_moving(entry):
            return
        if self._own(entry) is None and (before := self._before(entry)):
            self._folder.write(_name(entry), stored.written(before))
        self._folder.remove(legacy.name_of(entry))

    def _entry(self, name: str) -> Entry | None:
        data = self._folder.read(name)
        if data is None:  # deleted since it was listed
            return None
        found = stored.read(data, self._at(name), hint=self._hint(name))
        if name not in {_name(found.entry), legacy.name_of(found.entry)}:
            raise stored.of_another(self._at(name), self._hint(name))
        if name.endswith(SUFFIX):
            return found.entry
        return found.entry._replace(app=legacy.app_of(found, self._devices))

    def _at(self, name: str) -> str:
        return str(self._folder.path / name)

    def _hint(self, name: str) -> str:
        return f"delete {self._at(name)} and sign in again"


def data_directory() -> Path:
    """Return the folder for credentials in the user's data directory.

    Raises:
        CredentialsError: no home folder is known.
    """
    import platformdirs  # only where no directory was given

    found = Path(platformdirs.user_data_dir("ticketstub", appauthor=False))
    if not found.is_absolute():  # else it would be in the current folder
        raise CredentialsError("there is no folder to keep sign-ins in", hint="set HOME to your home folder")
    return found / "credentials"


def _name(entry: Entry) -> str:
    return f"{stored.name_of(entry)}{SUFFIX}"
