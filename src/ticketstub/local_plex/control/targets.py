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

from ticketstub.local_plex.http.negotiation import without_suffix

if TYPE_CHECKING:
    from ticketstub.local_plex.http.application import Site
    from ticketstub.local_plex.http.request import Asked
    from ticketstub.local_plex.http.response import Answer

PLEX_TV = "plex.tv"
_CALL = re.compile(r"(\*|[A-Za-z]{3,10}) +(/\S*)")


class Pattern(NamedTuple):
    """Some calls."""

    method: str
    pieces: tuple[str, ...]
    at: str | None

    @classmethod
    def read(cls, text: str, at: str | None = None) -> Pattern:
        """Read a pattern.

        Args:
            text: method, space and path.
            at: `plex.tv`, or a media server by name; `None`: all of them.

        Raises:
            ValueError: the text is none.
        """
        match = _CALL.fullmatch(text.strip())
        if match is None:
            raise ValueError('a call is written as "POST /api/v2/users/signin": method, space, path')
        return cls(match[1].upper(), _pieces(match[2]), at)

    def means(self, method: str, path: str, place: str) -> bool:
        """Tell whether a request is one of these calls."""
        if self.method not in {"*", method} or self.at not in {None, place}:
            return False
        given = _pieces(path)
        return len(given) == len(self.pieces) and all(
            wanted == piece or (wanted.startswith("{") and piece)
            for wanted, piece in zip(self.pieces, given, strict=True)
        )


def _pieces(path: str) -> tuple[str, ...]:
    return tuple((without_suffix(path)[0] or "/").split("/"))


class Rule:
    """Something that happens to so many calls.

    Args:
        pattern: which calls.
        times: how many of them.
        answer: answers one in the place's stead.
        seconds: how long one waits.
    """

    def __init__(
        self,
        pattern: Pattern,
        times: int,
        answer: Callable[[Site, Asked], Answer] | None = None,
        *,
        seconds: float = 0.0,
    ) -> None:
        self.pattern = pattern
        self.times = times
        self.answer = answer
        self.seconds = seconds


def use_up(rules: list[Rule], asked: Asked, place: str) -> Rule | None:
    """Return the first rule for a request, if there is one, and count it."""
    for rule in rules:
        if rule.pattern.means(asked.method, asked.path, place):
            rule.times -= 1
            if not rule.times:
                rules.remove(rule)
            return rule
    return None
