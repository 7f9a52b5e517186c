"""Credentials in files: one for each issuer and profile, readable by this user alone.

Rule: for use after the user agreed to it, or asked for it by name (`default_credentials` sees to that). A file is
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

from ticketstub.credentials import stored
from ticketstub.credentials.base import DEFAULT_PROFILE, PATIENCE, Credential, Entry
from ticketstub.credentials.folder import PrivateFolder
from ticketstub.frames import hide_locals

SUFFIX = ".json"
WRITING = 10.0
"""How many seconds a save waits for another one: each takes some milliseconds (ours)."""


@hide_locals
class FileCredentials:
    """Keeps credentials in files.

    Args:
        directory: where; by default `credentials` in the user's data directory for Ticketstub. Made when needed.
        clock: epoch seconds; tells which drafts of killed processes are old.
    """

    def __init__(
        self, directory: str | os.PathLike[str] | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = PrivateFolder(Path(directory) if directory is not None else data_directory(), clock)

    @property
    def directory(self) -> Path:
        """The folder of the files."""
        return self._folder.path

    def in_use(self) -> bool:
        """Tell whether there is any file, and so once was consent, without reading one."""
        return bool(self._folder.names(SUFFIX))

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE) -> Credential | None:
        """Return what is kept, or `None`.

        Raises:
            CredentialsError: the file is a link, open to others, damaged, or another issuer's or profile's.
        """
        entry = Entry.of(issuer, profile)
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
            kept = msgspec.structs.replace(credential, version=now.version + 1 if now else 1)
            self._folder.write(_name(entry), stored.written(kept))
            return kept

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE) -> bool:
        """Delete the file, whatever is in it; tell whether there was one."""
        entry = Entry.of(issuer, profile)
        if _name(entry) not in self._folder.names(SUFFIX):
            return False
        with self._writing(entry):
            return self._folder.remove(_name(entry))

    def profiles(self) -> tuple[Entry, ...]:
        """List what is kept, sorted.

        Raises:
            CredentialsError: as `load`, for any of the files.
        """
        return tuple(sorted(filter(None, map(self._entry, self._folder.names(SUFFIX)))))

    def where(self, issuer: str, profile: str = DEFAULT_PROFILE) -> str:
        """Name the file."""
        return f"in the file {self._at(_name(Entry.of(issuer, profile)))}, which only you can read"

    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, *, patience: float = PATIENCE
    ) -> AbstractContextManager[None]:
        """Keep other threads and processes from holding the same lock; see `Credentials.lock`."""
        return self._folder.lock(stored.name_of(Entry.of(issuer, profile)), patience)

    def _writing(self, entry: Entry) -> AbstractContextManager[None]:
        """Hold the writers' lock, which is another than that of `lock`: its holder saves, too."""
        return self._folder.lock(f"{stored.name_of(entry)}.writing", WRITING)

    def _load(self, entry: Entry) -> Credential | None:
        name = _name(entry)
        data = self._folder.read(name)
        return None if data is None else stored.read_of(entry, data, self._at(name), hint=self._hint(name))

    def _entry(self, name: str) -> Entry | None:
        data = self._folder.read(name)
        if data is None:  # deleted since it was listed
            return None
        found = stored.read(data, self._at(name), hint=self._hint(name)).entry
        if _name(found) != name:
            raise stored.of_another(self._at(name), self._hint(name))
        return found

    def _at(self, name: str) -> str:
        return str(self._folder.path / name)

    def _hint(self, name: str) -> str:
        return f"delete {self._at(name)} and sign in again"


def data_directory() -> Path:
    """Return the folder for credentials in the user's data directory."""
    import platformdirs  # only where no directory was given

    return Path(platformdirs.user_data_dir("ticketstub", appauthor=False)) / "credentials"


def _name(entry: Entry) -> str:
    return f"{stored.name_of(entry)}{SUFFIX}"
