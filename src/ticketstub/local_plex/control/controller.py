"""The controller of one local Plex: the state that a tester's commands change, and the request log.

Rule: it is passed to `LocalPlex`, which attaches it once all addresses are bound and before anything is answered. The
commands (commands.py) use the controller, which knows none of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ticketstub.local_plex.control.faults import PLEX_TV, CallRule, Chaos, Ports
from ticketstub.local_plex.control.recorder import RequestLog
from ticketstub.refusals import ServerError

if TYPE_CHECKING:
    from ticketstub.local_plex.addresses.listener import AddressListener
    from ticketstub.local_plex.api.media_server import MediaServerSite
    from ticketstub.local_plex.domain.instance import Instance, TimeSource
    from ticketstub.local_plex.http.application import App
    from ticketstub.local_plex.http.server import HttpServer
    from ticketstub.local_plex.world.schema import World

T = TypeVar("T")


class ShiftedClock:
    """A clock that runs like another one, and can be moved forwards and put back.

    Only the instance's own time moves. Rate limits use a monotonic clock, which moves along: advancing the clock by a
    minute is as good as waiting for a minute.

    Args:
        wall_clock: seconds since 1970.
    """

    def __init__(self, wall_clock: TimeSource = time.time) -> None:
        self._wall_clock = wall_clock
        self.offset = 0.0
        """How far the clock was moved, in seconds."""

    def __call__(self) -> float:
        """Return the seconds since 1970, plus the offset."""
        return self._wall_clock() + self.offset

    def monotonic(self) -> float:
        """Return the monotonic seconds, plus the offset."""
        return time.monotonic() + self.offset

    def advance(self, seconds: float) -> None:
        """Move the clock forwards.

        Raises:
            ValueError: the seconds are negative, not a number, or move the clock past the year 8300.
        """
        if not 0 <= seconds < 2e11 - self():
            raise ValueError("a clock can only be moved forwards, and not past the year 8300")
        self.offset += seconds


class Controller:
    """Controls one local Plex.

    Args:
        chaos: the faults to inject from the start.
    """

    def __init__(self, *, chaos: Chaos | None = None) -> None:
        self.clock = ShiftedClock()
        self.requests = RequestLog()
        """The requests that came in."""
        self.answer_rules: list[CallRule] = []
        self.delay_rules: list[CallRule] = []
        self.chaos = self._chaos_at_start = chaos
        self.expired_jwt_digests: set[bytes] = set()
        """The digests of JWTs that were expired before their own `exp`."""
        self.sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
        self._waits_cancelled = asyncio.Event()
        self._instance: Instance | None = None

    def shift_clock(self, clock: TimeSource) -> ShiftedClock:
        """Return a clock over `clock` that the controller moves."""
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
        self._snapshot = await instance.store.control.take_snapshot()

    def attach_server(
        self, server: HttpServer, host: str, plex_tv_ports: tuple[int, ...], addresses: tuple[AddressListener, ...] = ()
    ) -> None:
        """Take control of the HTTP server that listens on the local Plex's ports, and of the addresses beside it."""
        self.addresses = addresses
        self.abort_connection = server.close_connection
        media_server_ports = {name: (port,) for port, name in self.media_server_names.items()}
        self.ports = Ports(server, host, {PLEX_TV: plex_tv_ports, **media_server_ports})

    def detach(self) -> None:
        """Give up control: the local Plex ends."""
        self._instance = None

    @property
    def instance(self) -> Instance:
        """The local Plex; raises `RuntimeError` while it does not run."""
        if self._instance is None:
            raise RuntimeError("the local Plex does not run")
        return self._instance

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the local Plex's event loop, from any other thread, and return its result."""
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError:  # the loop is closed
            coroutine.close()
            raise RuntimeError("the local Plex has stopped") from None
        return future.result(60.0)

    async def wait(self, seconds: float) -> None:
        """Delay a call; raises `ServerError` (503) if a reset or the end of the local Plex comes first."""
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
        """Refuse the calls that are delayed: they were meant for the state before the reset."""
        self._waits_cancelled.set()
        self._waits_cancelled = asyncio.Event()

    def revoke_transient_token(self, token: str) -> bool:
        """Revoke a transient token; return whether a media server knew it."""
        return any(
            server.transient_tokens.revoke(token, self.instance.now()) for server in self._media_servers.values()
        )

    def find_media_server(self, machine_identifier: str) -> MediaServerSite:
        """Return a running media server by its identifier."""
        return next(each for each in self._media_servers.values() if each.row.machine_identifier == machine_identifier)

    async def reset(self) -> None:
        """Restore the state at the start."""
        for server in self._media_servers.values():
            server.notifications.close("the server was reset")
        await self.instance.cancel_background_tasks()
        await self.ports.bring_up()
        for address in self.addresses:
            await address.restore()
        self.cancel_waits()
        for collection in (self.requests, self.answer_rules, self.delay_rules, self.expired_jwt_digests):
            collection.clear()
        self.chaos = self._chaos_at_start
        if self.chaos is not None:
            self.chaos.restart()
        self.clock.offset = 0.0
        self.instance.rates.reset()
        await self.instance.store.control.restore_snapshot(self._snapshot)
        self._media_servers = await self._renew_sites()
