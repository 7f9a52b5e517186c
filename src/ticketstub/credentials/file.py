"""Credentials in files: one for each issuer, app and profile, readable by this user alone.

Rule: a file is replaced whole or not at all, by one writer at a time; one that is a link, open to others, damaged or
another entry's is refused, and stays as it is.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

from ticketstub.credentials import legacy, stored
from ticketstub.credentials.folder import SUFFIX, WRITING, FolderStore, file_name
from ticketstub.credentials.store import COMMAND, DEFAULT_PROFILE, Credential, Entry
from ticketstub.errors import CredentialsError
from ticketstub.tracebacks import hide_locals


@hide_locals
class FileCredentials(FolderStore):
    """Keeps credentials in files.

    Args:
        directory: where; by default `credentials` in the user's data directory for Ticketstub. Made when needed.
        devices: the folder of remembered client identifiers, which tell whose a sign-in is that an earlier version kept
            without an app; by default the user's.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, *, devices: Path | None = None) -> None:
        super().__init__(Path(directory) if directory is not None else data_directory(), devices, WRITING)

    @property
    def directory(self) -> Path:
        """The folder of the files."""
        return self._folder.path

    def in_use(self) -> bool:
        """Tell whether there is any file, without reading one."""
        return bool(self._folder.names(SUFFIX, legacy.SUFFIX))

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
        with self._writing(entry) if os.name == "nt" and self.in_use() else nullcontext():
            return self._load(entry)

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> bool:
        """Delete the file, whatever is in it; tell whether there was one."""
        entry = Entry.of(issuer, profile, app)
        names = {file_name(entry), file_name(entry, earlier=True)}
        return not names.isdisjoint(self._folder.names(SUFFIX, legacy.SUFFIX)) and super().remove(*entry)

    def profiles(self) -> tuple[Entry, ...]:
        """List what is kept, sorted.

        Raises:
            CredentialsError: as `load`, for any of the files.
        """
        return self._entries(SUFFIX, legacy.SUFFIX)

    def where(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> str:
        """Name the file."""
        entry = Entry.of(issuer, profile, app)
        return f"in the file {self._at(file_name(entry, earlier=self._is_still_there(entry)))}, which only you can read"

    def _read(self, entry: Entry, *, earlier: bool = False) -> Credential | None:
        name = file_name(entry, earlier=earlier)
        data = self._folder.read(name)
        return None if data is None else stored.read_of(entry, data, self._at(name), hint=self._hint(name))

    def _keep(self, entry: Entry, credential: Credential) -> None:
        self._folder.write(file_name(entry), stored.written(credential))

    def _delete(self, entry: Entry, *, earlier: bool = False) -> bool:
        return self._folder.remove(file_name(entry, earlier=earlier))

    def _entry(self, name: str, data: bytes) -> Entry:
        found = stored.read(data, self._at(name), hint=self._hint(name))
        if name == file_name(found.entry):
            return found.entry
        if name == file_name(found.entry, earlier=True):
            return found.entry._replace(app=legacy.app_of(found, self._devices))
        raise stored.of_another(self._at(name), self._hint(name))

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
