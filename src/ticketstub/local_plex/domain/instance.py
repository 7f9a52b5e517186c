"""What all handlers of a local Plex work with: one store, one set of keys, one clock.

Rule: nothing here decides anything. Work that is done after the answer (a device that is noted) is started here, so
that it is known and ended with the instance.
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


TimeSource = Callable[[], float]


class Instance:
    """A running local Plex.

    Args:
        store: its database.
        keys: its keys.
        passwords: checks passwords and passcodes.
        clock: seconds since 1970.
        quirks: what is disputed about Plex's answers, as the world has it.
        addresses: the addresses of each media server, by machine identifier.
        rates: how fast things may be asked; by default those of `Settings()`.
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
        self.plex_direct = False
        """Whether media servers have https names below plex.direct: a proxy of ours leads there, or they speak TLS."""
        self.plex_direct_for_proxied = False
        """Whether they have for clients that ask by Plex's own names: those come by such a proxy, others may not."""
        self.overview: Overview | None = None
        """What the start page shows; `None`: there is none."""
        self.rates = rates or RateLimits(Settings())
        self.signing_keys = SigningKeySet(store, keys)
        self.locks = KeyedLock()
        self._background_tasks: set[asyncio.Task[None]] = set()

    def now(self) -> int:
        """Return the whole seconds since 1970."""
        return int(self.clock())

    def run_in_background(self, work: Coroutine[object, object, None]) -> None:
        """Do something once the answer is decided."""
        task = asyncio.create_task(work)
        self._background_tasks.add(task)
        task.add_done_callback(self._background_tasks.discard)

    async def cancel_background_tasks(self) -> None:
        """Give up what was to be done afterwards."""
        for task in self._background_tasks:
            task.cancel()
        await asyncio.gather(*self._background_tasks, return_exceptions=True)
