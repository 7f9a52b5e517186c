"""What the client needs from an HTTP library, and what all transports share: checks of messages, and error messages.

Rule: a transport sends exactly one request and returns its response. It follows no redirect, repeats nothing, stores no
cookies, reads no credentials from files or the environment, and adds no header but Host and Content-Length. Every
failure is `Unreachable`, `TimedOut` or `MalformedReply`, raised no later than shortly after the deadline. A body is
returned as it was sent (compressed, if it was), up to `MAX_BODY_SIZE` bytes. A header that would change the meaning of
the message (a line break, a NUL, a second Host or length) is a `ValueError` before anything is sent. An error names the
host, the port and the reason, never any other part of the request; the library's own error is dropped, because many
contain the URL or the headers.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, runtime_checkable

from ticketstub.errors import MalformedReply, TimedOut, Unreachable
from ticketstub.messages import HEADER_NAME, MAX_BODY_SIZE, Origin, Request, Response, split_url

if TYPE_CHECKING:
    from ticketstub.routes import UnreachableReason

METHODS_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""The methods whose requests state the length of their body even if it is empty."""
MAX_WAIT = 86400.0
"""The longest wait, in seconds: sockets and event loops refuse an infinite number."""
DEADLINE_GRACE = 0.03
"""Seconds added to the deadline of a whole exchange, so that a connection attempt that uses it up fails first."""

_TRANSPORT_HEADERS = frozenset({"host", "content-length", "transfer-encoding"})
_CLOSED_EARLY = "it closed the connection without an answer"


class _Cause(NamedTuple):
    """Why a connection failed: in words, what to do about it, and as a word for programs."""

    text: str
    hint: str | None = None
    reason: UnreachableReason | None = None


_ERRNO_CAUSES = {
    errno.ECONNREFUSED: _Cause("connection refused", "is it running, and is this its port?", "refused"),
    errno.ECONNRESET: _Cause(_CLOSED_EARLY),
    errno.ECONNABORTED: _Cause(_CLOSED_EARLY),
    errno.EPIPE: _Cause(_CLOSED_EARLY),
    errno.EHOSTUNREACH: _Cause(
        "there is no route to it", "is this computer on the network, and the other one awake?", "no_route"
    ),
    errno.ENETUNREACH: _Cause("there is no route to it", "is this computer on the network?", "no_route"),
    errno.ETIMEDOUT: _Cause(
        "it does not answer", "is it switched on, and does a firewall allow this port?", "no_answer"
    ),
    errno.EMFILE: _Cause("this program has too many files open"),
}
_UNTRUSTED = _Cause(
    "its certificate is not signed by an authority that this computer trusts",
    "for an authority of your own, name its file in SSL_CERT_FILE",
    "certificate_untrusted",
)
# By OpenSSL's X509_V_ERR numbers, as `SSLCertVerificationError.verify_code` has them.
_CERTIFICATE_CAUSES = {
    9: _Cause("its certificate is not valid yet", None, "certificate_expired"),
    10: _Cause("its certificate has expired", None, "certificate_expired"),
    62: _Cause("its certificate is not valid for this host", None, "certificate_name"),
    64: _Cause("its certificate is not valid for this host", None, "certificate_name"),
}


class Transport(Protocol):
    """Sends for `Plex`. One instance serves many threads, and keeps working in the child after a fork."""

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """Send one request and return its response.

        Args:
            request: the request.
            deadline: when to give up, on the clock of `time.monotonic()`, whatever the other side does.
            connect_timeout: seconds for the name look-up, TCP and TLS together, within the deadline.

        Raises:
            TimedOut: the deadline or connect_timeout passed; `sent` says whether any byte may have left.
            Unreachable: there was no response; `sent` has the same meaning.
            MalformedReply: the response is not HTTP, too large, or cut off.
            ValueError: the URL or a header cannot be sent; nothing was.
        """
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; Ctrl-C ends it at once."""
        time.sleep(seconds)

    def close(self) -> None:
        """Close every connection. The transport must not be used afterwards."""
        return  # most have no connections of their own


class AbortableTransport(Transport, Protocol):
    """A transport for one thread, whose requests another thread can abort."""

    def abort(self) -> None:
        """Close the connection in use, so that `send` raises at once, now and from now on."""


@runtime_checkable
class BranchingTransport(Protocol):
    """A transport that can lend its connections to a flow that may be cancelled."""

    def open_branch(self) -> AbortableTransport:
        """Return a transport that shares this one's idle connections."""
        ...


class AsyncTransport(Protocol):
    """Sends for `AsyncPlex`, with the same contract as `Transport`. Cancelling a send closes its connection."""

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `Transport.send`."""
        ...

    async def sleep(self, seconds: float) -> None:
        """As `Transport.sleep`."""
        from asyncio import sleep  # `Plex` does not load asyncio

        await sleep(seconds)

    async def close(self) -> None:
        """As `Transport.close`."""
        return


class HttpxClient(Protocol):
    """An `httpx.Client` or `httpx2.Client`, described without importing either."""

    def build_request(self, method: str, url: str) -> object:
        """Build a request."""

    def close(self) -> None:
        """Close the client."""


class AsyncHttpxClient(Protocol):
    """An `httpx.AsyncClient` or `httpx2.AsyncClient`, described without importing either."""

    def build_request(self, method: str, url: str) -> object:
        """Build a request."""

    async def aclose(self) -> None:
        """Close the client."""


class AiohttpSession(Protocol):
    """An `aiohttp.ClientSession`, described without importing aiohttp."""

    def detach(self) -> None:
        """Detach it from its connector."""

    async def close(self) -> None:
        """Close the session."""


TransportLike: TypeAlias = Transport | HttpxClient
"""What `Plex` sends with: a transport, or an HTTP client that you have configured."""

AsyncTransportLike: TypeAlias = AsyncTransport | AsyncHttpxClient | AiohttpSession
"""What `AsyncPlex` sends with: a transport, or an HTTP client that you have configured."""


def prepare_request(request: Request, deadline: float) -> tuple[Origin, str, float]:
    """Check a request that is about to be sent.

    Returns:
        The origin, the request target, and the seconds that remain.

    Raises:
        ValueError: the URL, the method or a field cannot be sent, or the transport itself writes that field.
        TimedOut: the deadline has passed.
    """
    origin, target = split_url(request.url)
    if not HEADER_NAME.fullmatch(request.method):
        raise ValueError("the method is not a word")
    for name, value in request.headers.items():
        _check_header_name(name)
        if not value.isprintable():  # all that must not be sent, and little else
            _check_value(name, value)
    remaining = min(deadline - time.monotonic(), MAX_WAIT)
    if remaining <= 0:
        raise make_timeout_error(origin, sent=False)
    return origin, target, remaining


def encode_fields(request: Request) -> list[tuple[bytes, bytes]]:
    """Encode the header fields of a checked request."""
    return [(name.encode("ascii"), value.encode()) for name, value in request.headers.items()]


def get_remaining(deadline: float) -> float:
    """Return the seconds until a deadline.

    Raises:
        TimeoutError: it has passed.
    """
    if (remaining := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return remaining


@lru_cache(maxsize=128)
def _check_header_name(name: str) -> None:
    if not HEADER_NAME.fullmatch(name):
        raise ValueError("a header's name holds a character that no header name may hold")
    if name.lower() in _TRANSPORT_HEADERS:
        raise ValueError(f"the header {name} is written by the transport")


def _check_value(name: str, value: str) -> None:
    if not {"\r", "\n", "\0"}.isdisjoint(value):
        raise ValueError(f"the value of the header {name} holds a line break or a NUL")
    try:
        value.encode()
    except UnicodeEncodeError:  # its text would repeat the value
        raise ValueError(f"the value of the header {name} holds half a surrogate pair") from None


def read_fields(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Decode the fields of a response, with names in lower case; of a repeated field the last counts."""
    try:
        return {_decode_header_name(name): value.decode() for name, value in pairs}
    except UnicodeDecodeError:  # some servers send Latin-1
        return {_decode_header_name(name): _decode_value(value) for name, value in pairs}


@lru_cache(maxsize=128)
def _decode_header_name(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _decode_value(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def check_response_head(origin: Origin, request: Request, status: int, fields: dict[str, str]) -> None:
    """Check what the head of a response announces.

    Raises:
        MalformedReply: it is not a final response, or its body is too large.
    """
    if status < 200:
        raise make_malformed_error(origin, "it changes the protocol unasked")
    if request.method != "HEAD" and int(fields.get("content-length", 0)) > MAX_BODY_SIZE:
        raise make_malformed_error(origin, "it is too large")


def append_to_body(origin: Origin, body: bytearray, chunk: bytes) -> None:
    """Add a chunk to a body.

    Raises:
        MalformedReply: the body is larger than `MAX_BODY_SIZE` now.
    """
    body += chunk
    if len(body) > MAX_BODY_SIZE:
        raise make_malformed_error(origin, "it is too large")


def make_unreachable_error(origin: Origin, error: BaseException, *, sent: bool) -> Unreachable:
    """Make the error for a request without a response.

    Args:
        origin: where the request went.
        error: what the library raised; the operating system's own error is searched below it. The message names the
            class of any other error only: its text, attributes and frames may hold the request.
        sent: whether any byte of the request may have arrived.

    Returns:
        An `Unreachable`, or a `TimedOut` if that is the reason.
    """
    root = _find_os_error(error)
    if isinstance(root, TimeoutError) and root.errno is None:
        return make_timeout_error(origin, sent=sent)
    text, hint, reason = (
        _describe_error(root)
        if root
        else _Cause(
            f"the HTTP client that was passed raised {type(error).__name__}",
            "is the client open, used in its own event loop, and are its hooks in order?",
        )
    )
    return Unreachable(f"{origin} cannot be reached: {text}", sent=sent, hint=hint, reason=reason)


def make_timeout_error(origin: Origin, *, sent: bool) -> TimedOut:
    """Make the error for a deadline that passed."""
    return TimedOut(
        f"{origin} {'did not answer' if sent else 'could not be connected to'} in the time allowed",
        sent=sent,
        reason="no_answer",
    )


def make_closed_early_error(origin: Origin) -> Unreachable:
    """Make the error for a connection that ended after the request and before any response."""
    return Unreachable(f"{origin} cannot be reached: {_CLOSED_EARLY}", sent=True)


def make_tunnel_error(origin: Origin, proxy: str, status: int | None) -> Unreachable:
    """Make the error for a proxy that opened no tunnel.

    Args:
        origin: where the tunnel should lead.
        proxy: what to call the proxy.
        status: the status it answered; `None` if its answer was not HTTP.
    """
    if status == 407:
        answer = "requires a user name and password"
        hint = "put them into HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT"
    else:
        answer, hint = "does not speak HTTP" if status is None else f"answered {status}", None
    return Unreachable(f"{origin} cannot be reached: {proxy} {answer}", sent=False, hint=hint)


def make_malformed_error(origin: Origin, reason: str) -> MalformedReply:
    """Make the error for a response that cannot be read; `reason` holds no text from the other side."""
    return MalformedReply(f"the answer of {origin} cannot be read: {reason}")


def make_cut_off_error(origin: Origin) -> MalformedReply:
    """Make the error for a connection that ended within a response."""
    return MalformedReply(f"the answer of {origin} cannot be read: it is cut off", truncated=True)


def _find_os_error(error: BaseException | None) -> OSError | None:
    """Find the deepest OSError below an error: libraries wrap it, some several times."""
    found: OSError | None = None
    while error is not None:
        found = error if isinstance(error, OSError) else found
        error = error.__cause__ or error.__context__
    return found


def _describe_error(error: OSError) -> _Cause:
    import socket  # importing the transports loads neither
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_CAUSES.get(error.verify_code, _UNTRUSTED)
    if isinstance(error, ssl.SSLError):
        return _Cause("TLS could not be agreed on", "does this port speak https, or plain http?", "tls")
    if isinstance(error, socket.gaierror):
        return _Cause(
            "the name could not be looked up", "is it spelt right, and does name look-up work on this network?", "dns"
        )
    return _ERRNO_CAUSES.get(error.errno or 0, _Cause("the connection failed"))
