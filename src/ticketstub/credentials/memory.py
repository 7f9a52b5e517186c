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
from ticketstub.credentials.store import (
    COMMAND_APP,
    DEFAULT_PROFILE,
    LOCK_TIMEOUT,
    Credential,
    Entry,
    make_lock_timeout_error,
)
from ticketstub.tracebacks import hide_locals


@hide_locals
class MemoryStore:
    """Keeps credentials until the program ends."""

    def __init__(self) -> None:
        self._data: dict[Entry, bytes] = {}
        self._locks: dict[tuple[int, Entry], threading.Lock] = {}
        self._guard = threading.Lock()

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> Credential | None:
        """Return what is kept, or `None`."""
        entry = Entry.create(issuer, profile, app)
        data = self._data.get(entry)
        return stored.decode_for_entry(entry, data, "the memory", hint="sign in again") if data else None

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        """Keep it if nothing changed since `replacing` was loaded; see `CredentialStore.save`."""
        with self._guard:
            current = self.load(*credential.entry)
            if current != replacing:
                return None
            saved = msgspec.structs.replace(credential, version=current.version + 1 if current else 1)
            self._data[saved.entry] = stored.encode_credential(saved)
            return saved

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> bool:
        """Forget it; tell whether there was anything."""
        with self._guard:
            return self._data.pop(Entry.create(issuer, profile, app), None) is not None

    def list_entries(self) -> tuple[Entry, ...]:
        """List what is kept, sorted."""
        with self._guard:
            return tuple(sorted(self._data))

    def describe_location(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> str:
        """Say that it is in memory."""
        Entry.create(issuer, profile, app)
        return "in memory only: forgotten when the program ends"

    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP, *, timeout: float = LOCK_TIMEOUT
    ) -> AbstractContextManager[None]:
        """Keep other threads from holding the same lock; see `CredentialStore.lock`."""
        return self._hold(Entry.create(issuer, profile, app), timeout)

    @contextmanager
    def _hold(self, entry: Entry, timeout: float) -> Generator[None, None, None]:
        # A forked child has locks of its own: nobody is left there who would free those of its parent.
        lock = self._locks.setdefault((os.getpid(), entry), threading.Lock())
        if not lock.acquire(timeout=min(max(timeout, 0.0), threading.TIMEOUT_MAX)):
            raise make_lock_timeout_error(timeout)
        try:
            yield
        finally:
            lock.release()
