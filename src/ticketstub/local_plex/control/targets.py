"""Which calls a tester means (`POST /api/v2/users/signin`, at all places or at one), and what is to happen to them.

Rule: the method is HTTP's or `*`; the path is a call's as its reference page writes it, where `{id}` is any one piece
and a suffix (`.xml`, `.json`) makes no difference. HEAD is asked as GET. What can be no call is refused at once. A rule
counts for so many calls of its pattern and is gone then; of several the first that fits is used up first. Nothing of a
call that is answered by a rule happens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ticketstub.local_plex.http.request import split_suffix

if TYPE_CHECKING:
    from ticketstub.local_plex.http.application import Site
    from ticketstub.local_plex.http.request import IncomingRequest
    from ticketstub.local_plex.http.response import OutgoingResponse

PLEX_TV = "plex.tv"
_CALL = re.compile(r"(\*|[A-Za-z]{3,10}) +(/\S*)")


class CallPattern(NamedTuple):
    """Some calls."""

    method: str
    segments: tuple[str, ...]
    place: str | None

    @classmethod
    def parse(cls, text: str, place: str | None = None) -> CallPattern:
        """Read a pattern.

        Args:
            text: method, space and path.
            place: `plex.tv`, or a media server by name; `None`: all of them.

        Raises:
            ValueError: the text is none.
        """
        match = _CALL.fullmatch(text.strip())
        if match is None:
            raise ValueError('a call is written as "POST /api/v2/users/signin": method, space, path')
        return cls(match[1].upper(), _split_path(match[2]), place)

    def matches(self, method: str, path: str, place: str) -> bool:
        """Tell whether a request is one of these calls."""
        if self.method not in {"*", method} or self.place not in {None, place}:
            return False
        segments = _split_path(path)
        return len(segments) == len(self.segments) and all(
            expected == actual or (expected.startswith("{") and actual)
            for expected, actual in zip(self.segments, segments, strict=True)
        )


def _split_path(path: str) -> tuple[str, ...]:
    return tuple((split_suffix(path)[0] or "/").split("/"))


class CallRule:
    """Something that happens to so many calls.

    Args:
        pattern: which calls.
        times: how many of them.
        respond: answers one in the place's stead.
        delay_seconds: how long one waits.
    """

    def __init__(
        self,
        pattern: CallPattern,
        times: int,
        respond: Callable[[Site, IncomingRequest], OutgoingResponse] | None = None,
        *,
        delay_seconds: float = 0.0,
    ) -> None:
        self.pattern = pattern
        self.remaining = times
        self.respond = respond
        self.delay_seconds = delay_seconds


def consume_rule(rules: list[CallRule], request: IncomingRequest, place: str) -> CallRule | None:
    """Return the first rule for a request, if there is one, and count it."""
    for rule in rules:
        if rule.pattern.matches(request.method, request.path, place):
            rule.remaining -= 1
            if not rule.remaining:
                rules.remove(rule)
            return rule
    return None
