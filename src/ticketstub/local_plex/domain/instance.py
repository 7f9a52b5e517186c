"""What all handlers of a local Plex work with: one store, one set of keys, one clock.

Rule: nothing here decides anything. Work that is done after the answer (a device that is noted) is started here, so
that it is known and ended with the instance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from ticketstub.local_plex.domain.addresses import ServerAddress
from ticketstub.local_plex.domain.limits import RateLimits
from ticketstub.local_plex.domain.passwords import KeyedLock, PasswordChecker
from ticketstub.local_plex.domain.signing import SigningKeySet
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.quirks import Quirks

if TYPE_CHECKING:
    from ticketstub.local_plex.domain.overview import Overview

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
