"""Where a signed-in program keeps its tokens and device keys: the keyring, private files, or memory.

    store = default_credentials()
    with store.lock(issuer, profile):
        kept = store.load(issuer, profile)

Rule: every store keeps the same `Credential`s and promises the same (`Credentials`, in base.py): whole or not at all,
one writer at a time, found again after a crash, and never another issuer's. The keyring library is loaded with the
first question to a keyring.
"""

from __future__ import annotations

from ticketstub.credentials.default import Storage, default_credentials
from ticketstub.credentials.file import FileCredentials
from ticketstub.credentials.keep_alive import Renewal, next_ping, renewal_due
from ticketstub.credentials.keyring import KeyringCredentials
from ticketstub.credentials.memory import MemoryCredentials
from ticketstub.credentials.store import DEFAULT_PROFILE, Credential, Credentials, Entry
from ticketstub.credentials.system_keyring import keyring_available

__all__ = [
    "DEFAULT_PROFILE",
    "Credential",
    "Credentials",
    "Entry",
    "FileCredentials",
    "KeyringCredentials",
    "MemoryCredentials",
    "Renewal",
    "Storage",
    "default_credentials",
    "keyring_available",
    "next_ping",
    "renewal_due",
]
