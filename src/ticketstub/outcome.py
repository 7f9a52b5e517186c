"""What `attempt` returns: a value or an error, each with the response it came from, made for `match`.

Rule: two plain classes and nothing else; an error is the one that `send` would have raised.
"""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

from ticketstub.errors import PlexError
from ticketstub.wire.http import Response

V = TypeVar("V")


class Ok(Generic[V]):
    """The call succeeded: `value`, and the `response` it was read from."""

    __slots__ = ("response", "value")
    __match_args__ = ("value", "response")

    def __init__(self, value: V, response: Response) -> None:
        self.value = value
        self.response = response

    def __repr__(self) -> str:
        return f"Ok({self.value!r}, {self.response!r})"


class Err:
    """The call failed: `error`, and the `response` that said so, or `None` where none came."""

    __slots__ = ("error", "response")
    __match_args__ = ("error", "response")

    def __init__(self, error: PlexError, response: Response | None) -> None:
        self.error = error
        self.response = response

    def __repr__(self) -> str:
        return f"Err({self.error!r}, {self.response!r})"


Outcome: TypeAlias = Ok[V] | Err
