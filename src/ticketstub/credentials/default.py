"""The store that a program gets if it names none.

Rule: the keyring if there is one; otherwise a file that only this user can read; and where no file can be written,
memory, with a warning. Nothing is written before something is saved, and the environment is not read here.
"""

from __future__ import annotations

import os
import warnings
from typing import Literal, get_args

from ticketstub.credentials.file import FileStore
from ticketstub.credentials.keyring import KeyringStore, is_keyring_available
from ticketstub.credentials.store import CredentialStore, Entry, MemoryStore
from ticketstub.errors import CredentialsError, PlexWarning

StoreKind = Literal["auto", "keyring", "file", "memory"]


def default_store(
    storage: StoreKind = "auto", directory: str | os.PathLike[str] | None = None, *, entry: Entry | None = None
) -> CredentialStore:
    """Return the store that suits this computer, or the named one. Nothing is written yet.

    A store that already contains sign-ins is used again, the keyring before the files. Otherwise the keyring is used if
    the keyring library recommends one, and files if not. If no file can be written, the store is memory and a
    `PlexWarning` says so.

    Args:
        storage: The store to use; `auto` chooses.
        directory: The folder of the credential files; by default `credentials` in the user's data directory for
            Ticketstub. Its subfolder `keyring` contains the notes of the keyring's entries.
        entry: An entry to look for. A store that contains it is preferred.

    Raises:
        ValueError: `storage` is not one of the four names.
        CredentialsError: The folder or a note in it cannot be read; or the home folder is unknown, and `storage` is
            `file` or `keyring`.
    """
    if storage not in get_args(StoreKind):
        raise ValueError('storage must be "auto", "keyring", "file" or "memory"')
    if storage == "memory":
        return MemoryStore()
    try:
        files = FileStore(directory)
    except CredentialsError as error:  # the home folder is unknown
        if storage == "auto":
            return _fall_back_to_memory(str(error))
        raise
    if storage == "file":
        return files
    keyring = KeyringStore(directory=files.directory / "keyring")
    return keyring if storage == "keyring" else _choose_store(keyring, files, entry)


def _choose_store(keyring: KeyringStore, files: FileStore, entry: Entry | None) -> CredentialStore:
    is_available = is_keyring_available()
    notes = keyring.list_notes()  # without a note of the entry, the keyring is not asked
    if entry and is_available and any(note[:2] == entry[:2] for note in notes) and _has_entry(keyring, entry):
        return keyring
    if entry and _has_entry(files, entry):
        return files
    if is_available and (notes or not files.has_files()):
        return keyring
    return files if files.is_writable() else _fall_back_to_memory(f"{files.directory} cannot be written")


def _has_entry(store: CredentialStore, entry: Entry) -> bool:
    try:
        return store.load(*entry) is not None
    except CredentialsError:  # it exists, and the error is raised when it is used
        return True


def _fall_back_to_memory(reason: str) -> CredentialStore:
    warnings.warn(
        f"sign-ins are kept in memory only, until this program ends: there is no keyring, and {reason}",
        PlexWarning,
        stacklevel=3,
    )
    return MemoryStore()
