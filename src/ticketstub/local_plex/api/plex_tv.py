"""The site of plex.tv's API: the calls that it answers, who may make them, and its refusals.

Rule: an unknown path is refused with 404 (code 1002), a known one with another method with 405 (code 1005), and a token
that is not an account's with 401 (code 1001). Every refusal has the format of the request's replies.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Protocol

from ticketstub.local_plex.api import (
    DEFAULT_TOKEN_KINDS,
    account,
    avatars,
    device_key,
    devices,
    home,
    people,
    pins,
)
from ticketstub.local_plex.api.principal import BUSY_ERRORS, DeviceActivity, find_token
from ticketstub.local_plex.domain import accounts
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import IncomingRequest, split_suffix
from ticketstub.local_plex.http.response import (
    PLEX_TV_401_HEADERS,
    PLEX_TV_BODILESS_HEADERS,
    PLEX_TV_HEADERS,
    OutgoingResponse,
)
from ticketstub.local_plex.http.router import RequestContext, Route, Router
from ticketstub.local_plex.storage.base import TokenRow
from ticketstub.protocol import error_bodies
from ticketstub.protocol.codec import Format
from ticketstub.refusals import ClientIdentifierMissing, Forbidden, NotFound, Refusal, RefusalDefaults

_HEADER_NAME_BYTES = frozenset(b"-_, " + string.ascii_letters.encode() + string.digits.encode())


class MethodNotAllowed(Refusal):
    """The path is known but supports other methods only (405, code 1005)."""

    default = RefusalDefaults(405, 1005, "The request method is not allowed for this endpoint")


ROUTES: Router[Instance, TokenRow] = Router(
    [route for family in (home, people, account, avatars, pins, device_key, devices) for route in family.ROUTES]
)
"""plex.tv's calls."""


class PageSite(Protocol):
    """Answers the requests for pages on plex.tv's port."""

    def is_page_request(self, request: IncomingRequest) -> bool:
        """Tell whether a request is for a page."""
        ...

    async def answer(self, request: IncomingRequest) -> OutgoingResponse:
        """Answer a request for a page, or raise a `Refusal`."""
        ...

    def render_error(self, status: int) -> OutgoingResponse:
        """Render an error page."""
        ...


class PlexTv:
    """The site of plex.tv's port.

    Args:
        instance: the local Plex.
        pages: the pages on the same port.
        documents: functions that answer a GET of additional paths, such as that of the OpenAPI document.
    """

    def __init__(
        self,
        instance: Instance,
        pages: PageSite,
        documents: Mapping[str, Callable[[], OutgoingResponse]] | None = None,
    ) -> None:
        self._instance = instance
        self._pages = pages
        self._documents = documents or {}
        self._device_tracker = DeviceActivity(instance)
        self.default_format = Format(instance.quirks.default_format)
        self.has_trace_headers = True
        """Whether its replies carry a request id and the time they took (observed)."""
        self.busy_errors = BUSY_ERRORS

    async def answer(self, request: IncomingRequest) -> OutgoingResponse:
        """Answer a request; raises a `Refusal`, or what stores and passwords raise."""
        if self._pages.is_page_request(request):
            return await self._pages.answer(request)
        return self._apply_cors_quirk(await self._answer_api(request))

    def _apply_cors_quirk(self, answer: OutgoingResponse) -> OutgoingResponse:
        """Remove the fields that allow pages of other origins to read a reply, if the world asks for it."""
        if self._instance.quirks.cors == "none":
            answer.headers = [each for each in answer.headers if not each[0].startswith(b"access-control-")]
        return answer

    async def _answer_api(self, request: IncomingRequest) -> OutgoingResponse:
        if request.method == "OPTIONS":
            return _answer_preflight(request)
        if request.method == "GET" and (answer_document := self._documents.get(request.path)):
            return answer_document()
        route = self.find_route(request)
        if route is None:
            raise MethodNotAllowed if self._list_methods(request) else NotFound
        required = route.client_identifier == "required" or (
            route.client_identifier == "disputed" and self._instance.quirks.require_client_identifier
        )
        if required and not request.client_identifier:
            raise ClientIdentifierMissing
        context: RequestContext[Instance, TokenRow] = RequestContext(self._instance, request)
        if route.needs_token:
            context.token = request.token or ""
            context.caller = accounts.check_token_kind(
                await find_token(self._instance, context.token), route.token_kinds or DEFAULT_TOKEN_KINDS
            )
            if (
                context.caller.kind == "server"
                and self._instance.quirks.server_tokens == "forbidden"
                and request.path.startswith("/api/v2/")
            ):
                raise Forbidden
            self._device_tracker.record(context.caller.device_id, request)
        reply = await route.reply(context)
        if isinstance(reply, OutgoingResponse):
            return reply
        return OutgoingResponse(
            route.status, PLEX_TV_HEADERS[request.response_format] if reply else PLEX_TV_BODILESS_HEADERS, reply
        )

    def write_refusal(self, refusal: Refusal, request: IncomingRequest) -> OutgoingResponse:
        """Write a refusal."""
        if self._pages.is_page_request(request):
            return self._pages.render_error(refusal.status or 500)
        if request.path_template == "-":  # the head or the body was refused before routing
            self.find_route(request)
        form = request.response_format
        status, body = error_bodies.write_in_dialect(
            refusal, form, request.dialect, self._instance.quirks.legacy_dead_token
        )
        fields = (PLEX_TV_401_HEADERS if status == 401 else PLEX_TV_HEADERS)[form]
        if isinstance(refusal, MethodNotAllowed):
            fields = [*fields, (b"allow", ", ".join(self._list_methods(request)).encode())]
        return self._apply_cors_quirk(OutgoingResponse(status, fields, body))

    def find_route(self, request: IncomingRequest) -> Route[Instance, TokenRow] | None:
        """Find the route of a request, and set its path template, dialect and format; `None` if there is no route."""
        path, form = split_suffix(request.path)
        request.response_format = form or request.response_format
        route = (ROUTES.find(request, path) or {}).get(request.method)
        if route is not None:
            request.path_template, request.dialect = route.path_template, route.dialect
            request.response_format = route.response_format or request.response_format
        return route

    def _list_methods(self, request: IncomingRequest) -> list[str]:
        """List the methods that a path supports; none if the path is unknown."""
        methods = {"GET"} if request.path in self._documents else ROUTES.find(request, split_suffix(request.path)[0])
        return [*sorted(methods), *(["HEAD"] if "GET" in methods else []), "OPTIONS"] if methods else []


def _answer_preflight(request: IncomingRequest) -> OutgoingResponse:
    """Allow all header fields that a browser asks for (assumed: plex.tv allows every `X-Plex-…` field)."""
    allowed_headers = bytes(c for c in request.get_header(b"access-control-request-headers") if c in _HEADER_NAME_BYTES)
    return OutgoingResponse(200, [*PLEX_TV_BODILESS_HEADERS, (b"access-control-allow-headers", allowed_headers)], b"")
