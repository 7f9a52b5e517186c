"""The key of the control API, in a file of its own or given in a variable.

Rule: whoever has it may do everything to a local Plex, so nobody else reads it: the file is made with mode 0600, whole
or not at all, and one that others can read, or that is a link, is refused. So is a key that could be guessed.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from ticketstub import private_files
from ticketstub.tokens import Secret

_MIN_LENGTH = 32
_MAX_FILE_BYTES = 4096


class KeyFileError(Exception):
    """The key file cannot be used; the message says why, without the key."""


def load_or_create_key(path: Path) -> Secret:
    """Read the key of a file, or make the file with a new one.

    Raises:
        KeyFileError: it cannot be read or made, others can read it, it is a link, or its key is too short.
    """
    action = "read"
    try:
        try:
            content = private_files.read(path, _MAX_FILE_BYTES)
        except FileNotFoundError:
            action = "made"
            private_files.write(path, f"{secrets.token_urlsafe(_MIN_LENGTH)}\n".encode())
            # Another start may have made one at the same time: what is in the file counts.
            content = private_files.read(path, _MAX_FILE_BYTES)
    except private_files.UnsafePermissionsError as error:
        raise KeyFileError(f"{path} {error}: run chmod 600 on it") from None
    except private_files.UnsafeFileError as error:
        raise KeyFileError(f"{path} {error}") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be {action}: {error.strerror}") from None
    return _validate_key(path, content, ": remove it for a new one")


def parse_key(text: str, source: str) -> Secret:
    """Take a key that was given otherwise, in the variable of this name.

    Raises:
        KeyFileError: it is too short, or no key at all.
    """
    return _validate_key(source, text.encode())


def _validate_key(source: Path | str, content: bytes, advice: str = "") -> Secret:
    key = content.decode("ascii", "replace").strip()
    if len(key) < _MIN_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
        raise KeyFileError(f"{source} holds no key of {_MIN_LENGTH} or more printable characters{advice}")
    return Secret(key)
