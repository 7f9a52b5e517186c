"""A store that seems to hold nothing when it is first asked: for a sign-in that is to replace what is kept.

Rule: it hides, it deletes nothing; what is kept is replaced only when the new sign-in is there.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from ticketstub.credentials.base import COMMAND, DEFAULT_PROFILE, PATIENCE, Credential, Credentials, Entry


class Anew:
    """Another store, whose first `load` finds nothing."""

    def __init__(self, store: Credentials) -> None:
        self._store = store
        self._asked = False

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> Credential | None:
        """Return nothing the first time, and what is kept from then on."""
        if self._asked:
            return self._store.load(issuer, profile, app)
        self._asked = True
        return None

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        """As the store."""
        return self._store.save(credential, replacing=replacing)

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> bool:
        """As the store."""
        return self._store.remove(issuer, profile, app)

    def profiles(self) -> tuple[Entry, ...]:
        """As the store."""
        return self._store.profiles()

    def where(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> str:
        """As the store."""
        return self._store.where(issuer, profile, app)

    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND, *, patience: float = PATIENCE
    ) -> AbstractContextManager[None]:
        """As the store."""
        return self._store.lock(issuer, profile, app, patience=patience)
