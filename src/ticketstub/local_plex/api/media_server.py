"""The site of a media server: the calls that it answers, who may make them, and its refusals.

Rule: except for the identity, a claim and the OpenAPI document, the token comes first: without a valid one every path
is refused with 401, an unknown path too. An unclaimed server needs no token from its own machine, but refuses web pages
of other sites (our choice). Refusals are web pages for every Accept field (observed); with `errors = "documented"`,
`/security/*` refuses with JSON for 400 and 401.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping

from ticketstub.local_plex.api import library
from ticketstub.local_plex.api import media_server_calls as handlers
from ticketstub.local_plex.api.media_server_calls import MediaServer, Principal, ServerContext
from ticketstub.local_plex.api.notifications import NotificationSockets
from ticketstub.local_plex.api.principal import BUSY_ERRORS, find_token
from ticketstub.local_plex.domain.device_keys import is_jwt_shaped
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.media_servers import determine_access, is_local_machine
from ticketstub.local_plex.http.request import Headers, IncomingRequest
from ticketstub.local_plex.http.response import MEDIA_SERVER_HEADERS, MEDIA_SERVER_HTML_HEADERS, OutgoingResponse
from ticketstub.local_plex.http.router import ANY_METHOD, RequestContext, Route, Router
from ticketstub.local_plex.storage.base import MediaServerRow, TokenRow
from ticketstub.protocol import error_bodies
from ticketstub.protocol.codec import Format
from ticketstub.refusals import Forbidden, NotFound, Refusal, TokenExpired, Unauthorized

Fallback = Callable[[IncomingRequest, str], Awaitable[OutgoingResponse]]
"""Answers a request that a media server has no route for, and sets its path template.

The second argument is the accepted token, or empty if none was needed.
"""


class NoAnswer(OutgoingResponse):
    """A page on which a fallback says that it has no answer; the local Plex's own answer goes before it."""


ROUTES: Router[MediaServer, Principal] = Router(
    [*handlers.ROUTES, *library.CONTENT_ROUTES, library.NOTIFICATIONS_ROUTE]
)
"""A media server's calls."""

_PUBLIC_ROUTES = frozenset((route.method, route.path_template) for route in handlers.ROUTES if not route.needs_token)
_CONTENT_PATHS = frozenset(route.path_template for route in library.CONTENT_ROUTES)


class MediaServerSite(MediaServer):
    """The site of a media server's port.

    Each request looks up its token (a transient one through the token behind it) and the server's owner. So a token
    that has ended or lost its rights is refused at once.

    Args:
        row: the store's row at the start; the owner may change, see `get_owner_id`.
        instance: the local Plex.
        fallback: answers requests without a route.
        documents: functions that answer a GET of additional paths, such as that of the OpenAPI document.
    """

    def __init__(
        self,
        row: MediaServerRow,
        instance: Instance,
        fallback: Fallback | None = None,
        documents: Mapping[str, Callable[[], OutgoingResponse]] | None = None,
    ) -> None:
        super().__init__(row, instance)
        self.notifications = NotificationSockets(instance, self._authenticate)
        self._fallback = fallback
        self._documents = documents or {}
        self.default_format = Format(instance.quirks.default_format)
        self.has_trace_headers = False
        self.busy_errors = BUSY_ERRORS
        keep_alive = b"timeout=%d" % instance.rates.settings.media_server_keep_alive_seconds
        self._keep_alive_headers: Headers = [(b"connection", b"Keep-Alive"), (b"keep-alive", keep_alive)]

    async def answer(self, request: IncomingRequest) -> OutgoingResponse:
        """Answer a request; raises a `Refusal`, or what stores raise."""
        if request.method == "GET" and (answer_document := self._documents.get(request.path)):
            return answer_document()
        context: ServerContext = RequestContext(self, request)
        path = _normalize_path(request)
        if (request.method, path) not in _PUBLIC_ROUTES:
            try:
                context.caller = await self._authenticate(request)
            except Unauthorized:  # whether `/security/*` says 401 or 403 without a token is disputed
                if self.instance.quirks.security_without_token == 403 and request.path.startswith("/security/"):
                    raise Forbidden from None
                raise
        route = self.find_route(request)
        # The fallback has everything without a path here, and the content, of which there is none here.
        if self._fallback and (path in _CONTENT_PATHS or ROUTES.find(request, path) is None):
            if route is not None:
                route.check_access(context)
            # An unclaimed server accepts its own machine without a token, which an upstream must not take as proof.
            token = (_read_token(request) if context.caller.token_digest else "") or ""
            answer = await self._fallback(request, token)
            if route is None or not isinstance(answer, NoAnswer):
                answer.headers = self._add_connection_headers(answer.headers, request)
                return answer
        if route is None:
            raise NotFound
        reply = await route.reply(context)
        if isinstance(reply, OutgoingResponse):
            return reply
        headers = self._add_connection_headers(MEDIA_SERVER_HEADERS[request.response_format], request)
        return OutgoingResponse(route.status, headers, reply)

    async def _authenticate(self, request: IncomingRequest) -> Principal:
        """Return the caller.

        An unclaimed server needs no token: it accepts its own machine (observed) and nobody else.

        Raises:
            Unauthorized: the token is missing, has ended, or is not valid on this server.
        """
        owner_id, token, instance = await self.get_owner_id(), _read_token(request), self.instance
        if owner_id is None:
            if not is_local_machine(request.client_address) or not request.has_local_host or request.is_cross_site:
                raise Unauthorized
            return Principal(access="owner", token_digest=None)
        if not token:
            raise Unauthorized
        now = instance.now()
        transient = self.transient_tokens.find(token, now)
        token_digest, expires_at = transient or (instance.keys.digest(token), None)
        row = await (instance.store.find_token(token_digest, now) if transient else self._find_token(token))
        access = determine_access(row, self.row.machine_identifier, owner_id)
        return Principal(access=access, token_digest=token_digest, expires_at=expires_at)

    async def _find_token(self, token: str) -> TokenRow | None:
        """Look up a token; a JWT only if the world asks for it (observed: servers refuse it, though documented)."""
        if self.instance.quirks.jwt_on_media_server != "refuse" or not is_jwt_shaped(token):
            with contextlib.suppress(TokenExpired):
                return await find_token(self.instance, token)
        return None

    def find_route(self, request: IncomingRequest) -> Route[MediaServer, Principal] | None:
        """Find the route of a request, and set its path template; `None` if there is no route."""
        methods = ROUTES.find(request, _normalize_path(request)) or {}
        route = methods.get(request.method) or methods.get(ANY_METHOD)
        if route is not None:
            request.path_template = route.path_template
        return route

    def write_refusal(self, refusal: Refusal, request: IncomingRequest) -> OutgoingResponse:
        """Write a refusal."""
        status = refusal.status or 500
        headers, body = MEDIA_SERVER_HTML_HEADERS, error_bodies.write_error_page(status, is_root=request.path == "/")
        if status in {400, 401} and self.row.errors == "documented" and request.path.startswith("/security/"):
            headers, body = MEDIA_SERVER_HEADERS[Format.JSON], error_bodies.write_refusal(refusal, Format.JSON)
        is_last = status == 401  # on this connection
        headers = headers if is_last else self._add_connection_headers(headers, request)
        return OutgoingResponse(status, headers, body, closes_connection=is_last)

    def _add_connection_headers(self, headers: Headers, request: IncomingRequest) -> Headers:
        return [*headers, *self._keep_alive_headers] if request.keep_alive else headers


def _read_token(request: IncomingRequest) -> str | None:
    """Read the token from the header or the query; a media server ignores one in a body (our choice)."""
    return request.get_plex_parameter("X-Plex-Token", in_body=False)


def _normalize_path(request: IncomingRequest) -> str:
    """Return the path without a trailing slash, which makes no difference, as on plex.tv (assumed)."""
    return request.path.rstrip("/") or "/"
