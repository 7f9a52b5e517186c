"""Faults that a tester orders: rules for calls, chaos, and ports that are down.

Rule: a rule applies to the next calls that match its pattern, as often as it says; of several matching rules the first
is used up first. A call that a rule answers has no other effect. Chaos is reproducible: the same seed and the same
sequence of calls give the same faults, whatever the calls are, because each call draws the same number of random
values. A port that is down stays bound, so that its place comes up again at the same address.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import msgspec

from ticketstub.local_plex.http.application import Site
from ticketstub.local_plex.http.request import IncomingRequest, split_suffix
from ticketstub.local_plex.http.response import OutgoingResponse

if TYPE_CHECKING:
    from ticketstub.local_plex.http.server import HttpServer

PLEX_TV = "plex.tv"
"""The place that is no media server."""

_CALL = re.compile(r"(\*|[A-Za-z]{3,10}) +(/\S*)")


class CallPattern(NamedTuple):
    """A pattern of calls: an HTTP method or `*`, a path, and optionally the place that is asked.

    A `{…}` segment of the path matches any one segment. The suffixes `.xml` and `.json` make no difference, and HEAD
    counts as GET.
    """

    method: str
    segments: tuple[str, ...]
    place: str | None

    @classmethod
    def parse(cls, text: str, place: str | None = None) -> CallPattern:
        """Read a pattern.

        Args:
            text: method, space and path, as in `GET /api/v2/pins/{id}`.
            place: `plex.tv`, or a media server by name; `None` for all of them.

        Raises:
            ValueError: the text is not a pattern.
        """
        match = _CALL.fullmatch(text.strip())
        if match is None:
            raise ValueError('a call is written as "POST /api/v2/users/signin": method, space, path')
        return cls(match[1].upper(), _split_path(match[2]), place)

    def matches(self, method: str, path: str, place: str) -> bool:
        """Say whether a request matches."""
        segments = _split_path(path)
        return (
            self.method in {"*", method}
            and self.place in {None, place}
            and len(self.segments) == len(segments)
            and all(
                expected == actual or (expected.startswith("{") and actual)
                for expected, actual in zip(self.segments, segments, strict=True)
            )
        )


def _split_path(path: str) -> tuple[str, ...]:
    return tuple((split_suffix(path)[0] or "/").split("/"))


class CallRule(msgspec.Struct, eq=False):
    """What happens to the next calls that match a pattern.

    Attributes:
        pattern: the calls.
        remaining: how many of them the rule still applies to.
        respond: answers a call in place of its site; `None` leaves the answer to the site.
        delay_seconds: how long a call waits before it is answered.
    """

    pattern: CallPattern
    remaining: int
    respond: Callable[[Site, IncomingRequest], OutgoingResponse] | None = None
    delay_seconds: float = 0.0


def consume_rule(rules: list[CallRule], request: IncomingRequest, place: str) -> CallRule | None:
    """Return the first rule that matches a request, if any, and count its use."""
    for rule in rules:
        if rule.pattern.matches(request.method, request.path, place):
            rule.remaining -= 1
            if not rule.remaining:
                rules.remove(rule)
            return rule
    return None


FaultKind = Literal["too many", "unavailable", "late", "cut off", "unanswered"]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


class InjectedFault(NamedTuple):
    """The fault of one call, and for `late` the delay in seconds."""

    kind: FaultKind
    seconds: float


class Chaos:
    """A sequence of faults.

    The kinds are equally likely: refused as too many (429), refused for the moment (503), answered late, cut off in the
    middle of the response body, and cut off by a reset before the first byte. A call that is cut off has taken effect.
    The proxy of `ticketstub run` forwards both kinds of cut; a reset reaches the client as a connection that ends
    without TLS's closing message.

    Args:
        share: the share of calls that fail: 0.05 is one in twenty.
        seed: selects the sequence.
        longest: the longest delay of a late answer, in seconds.

    Raises:
        ValueError: the share is not between 0 and 1, or `longest` not between 0 and 60.
    """

    def __init__(self, share: float, seed: int = 0, longest: float = 0.5) -> None:
        if not 0 <= share <= 1:
            raise ValueError("chaos takes a share of the calls: a number from 0 to 1")
        if not 0 <= longest <= 60:
            raise ValueError("a late answer waits 0 to 60 seconds")
        self.share = share
        self.seed = seed
        self._max_delay = longest
        self._random = random.Random(seed)  # noqa: S311  # it must be reproducible, and protects nothing

    def draw_fault(self) -> InjectedFault | None:
        """Return the fault of the next call, or `None` if it has none."""
        whether, which, how_long = self._random.random(), self._random.random(), self._random.random()
        if whether >= self.share:
            return None
        kind = FAULT_KINDS[int(which * len(FAULT_KINDS))]
        return InjectedFault(kind, how_long * self._max_delay if kind == "late" else 0.0)

    def restart(self) -> None:
        """Start the sequence again."""
        self._random.seed(self.seed)


class Ports:
    """The ports of a running local Plex, which can be taken down and brought up.

    Args:
        server: listens on them.
        host: the address that it listens on.
        places: the ports of plex.tv and of each media server, by name.
    """

    def __init__(self, server: HttpServer, host: str, places: Mapping[str, tuple[int, ...]]) -> None:
        self._server = server
        self._host = host
        self._places = places
        # The ports that are down: the bound socket, and the connections that fill its queue if it hangs.
        self._closed: dict[int, list[socket.socket]] = {}
        self._lock = asyncio.Lock()

    async def take_down(self, place: str, *, hangs: bool = False) -> None:
        """Make a place unreachable, as after a crash: cut its connections and refuse new ones.

        Args:
            place: its name. If it is already down, `hangs` applies from now on.
            hangs: do not refuse new connections but leave them unanswered, as behind a dead address. On Linux they are
                never established; on other systems they are, but never answered.

        Raises:
            LookupError: no place has this name.
        """
        from ticketstub.local_plex.http.server import bind, fill_backlog  # loaded when needed

        for port in self._find_ports(place):
            async with self._lock:
                _close_sockets(self._closed.pop(port, []))
                await self._server.close_port(port)
                listener = bind(self._host, port)
                self._closed[port] = [listener, *(fill_backlog(listener) if hangs else [])]

    async def bring_up(self, place: str | None = None) -> None:
        """Make a place reachable again, or every place.

        Raises:
            LookupError: no place has this name.
        """
        for port in [*self._closed] if place is None else self._find_ports(place):
            async with self._lock:
                if closed := self._closed.pop(port, None):
                    _close_sockets(closed[1:])
                    self._server.open_port(closed[0])

    def get_state(self, port: int) -> Literal["refused", "silent", "answers"]:
        """Say what happens to new connections to a port; `silent` ones are never answered."""
        if port not in self._closed:
            return "answers"
        return "silent" if self._closed[port][1:] else "refused"

    def close(self) -> None:
        """Release the ports that are down."""
        for closed in self._closed.values():
            _close_sockets(closed)
        self._closed.clear()

    def _find_ports(self, place: str) -> tuple[int, ...]:
        if place not in self._places:
            raise LookupError(f"no place has this name; the places are {', '.join(self._places)}")
        return self._places[place]


def _close_sockets(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()
