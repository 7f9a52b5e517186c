"""What `attempt` returns: a value or an error, each with the response it came from, made for `match`.

Rule: two plain classes and nothing else; an error is the one that `send` would have raised.
"""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

import msgspec

from ticketstub.errors import PlexError
from ticketstub.messages import Response

V = TypeVar("V")


class Ok(msgspec.Struct, Generic[V], eq=False):
    """The call succeeded: `value`, and the `response` it was read from."""

    value: V
    response: Response

    def __repr__(self) -> str:
        return f"Ok({self.value!r}, {self.response!r})"


class Err(msgspec.Struct, eq=False):
    """The call failed: `error`, and the `response` that said so, or `None` where none came."""

    error: PlexError
    response: Response | None

    def __repr__(self) -> str:
        return f"Err({self.error!r}, {self.response!r})"


Outcome: TypeAlias = Ok[V] | Err
