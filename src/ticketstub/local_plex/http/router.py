"""The router: the wire's calls by path and method.

Rule: what can be asked is what the wire has a call for. A route reads its call from the request, lets one handler
answer it, and has the call write the reply; a handler sees one small object, never ASGI. A path without parameters is
found by itself, one with parameters (`/api/v2/pins/{id}`) by its pieces; the former goes first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, Literal, TypeVar

from ticketstub.local_plex.http.negotiation import without_suffix
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.storage.base import TokenKind
from ticketstub.protocol.call import Call, from_parameters
from ticketstub.protocol.codec import Format

Place = TypeVar("Place")
Caller = TypeVar("Caller")
V = TypeVar("V")
C = TypeVar("C", bound="Call[Any]")  # what it is answered with, its handler says

Identifier = Literal["required", "disputed", "not asked", "by the handler"]
Dialect = Literal["v2", "legacy"]
ANY_METHOD = "*"
ANYBODY: frozenset[TokenKind] = frozenset({"account", "jwt", "server"})
"""The kinds of token that plex.tv takes where a route says nothing else; a server's shared token is none (ours)."""


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
        handle: answers it; with the reply's value, or with a whole `Answer` where that is none of JSON and XML.
        read: reads the call from a request; by default from the query (of a GET from a form, too), or from the body
            where the call says so.
        write: writes the reply; by default the call does.
        allow: refuses callers that this call is not for, before its parameters are looked at.
        identifier: whether the request must name a client, and whether its handler is the one to say so.
        kinds: the kinds of token that may ask; any other is refused as unknown.
        dialect: how it says no: as plex.tv's v2, or as its older API.
        form: the one format of its answers, whatever is asked for.
        any_method: whether every HTTP method is taken (documented for one call).
    """

    __slots__ = (
        "_allow",
        "_handle",
        "_read",
        "_write",
        "dialect",
        "form",
        "identifier",
        "kind",
        "kinds",
        "method",
        "needs_token",
        "reads_itself",
        "status",
        "template",
    )

    def __init__(
        self,
        kind: type[C],
        handle: Callable[[Visit[Place, Caller], C], Awaitable[V | Answer]],
        *,
        read: Callable[[Asked], C] | None = None,
        write: Callable[[V, Visit[Place, Caller]], bytes] | None = None,
        allow: Callable[[Place, Caller], None] | None = None,
        identifier: Identifier = "not asked",
        kinds: frozenset[TokenKind] = ANYBODY,
        dialect: Dialect = "v2",
        form: Format | None = None,
        any_method: bool = False,
    ) -> None:
        self.kind: type[Call[Any]] = kind
        self.method = ANY_METHOD if any_method else kind.http.method
        self.template = without_suffix(kind.http.path)[0] or kind.http.path
        self.kinds = kinds
        self.dialect: Dialect = dialect
        self.form = form
        self.needs_token = kind.http.needs_token
        self.status = kind.http.status
        self.identifier = identifier
        # What a handler returns is what its own call writes: checked by the types above, forgotten in the table.
        self._read: Callable[[Asked], Call[Any]] = read or _reader(kind)
        self.reads_itself = read is not None
        self._handle: Callable[..., Awaitable[object]] = handle
        self._write: Callable[..., bytes] | None = write
        self._allow = allow

    async def reply(self, visit: Visit[Place, Caller]) -> bytes | Answer:
        """Answer a visit with the bytes of the reply, or the handler's own answer; raises what handlers raise."""
        if self._allow is not None:
            self._allow(visit.place, visit.caller)
        call = self._read(visit.asked)
        value = await self._handle(visit, call)
        if isinstance(value, Answer):
            return value
        if self._write is not None:
            return self._write(value, visit)
        return call.write(value, visit.asked.form)


Methods = dict[str, Route[Place, Caller]]


class Table(Generic[Place, Caller]):
    """The routes of one kind of place."""

    def __init__(self, routes: Iterable[Route[Place, Caller]]) -> None:
        self._exact: dict[str, Methods[Place, Caller]] = {}
        self._patterns: dict[tuple[str, ...], Methods[Place, Caller]] = {}
        for route in routes:
            if "{" in route.template:
                self._patterns.setdefault(tuple(route.template.split("/")), {})[route.method] = route
            else:
                self._exact.setdefault(route.template, {})[route.method] = route

    def find(self, asked: Asked, path: str) -> Methods[Place, Caller] | None:
        """Find the routes of a path, and put what stands in it among the request's parameters."""
        if (methods := self._exact.get(path)) is not None:
            return methods
        pieces = path.split("/")
        for pattern, found in self._patterns.items():
            if len(pattern) == len(pieces) and (named := _matched(pattern, pieces)) is not None:
                asked.in_path = named
                return found
        return None

    def all(self) -> list[Route[Place, Caller]]:
        """List every route."""
        groups = (*self._exact.values(), *self._patterns.values())
        return [route for methods in groups for route in methods.values()]


def _matched(pattern: tuple[str, ...], pieces: list[str]) -> dict[str, str] | None:
    named: dict[str, str] = {}
    for expected, piece in zip(pattern, pieces, strict=True):
        if expected.startswith("{") and piece:
            named[expected[1:-1]] = piece
        elif expected != piece:
            return None
    return named


def _reader(kind: type[C]) -> Callable[[Asked], C]:
    if not kind.__struct_fields__:
        always = kind()
        return lambda _asked: always
    return lambda asked: from_parameters(kind, asked.parameters | asked.in_path)
