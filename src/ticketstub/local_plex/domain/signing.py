"""The keys that this instance signs JWTs with, as plex.tv has them: several published, the newest signs.

Rule: which keys count is read from the store at each use, so that a rotation or revocation counts at once and in
every process. A key that was replaced is published for as long as something that it signed may live. The private part
is sealed under the instance's key. When a key is replaced is ours: at a start, once it is 90 days old.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from ticketstub.crypto import Jwk, SigningKey
from ticketstub.local_plex.storage.device_keys import SigningKeyRow
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.protocol.codec import to_builtins, to_json

JWT_SECONDS = 7 * 24 * 3600
"""Seconds that a JWT lives (documented)."""

SIGNING_PURPOSE = b"signing"
_MAX_KEY_AGE = 90 * 24 * 3600


class SigningKeySet:
    """The signing keys of an instance.

    Args:
        store: where they are kept.
        keys: seal their private parts.
    """

    def __init__(self, store: SqliteStore, keys: InstanceKeys) -> None:
        self._store = store
        self._keys = keys
        self._current: tuple[str, SigningKey] | None = None

    async def get_public_keys(self, now: int) -> dict[str, Jwk]:
        """Return the public keys that count now by their names, the newest last."""
        return {
            row.kid: _decode_public_key(row.jwk)
            for row in await self._store.auth_keys.list_signing_keys(now - JWT_SECONDS)
        }

    async def get_current_key(self, now: int) -> SigningKey:
        """Return the key that signs, making one where there is none."""
        rows = await self._store.auth_keys.list_signing_keys(now)
        if not rows:
            await self.rotate(now)
            rows = await self._store.auth_keys.list_signing_keys(now)
        row = rows[-1]
        if self._current is None or self._current[0] != row.kid:
            self._current = (row.kid, SigningKey.load(self._keys.unseal(row.sealed, SIGNING_PURPOSE)))
        return self._current[1]

    async def rotate_if_old(self, now: int) -> None:
        """Replace a key that has signed for long enough; for the start of an instance."""
        rows = await self._store.auth_keys.list_signing_keys(now)
        if rows and rows[-1].created_at <= now - _MAX_KEY_AGE:
            await self.rotate(now)

    async def rotate(self, now: int) -> None:
        """Sign with a new key from now on. Of two that do this at once, one does."""
        rows = await self._store.auth_keys.list_signing_keys(now)
        key = SigningKey.generate()
        row = SigningKeyRow(
            kid=key.kid,
            sealed=self._keys.seal(key.dump().reveal(), SIGNING_PURPOSE),
            jwk=to_json(to_builtins(key.jwk, include_nulls=False)).decode(),
            created_at=now,
        )
        await self._store.auth_keys.add_signing_key(row, replaced_kid=rows[-1].kid if rows else None)


@lru_cache(maxsize=64)
def _decode_public_key(text: str) -> Jwk:
    return msgspec.json.decode(text, type=Jwk)
