"""What a flow may ask of its driver: send, sleep, ask the program, do what blocks.

Rule: a flow is a generator that yields these and gets the answer back; failures are thrown in. It does no I/O, reads
no clock of its own and imports no HTTP library, so it is written once for both façades and stepped by hand in tests.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

from ticketstub.client.config import CallSettings, TokenSource
from ticketstub.device import Device
from ticketstub.messages import Request
from ticketstub.refusals import Unauthorized
from ticketstub.tokens import Token

T = TypeVar("T")


class Send(NamedTuple):
    """Send one request before the deadline."""

    request: Request
    deadline: float
    connect_timeout: float


class Sleep(NamedTuple):
    """Wait this many seconds."""

    seconds: float


class Invoke(NamedTuple):
    """Put a question to the program, or tell it something: call this, and await what it returns if that is to be."""

    callback: Callable[[], object]


class RunBlocking(NamedTuple):
    """Do what blocks for a while: read or write a store, work with keys. The async driver does it in a thread.

    Where the flow is given up meanwhile, the work goes on to its end and nobody hears of it.
    """

    work: Callable[[], object]


Step: TypeAlias = Send | Sleep | Invoke | RunBlocking
Flow: TypeAlias = Generator[Step, object, T]


class RefusedToken(NamedTuple):
    """A token that Plex refused, and how."""

    token: Token | None
    refusal: Unauthorized


@runtime_checkable
class RenewableTokenSource(Protocol):
    """A token source that takes steps of its own to have a token: it loads, renews, stores."""

    def __call__(self) -> Token | None:
        """Return the token as it is now."""
        ...

    def get_token_flow(
        self, settings: CallSettings, device: Device, deadline: float, refused_token: RefusedToken | None
    ) -> Flow[Token | None]:
        """Return the token for a call; after a refusal another one, or `None` if there is none."""
        ...


def call_token_source(source: TokenSource, refused_token: Token | None = None) -> Flow[Token | None]:
    """Ask a token source for a token, or none; tell it first that Plex refused `refused_token`, if that is given."""
    if refused_token is not None and (on_refused := getattr(source, "refused", None)):
        yield Invoke(partial(on_refused, refused_token))
    answer = yield Invoke(source)
    if answer is None or isinstance(answer, Token):
        return answer
    if not isinstance(answer, str):
        raise TypeError(f"a token source returns text, a Token or None, not {type(answer).__name__}")
    return Token(answer)


def run_blocking(work: Callable[[], T]) -> Flow[T]:
    """Yield the work and take what it returns."""
    return cast("T", (yield RunBlocking(work)))  # a driver answers Do with what the work returned
