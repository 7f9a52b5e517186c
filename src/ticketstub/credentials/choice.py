"""Which store a program gets when it names none.

Rule: the keyring, if there is one; else a file, but only if somebody agreed to it, now or before; else memory. Nothing
is written before that is settled, and the environment is not read here (the command reads it, and passes `storage`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from ticketstub.credentials.base import Credentials

Storage = Literal["auto", "keyring", "file", "memory"]


def default_credentials(
    consent: Callable[[str], bool] | None = None,
    storage: Storage = "auto",
    directory: str | os.PathLike[str] | None = None,
) -> Credentials:
    """Return the store that suits this computer, or the one that is named. Nothing is written yet.

    Where profiles are kept already, that store is taken: first the keyring's, then the files'. Else a keyring, if there
    is one that the keyring library recommends. Else `consent` is asked, and after its yes it is files. Else, and
    without a `consent`, it is memory.

    Args:
        consent: asked whether a file is all right, with the question in plain words; only without a keyring.
        storage: the store to take; other than `auto`, nobody is asked.
        directory: the folder of the files, and in it `keyring` for the keyring's notes; by default in the user's data
            directory for Ticketstub.

    Raises:
        ValueError: `storage` is none of these.
        CredentialsError: the folder cannot be listed.
    """
    if storage not in {"auto", "keyring", "file", "memory"}:
        raise ValueError('storage is "auto", "keyring", "file" or "memory"')
    from ticketstub.credentials.memory import MemoryCredentials  # each store is loaded when it is chosen

    if storage == "memory":
        return MemoryCredentials()
    from ticketstub.credentials.file import FileCredentials  # likewise

    files = FileCredentials(directory)
    if storage == "file":
        return files
    from ticketstub.credentials.asking import keyring_available  # likewise
    from ticketstub.credentials.keyring import KeyringCredentials  # likewise

    keyring = KeyringCredentials(directory=files.directory / "keyring")
    if storage == "keyring" or (keyring_available() and (keyring.profiles() or not files.in_use())):
        return keyring
    if files.in_use() or (consent is not None and consent(_question(files.directory))):
        return files
    return MemoryCredentials()


def _question(directory: Path) -> str:
    return (
        "This computer has no keyring that could keep your sign-in safe. "
        f"Keep it in a file that only you can read, in {directory}?"
    )
