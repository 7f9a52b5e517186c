"""The key of the control API, in a file of its own or given in a variable.

Rule: whoever has it may do everything to a local Plex, so nobody else reads it: the file is made with mode 0600, whole
or not at all, and one that others can read, or that is a link, is refused. So is a key that could be guessed.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from ticketstub import private_files
from ticketstub.tokens import Secret

_SHORTEST = 32
_LONGEST = 4096


class KeyFileError(Exception):
    """The key file cannot be used; the message says why, without the key."""


def control_key(path: Path) -> Secret:
    """Read the key of a file, or make the file with a new one.

    Raises:
        KeyFileError: it cannot be read or made, others can read it, it is a link, or its key is too short.
    """
    done = "read"
    try:
        try:
            content = private_files.read(path, _LONGEST)
        except FileNotFoundError:
            done = "made"
            private_files.write(path, f"{secrets.token_urlsafe(_SHORTEST)}\n".encode())
            # Another start may have made one at the same time: what is in the file counts.
            content = private_files.read(path, _LONGEST)
    except private_files.OpenToOthers as error:
        raise KeyFileError(f"{path} {error}: run chmod 600 on it") from None
    except private_files.NotPrivate as error:
        raise KeyFileError(f"{path} {error}") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be {done}: {error.strerror}") from None
    return _checked(path, content, ": remove it for a new one")


def given_key(text: str, name: str) -> Secret:
    """Take a key that was given otherwise, in the variable of this name.

    Raises:
        KeyFileError: it is too short, or no key at all.
    """
    return _checked(name, text.encode())


def _checked(place: Path | str, content: bytes, advice: str = "") -> Secret:
    key = content.decode("ascii", "replace").strip()
    if len(key) < _SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
        raise KeyFileError(f"{place} holds no key of {_SHORTEST} or more printable characters{advice}")
    return Secret(key)
