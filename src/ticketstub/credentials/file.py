"""Credentials in files: one for each issuer, app and profile, readable by this user alone.

Rule: a file is replaced whole or not at all, by one writer at a time; one that is a link, open to others, damaged or
another entry's is refused, and stays as it is.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

from ticketstub.credentials import legacy, stored
from ticketstub.credentials.folder import SUFFIX, WRITE_TIMEOUT, FolderStore, get_file_name
from ticketstub.credentials.store import COMMAND_APP, DEFAULT_PROFILE, Credential, Entry
from ticketstub.errors import CredentialsError
from ticketstub.tracebacks import hide_locals


@hide_locals
class FileStore(FolderStore):
    """Keeps credentials in files.

    Args:
        directory: where; by default `credentials` in the user's data directory for Ticketstub. Made when needed.
        device_directory: the folder of remembered client identifiers, which tell whose a sign-in is that an earlier
            version kept without an app; by default the user's.
    """

    def __init__(
        self, directory: str | os.PathLike[str] | None = None, *, device_directory: Path | None = None
    ) -> None:
        super().__init__(
            Path(directory) if directory is not None else get_data_directory(), device_directory, WRITE_TIMEOUT
        )

    @property
    def directory(self) -> Path:
        """The folder of the files."""
        return self._folder.path

    def has_files(self) -> bool:
        """Tell whether there is any file, without reading one."""
        return bool(self._folder.list_names(SUFFIX, legacy.SUFFIX))

    def is_writable(self) -> bool:
        """Tell whether the folder can be made and written to; nothing is made for that."""
        existing = next((one for one in (self.directory, *self.directory.parents) if one.exists()), None)
        return existing is not None and existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> Credential | None:
        """Return what is kept, or `None`.

        Raises:
            CredentialsError: the file is a link, open to others, damaged, or another issuer's, app's or profile's.
        """
        entry = Entry.create(issuer, profile, app)
        # Windows replaces no file that somebody has open.
        with self._hold_write_lock(entry) if os.name == "nt" and self.has_files() else nullcontext():
            return self._load(entry)

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> bool:
        """Delete the file, whatever is in it; tell whether there was one."""
        entry = Entry.create(issuer, profile, app)
        names = {get_file_name(entry), get_file_name(entry, is_legacy=True)}
        return not names.isdisjoint(self._folder.list_names(SUFFIX, legacy.SUFFIX)) and super().remove(*entry)

    def list_entries(self) -> tuple[Entry, ...]:
        """List what is kept, sorted.

        Raises:
            CredentialsError: as `load`, for any of the files.
        """
        return self._parse_entries(SUFFIX, legacy.SUFFIX)

    def describe_location(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> str:
        """Name the file."""
        entry = Entry.create(issuer, profile, app)
        path = self._get_path(get_file_name(entry, is_legacy=self._is_stored_as_legacy(entry)))
        return f"in the file {path}, which only you can read"

    def _read(self, entry: Entry, *, is_legacy: bool = False) -> Credential | None:
        name = get_file_name(entry, is_legacy=is_legacy)
        data = self._folder.read(name)
        return (
            None
            if data is None
            else stored.decode_for_entry(entry, data, self._get_path(name), hint=self._make_hint(name))
        )

    def _write(self, entry: Entry, credential: Credential) -> None:
        self._folder.write(get_file_name(entry), stored.encode_credential(credential))

    def _delete(self, entry: Entry, *, is_legacy: bool = False) -> bool:
        return self._folder.remove(get_file_name(entry, is_legacy=is_legacy))

    def _parse_entry(self, name: str, data: bytes) -> Entry:
        found = stored.decode_credential(data, self._get_path(name), hint=self._make_hint(name))
        if name == get_file_name(found.entry):
            return found.entry
        if name == get_file_name(found.entry, is_legacy=True):
            return found.entry._replace(app=legacy.find_app(found, self._device_directory))
        raise stored.make_wrong_entry_error(self._get_path(name), self._make_hint(name))

    def _get_path(self, name: str) -> str:
        return str(self._folder.path / name)

    def _make_hint(self, name: str) -> str:
        return f"delete {self._get_path(name)} and sign in again"


def get_data_directory() -> Path:
    """Return the folder for credentials in the user's data directory.

    Raises:
        CredentialsError: no home folder is known.
    """
    import platformdirs  # only where no directory was given

    found = Path(platformdirs.user_data_dir("ticketstub", appauthor=False))
    if not found.is_absolute():  # else it would be in the current folder
        raise CredentialsError("there is no folder to keep sign-ins in", hint="set HOME to your home folder")
    return found / "credentials"
