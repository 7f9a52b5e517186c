"""One bridge: its configuration, what it remembers, and everything that its handlers share.

Rule: handlers get everything from here. What blocks (the database, signing, Authlib) runs in a bounded number of
threads; when too many requests wait for one, further ones are refused at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

from ticketstub import AsyncPlex
from ticketstub_bridge.answers import Answer, RecentAnswers
from ticketstub_bridge.config import Config
from ticketstub_bridge.keys import KeyRing
from ticketstub_bridge.observing import Metrics, log
from ticketstub_bridge.pages import Pages
from ticketstub_bridge.plex import PlexGateway
from ticketstub_bridge.provider import Provider
from ticketstub_bridge.sealing import Sealer
from ticketstub_bridge.storage import Database, Store

P = ParamSpec("P")
T = TypeVar("T")

SendLogout = Callable[[str, str], Awaitable[int]]
"""Sends a logout token to an address, and returns the status of the answer."""

THREADS = 8
_MAX_WAITING = 256


class Overloaded(Exception):
    """Too many requests wait for a thread."""


class Bridge:
    """A bridge in one process.

    Args:
        config: the configuration.
        key: the key of bridge.key.
        database: the database, migrated.
        plex: a client of Plex without a token.
        send_logout: sends logout tokens to applications.

    Raises:
        StoreError: the database is of another version, or belongs to another key.
    """

    def __init__(
        self, config: Config, key: bytes, database: Database, plex: AsyncPlex, send_logout: SendLogout
    ) -> None:
        sealer = Sealer(key)
        database.check_schema()
        database.check_key(sealer.fingerprint)
        self.config = config
        self.sealer = sealer
        self.database = database
        self.store = Store(database, config)
        self.keys = KeyRing(self.store.keys, sealer)
        self.keys.ensure(["RS256", *(each.signing for each in config.clients.values())])
        self.provider = Provider(config, self.store, self.keys)
        self.plex = PlexGateway(plex, config, sealer)
        self.pages = Pages(config)
        self.metrics = Metrics()
        self.answers = RecentAnswers(database)
        self._readings: dict[tuple[str, int, int], asyncio.Future[Answer | None]] = {}
        self.send_logout = send_logout
        self.telling: set[str] = set()
        """The applications to which logout messages are on their way."""
        self.is_draining = False
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function that blocks in a thread.

        Raises:
            Overloaded: too many others wait.
        """
        limiter = self._limiter = self._limiter or anyio.CapacityLimiter(THREADS)
        waiting = limiter.statistics().tasks_waiting
        self.metrics.waiting.set(waiting)
        if waiting >= _MAX_WAITING:
            raise Overloaded
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=limiter)

    async def describe_token(self, token: str) -> Answer | None:
        """Return what to tell about the person of an access token; `None` if it does not count.

        Raises:
            Overloaded: too many others wait.
        """
        if known := self.answers.get(token, self.config):
            return known
        key = (token, self.database.writes, id(self.config))  # after a write, no answer from before it is shared
        reading = self._readings.get(key)
        if reading is None:
            find = self.store.grants.find_access_token
            reading = asyncio.ensure_future(self.run(self.answers.read, token, self.config, find))
            self._readings[key] = reading
            reading.add_done_callback(lambda _: self._readings.pop(key, None))
        return await asyncio.shield(reading)

    @property
    def told_clients(self) -> frozenset[str]:
        """The applications that take logout messages."""
        return frozenset(each.id for each in self.config.clients.values() if each.backchannel_logout_uri)

    def reload(self, config: Config) -> None:
        """Use another configuration from now on. The address and the database stay: they need a restart."""
        config = config.with_database(self.config.database)
        self.config = config
        self.store = Store(self.database, config)
        self.keys.ensure(each.signing for each in config.clients.values())
        self.provider = Provider(config, self.store, self.keys)
        self.plex.reload(config)
        self.pages = Pages(config)
        self.store.grants.end_of_clients(config.clients)
        log("reloaded", clients=len(config.clients), servers=len(config.servers))

    async def close(self) -> None:
        """Close all connections."""
        await self.plex.close()
        self.database.close()
