"""The application where a tester's hand is on it: what comes in is noted, and some of it goes wrong on purpose.

Rule: this is `App` with two of its steps seen to; a local Plex without a hand runs `App` itself and pays nothing. The
control port is not watched, nor are the pages' static files disturbed. What is cut off was answered in full inside:
half of the body leaves, or nothing at all where there is none or none is to be, and the connection ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, cast

from ticketstub.local_plex.api.media_server import MediaServer
from ticketstub.local_plex.api.plex_tv import PlexTv
from ticketstub.local_plex.control.chaos import Disturbance
from ticketstub.local_plex.control.recorder import record
from ticketstub.local_plex.control.targets import PLEX_TV, use_up
from ticketstub.local_plex.http.application import Answering, App, OnAnswer, Site
from ticketstub.local_plex.http.request import Asked, Headers, Message, Receive, Scope, Send
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.pages import rendering
from ticketstub.local_plex.settings import Settings
from ticketstub.refusals import RateLimited, ServerError, TokenExpired

if TYPE_CHECKING:
    from ticketstub.local_plex.control.controller import Hand


class WatchedApp(App):
    """The application under a hand.

    Args:
        hand: that one.
        plex_tv: answers on every port that is no media server's.
        media_servers: by port.
        settings: the limits.
        on_answer: told of each answer.
        control: the control API's port and site, where there is one.
    """

    def __init__(
        self,
        hand: Hand,
        plex_tv: PlexTv,
        media_servers: Mapping[int, MediaServer],
        settings: Settings,
        on_answer: OnAnswer | None,
        *,
        control: tuple[int, Site] | None,
    ) -> None:
        super().__init__(plex_tv, media_servers, settings, on_answer, hand.clock)
        self._hand = hand
        self._control = dict([control] if control else [])
        self._undisturbed = frozenset(rendering.static_files())
        self.renew(plex_tv, media_servers)

    def renew(self, plex_tv: PlexTv, media_servers: Mapping[int, MediaServer]) -> None:
        """Answer with these from now on."""
        self._plex_tv = plex_tv
        self._media_servers = {**media_servers, **self._control}

    async def _answered(
        self, site: Site, asked: Asked, scope: Scope, receive: Receive, answering: Answering | None = None
    ) -> Answer:
        if not isinstance(site, PlexTv | MediaServer):
            return await super()._answered(site, asked, scope, receive, answering)
        hand, address = self._hand, cast("tuple[str, int]", scope["server"])  # ASGI: host and port
        place, leaves = hand.places.get(address[1], PLEX_TV), 1.0

        async def disturbed(asked: Asked) -> Answer:
            nonlocal leaves
            if (answer := await self._ruled(site, asked, place)) is not None:
                return answer
            if hand.chaos is not None and asked.path not in self._undisturbed:
                leaves = await self._trouble(hand.chaos.next())
            return await site.answer(asked)

        async def cut() -> None:
            hand.cut(scope)
            while (await receive())["type"] != "http.disconnect":
                pass

        answer = await super()._answered(site, asked, scope, receive, disturbed)
        headers, at = cast("Headers", scope["headers"]), hand.clock()
        # What was refused before it was answered has no route yet, but for who reads this later it has one.
        if asked.template == "-":
            site.find(asked)
        hand.requests.add(record(asked, headers, answer.status, place=place, at=at))
        return _CutOff(answer, leaves, cut) if leaves < 1 else answer

    async def _send(self, answer: Answer, asked: Asked, site: Site, began: float, send: Send) -> None:
        if isinstance(answer, _CutOff):
            send = answer.instead_of(send, bodiless=asked.bodiless)
        await super()._send(answer, asked, site, began, send)

    async def _ruled(self, site: PlexTv | MediaServer, asked: Asked, place: str) -> Answer | None:
        """Do to a request what was ordered; return its answer where that is not the site's to give."""
        hand = self._hand
        if not (hand.answers or hand.delays or hand.expired or hand.chaos):
            return None
        route = site.find(asked)
        if rule := use_up(hand.delays, asked, place):
            await hand.wait(rule.seconds)
        if (rule := use_up(hand.answers, asked, place)) and rule.answer:
            return rule.answer(site, asked)
        needs_token = place == PLEX_TV and route is not None and route.needs_token
        if needs_token and hand.instance.keys.digest(asked.token or "") in hand.expired:
            raise TokenExpired
        return None

    async def _trouble(self, disturbance: Disturbance | None) -> float:
        """Refuse a call or let it wait; return how much of its answer is to leave."""
        match disturbance:
            case Disturbance("too many"):
                raise RateLimited
            case Disturbance("unavailable"):
                raise ServerError("The server cannot handle the request", status=503, code=1013)
            case Disturbance("late", seconds):
                await self._hand.wait(seconds)
            case Disturbance("cut off"):
                return 0.5
            case Disturbance("unanswered"):
                return 0.0
            case _:
                pass
        return 1.0


class _CutOff(Answer):
    """An answer of which a part leaves, or nothing."""

    __slots__ = ("_cut", "_leaves")

    def __init__(self, answer: Answer, leaves: float, cut: Callable[[], Awaitable[None]]) -> None:
        super().__init__(answer.status, answer.headers, answer.body, closes=True)
        self._leaves = leaves
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
            await self._cut()

        return send_part
