"""Where sign-ins are stored: the keyring, private files, or memory.

    store = default_store()
    with store.lock(issuer, profile):
        credential = store.load(issuer, profile)

Rule: all stores keep the promises of `CredentialStore`. A save is all or nothing, with one writer at a time. A
credential is never returned for another issuer, app or profile. Except in memory, it survives a crash.
"""

from __future__ import annotations

from ticketstub.credentials.default import StoreKind, default_store
from ticketstub.credentials.file import FileStore
from ticketstub.credentials.keyring import KeyringStore, is_keyring_available
from ticketstub.credentials.store import (
    DEFAULT_PROFILE,
    Credential,
    CredentialStore,
    Entry,
    MemoryStore,
    Renewal,
    check_renewal,
    get_ping_delay,
)

__all__ = [
    "DEFAULT_PROFILE",
    "Credential",
    "CredentialStore",
    "Entry",
    "FileStore",
    "KeyringStore",
    "MemoryStore",
    "Renewal",
    "StoreKind",
    "check_renewal",
    "default_store",
    "get_ping_delay",
    "is_keyring_available",
]
