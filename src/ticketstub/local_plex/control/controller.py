"""The tester's hand on one local Plex: what it changes there, and what it has seen.

Rule: give it to `LocalPlex` before that starts; what it can do are the commands (commands.py). It is taken hold of once
all addresses are taken and before anything is answered, and `LocalPlex` knows no more of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ticketstub.local_plex.control.recorder import Requests
from ticketstub.local_plex.control.targets import PLEX_TV, Rule
from ticketstub.refusals import ServerError

if TYPE_CHECKING:
    from ticketstub.local_plex.api.media_server import MediaServer
    from ticketstub.local_plex.api.plex_tv import PlexTv
    from ticketstub.local_plex.control.attach import WatchedApp
    from ticketstub.local_plex.control.chaos import Chaos
    from ticketstub.local_plex.control.ports import Ports
    from ticketstub.local_plex.domain.instance import Clock, Instance
    from ticketstub.local_plex.http.application import OnAnswer
    from ticketstub.local_plex.http.listeners import Control
    from ticketstub.local_plex.http.request import Scope
    from ticketstub.local_plex.http.server import Server
    from ticketstub.local_plex.settings import Settings
    from ticketstub.local_plex.storage.rewinding import Moment
    from ticketstub.local_plex.world.schema import World

T = TypeVar("T")
_PATIENCE = 60.0


class ShiftedClock:
    """A clock over another one, which can be moved forwards and put back.

    It runs on as the clock below it does; moving it moves what an instance thinks of as now, and no one else's time.
    Rates have a clock of their own that only rises: it is moved with it, so that waiting a minute is moving a minute.

    Args:
        below: seconds since 1970.
        ticks: seconds that only rise.
    """

    def __init__(self, below: Clock = time.time, ticks: Clock = time.monotonic) -> None:
        self._below = below
        self._ticks = ticks
        self.shift = 0.0
        """How far it was moved, in seconds."""

    def __call__(self) -> float:
        """Return the seconds since 1970, as far as it was moved."""
        return self._below() + self.shift

    def ticks(self) -> float:
        """Return seconds that only rise, moved as far."""
        return self._ticks() + self.shift

    def advance(self, seconds: float) -> None:
        """Move it forwards.

        Raises:
            ValueError: the seconds are negative or no number; or it would show a year after 9000.
        """
        if not 0 <= seconds < 2e11 - self():
            raise ValueError("a clock is moved forwards, and not beyond the year 8300")
        self.shift += seconds


class Hand:
    """A hand on one local Plex.

    Args:
        chaos: the share of calls that go wrong from the start on.
    """

    def __init__(self, *, chaos: Chaos | None = None) -> None:
        self.clock = ShiftedClock()
        self.requests = Requests()
        """What came in."""
        self.answers: list[Rule] = []
        self.delays: list[Rule] = []
        self.chaos = self._chaos_at_start = chaos
        self.expired: set[bytes] = set()
        """The digests of JWTs whose time is over before it is written in them."""
        self.places: Mapping[int, str] = {}
        """The names of the media servers, by port."""
        self.sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
        self.cut: Callable[[Scope], None]
        """Ends the connection of a request."""
        self.world: World
        self.app: WatchedApp
        self.loop: asyncio.AbstractEventLoop
        self._over = asyncio.Event()
        self._instance: Instance | None = None
        self._ports: Ports | None = None
        self._moment: Moment
        self._sites: Callable[[], Awaitable[tuple[PlexTv, dict[int, MediaServer]]]]
        self._media_servers: Mapping[int, MediaServer]

    def runs_on(self, clock: Clock) -> ShiftedClock:
        """Return the clock for a local Plex that is to run on this one."""
        self.clock = ShiftedClock(clock)
        return self.clock

    async def take(
        self,
        instance: Instance,
        world: World,
        sites: Callable[[], Awaitable[tuple[PlexTv, dict[int, MediaServer]]]],
        *,
        settings: Settings,
        places: Mapping[int, str],
        control: Control | None,
        on_answer: OnAnswer | None,
    ) -> WatchedApp:
        """Take hold of a local Plex that was just seeded, and return its application.

        Args:
            instance: that one.
            world: what it was seeded with.
            sites: makes plex.tv and the media servers anew.
            settings: the limits.
            places: the media servers' names by port.
            control: the control API's key and port, taken by now.
            on_answer: told of each answer.
        """
        from ticketstub.local_plex.control.attach import WatchedApp
        from ticketstub.local_plex.control.http_api import ControlSite

        self._instance, self.world, self._sites, self.places = instance, world, sites, places
        self.loop = asyncio.get_running_loop()
        plex_tv, self._media_servers = await sites()
        site = (control.port, ControlSite(self, control.key)) if control else None
        self.app = WatchedApp(self, plex_tv, self._media_servers, settings, on_answer, control=site)
        self._moment = await instance.store.rewinding.moment()
        return self.app

    def serves(self, server: Server, host: str, plex_tv: tuple[int, ...]) -> None:
        """Learn who listens on the ports, where, and which of them are plex.tv's."""
        from ticketstub.local_plex.control.ports import Ports  # the HTTP server is loaded only to be run

        self.cut = server.cut
        media_servers = {name: (port,) for port, name in self.places.items()}
        self._ports = Ports(server, host, {PLEX_TV: plex_tv, **media_servers})

    def let_go(self) -> None:
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

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the local Plex's own event loop, from any other thread, and wait until it is done."""
        try:
            doing = asyncio.run_coroutine_threadsafe(work, self.loop)
        except RuntimeError:  # the loop is closed
            work.close()
            raise RuntimeError("the local Plex has ended") from None
        return doing.result(_PATIENCE)

    async def wait(self, seconds: float) -> None:
        """Wait as long as a call is to wait; raises `ServerError` (503) where a reset or the end comes first."""
        over = self._over
        waits = [asyncio.ensure_future(self.sleep(seconds)), asyncio.ensure_future(over.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        if over.is_set():
            raise ServerError("The server cannot handle the request", status=503, code=1013)

    def end_waits(self) -> None:
        """Refuse the calls that wait: what they would do belongs to a time that is over."""
        self._over.set()
        self._over = asyncio.Event()

    def end_transient(self, token: str) -> bool:
        """End a transient token; `False` where no media server has it."""
        return any(server.transient.end(token, self.instance.now()) for server in self._media_servers.values())

    async def reset(self) -> None:
        """Put everything back as it was at the start."""
        await self.instance.settle()
        await self.ports.bring_all_up()
        self.end_waits()
        for kept in (self.requests, self.answers, self.delays, self.expired):
            kept.clear()
        self.chaos = self._chaos_at_start
        if self.chaos is not None:
            self.chaos.restart()
        self.clock.shift = 0.0
        self.instance.rates.forget()
        await self.instance.store.rewinding.go_back(self._moment)
        plex_tv, self._media_servers = await self._sites()
        self.app.renew(plex_tv, self._media_servers)
