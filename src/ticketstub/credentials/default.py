"""Which store a program gets when it names none.

Rule: the keyring, if there is one; else a file that only this user can read; else, where no file can be written,
memory, with a warning. Nothing is written before something is kept, and the environment is not read here.
"""

from __future__ import annotations

import os
import warnings
from typing import Literal

from ticketstub.credentials.file import FileCredentials
from ticketstub.credentials.keyring import KeyringCredentials
from ticketstub.credentials.memory import MemoryCredentials
from ticketstub.credentials.store import Credentials, Entry
from ticketstub.credentials.system_keyring import keyring_available
from ticketstub.errors import CredentialsError, PlexWarning

Storage = Literal["auto", "keyring", "file", "memory"]


def default_credentials(
    storage: Storage = "auto", directory: str | os.PathLike[str] | None = None, *, wanted: Entry | None = None
) -> Credentials:
    """Return the store that suits this computer, or the one that is named. Nothing is written yet.

    Where sign-ins are kept already, that store is taken: first the keyring, then the files. Else the keyring, if there
    is one that the keyring library recommends; else files. If no file can be written, it is memory, and a
    `PlexWarning` says so.

    Args:
        storage: the store to take; `auto` chooses.
        directory: the folder of the files, and in it `keyring` for the keyring's notes; by default in the user's data
            directory for Ticketstub.
        wanted: what is looked for; a store that has it comes first.

    Raises:
        ValueError: `storage` is none of these.
        CredentialsError: the folder cannot be listed.
    """
    if storage not in {"auto", "keyring", "file", "memory"}:
        raise ValueError('storage is "auto", "keyring", "file" or "memory"')
    if storage == "memory":
        return MemoryCredentials()
    try:
        files = FileCredentials(directory)
    except CredentialsError as error:  # no home folder is known
        if storage == "auto":
            return _nowhere(str(error))
        raise
    if storage == "file":
        return files
    keyring = KeyringCredentials(directory=files.directory / "keyring")
    return keyring if storage == "keyring" else _chosen(keyring, files, wanted)


def _chosen(keyring: KeyringCredentials, files: FileCredentials, wanted: Entry | None) -> Credentials:
    available = keyring_available()
    noted = keyring.noted()  # what it has no note of it is not asked for
    if wanted and available and any(note[:2] == wanted[:2] for note in noted) and _has(keyring, wanted):
        return keyring
    if wanted and _has(files, wanted):
        return files
    if available and (noted or not files.in_use()):
        return keyring
    return files if files.writable() else _nowhere(f"{files.directory} cannot be written")


def _has(store: Credentials, wanted: Entry) -> bool:
    try:
        return store.load(*wanted) is not None
    except CredentialsError:  # it is there, and its error is told when it is used
        return True


def _nowhere(why: str) -> Credentials:
    warnings.warn(
        f"sign-ins are kept in memory only, and forgotten when this program ends: there is no keyring, and {why}",
        PlexWarning,
        stacklevel=3,
    )
    return MemoryCredentials()
