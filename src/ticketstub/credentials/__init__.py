"""Where sign-ins are stored: the keyring, private files, or memory.

    store = default_store()
    with store.lock(issuer, profile):
        credential = store.load(issuer, profile)

Rule: every store holds the same `Credential`s and makes the same promises (`CredentialStore`): a credential is written
as a whole or not at all, by one writer at a time, is found again after a crash, and is never returned for another
issuer.
"""

from __future__ import annotations

from ticketstub.credentials.default import StoreKind, default_store
from ticketstub.credentials.file import FileStore
from ticketstub.credentials.keyring import KeyringStore, is_keyring_available
from ticketstub.credentials.memory import MemoryStore
from ticketstub.credentials.store import (
    DEFAULT_PROFILE,
    Credential,
    CredentialStore,
    Entry,
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
