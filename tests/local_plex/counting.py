"""Counts the argon2 verifications of a local Plex."""

from __future__ import annotations

import threading
from typing import Any

from ticketstub.local_plex.domain.passwords import PasswordChecker
from ticketstub.testing import LocalPlexController


class Counting:
    """A hasher that counts its verifications, and those of the dummy hash."""

    def __init__(self, passwords: PasswordChecker) -> None:
        self._hasher: Any = passwords._hasher
        self._nobodys = passwords._dummy
        self._lock = threading.Lock()
        self.made = self.for_nobody = 0
        passwords._hasher = self  # type: ignore[assignment]  # it does what is asked of one

    def verify(self, phc: str, password: bytes) -> bool:
        with self._lock:
            self.made += 1
            self.for_nobody += phc == self._nobodys
        return bool(self._hasher.verify(phc, password))

    def hash(self, password: bytes) -> str:
        return str(self._hasher.hash(password))


def counted(plex: LocalPlexController) -> Counting:
    """Return the counter; the first call starts it at 0."""
    passwords = plex.controller.instance.passwords
    found: object = passwords._hasher
    return found if isinstance(found, Counting) else Counting(passwords)


def verifications(plex: LocalPlexController) -> int:
    """Return the number of verifications since the first call."""
    return counted(plex).made
