"""Credentials in memory: for programs that keep nothing, and where no other place was agreed to.

Rule: nothing is written anywhere; what is kept ends with the program. The bytes are those of the other stores, so that
all behave alike.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

import msgspec

from ticketstub.credentials import stored
from ticketstub.credentials.store import COMMAND, DEFAULT_PROFILE, PATIENCE, Credential, Entry, waited
from ticketstub.tracebacks import hide_locals


@hide_locals
class MemoryCredentials:
    """Keeps credentials until the program ends."""

    def __init__(self) -> None:
        self._kept: dict[Entry, bytes] = {}
        self._locks: dict[tuple[int, Entry], threading.Lock] = {}
        self._guard = threading.Lock()

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> Credential | None:
        """Return what is kept, or `None`."""
        entry = Entry.of(issuer, profile, app)
        data = self._kept.get(entry)
        return stored.read_of(entry, data, "the memory", hint="sign in again") if data else None

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        """Keep it if nothing changed since `replacing` was loaded; see `Credentials.save`."""
        with self._guard:
            now = self.load(*credential.entry)
            if now != replacing:
                return None
            kept = msgspec.structs.replace(credential, version=now.version + 1 if now else 1)
            self._kept[kept.entry] = stored.written(kept)
            return kept

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> bool:
        """Forget it; tell whether there was anything."""
        with self._guard:
            return self._kept.pop(Entry.of(issuer, profile, app), None) is not None

    def profiles(self) -> tuple[Entry, ...]:
        """List what is kept, sorted."""
        with self._guard:
            return tuple(sorted(self._kept))

    def where(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> str:
        """Say that it is in memory."""
        Entry.of(issuer, profile, app)
        return "in memory only: forgotten when the program ends"

    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND, *, patience: float = PATIENCE
    ) -> AbstractContextManager[None]:
        """Keep other threads from holding the same lock; see `Credentials.lock`."""
        return self._hold(Entry.of(issuer, profile, app), patience)

    @contextmanager
    def _hold(self, entry: Entry, patience: float) -> Generator[None, None, None]:
        # A forked child has locks of its own: nobody is left there who would free those of its parent.
        lock = self._locks.setdefault((os.getpid(), entry), threading.Lock())
        if not lock.acquire(timeout=min(max(patience, 0.0), threading.TIMEOUT_MAX)):
            raise waited(patience)
        try:
            yield
        finally:
            lock.release()
