"""One call from end to end: its steps, token, request, redirects, retries and reply.

Rule: a flow is a generator. It yields steps (send, sleep, call the program, run blocking work, run flows beside it). A
driver performs them and sends the results back; failures are thrown in. A flow does no I/O, imports no HTTP library,
and gets its clocks and its randomness from the caller, so it is written once for both façades and stepped by hand in
tests. A call that could do harm twice is never repeated, no redirect takes credentials to another origin, and one time
limit covers all tries and the waits between them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from ticketstub.client.config import CallSettings, KnownServers, PublishedKeyCache, TokenSource
from ticketstub.device import Device
from ticketstub.errors import (
    CredentialsError,
    CrossOriginRedirect,
    MalformedReply,
    PlexError,
    RedirectRefused,
    Unreachable,
)
from ticketstub.messages import Request, Response, get_origin
from ticketstub.protocol import codec
from ticketstub.protocol.call import Call, build_malformed_reply
from ticketstub.refusals import Refusal, TokenExpired, Unauthorized
from ticketstub.tokens import Token, clear_locals

if TYPE_CHECKING:
    from logging import Logger  # not loaded, to start faster

T = TypeVar("T")

_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
# Printable ASCII without a backslash, which some libraries read as the end of the host; no scheme without a host;
# not three slashes, which browsers read as two.
_LOCATION = r"(?!///)(?![A-Za-z][A-Za-z0-9+.-]*:(?!//))[!-\[\]-~]+"


class Send(Struct, frozen=True):
    """Send one request before the deadline."""

    request: Request
    deadline: float
    connect_timeout: float


class Sleep(Struct, frozen=True):
    """Wait this many seconds."""

    seconds: float


class Invoke(Struct, frozen=True):
    """Call a function of the program. The async driver awaits its result if that is awaitable."""

    callback: Callable[[], object]


class RunBlocking(Struct, frozen=True):
    """Run blocking work: read or write a store, use a key. The async driver runs it in a thread.

    If the flow is abandoned meanwhile, the work still runs to its end, and its result is dropped.
    """

    work: Callable[[], object]


class LookUp(Struct, frozen=True):
    """Look a host up with the system or the transport's resolver; the result is its addresses, or an `OSError`."""

    host: str
    port: int
    deadline: float


class Start(Struct, frozen=True):
    """Start a flow beside this one; the result is its number. It is cancelled when this flow ends."""

    flow: Flow[object]


class NextFinished(Struct, frozen=True):
    """Wait until a started flow has ended: the result is a `Finished`, or `None` after this many seconds."""

    seconds: float


class Detach(Struct, frozen=True):
    """Run a flow in the background, even after this one has ended, until the client is closed. Its errors are lost."""

    flow: Flow[object]


class RunShared(Struct, frozen=True):
    """Run a flow once for all callers of this client that ask for the same key at the same time."""

    key: object
    create_flow: Callable[[], Flow[object]]


class Finished(NamedTuple):
    """A started flow that has ended: its number, and its value or its error."""

    number: int
    value: object
    error: BaseException | None


Step: TypeAlias = "Send | Sleep | Invoke | RunBlocking | LookUp | Start | NextFinished | Detach | RunShared"
Flow: TypeAlias = Generator[Step, object, T]


def run_blocking(work: Callable[[], T]) -> Flow[T]:
    """Run blocking work and return its result."""
    return cast("T", (yield RunBlocking(work)))


class RefusedToken(Struct, frozen=True):
    """A token that Plex refused, and the refusal."""

    token: Token | None
    refusal: Unauthorized


@runtime_checkable
class RenewableTokenSource(Protocol):
    """A token source that takes steps to get its token: it loads, renews and stores it."""

    def __call__(self) -> Token | None:
        """Return the current token."""

    def get_token_flow(
        self, settings: CallSettings, device: Device, deadline: float, refused_token: RefusedToken | None
    ) -> Flow[Token | None]:
        """Return the token for a call; after a refusal a different one, or `None` if there is none."""
        ...


class Clock(Struct, frozen=True):
    """The clocks and the randomness that a flow uses.

    `monotonic`: seconds that only grow. `now`: epoch seconds by this computer's clock, which may be wrong. `random`: a
    number from 0 to 1, different each time.
    """

    monotonic: Callable[[], float]
    now: Callable[[], float]
    random: Callable[[], float]


class ServerClock:
    """Plex's clock: the Date of its last response plus the time since; before that, this computer's clock plus `skew`.

    Args:
        clock: this computer's clocks.
        skew: by how many seconds Plex's clock was ahead when it was last seen.
    """

    def __init__(self, clock: Clock, skew: float = 0.0) -> None:
        self._clock = clock
        self._offset = clock.now() + skew - clock.monotonic()

    def update(self, response: Response) -> None:
        """Set the clock by the Date of a response, if it has a valid one."""
        from email.utils import parsedate_to_datetime  # most calls need no clock

        with suppress(KeyError, ValueError, TypeError, OverflowError):
            self._offset = parsedate_to_datetime(response.headers["date"]).timestamp() - self._clock.monotonic()

    def now(self) -> float:
        """Return Plex's time in epoch seconds."""
        return self._clock.monotonic() + self._offset

    @property
    def skew(self) -> float:
        """By how many seconds Plex's clock is ahead of this computer's."""
        return self.now() - self._clock.now()


def to_datetime(seconds: float | None) -> datetime | None:
    """Convert epoch seconds to a UTC datetime; `None` if there are none, or they are out of range."""
    with suppress(ValueError, OverflowError, OSError):
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return None


class FlowContext(NamedTuple):
    """What a call is made with: the settings, the device, the clocks, Plex's published keys, and known servers."""

    settings: CallSettings
    device: Device
    clock: Clock
    published_keys: PublishedKeyCache
    known_servers: KnownServers

    def call(self, call: Call[T]) -> Flow[T]:
        """Make a call and return its value."""
        return (yield from send_call(call, self))[0]

    @property
    def issuer(self) -> str:
        """The origin that issues tokens: plex.tv's, or a local Plex's."""
        return self.settings.get_origin("plex.tv")

    @property
    def client_identifier(self) -> str:
        """The client identifier that is sent."""
        return self.settings.client_identifier or self.device.client_identifier

    def with_token(self, token: Token | TokenSource | None, *, origin: str | None = None) -> FlowContext:
        """Return a copy with another token, which is sent to its origin only; by default that is the issuer."""
        trusted_origins = frozenset({origin or self.issuer})
        return self._replace(settings=replace(self.settings, token=token, trusted_origins=trusted_origins))

    def with_client_identifier(self, identifier: str | None) -> FlowContext:
        """Return a copy with another client identifier; `None` changes nothing."""
        if identifier is None or (identifier == self.device.client_identifier and not self.settings.client_identifier):
            return self
        return self._replace(
            settings=replace(self.settings, client_identifier=None),
            device=replace(self.device, client_identifier=identifier),
        )

    def with_attempts(self, attempts: int, deadline: float | None = None) -> FlowContext:
        """Return a copy with this many tries, none of them after the deadline."""
        deadlines = [moment for moment in (deadline, self.settings.deadline) if moment is not None]
        return self._replace(
            settings=replace(
                self.settings,
                retry=replace(self.settings.retry, attempts=attempts),
                deadline=min(deadlines, default=None),
            ),
        )


def send_call(call: Call[T], context: FlowContext) -> Flow[tuple[T, Response]]:
    """Make a call, and retry it if repeating it is safe.

    Args:
        call: the call.
        context: what it is made with.

    Returns:
        The reply's value, and the response that it was read from.

    Raises:
        PlexError: Plex refused, could not be reached, or sent a reply that cannot be read; or the token is missing.
    """
    settings, monotonic = context.settings, context.clock.monotonic
    retry = settings.retry
    deadline = min(monotonic() + settings.timeout, inf if settings.deadline is None else settings.deadline)
    for attempt in range(retry.attempts):
        try:
            return (yield from _send_with_token(call, context, deadline))
        except (Unreachable, Refusal, MalformedReply) as failure:
            retry_after = failure.retry_after if isinstance(failure, Refusal) and retry.respect_retry_after else None
            wait = retry.backoff * 2.0**attempt if retry_after is None else retry_after
            is_too_late = attempt + 1 == retry.attempts or monotonic() + wait >= deadline
            if is_too_late or not _can_retry(call, failure, settings):
                raise
            if settings.on_retry:
                clear_locals(failure)  # the hook may hand it to an error tracker
                settings.on_retry(failure, wait)
            yield Sleep(wait)
    raise AssertionError("a retry has at least one attempt")


def _can_retry(call: Call[T], failure: Unreachable | Refusal | MalformedReply, settings: CallSettings) -> bool:
    if not call.is_retryable():
        return isinstance(failure, Unreachable) and not failure.sent
    if isinstance(failure, Refusal):
        return failure.status in settings.retry.statuses
    return isinstance(failure, Unreachable) or failure.truncated


def _send_with_token(call: Call[T], context: FlowContext, deadline: float) -> Flow[tuple[T, Response]]:
    """Make one try; if Plex refuses a token source's token, ask the source for a new one and try once more."""
    source = context.settings.token if call.http.needs_token else None
    if source is None or isinstance(source, Token):
        return (yield from _send_once(call, context, deadline, source))
    token = yield from get_token(source, context, deadline)
    try:
        return (yield from _send_once(call, context, deadline, token))
    except Unauthorized as refusal:
        new_token = yield from get_token(source, context, deadline, RefusedToken(token, refusal))
        if new_token is None or new_token == token or not (call.is_retryable() or isinstance(refusal, TokenExpired)):
            raise
        return (yield from _send_once(call, context, deadline, new_token))


def get_token(
    source: TokenSource, context: FlowContext, deadline: float, refused: RefusedToken | None = None
) -> Flow[Token | None]:
    """Get the token from its source. If Plex refused the last one, tell the source so first."""
    if isinstance(source, RenewableTokenSource):
        return (yield from source.get_token_flow(context.settings, context.device, deadline, refused))
    if refused and refused.token and (on_refused := getattr(source, "refused", None)):
        yield Invoke(partial(on_refused, refused.token))
    answer = yield Invoke(source)
    if answer is None or isinstance(answer, Token):
        return answer
    if not isinstance(answer, str):
        raise TypeError(f"a token source returns text, a Token or None, not {type(answer).__name__}")
    return Token(answer)


def _send_once(call: Call[T], context: FlowContext, deadline: float, token: Token | None) -> Flow[tuple[T, Response]]:
    """Send the request, follow redirects as far as that is safe, and read the reply."""
    settings = context.settings
    request = _build_request(call, settings, context.device, token)
    redirects = 0
    while (response := (yield from send_request(request, context, deadline))).status in _REDIRECT_STATUSES:
        if redirects == _MAX_REDIRECTS:
            raise _make_redirect_error(RedirectRefused, f"more than {_MAX_REDIRECTS} redirects in a row", response)
        request = _build_redirect(request, response)
        redirects += 1
    if 200 <= response.status < 300:
        return _set_token_origin(call.read(response), call, settings), response
    if response.status < 400:
        raise MalformedReply(
            f"Plex answered {response.status}, which no call expects", status=response.status, response=response
        )
    from ticketstub.protocol import error_bodies

    raise error_bodies.read_refusal(
        response, base=call.http.base, secrets=(*call.list_secrets(), token.reveal() if token else "")
    )


def _build_request(call: Call[T], settings: CallSettings, device: Device, token: Token | None) -> Request:
    base = settings.get_base_url(call.http.base)
    headers = dict(settings.get_fixed_headers(device))
    if call.http.needs_token:
        _add_token(headers, call, settings, token)
    body, media_type = call.build_body()
    if media_type:
        headers["Content-Type"] = media_type
    url = base + call.build_target()
    address = settings.route.address if settings.route and settings.route.url == base else None
    return Request(call.http.name, call.get_method(), url, headers, body, address=address)


def _add_token(headers: dict[str, str], call: Call[T], settings: CallSettings, token: Token | None) -> None:
    if token is None:
        if call.http.base == "plex.tv":
            raise CredentialsError("this call needs a token", hint="sign in, or pass token=")
        return  # observed: a media server may accept clients of its own network without a token
    if settings.get_origin(call.http.base) not in settings.trusted_origins:
        raise CredentialsError(
            "the token was not named together with this address, so it is not sent there",
            hint="name the address and the token together: at(url, token=…)",
        )
    check_token_kind(token, call.http.base)
    headers["X-Plex-Token"] = token.reveal()


def check_token_kind(token: Token, service: str) -> None:
    """Refuse a token whose kind the service, `plex.tv` or `server`, never accepts.

    Raises:
        CredentialsError: it does not; nothing was sent.
    """
    if service == "plex.tv" and token.kind in {"transient", "local"}:
        raise CredentialsError(f"a {token.kind} token works only on the media server that made it, not on plex.tv")
    if service == "server" and token.kind == "jwt":
        raise CredentialsError(
            "media servers refuse JWTs, so this one is not sent there",
            hint="pass the server's own token from resources(), or media_server_token()",
        )


def _build_redirect(request: Request, response: Response) -> Request:
    from urllib.parse import urljoin  # Plex redirects few calls

    location = response.headers.get("location", "").partition("#")[0]
    target = origin = ""
    with suppress(ValueError):
        target = urljoin(request.url, location)
        origin = get_origin(target)
    if not origin or not re.fullmatch(_LOCATION, location):
        raise _make_redirect_error(RedirectRefused, "the response redirects to no valid address", response)
    if origin != get_origin(request.url):
        raise _make_redirect_error(
            CrossOriginRedirect, "the response redirects to another origin; no credentials were sent there", response
        )
    if request.method not in ("GET", "HEAD"):
        raise _make_redirect_error(
            RedirectRefused, "the response redirects, and only GET and HEAD are sent again", response
        )
    return Request(request.call, request.method, target, request.headers, address=request.address)


def _make_redirect_error(error_class: type[RedirectRefused], message: str, response: Response) -> RedirectRefused:
    return error_class(
        message,
        hint="is the address right, and is something else answering instead of Plex?",
        status=response.status,
        response=response,
    )


def send_request(request: Request, context: FlowContext, deadline: float) -> Flow[Response]:
    """Send one request and return its response as it is, decompressed."""
    settings, monotonic = context.settings, context.clock.monotonic
    started = monotonic()
    if settings.on_request:
        settings.on_request(request)
    try:
        response = cast("Response", (yield Send(request, deadline, settings.connect_timeout)))
    except PlexError as error:
        _log("%s: %s after %.0f ms", request.call, type(error).__name__, (monotonic() - started) * 1000)
        raise
    seconds = monotonic() - started
    _log("%s: %d after %.0f ms", request.call, response.status, seconds * 1000)
    if settings.on_response:
        settings.on_response(request, response, seconds)
    return _decompress(response)


def _decompress(response: Response) -> Response:
    coding = response.headers.get("content-encoding")
    if not coding or not response.body:  # a response to HEAD names the coding of a body that is not there
        return response
    try:
        return Response(response.status, response.headers, codec.decompress(response.body, coding.strip().lower()))
    except codec.DecodeError as error:
        raise build_malformed_reply(response, str(error)) from None


def _set_token_origin(value: T, call: Call[T], settings: CallSettings) -> T:
    """Set the origin of the tokens in a reply to that of the server that sent it."""
    for name in ("auth_token", "token"):
        token = getattr(value, name, None)
        if isinstance(token, Token) and token.origin is None:
            token.origin = settings.get_origin(call.http.base)
    return value


def _log(message: str, *values: object) -> None:
    """Log at DEBUG, if the program has imported logging: this module does not, to start faster."""
    if "logging" in sys.modules:
        _get_logger().debug(message, *values)


@cache
def _get_logger() -> Logger:
    import logging

    return logging.getLogger("ticketstub")
