"""A running local Plex, as its handlers use it: one store, one set of keys, one clock.

Rule: nothing here decides what a request may do. Work that continues after the response is started here, so that it is
cancelled with the instance. Signing keys are read from the store at each use, so that a rotation or revocation takes
effect at once. A replaced key is published until everything that it has signed has expired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import lru_cache

import msgspec

from ticketstub.crypto import Jwk, SigningKey
from ticketstub.local_plex.domain.media_servers import ServerAddress
from ticketstub.local_plex.domain.overview import Overview
from ticketstub.local_plex.domain.passwords import KeyedLock, PasswordChecker
from ticketstub.local_plex.settings import RateLimits, Settings
from ticketstub.local_plex.storage.device_keys import SigningKeyRow
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.schema import Quirks

JWT_SECONDS = 7 * 24 * 3600
"""The lifetime of a JWT in seconds (documented)."""

SIGNING_PURPOSE = b"signing"
_MAX_KEY_AGE = 90 * 24 * 3600  # our choice

TimeSource = Callable[[], float]
"""Returns seconds since 1970."""


class SigningKeySet:
    """The keys that an instance signs JWTs with. Several are published; the newest one signs.

    Args:
        store: stores them.
        keys: seals their private parts.
    """

    def __init__(self, store: SqliteStore, keys: InstanceKeys) -> None:
        self._store = store
        self._keys = keys

        def load_key(sealed: bytes) -> SigningKey:
            return SigningKey.load(keys.unseal(sealed, SIGNING_PURPOSE))

        self._load_key = lru_cache(1)(load_key)

    async def get_public_keys(self, now: int) -> dict[str, Jwk]:
        """Return the published keys by their ids, the newest last."""
        rows = await self._store.device_keys.list_signing_keys(now - JWT_SECONDS)
        return {row.kid: _decode_public_key(row.jwk) for row in rows}

    async def get_current_key(self, now: int) -> SigningKey:
        """Return the key that signs; create the first one."""
        rows = await self._store.device_keys.list_signing_keys(now)
        if not rows:
            await self.rotate(now)
            rows = await self._store.device_keys.list_signing_keys(now)
        return self._load_key(rows[-1].sealed)

    async def rotate_if_old(self, now: int) -> None:
        """Replace the current key if it is 90 days old. Called when an instance starts."""
        rows = await self._store.device_keys.list_signing_keys(now)
        if rows and rows[-1].created_at <= now - _MAX_KEY_AGE:
            await self.rotate(now)

    async def rotate(self, now: int) -> None:
        """Replace the current key by a new one. Of two concurrent rotations, one takes effect."""
        rows = await self._store.device_keys.list_signing_keys(now)
        key = SigningKey.generate()
        await self._store.device_keys.add_signing_key(
            SigningKeyRow(
                kid=key.kid,
                sealed=self._keys.seal(key.dump().reveal(), SIGNING_PURPOSE),
                jwk=msgspec.json.encode(key.jwk).decode(),
                created_at=now,
            ),
            replaced_kid=rows[-1].kid if rows else None,
        )


_decode_public_key = lru_cache(64)(msgspec.json.Decoder(Jwk).decode)


class Instance:
    """A running local Plex.

    Args:
        store: its database.
        keys: its keys.
        passwords: checks passwords and passcodes.
        clock: returns seconds since 1970.
        quirks: the world's choices where Plex's behaviour is unknown or differs.
        addresses: the addresses of each media server, by machine identifier.
        rates: its rate limits; by default those of `Settings()`.
    """

    def __init__(
        self,
        store: SqliteStore,
        keys: InstanceKeys,
        passwords: PasswordChecker,
        clock: TimeSource,
        quirks: Quirks,
        addresses: dict[str, tuple[ServerAddress, ...]],
        rates: RateLimits | None = None,
    ) -> None:
        self.store = store
        self.keys = keys
        self.passwords = passwords
        self.clock = clock
        self.quirks = quirks
        self.addresses = addresses
        self.https_required: set[str] = set()
        """The machine identifiers of media servers that take secure connections only."""
        self.plex_direct = False
        """Whether media servers have https names below plex.direct: they use TLS, or clients use our proxy."""
        self.plex_direct_for_proxied = False
        """Whether they have such names for clients that reach the local Plex by Plex's own names, through our proxy."""
        self.overview: Overview | None = None
        """What the start page shows; `None` for no start page."""
        self.rates = rates or RateLimits(Settings())
        self.signing_keys = SigningKeySet(store, keys)
        self.locks = KeyedLock()
        self._background_tasks: set[asyncio.Task[None]] = set()

    def now(self) -> int:
        """Return whole seconds since 1970."""
        return int(self.clock())

    def run_in_background(self, work: Coroutine[object, object, None]) -> None:
        """Start work that continues after the response."""
        task = asyncio.create_task(work)
        self._background_tasks.add(task)
        task.add_done_callback(self._background_tasks.discard)

    async def cancel_background_tasks(self) -> None:
        """Cancel the work that is still running."""
        for task in self._background_tasks:
            task.cancel()
        await asyncio.gather(*self._background_tasks, return_exceptions=True)
