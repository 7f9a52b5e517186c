"""Credentials in memory, for programs that store nothing and for computers where nothing else can be written.

Rule: nothing is written to disk; everything is gone when the program ends. Credentials are encoded as in the other
stores, so that all stores behave alike.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

import msgspec

from ticketstub.credentials.store import (
    COMMAND_APP,
    DEFAULT_PROFILE,
    LOCK_TIMEOUT,
    Credential,
    Entry,
    decode_credential,
    encode_credential,
    make_lock_timeout_error,
)
from ticketstub.tracebacks import hide_locals


@hide_locals
class MemoryStore:
    """Stores credentials until the program ends."""

    def __init__(self) -> None:
        self._data: dict[Entry, bytes] = {}
        self._locks: dict[tuple[int, Entry], threading.Lock] = {}
        self._guard = threading.Lock()

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> Credential | None:
        """Return the stored credential, or `None`."""
        data = self._data.get(Entry.create(issuer, profile, app))
        return decode_credential(data, "the memory", hint="sign in again") if data else None

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        """Store a credential if the stored one is still `replacing`; see `CredentialStore.save`."""
        with self._guard:
            current = self.load(*credential.entry)
            if current != replacing:
                return None
            saved = msgspec.structs.replace(credential, version=current.version + 1 if current else 1)
            self._data[saved.entry] = encode_credential(saved)
            return saved

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> bool:
        """Delete the credential and return whether there was one."""
        with self._guard:
            return self._data.pop(Entry.create(issuer, profile, app), None) is not None

    def list_entries(self) -> tuple[Entry, ...]:
        """Return all entries, sorted."""
        with self._guard:
            return tuple(sorted(self._data))

    def describe_location(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> str:
        """Describe that the credential is only in memory."""
        Entry.create(issuer, profile, app)
        return "in memory only, until the program ends"

    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP, *, timeout: float = LOCK_TIMEOUT
    ) -> AbstractContextManager[None]:
        """Lock an entry against all other threads; see `CredentialStore.lock`."""
        return self._hold_lock(Entry.create(issuer, profile, app), timeout)

    @contextmanager
    def _hold_lock(self, entry: Entry, timeout: float) -> Generator[None, None, None]:
        # A forked child has its own locks: it has no thread that could release the parent's.
        lock = self._locks.setdefault((os.getpid(), entry), threading.Lock())
        if not lock.acquire(timeout=min(max(timeout, 0.0), threading.TIMEOUT_MAX)):
            raise make_lock_timeout_error(timeout)
        try:
            yield
        finally:
            lock.release()
