"""One bridge: its configuration, what it remembers, and everything that its handlers share.

Rule: handlers get everything from here. What blocks (the database, signing, Authlib) runs in a bounded number of
threads; when too many requests wait for one, further ones are refused at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

import msgspec

from ticketstub import AsyncPlex
from ticketstub_bridge.answers import Answer, RecentAnswers
from ticketstub_bridge.batching import BatchReader
from ticketstub_bridge.config import Config
from ticketstub_bridge.keys import KeyRing
from ticketstub_bridge.observing import Metrics, log
from ticketstub_bridge.pages import Pages
from ticketstub_bridge.plex import PlexGateway
from ticketstub_bridge.provider import Provider
from ticketstub_bridge.sealing import Sealer, digest
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
        self._answer_reader = BatchReader(self._read_answers)
        self.send_logout = send_logout
        self.notified_clients: set[str] = set()
        """The applications that are being sent logout messages."""
        self.is_draining = False
        self._threads = ThreadPoolExecutor(THREADS, "bridge")
        self._running = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function that blocks in a thread.

        Raises:
            Overloaded: too many others wait.
        """
        waiting = max(0, self._running - THREADS)
        self.metrics.waiting.set(waiting)
        if waiting >= _MAX_WAITING:
            raise Overloaded
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *args, **kwargs))
        finally:
            self._running -= 1

    async def describe_token(self, token: str) -> Answer | None:
        """Return what to tell about the person of an access token; `None` if it does not count.

        Raises:
            Overloaded: too many others wait.
        """
        token_digest = digest(token)
        return self.answers.get(token_digest, self.config) or await self._answer_reader.get(token_digest)

    async def _read_answers(self, digests: Collection[str]) -> Mapping[str, Answer]:
        return await self.run(self.answers.read, digests, self.config, self.store.grants.find_access_tokens)

    @property
    def told_clients(self) -> frozenset[str]:
        """The applications that take logout messages."""
        return frozenset(each.id for each in self.config.clients.values() if each.backchannel_logout_uri)

    def reload(self, config: Config) -> list[str]:
        """Use another configuration from now on; returns its keys that need a restart, and stay as they are."""
        kept = {name: getattr(self.config, name) for name in ("url", "database", "listen")}
        waiting = [name for name, value in kept.items() if getattr(config, name) != value]
        config = msgspec.structs.replace(config, **kept)
        self.config = config
        self.store = Store(self.database, config)
        self.keys.ensure(each.signing for each in config.clients.values())
        self.provider = Provider(config, self.store, self.keys)
        self.plex.reload(config)
        self.pages = Pages(config)
        self.store.grants.end_of_clients(config.clients)
        log("reloaded", clients=len(config.clients), servers=len(config.servers), waiting=", ".join(waiting) or None)
        return waiting

    async def close(self) -> None:
        """Close all connections."""
        await self.plex.close()
        self._threads.shutdown()
        self.database.close()
