"""The application where a tester's hand is on it: what comes in is noted, and some of it goes wrong on purpose.

Rule: this is `App` with two of its steps seen to; a local Plex without a hand runs `App` itself and pays nothing. The
control port is not watched, nor are the pages' static files disturbed. What is cut off was answered in full inside:
half of the body leaves, or nothing at all where there is none or none is to be, and the connection ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from ticketstub.refusals import RateLimited, Refusal, ServerError, TokenExpired, Unauthorized
from ticketstub.server import media_server, plex_tv
from ticketstub.server.answers import Answer
from ticketstub.server.app import App, OnAnswer, Site
from ticketstub.server.chaos import Chaos, Disturbance
from ticketstub.server.control.clock import ShiftedClock
from ticketstub.server.control.recorded import Requests, record
from ticketstub.server.control.rules import Rules
from ticketstub.server.instance import Instance
from ticketstub.server.negotiation import without_suffix
from ticketstub.server.pages import rendering
from ticketstub.server.plex_tv import PlexTv
from ticketstub.server.requests import Asked, Headers, Message, Receive, Scope, Send
from ticketstub.server.settings import Settings

PLEX_TV = "plex.tv"
Sleep = Callable[[float], Awaitable[object]]
Cut = Callable[[Scope], None]


class Watch:
    """What a hand does to the calls of one local Plex, and has seen of them.

    Args:
        clock: the instance's clock.
        chaos: the share of calls that go wrong from the start on.
    """

    def __init__(self, clock: ShiftedClock, chaos: Chaos | None = None) -> None:
        self.clock = clock
        self.requests = Requests()
        self.rules = Rules()
        self.chaos = chaos
        self.expired: set[bytes] = set()
        """The digests of JWTs whose time is over before it is written in them."""
        self.places: Mapping[int, str] = {}
        """The names of the media servers, by port."""
        self.cut: Cut = lambda _scope: None
        """Ends the connection of a request."""
        self.sleep: Sleep = asyncio.sleep
        self._over = asyncio.Event()
        self._started_with = chaos

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

    def reset(self) -> None:
        """Have everything as at the start."""
        self.end_waits()
        self.requests.clear()
        self.rules.clear()
        self.expired.clear()
        self.chaos = self._started_with
        if self.chaos is not None:
            self.chaos.restart()


class WatchedApp(App):
    """The application under a hand.

    Args:
        instance: the local Plex.
        sites: plex.tv, and the media servers by port.
        settings: the limits.
        watch: the hand's.
        control: the control API's port and site, where there is one.
        on_answer: told of each answer.
    """

    def __init__(
        self,
        instance: Instance,
        sites: tuple[Site, Mapping[int, Site]],
        settings: Settings,
        watch: Watch,
        *,
        control: tuple[int, Site] | None = None,
        on_answer: OnAnswer | None = None,
    ) -> None:
        super().__init__(*sites, settings, on_answer, watch.clock)
        self._watch = watch
        self._instance = instance
        self._control = control
        self._tables = (plex_tv.routes(), media_server.routes())
        self._undisturbed = frozenset(rendering.static_files())
        self.renew(*sites)

    def renew(self, plex_tv: Site, media_servers: Mapping[int, Site]) -> None:
        """Answer with these from now on."""
        self._plex_tv = plex_tv
        self._media_servers = {**media_servers, **dict([self._control] if self._control else [])}

    def stop_waiting(self) -> None:
        """End every wait: for the rest of a body, now and from now on, and of calls that are to be late."""
        super().stop_waiting()
        self._watch.end_waits()

    async def _answered(self, site: Site, asked: Asked, scope: Scope, receive: Receive) -> Answer:
        if self._control is not None and site is self._control[1]:
            return await super()._answered(site, asked, scope, receive)
        watch, address = self._watch, cast("tuple[str, int]", scope["server"])  # ASGI: host and port
        turn = _Turn(site, self, watch.places.get(address[1], PLEX_TV))
        answer = await super()._answered(turn, asked, scope, receive)
        headers, at = cast("Headers", scope["headers"]), watch.clock()
        # What was refused before it was answered has no route yet, but for who reads this later it has one.
        if asked.template == "-":
            self._recognise(site, asked)
        watch.requests.add(record(asked, headers, answer.status, place=turn.place, at=at))
        return _CutOff(answer, turn.leaves, scope, receive, watch.cut) if turn.leaves < 1 else answer

    async def _send(self, answer: Answer, asked: Asked, site: Site, began: float, send: Send) -> None:
        if isinstance(answer, _CutOff):
            send = answer.instead_of(send, bodiless=asked.bodiless)
        await super()._send(answer, asked, site, began, send)

    def _recognise(self, site: Site, asked: Asked) -> bool:
        """Find the route of a request before it is answered; return whether it needs a token of plex.tv's."""
        is_plex_tv = isinstance(site, PlexTv)
        path, form = without_suffix(asked.path)
        if is_plex_tv:
            methods = self._tables[0].find(asked, path) or {}
            route = methods.get(asked.method)
            if route is not None:
                asked.template, asked.dialect, asked.form = (
                    route.template,
                    route.dialect,
                    route.form or form or asked.form,
                )
            return route is not None and route.needs_token
        found = self._tables[1].find(asked, asked.path.rstrip("/") or "/") or {}
        if known := found.get(asked.method) or found.get("*"):
            asked.template = known.template
        return False

    async def disturbed(self, turn: _Turn, asked: Asked) -> Answer | None:
        """Do to a request what is to happen to it; return its answer where that is not the site's to give."""
        watch = self._watch
        needs_token = self._recognise(turn.site, asked) if watch.rules or watch.expired or watch.chaos else False
        if watch.rules:
            if seconds := watch.rules.delay(asked.method, asked.path, turn.place):
                await watch.wait(seconds)
            if rule := watch.rules.answer(asked.method, asked.path, turn.place):
                return rule.answer(turn.site, asked)
        if watch.expired and needs_token:
            self._check_not_expired(asked)
        if watch.chaos is not None and asked.path not in self._undisturbed:
            await self._trouble(watch.chaos.next(), turn)
        return None

    def _check_not_expired(self, asked: Asked) -> None:
        if self._instance.keys.digest(asked.token or "") in self._watch.expired:
            raise TokenExpired if self._instance.answers.expired_jwt == 498 else Unauthorized

    async def _trouble(self, disturbance: Disturbance | None, turn: _Turn) -> None:
        if disturbance is None:
            return
        if disturbance.kind == "too many":
            raise RateLimited
        if disturbance.kind == "unavailable":
            raise ServerError("The server cannot handle the request", status=503, code=1013)
        if disturbance.kind == "late":
            await self._watch.wait(disturbance.seconds)
        turn.leaves = {"cut off": 0.5, "unanswered": 0.0}.get(disturbance.kind, 1.0)


class _Turn:
    """A site for the time of one request."""

    __slots__ = ("_app", "default", "leaves", "place", "site", "traces")

    def __init__(self, site: Site, app: WatchedApp, place: str) -> None:
        self.site = site
        self.place = place
        self.default = site.default
        self.traces = site.traces
        self.leaves = 1.0
        """How much of the answer leaves."""
        self._app = app

    async def answer(self, asked: Asked) -> Answer:
        return await self._app.disturbed(self, asked) or await self.site.answer(asked)

    def refuse(self, refusal: Refusal, asked: Asked) -> Answer:
        return self.site.refuse(refusal, asked)


class _CutOff(Answer):
    """An answer of which a part leaves, or nothing."""

    __slots__ = ("_cut", "_leaves", "_receive", "_scope")

    def __init__(self, answer: Answer, leaves: float, scope: Scope, receive: Receive, cut: Cut) -> None:
        super().__init__(answer.status, answer.headers, answer.body, closes=True)
        self._leaves = leaves
        self._scope = scope
        self._receive = receive
        self._cut = cut

    def instead_of(self, send: Send, *, bodiless: bool) -> Send:
        """Return what sends it."""
        part = b"" if bodiless else self.body[: int(len(self.body) * self._leaves)]

        async def send_part(message: Message) -> None:
            if message["type"] == "http.response.start":
                if part:
                    await send(message)
                return
            if part:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            self._cut(self._scope)
            while (await self._receive())["type"] != "http.disconnect":
                pass

        return send_part
