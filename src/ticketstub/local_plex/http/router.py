"""The router: finds the route of a request by path and method.

Rule: every route is a call of `protocol`. A route reads its call from the request, passes it to one handler, and lets
the call write the reply. A handler sees a `RequestContext`, never ASGI. A path without parameters is looked up whole
and takes precedence; a path with parameters (`/api/v2/pins/{id}`) is matched by a pattern.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, Literal, TypeVar

from ticketstub.local_plex.http.request import IncomingRequest, split_suffix
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.protocol.call import Call, read_call
from ticketstub.protocol.codec import Format

ServerT = TypeVar("ServerT")
CallerT = TypeVar("CallerT")
ValueT = TypeVar("ValueT")
CallT = TypeVar("CallT", bound="Call[Any]")  # the handler determines the type of its reply

IdentifierRule = Literal["required", "disputed", "not asked", "by the handler"]
Dialect = Literal["v2", "legacy"]
ANY_METHOD = "*"

_PLACEHOLDER = re.compile(r"\\\{(\w+)\\\}")  # of a template that is escaped for a pattern


class RequestContext(Generic[ServerT, CallerT]):
    """One request that a handler answers.

    Attributes:
        server: what received the request: plex.tv or a media server.
        request: the request.
        caller: the caller, identified by its token. It is not set on a route without a token.
        token: the token as it was sent. Like `caller`, it is not set on a route without a token.
    """

    __slots__ = ("caller", "request", "server", "token")
    caller: CallerT
    token: str

    def __init__(self, server: ServerT, request: IncomingRequest) -> None:
        self.server = server
        self.request = request


class Route(Generic[ServerT, CallerT]):
    """A call and its handler.

    Args:
        call_type: the call.
        handle: the handler; it returns the reply's value, or an `OutgoingResponse` if that is neither JSON nor XML.
        read: reads the call from a request; by default from its parameters.
        write: writes the reply; by default the call does.
        authorize: refuses callers without access, before the parameters are read.
        client_identifier: whether the request must have a client identifier. `disputed` lets the world decide, `by the
            handler` leaves the check and its refusal to the handler.
        token_kinds: the accepted kinds of token; others are refused as unknown. `None` selects the server's default.
        dialect: the form of refusals: that of plex.tv's v2 or of its older API.
        response_format: the format of all replies, whatever the client accepts; `None` lets the client choose.
        any_method: whether every HTTP method is accepted (documented for one call).
    """

    def __init__(
        self,
        call_type: type[CallT],
        handle: Callable[[RequestContext[ServerT, CallerT], CallT], Awaitable[ValueT | OutgoingResponse]],
        *,
        read: Callable[[IncomingRequest], CallT] | None = None,
        write: Callable[[ValueT, RequestContext[ServerT, CallerT]], bytes] | None = None,
        authorize: Callable[[ServerT, CallerT], None] | None = None,
        client_identifier: IdentifierRule = "not asked",
        token_kinds: frozenset[str] | None = None,
        dialect: Dialect = "v2",
        response_format: Format | None = None,
        any_method: bool = False,
    ) -> None:
        self.call_type: type[Call[Any]] = call_type
        self.method = ANY_METHOD if any_method else call_type.http.method
        self.path_template = split_suffix(call_type.http.path)[0] or call_type.http.path
        self.token_kinds = token_kinds
        self.dialect: Dialect = dialect
        self.response_format = response_format
        self.needs_token = call_type.http.needs_token
        self.status = call_type.http.status
        self.client_identifier = client_identifier
        # The types above check that the call can write what the handler returns; the table does not keep them.
        self._read: Callable[[IncomingRequest], Call[Any]] = read or _make_reader(call_type)
        self.has_custom_reader = read is not None
        self._handle: Callable[..., Awaitable[object]] = handle
        self._write: Callable[..., bytes] | None = write
        self._authorize = authorize

    def check_access(self, context: RequestContext[ServerT, CallerT]) -> None:
        """Refuse a caller without access, as `authorize` does."""
        if self._authorize is not None:
            self._authorize(context.server, context.caller)

    async def reply(self, context: RequestContext[ServerT, CallerT]) -> bytes | OutgoingResponse:
        """Return the bytes of the reply, or the handler's own response; raises what handlers raise."""
        self.check_access(context)
        call = self._read(context.request)
        value = await self._handle(context, call)
        if isinstance(value, OutgoingResponse):
            return value
        if self._write is not None:
            return self._write(value, context)
        return call.write(value, context.request.response_format)


RoutesByMethod = dict[str, Route[ServerT, CallerT]]


class Router(Generic[ServerT, CallerT]):
    """The routes of plex.tv or of a media server."""

    def __init__(self, routes: Iterable[Route[ServerT, CallerT]]) -> None:
        self._exact: dict[str, RoutesByMethod[ServerT, CallerT]] = {}
        self._patterns: dict[re.Pattern[str], RoutesByMethod[ServerT, CallerT]] = {}
        for route in routes:
            if "{" in route.path_template:
                pattern = _PLACEHOLDER.sub(r"(?P<\1>[^/]+)", re.escape(route.path_template))
                self._patterns.setdefault(re.compile(pattern), {})[route.method] = route
            else:
                self._exact.setdefault(route.path_template, {})[route.method] = route

    def find(self, request: IncomingRequest, path: str) -> RoutesByMethod[ServerT, CallerT] | None:
        """Find the routes of a path by method, and set the request's path parameters."""
        if (methods := self._exact.get(path)) is not None:
            return methods
        for pattern, methods_found in self._patterns.items():
            if (match := pattern.fullmatch(path)) is not None:
                request.path_parameters = match.groupdict()
                return methods_found
        return None

    def list_routes(self) -> list[Route[ServerT, CallerT]]:
        """List every route."""
        groups = (*self._exact.values(), *self._patterns.values())
        return [route for methods in groups for route in methods.values()]


def _make_reader(call_type: type[CallT]) -> Callable[[IncomingRequest], CallT]:
    if not call_type.__struct_fields__:
        call = call_type()
        return lambda _request: call
    return lambda request: read_call(call_type, request.parameters | request.path_parameters)
