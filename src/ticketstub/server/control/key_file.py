"""The key of the control API, in a file of its own or given in a variable.

Rule: whoever has it may do everything to a local Plex, so nobody else reads it: the file is made with mode 0600, whole
or not at all, and one that others can read, or that is a link, is refused. So is a key that could be guessed.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from ticketstub.server.keys import write_key_file
from ticketstub.token import Secret

_SHORTEST = 32
_LONGEST = 4096
# None of these exists on Windows, where the file inherits the folder's access list. A pipe is not waited for.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


class KeyFileError(Exception):
    """The key file cannot be used; the message says why, without the key."""


def control_key(path: Path) -> Secret:
    """Read the key of a file, or make the file with a new one.

    Raises:
        KeyFileError: it cannot be read or made, others can read it, it is a link, or its key is too short.
    """
    try:
        try:
            content = _read(path)
        except FileNotFoundError:
            _make(path)
            content = _read(path)  # another start may have made one at the same time: what is in the file counts
        return _checked(path, content, ": remove it for a new one")
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None


def given_key(text: str, name: str) -> Secret:
    """Take a key that was given otherwise, in the variable of this name.

    Raises:
        KeyFileError: it is too short, or no key at all.
    """
    return _checked(name, text.encode())


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | _NO_FOLLOW)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise KeyFileError(f"{path} is not a file")
        if os.name == "posix" and facts.st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others: run chmod 600 on it")
        return os.read(descriptor, _LONGEST)
    finally:
        os.close(descriptor)


def _checked(place: Path | str, content: bytes, advice: str = "") -> Secret:
    key = content.decode("ascii", "replace").strip()
    if len(key) < _SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
        raise KeyFileError(f"{place} holds no key of {_SHORTEST} or more printable characters{advice}")
    return Secret(key)


def _make(path: Path) -> None:
    try:
        write_key_file(path, f"{secrets.token_urlsafe(_SHORTEST)}\n".encode())
    except OSError as error:
        raise KeyFileError(f"{path} cannot be made: {error.strerror}") from None
