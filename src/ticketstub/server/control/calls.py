"""Which calls a tester means: `POST /api/v2/users/signin`, at all places or at one.

Rule: the method is HTTP's or `*`; the path is a call's as its reference page writes it, where `{id}` is any one piece
and a suffix (`.xml`, `.json`) makes no difference. HEAD is asked as GET. What can be no call is refused at once.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ticketstub.server.negotiation import without_suffix

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

    def __str__(self) -> str:
        return f"{self.method} {'/'.join(self.pieces)}"


def _pieces(path: str) -> tuple[str, ...]:
    return tuple((without_suffix(path)[0] or "/").split("/"))
