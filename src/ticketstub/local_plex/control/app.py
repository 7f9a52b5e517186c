"""The application of a local Plex with a controller: it logs requests and injects the faults that were ordered.

Rule: it extends two steps of `App`; a local Plex without a controller runs `App` itself and pays nothing. The control
port is not logged, and chaos leaves the pages' static files alone. A call that is cut off has taken effect: half of its
response body is sent, or nothing, and then the connection is aborted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from ticketstub.local_plex.api.media_server import MediaServerSite
from ticketstub.local_plex.api.plex_tv import PlexTv
from ticketstub.local_plex.control.controller import Controller
from ticketstub.local_plex.control.faults import PLEX_TV, InjectedFault, consume_rule
from ticketstub.local_plex.control.recorder import record_request
from ticketstub.local_plex.http.application import App, OnAnswer, RequestHandler, Site
from ticketstub.local_plex.http.request import Headers, IncomingRequest, Message, Receive, Scope, Send
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages.context import load_static_files
from ticketstub.local_plex.settings import Settings
from ticketstub.refusals import RateLimited, ServerError, TokenExpired


class ControlledApp(App):
    """The application of a local Plex that has a controller.

    Args:
        controller: has the rules, the chaos and the request log.
        plex_tv: answers on every port that is not a media server's.
        media_servers: the media servers by port.
        control_sites: the control API by port, if there is one.
        create_sites: creates plex.tv and the media servers anew, for a reset.
        settings: the limits.
        on_answer: called after each response.
    """

    def __init__(
        self,
        controller: Controller,
        plex_tv: PlexTv,
        media_servers: Mapping[int, MediaServerSite],
        control_sites: Mapping[int, Site],
        create_sites: Callable[[], Awaitable[tuple[PlexTv, Mapping[int, MediaServerSite]]]],
        settings: Settings,
        on_answer: OnAnswer | None,
    ) -> None:
        super().__init__(plex_tv, {**media_servers, **control_sites}, settings, on_answer, controller.clock)
        self._controller = controller
        self._control_sites = control_sites
        self._create_sites = create_sites

    async def renew_sites(self) -> Mapping[int, MediaServerSite]:
        """Replace plex.tv and the media servers by new ones, and return the latter by port."""
        self._plex_tv, media_servers = await self._create_sites()
        self._media_servers = {**media_servers, **self._control_sites}
        return media_servers

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
            if controller.chaos is not None and request.path not in load_static_files():
                sent_share = await self._apply_fault(controller.chaos.draw_fault())
            return await site.answer(request)

        async def abort() -> None:
            controller.abort_connection(scope)
            while (await receive())["type"] != "http.disconnect":
                pass

        answer = await super()._answer_safely(site, request, scope, receive, answer_with_faults)
        if request.path_template == "-":  # refused before its route was looked for; the log names the route anyway
            site.find_route(request)
        headers, at = cast("Headers", scope["headers"]), controller.clock()
        controller.requests.add(record_request(request, headers, answer.status, place=place, at=at))
        if sent_share == 1:
            return answer
        part = b"" if request.is_head else answer.body[: int(len(answer.body) * sent_share)]
        return _TruncatedAnswer(answer, part, abort)

    async def _send(
        self, answer: OutgoingResponse, request: IncomingRequest, site: Site, started_at: float, send: Send
    ) -> None:
        if not isinstance(answer, _TruncatedAnswer):
            return await super()._send(answer, request, site, started_at, send)

        async def send_part(message: Message) -> None:
            is_start = message["type"] == "http.response.start"
            if answer.part:
                await send(message if is_start else {**message, "body": answer.part, "more_body": True})
            if not is_start:
                await answer.abort()

        return await super()._send(answer, request, site, started_at, send_part)

    async def _apply_rules(
        self, site: PlexTv | MediaServerSite, request: IncomingRequest, place: str
    ) -> OutgoingResponse | None:
        """Apply the tester's rules to a request; return its response if a rule answers it."""
        controller, route = self._controller, site.find_route(request)
        if rule := consume_rule(controller.delay_rules, request, place):
            await controller.wait(rule.delay_seconds)
        if (rule := consume_rule(controller.answer_rules, request, place)) and rule.respond:
            return rule.respond(site, request)
        needs_token = place == PLEX_TV and route is not None and route.needs_token
        if needs_token and controller.instance.keys.digest(request.token or "") in controller.expired_jwt_digests:
            raise TokenExpired
        return None

    async def _apply_fault(self, fault: InjectedFault | None) -> float:
        """Refuse or delay a call; return the share of its response body to send."""
        match fault:
            case InjectedFault("too many"):
                raise RateLimited
            case InjectedFault("unavailable"):
                raise ServerError("The server cannot handle the request", status=503, code=1013)
            case InjectedFault("late", seconds):
                await self._controller.wait(seconds)
            case InjectedFault("cut off" | "unanswered" as kind):
                return 0.5 if kind == "cut off" else 0.0
            case _:
                pass
        return 1.0


class _TruncatedAnswer(OutgoingResponse):
    """A response of which only a part of the body is sent, or nothing; then the connection is aborted."""

    def __init__(self, answer: OutgoingResponse, part: bytes, abort: Callable[[], Awaitable[None]]) -> None:
        super().__init__(answer.status, answer.headers, answer.body, closes_connection=True)
        self.part, self.abort = part, abort
