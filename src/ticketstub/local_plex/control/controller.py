"""The tester's hand on one local Plex: what it changes there, and what it has seen.

Rule: give it to `LocalPlex` before that starts; what it can do are the commands (commands.py). It is taken hold of once
all addresses are taken and before anything is answered, and `LocalPlex` knows no more of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ticketstub.local_plex.control.recorder import RequestLog
from ticketstub.local_plex.control.targets import PLEX_TV, CallRule
from ticketstub.refusals import ServerError

if TYPE_CHECKING:
    from ticketstub.local_plex.api.media_server import MediaServerSite
    from ticketstub.local_plex.control.chaos import Chaos
    from ticketstub.local_plex.control.ports import Ports
    from ticketstub.local_plex.domain.instance import Instance, TimeSource
    from ticketstub.local_plex.http.application import App
    from ticketstub.local_plex.http.request import Scope
    from ticketstub.local_plex.http.server import HttpServer
    from ticketstub.local_plex.storage.snapshots import Snapshot
    from ticketstub.local_plex.world.schema import World

T = TypeVar("T")
_TIMEOUT_SECONDS = 60.0


class ShiftedClock:
    """A clock over another one, which can be moved forwards and put back.

    It runs on as the clock below it does; moving it moves what an instance thinks of as now, and no one else's time.
    Rates have a clock of their own that only rises: it is moved with it, so that waiting a minute is moving a minute.

    Args:
        wall_clock: seconds since 1970.
        monotonic_clock: seconds that only rise.
    """

    def __init__(self, wall_clock: TimeSource = time.time, monotonic_clock: TimeSource = time.monotonic) -> None:
        self._wall_clock = wall_clock
        self._monotonic_clock = monotonic_clock
        self.offset = 0.0
        """How far it was moved, in seconds."""

    def __call__(self) -> float:
        """Return the seconds since 1970, as far as it was moved."""
        return self._wall_clock() + self.offset

    def monotonic(self) -> float:
        """Return seconds that only rise, moved as far."""
        return self._monotonic_clock() + self.offset

    def advance(self, seconds: float) -> None:
        """Move it forwards.

        Raises:
            ValueError: the seconds are negative or no number; or it would show a year after 9000.
        """
        if not 0 <= seconds < 2e11 - self():
            raise ValueError("a clock is moved forwards, and not beyond the year 8300")
        self.offset += seconds


class Controller:
    """A hand on one local Plex.

    Args:
        chaos: the share of calls that go wrong from the start on.
    """

    def __init__(self, *, chaos: Chaos | None = None) -> None:
        self.clock = ShiftedClock()
        self.requests = RequestLog()
        """What came in."""
        self.answer_rules: list[CallRule] = []
        self.delay_rules: list[CallRule] = []
        self.chaos = self._chaos_at_start = chaos
        self.expired_jwt_digests: set[bytes] = set()
        """The digests of JWTs whose time is over before it is written in them."""
        self.media_server_names: Mapping[int, str] = {}
        """The names of the media servers, by port."""
        self.sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
        self.abort_connection: Callable[[Scope], None]
        """Ends the connection of a request."""
        self.world: World
        self.app: App
        self.loop: asyncio.AbstractEventLoop
        self._waits_cancelled = asyncio.Event()
        self._instance: Instance | None = None
        self._ports: Ports | None = None
        self._snapshot: Snapshot
        self._renew_sites: Callable[[], Awaitable[Mapping[int, MediaServerSite]]]
        self._media_servers: Mapping[int, MediaServerSite]

    def shift_clock(self, clock: TimeSource) -> ShiftedClock:
        """Return the clock for a local Plex that is to run on this one."""
        self.clock = ShiftedClock(clock)
        return self.clock

    async def attach(
        self,
        instance: Instance,
        world: World,
        app: App,
        media_servers: Mapping[int, MediaServerSite],
        renew_sites: Callable[[], Awaitable[Mapping[int, MediaServerSite]]],
    ) -> None:
        """Take control of a local Plex that was just seeded, on its own event loop.

        Args:
            instance: the local Plex.
            world: the world that it was seeded with.
            app: its application.
            media_servers: its media servers by port.
            renew_sites: replaces plex.tv and the media servers by new ones, and returns the latter by port.
        """
        self._instance, self.world, self.app = instance, world, app
        self._media_servers, self._renew_sites = media_servers, renew_sites
        self.media_server_names = {port: server.row.name for port, server in media_servers.items()}
        self.loop = asyncio.get_running_loop()
        self._snapshot = await instance.store.snapshots.take_snapshot()

    def attach_server(self, server: HttpServer, host: str, plex_tv_ports: tuple[int, ...]) -> None:
        """Learn who listens on the ports, where, and which of them are plex.tv's."""
        from ticketstub.local_plex.control.ports import Ports  # the HTTP server is loaded only to be run

        self.abort_connection = server.close_connection
        media_server_ports = {name: (port,) for port, name in self.media_server_names.items()}
        self._ports = Ports(server, host, {PLEX_TV: plex_tv_ports, **media_server_ports})

    def detach(self) -> None:
        """Have nothing in hand: the local Plex ends."""
        self._instance = None
        if self._ports is not None:
            self._ports.close()

    @property
    def instance(self) -> Instance:
        """The local Plex in hand."""
        if self._instance is None:
            raise RuntimeError("the local Plex does not run")
        return self._instance

    @property
    def ports(self) -> Ports:
        """Its ports."""
        if self._ports is None:
            raise RuntimeError("the local Plex does not listen yet")
        return self._ports

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Do something on the local Plex's own event loop, from any other thread, and wait until it is done."""
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError:  # the loop is closed
            coroutine.close()
            raise RuntimeError("the local Plex has ended") from None
        return future.result(_TIMEOUT_SECONDS)

    async def wait(self, seconds: float) -> None:
        """Wait as long as a call is to wait; raises `ServerError` (503) where a reset or the end comes first."""
        cancelled = self._waits_cancelled
        tasks = [asyncio.ensure_future(self.sleep(seconds)), asyncio.ensure_future(cancelled.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in tasks:
                each.cancel()
        if cancelled.is_set():
            raise ServerError("The server cannot handle the request", status=503, code=1013)

    def cancel_waits(self) -> None:
        """Refuse the calls that wait: what they would do belongs to a time that is over."""
        self._waits_cancelled.set()
        self._waits_cancelled = asyncio.Event()

    def revoke_transient_token(self, token: str) -> bool:
        """End a transient token; `False` where no media server has it."""
        return any(
            server.transient_tokens.revoke(token, self.instance.now()) for server in self._media_servers.values()
        )

    async def reset(self) -> None:
        """Put everything back as it was at the start."""
        await self.instance.cancel_background_tasks()
        await self.ports.bring_all_up()
        self.cancel_waits()
        for collection in (self.requests, self.answer_rules, self.delay_rules, self.expired_jwt_digests):
            collection.clear()
        self.chaos = self._chaos_at_start
        if self.chaos is not None:
            self.chaos.restart()
        self.clock.offset = 0.0
        self.instance.rates.reset()
        await self.instance.store.snapshots.restore_snapshot(self._snapshot)
        self._media_servers = await self._renew_sites()
