"""A media server: which calls it answers, who may ask, and how it says no.

Rule: but for the identity, a claim and our own OpenAPI document, the token comes first: without a good one every path
is 401, an unknown one too. Only a server that nobody owns asks its own machine for none, and no web page of another
site counts as that (ours). Refusals are web pages whatever is accepted (observed), or with `errors = "documented"` JSON
for 400 and 401 on `/security/*`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from ticketstub.local_plex.api import media_server_calls as handlers
from ticketstub.local_plex.api.principal import BUSY_ERRORS
from ticketstub.local_plex.domain import device_keys
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.media_servers import AccessLevel, TransientTokens, determine_access, is_local_machine
from ticketstub.local_plex.http.request import Headers, IncomingRequest
from ticketstub.local_plex.http.response import MEDIA_SERVER_HEADERS, MEDIA_SERVER_HTML_HEADERS, OutgoingResponse
from ticketstub.local_plex.http.router import ANY_METHOD, RequestContext, Route, Router
from ticketstub.local_plex.storage.base import MediaServerRow, TokenRow
from ticketstub.local_plex.world.values import is_token_shaped
from ticketstub.protocol import error_bodies
from ticketstub.protocol.codec import Format
from ticketstub.refusals import Forbidden, NotFound, Refusal, TokenExpired, Unauthorized


class Fallback(Protocol):
    """Answers the requests of a media server that the local Plex has no route for."""

    async def answer(self, request: IncomingRequest, token: str) -> OutgoingResponse:
        """Answer a request whose token was accepted, and set its path template; `token` is empty if none was needed."""
        ...


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks a media server: with which access, by which token's digest, and until when if by a transient token.

    There is no digest for who needs no token: this machine, while nobody owns the server.
    """

    access: AccessLevel
    token_digest: bytes | None
    expires_at: int | None = None


ROUTES: Router[MediaServerSite, Principal] = Router(handlers.ROUTES)
"""A media server's calls."""

_PUBLIC_ROUTES = frozenset((route.method, route.path_template) for route in handlers.ROUTES if not route.needs_token)


class MediaServerSite:
    """A media server, on a port of its own.

    A token is looked up anew at each request, a transient one through the token that it stands for, and so is whom the
    server belongs to: whatever ends or loses its rights does so here at once.

    Args:
        row: what the store knew of it at the start; whom it belongs to may change, see `owner_id`.
        instance: the local Plex that it belongs to.
        fallback: answers what it does not know itself.
        documents: what answers GET at further paths, such as the OpenAPI document's.
    """

    def __init__(
        self,
        row: MediaServerRow,
        instance: Instance,
        fallback: Fallback | None = None,
        documents: Mapping[str, Callable[[], OutgoingResponse]] | None = None,
    ) -> None:
        settings = instance.rates.settings
        self.row = row
        self.instance = instance
        self.transient_tokens = TransientTokens(instance.keys, settings.max_transient_tokens)
        self._fallback = fallback
        self._documents = documents or {}
        self.default_format = Format(instance.quirks.default_format)
        self.has_trace_headers = False
        self.busy_errors = BUSY_ERRORS
        keep_alive = settings.media_server_keep_alive_seconds
        self._keep_alive_headers: Headers = [
            (b"connection", b"Keep-Alive"),
            (b"keep-alive", b"timeout=%d" % keep_alive),
        ]

    async def answer(self, request: IncomingRequest) -> OutgoingResponse:
        """Answer a request; raises a `Refusal`, or what stores raise."""
        if request.method == "GET" and (answer_document := self._documents.get(request.path)):
            return answer_document()
        context: RequestContext[MediaServerSite, Principal] = RequestContext(self, request)
        path = _normalize_path(request)
        if (request.method, path) not in _PUBLIC_ROUTES:
            try:
                context.caller = await self._authenticate(request)
            except Unauthorized:  # whether `/security/*` says 401 or 403 to nobody is disputed
                if self.instance.quirks.security_without_token == 403 and request.path.startswith("/security/"):
                    raise Forbidden from None
                raise
        # A folder or an upstream has what has no route here, and the libraries, which are empty here.
        if self._fallback and (path == handlers.GetSections.http.path or ROUTES.find(request, path) is None):
            # An unclaimed server lets its own machine in: that proves nothing to what is upstream.
            token = (_read_token(request) if context.caller.token_digest else "") or ""
            answer = await self._fallback.answer(request, token)
            answer.headers = self._add_connection_headers(answer.headers, request)
            return answer
        route = self.find_route(request)
        if route is None:
            raise NotFound
        reply = await route.reply(context)
        if isinstance(reply, OutgoingResponse):
            return reply
        return OutgoingResponse(
            route.status, self._add_connection_headers(MEDIA_SERVER_HEADERS[request.response_format], request), reply
        )

    async def get_owner_id(self) -> int | None:
        """Return the id of the account that the server belongs to now; `None` where it is not claimed."""
        return await self.instance.store.claims.get_owner_id(self.row.machine_identifier)

    async def _authenticate(self, request: IncomingRequest) -> Principal:
        """Return who asks.

        A server that nobody owns has no use for tokens: it lets in its own machine (observed), and nobody else.

        Raises:
            Unauthorized: the token is missing, dead, or nothing that this server takes.
        """
        owner_id, token, instance, now = (
            await self.get_owner_id(),
            _read_token(request),
            self.instance,
            self.instance.now(),
        )
        if owner_id is None:
            if not is_local_machine(request.client_address) or not request.has_local_host or request.is_cross_site:
                raise Unauthorized
            return Principal(access="owner", token_digest=None)
        if not token:
            raise Unauthorized
        row: TokenRow | None
        if transient := self.transient_tokens.find(token, now):
            row, (token_digest, expires_at) = await instance.store.find_token(transient[0], now), transient
        else:
            row, token_digest, expires_at = await self._find_token(token, now), instance.keys.digest(token), None
        return Principal(
            access=determine_access(row, self.row.machine_identifier, owner_id),
            token_digest=token_digest,
            expires_at=expires_at,
        )

    async def _find_token(self, token: str, now: int) -> TokenRow | None:
        """Look a token up; a JWT only where media servers take it (observed: they do not, though documented)."""
        keys = self.instance.keys
        if is_token_shaped(token):
            return await self.instance.store.find_token(keys.digest(token), now)
        if self.instance.quirks.jwt_on_media_server == "refuse" or not device_keys.is_jwt_shaped(token):
            return None
        try:
            return await device_keys.find_jwt(self.instance, token)
        except TokenExpired:
            return None

    def find_route(self, request: IncomingRequest) -> Route[MediaServerSite, Principal] | None:
        """Find what answers a request, and note which call it is; `None` where there is nothing."""
        methods = ROUTES.find(request, _normalize_path(request)) or {}
        route = methods.get(request.method) or methods.get(ANY_METHOD)
        if route is not None:
            request.path_template = route.path_template
        return route

    def write_refusal(self, refusal: Refusal, request: IncomingRequest) -> OutgoingResponse:
        """Write a refusal."""
        status = refusal.status or 500
        fields, body = MEDIA_SERVER_HTML_HEADERS, error_bodies.write_error_page(status, is_root=request.path == "/")
        if status in {400, 401} and self.row.errors == "documented" and request.path.startswith("/security/"):
            fields, body = MEDIA_SERVER_HEADERS[Format.JSON], error_bodies.write_refusal(refusal, Format.JSON)
        if status == 401:
            return OutgoingResponse(status, fields, body, closes_connection=True)
        return OutgoingResponse(status, self._add_connection_headers(fields, request), body)

    def _add_connection_headers(self, headers: Headers, request: IncomingRequest) -> Headers:
        return [*headers, *self._keep_alive_headers] if request.keep_alive else headers


def _read_token(request: IncomingRequest) -> str | None:
    """Take the token from header or query; a media server looks into no body for it (ours)."""
    return request.get_plex_parameter("X-Plex-Token", in_body=False)


def _normalize_path(request: IncomingRequest) -> str:
    """Return the path without the slash at its end, which makes no difference, as on plex.tv (assumed)."""
    return request.path.rstrip("/") or "/"
