"""The router: the wire's calls by path and method.

Rule: what can be asked is what the wire has a call for. A route reads its call from the request, lets one handler
answer it, and has the call write the reply; a handler sees one small object, never ASGI.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, Literal, TypeVar

from ticketstub.server.requests import Asked
from ticketstub.wire.call import Call, from_parameters
from ticketstub.wire.codec import Format

Place = TypeVar("Place")
Caller = TypeVar("Caller")
V = TypeVar("V")
C = TypeVar("C", bound="Call[Any]")  # what it is answered with, its handler says

Identifier = Literal["required", "disputed", "not asked"]
ANY_METHOD = "*"


class Visit(Generic[Place, Caller]):
    """One request being answered.

    Attributes:
        place: where it is asked: plex.tv, or one media server.
        asked: the request.
        caller: who asks, by token. There is none on a route without token: looking at it is an error.
        token: that token, as it was sent.
    """

    __slots__ = ("asked", "caller", "place", "token")
    caller: Caller
    token: str

    def __init__(self, place: Place, asked: Asked) -> None:
        self.place = place
        self.asked = asked


class Route(Generic[Place, Caller]):
    """One call that can be asked, and its handler.

    Args:
        kind: the call.
        handle: answers it.
        read: reads the call from a request; by default from the query, or from the body where the call says so.
        write: writes the reply; by default the call does.
        allow: refuses callers that this call is not for, before its parameters are looked at.
        identifier: whether the request must name a client.
        any_method: whether every HTTP method is taken (documented for one call).
    """

    __slots__ = ("_allow", "_handle", "_read", "_write", "identifier", "method", "needs_token", "status", "template")

    def __init__(
        self,
        kind: type[C],
        handle: Callable[[Visit[Place, Caller], C], Awaitable[V]],
        *,
        read: Callable[[Asked], C] | None = None,
        write: Callable[[V, Format], bytes] | None = None,
        allow: Callable[[Place, Caller], None] | None = None,
        identifier: Identifier = "not asked",
        any_method: bool = False,
    ) -> None:
        self.method = ANY_METHOD if any_method else kind.method
        self.template = kind.path
        self.needs_token = kind.needs_token
        self.status = kind.status
        self.identifier = identifier
        # What a handler returns is what its own call writes: checked by the types above, forgotten in the table.
        self._read: Callable[[Asked], Call[Any]] = read or _reader(kind)
        self._handle: Callable[..., Awaitable[object]] = handle
        self._write: Callable[..., bytes] | None = write
        self._allow = allow

    async def body(self, visit: Visit[Place, Caller]) -> bytes:
        """Answer a visit with the bytes of the reply; raises what handlers raise."""
        if self._allow is not None:
            self._allow(visit.place, visit.caller)
        call = self._read(visit.asked)
        value = await self._handle(visit, call)
        if self._write is not None:
            return self._write(value, visit.asked.form)
        return call.write(value, visit.asked.form)


Table = dict[str, dict[str, Route[Place, Caller]]]


def table(routes: Iterable[Route[Place, Caller]]) -> Table[Place, Caller]:
    """Make a router of routes: by path, then by method."""
    found: Table[Place, Caller] = {}
    for route in routes:
        found.setdefault(route.template, {})[route.method] = route
    return found


def _reader(kind: type[C]) -> Callable[[Asked], C]:
    if not kind.__struct_fields__:
        always = kind()
        return lambda _asked: always
    if kind.in_body:
        return lambda asked: from_parameters(kind, asked.fields)
    return lambda asked: from_parameters(kind, asked.query)
