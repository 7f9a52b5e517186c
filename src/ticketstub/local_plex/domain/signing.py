"""The keys that this instance signs JWTs with, as plex.tv has them: several published, the newest signs.

Rule: which keys count is read from the store at each use, so that a rotation or revocation counts at once and in
every process. A key that was replaced is published for as long as something that it signed may live. The private part
is sealed under the instance's key. When a key is replaced is ours: at a start, once it is 90 days old.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from ticketstub.crypto import Jwk, SigningKey
from ticketstub.local_plex.storage.device_keys import SigningRow
from ticketstub.local_plex.storage.seal import Keys
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.protocol.codec import plain, to_json

LIFE = 7 * 24 * 3600
"""Seconds that a JWT lives (documented)."""

SIGNING = b"signing"
_AGE = 90 * 24 * 3600


class Signing:
    """The signing keys of an instance.

    Args:
        store: where they are kept.
        keys: seal their private parts.
    """

    def __init__(self, store: SqliteStore, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._opened: tuple[str, SigningKey] | None = None

    async def published(self, now: int) -> dict[str, Jwk]:
        """Return the public keys that count now by their names, the newest last."""
        return {row.kid: _public(row.jwk) for row in await self._store.auth_keys.signing_keys(now - LIFE)}

    async def current(self, now: int) -> SigningKey:
        """Return the key that signs, making one where there is none."""
        rows = await self._store.auth_keys.signing_keys(now)
        if not rows:
            await self.rotate(now)
            rows = await self._store.auth_keys.signing_keys(now)
        row = rows[-1]
        if self._opened is None or self._opened[0] != row.kid:
            self._opened = (row.kid, SigningKey.load(self._keys.unseal(row.sealed, SIGNING)))
        return self._opened[1]

    async def refresh(self, now: int) -> None:
        """Replace a key that has signed for long enough; for the start of an instance."""
        rows = await self._store.auth_keys.signing_keys(now)
        if rows and rows[-1].created_at <= now - _AGE:
            await self.rotate(now)

    async def rotate(self, now: int) -> None:
        """Sign with a new key from now on. Of two that do this at once, one does."""
        rows = await self._store.auth_keys.signing_keys(now)
        made = SigningKey.generate()
        row = SigningRow(
            kid=made.kid,
            sealed=self._keys.seal(made.dump().reveal(), SIGNING),
            jwk=to_json(plain(made.jwk, nulls=False)).decode(),
            created_at=now,
        )
        await self._store.auth_keys.add_signing_key(row, replacing=rows[-1].kid if rows else None)


@lru_cache(maxsize=64)
def _public(text: str) -> Jwk:
    return msgspec.json.decode(text, type=Jwk)
