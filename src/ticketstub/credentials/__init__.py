"""Where a signed-in program keeps its tokens and device keys: the keyring, private files, or memory.

    store = default_credentials()
    with store.lock(issuer, profile):
        kept = store.load(issuer, profile)

Rule: every store keeps the same `Credential`s and promises the same (`CredentialStore`, in base.py): whole or not at
all, one writer at a time, found again after a crash, and never another issuer's. The keyring library is loaded with the
first question to a keyring.
"""

from __future__ import annotations

from ticketstub.credentials.default import StoreKind, default_store
from ticketstub.credentials.file import FileStore
from ticketstub.credentials.keep_alive import Renewal, check_renewal, get_ping_delay
from ticketstub.credentials.keyring import KeyringStore
from ticketstub.credentials.memory import MemoryStore
from ticketstub.credentials.store import DEFAULT_PROFILE, Credential, CredentialStore, Entry
from ticketstub.credentials.system_keyring import is_keyring_available

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
