"""What a flow may ask of its driver: send, sleep, ask for a token, tell of a refused one.

Rule: a flow is a generator that yields these and gets the answer back; failures are thrown in. It does no I/O, reads
no clock of its own and imports no HTTP library, so it is written once for both façades and stepped by hand in tests.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from ticketstub.options import TokenSource
from ticketstub.token import Token
from ticketstub.wire.http import Request, Response

T = TypeVar("T")


class Send:
    """Send one request before the deadline."""

    __slots__ = ("connect_timeout", "deadline", "request")

    def __init__(self, request: Request, deadline: float, connect_timeout: float) -> None:
        self.request = request
        self.deadline = deadline
        self.connect_timeout = connect_timeout


class Sleep:
    """Wait this many seconds."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Ask:
    """Ask a token source for a token; where `refused` is given, tell it first that Plex refused that one."""

    __slots__ = ("refused", "source")

    def __init__(self, source: TokenSource, refused: Token | None = None) -> None:
        self.source = source
        self.refused = refused


Step: TypeAlias = Send | Sleep | Ask
Flow: TypeAlias = Generator[Step, object, T]


def send(step: Send) -> Flow[Response]:
    """Yield the step and take its answer for what it is."""
    answer = yield step
    if not isinstance(answer, Response):
        raise TypeError("a driver answers Send with a Response")
    return answer


def ask(source: TokenSource, refused: Token | None = None) -> Flow[Token | None]:
    """Yield the question and take the answer as a token, or none."""
    answer = yield Ask(source, refused)
    if answer is None or isinstance(answer, Token):
        return answer
    if not isinstance(answer, str):
        raise TypeError(f"a token source returns text, a Token or None, not {type(answer).__name__}")
    return Token(answer)
