"""Which store a program gets when it names none.

Rule: the keyring, if there is one; else a file that only this user can read; else, where no file can be written,
memory, with a warning. Nothing is written before something is kept, and the environment is not read here.
"""

from __future__ import annotations

import os
import warnings
from typing import Literal

from ticketstub.credentials.file import FileStore
from ticketstub.credentials.keyring import KeyringStore
from ticketstub.credentials.memory import MemoryStore
from ticketstub.credentials.store import CredentialStore, Entry
from ticketstub.credentials.system_keyring import is_keyring_available
from ticketstub.errors import CredentialsError, PlexWarning

StoreKind = Literal["auto", "keyring", "file", "memory"]


def default_store(
    storage: StoreKind = "auto", directory: str | os.PathLike[str] | None = None, *, entry: Entry | None = None
) -> CredentialStore:
    """Return the store that suits this computer, or the one that is named. Nothing is written yet.

    Where sign-ins are kept already, that store is taken: first the keyring, then the files. Else the keyring, if there
    is one that the keyring library recommends; else files. If no file can be written, it is memory, and a
    `PlexWarning` says so.

    Args:
        storage: the store to take; `auto` chooses.
        directory: the folder of the files, and in it `keyring` for the keyring's notes; by default in the user's data
            directory for Ticketstub.
        entry: what is looked for; a store that has it comes first.

    Raises:
        ValueError: `storage` is none of these.
        CredentialsError: the folder cannot be listed.
    """
    if storage not in {"auto", "keyring", "file", "memory"}:
        raise ValueError('storage is "auto", "keyring", "file" or "memory"')
    if storage == "memory":
        return MemoryStore()
    try:
        files = FileStore(directory)
    except CredentialsError as error:  # no home folder is known
        if storage == "auto":
            return _fall_back_to_memory(str(error))
        raise
    if storage == "file":
        return files
    keyring = KeyringStore(directory=files.directory / "keyring")
    return keyring if storage == "keyring" else _choose_store(keyring, files, entry)


def _choose_store(keyring: KeyringStore, files: FileStore, entry: Entry | None) -> CredentialStore:
    available = is_keyring_available()
    notes = keyring.list_notes()  # what it has no note of it is not asked for
    if entry and available and any(note[:2] == entry[:2] for note in notes) and _has_entry(keyring, entry):
        return keyring
    if entry and _has_entry(files, entry):
        return files
    if available and (notes or not files.has_files()):
        return keyring
    return files if files.is_writable() else _fall_back_to_memory(f"{files.directory} cannot be written")


def _has_entry(store: CredentialStore, entry: Entry) -> bool:
    try:
        return store.load(*entry) is not None
    except CredentialsError:  # it is there, and its error is told when it is used
        return True


def _fall_back_to_memory(reason: str) -> CredentialStore:
    warnings.warn(
        f"sign-ins are kept in memory only, and forgotten when this program ends: there is no keyring, and {reason}",
        PlexWarning,
        stacklevel=3,
    )
    return MemoryStore()
