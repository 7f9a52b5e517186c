"""The application where a tester's hand is on it: what comes in is noted, and some of it goes wrong on purpose.

Rule: this is `App` with two of its steps seen to; a local Plex without a hand runs `App` itself and pays nothing. The
control port is not watched, nor are the pages' static files disturbed. What is cut off was answered in full inside:
half of the body leaves, or nothing at all where there is none or none is to be, and the connection ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from ticketstub.local_plex.api.media_server import MediaServerSite
from ticketstub.local_plex.api.plex_tv import PlexTv
from ticketstub.local_plex.control.chaos import InjectedFault
from ticketstub.local_plex.control.controller import Controller
from ticketstub.local_plex.control.recorder import record_request
from ticketstub.local_plex.control.targets import PLEX_TV, consume_rule
from ticketstub.local_plex.http.application import App, OnAnswer, RequestHandler, Site
from ticketstub.local_plex.http.request import Headers, IncomingRequest, Message, Receive, Scope, Send
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages import rendering
from ticketstub.local_plex.settings import Settings
from ticketstub.refusals import RateLimited, ServerError, TokenExpired


class ControlledApp(App):
    """The application under a hand.

    Args:
        controller: that one.
        plex_tv: answers on every port that is no media server's.
        media_servers: by port.
        control_sites: the control API by port, where there is one.
        settings: the limits.
        on_answer: told of each answer.
    """

    def __init__(
        self,
        controller: Controller,
        plex_tv: PlexTv,
        media_servers: Mapping[int, MediaServerSite],
        control_sites: Mapping[int, Site],
        settings: Settings,
        on_answer: OnAnswer | None,
    ) -> None:
        super().__init__(plex_tv, media_servers, settings, on_answer, controller.clock)
        self._controller = controller
        self._control_sites = control_sites
        self._static_paths = frozenset(rendering.load_static_files())
        self.replace_sites(plex_tv, media_servers)

    def replace_sites(self, plex_tv: PlexTv, media_servers: Mapping[int, MediaServerSite]) -> None:
        """Answer with these from now on."""
        self._plex_tv = plex_tv
        self._media_servers = {**media_servers, **self._control_sites}

    async def _answer_safely(
        self,
        site: Site,
        request: IncomingRequest,
        scope: Scope,
        receive: Receive,
        handler: RequestHandler | None = None,
    ) -> OutgoingResponse:
        if not isinstance(site, PlexTv | MediaServerSite):
            return await super()._answer_safely(site, request, scope, receive, handler)
        controller, address = self._controller, cast("tuple[str, int]", scope["server"])  # ASGI: host and port
        place, sent_share = controller.media_server_names.get(address[1], PLEX_TV), 1.0

        async def answer_with_faults(request: IncomingRequest) -> OutgoingResponse:
            nonlocal sent_share
            if (answer := await self._apply_rules(site, request, place)) is not None:
                return answer
            if controller.chaos is not None and request.path not in self._static_paths:
                sent_share = await self._apply_fault(controller.chaos.draw_fault())
            return await site.answer(request)

        async def abort() -> None:
            controller.abort_connection(scope)
            while (await receive())["type"] != "http.disconnect":
                pass

        answer = await super()._answer_safely(site, request, scope, receive, answer_with_faults)
        headers, at = cast("Headers", scope["headers"]), controller.clock()
        # What was refused before it was answered has no route yet, but for who reads this later it has one.
        if request.path_template == "-":
            site.find_route(request)
        controller.requests.add(record_request(request, headers, answer.status, place=place, at=at))
        return _TruncatedAnswer(answer, sent_share, abort) if sent_share < 1 else answer

    async def _send(
        self, answer: OutgoingResponse, request: IncomingRequest, site: Site, started_at: float, send: Send
    ) -> None:
        if isinstance(answer, _TruncatedAnswer):
            send = answer.wrap_send(send, bodiless=request.is_head)
        await super()._send(answer, request, site, started_at, send)

    async def _apply_rules(
        self, site: PlexTv | MediaServerSite, request: IncomingRequest, place: str
    ) -> OutgoingResponse | None:
        """Do to a request what was ordered; return its answer where that is not the site's to give."""
        controller = self._controller
        if not (
            controller.answer_rules or controller.delay_rules or controller.expired_jwt_digests or controller.chaos
        ):
            return None
        route = site.find_route(request)
        if rule := consume_rule(controller.delay_rules, request, place):
            await controller.wait(rule.delay_seconds)
        if (rule := consume_rule(controller.answer_rules, request, place)) and rule.respond:
            return rule.respond(site, request)
        needs_token = place == PLEX_TV and route is not None and route.needs_token
        if needs_token and controller.instance.keys.digest(request.token or "") in controller.expired_jwt_digests:
            raise TokenExpired
        return None

    async def _apply_fault(self, fault: InjectedFault | None) -> float:
        """Refuse a call or let it wait; return how much of its answer is to leave."""
        match fault:
            case InjectedFault("too many"):
                raise RateLimited
            case InjectedFault("unavailable"):
                raise ServerError("The server cannot handle the request", status=503, code=1013)
            case InjectedFault("late", seconds):
                await self._controller.wait(seconds)
            case InjectedFault("cut off"):
                return 0.5
            case InjectedFault("unanswered"):
                return 0.0
            case _:
                pass
        return 1.0


class _TruncatedAnswer(OutgoingResponse):
    """An answer of which a part leaves, or nothing."""

    __slots__ = ("_abort", "_sent_share")

    def __init__(self, answer: OutgoingResponse, sent_share: float, abort: Callable[[], Awaitable[None]]) -> None:
        super().__init__(answer.status, answer.headers, answer.body, closes_connection=True)
        self._sent_share = sent_share
        self._abort = abort

    def wrap_send(self, send: Send, *, bodiless: bool) -> Send:
        """Return what sends it."""
        part = b"" if bodiless else self.body[: int(len(self.body) * self._sent_share)]

        async def send_part(message: Message) -> None:
            if message["type"] == "http.response.start":
                if part:
                    await send(message)
                return
            if part:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await self._abort()

        return send_part
