"""What the client needs from an HTTP library, and what all transports share: checks of messages, and errors in words.

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
import re
import socket
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from ticketstub.errors import MalformedReply, TimedOut, Unreachable
from ticketstub.messages import HEADER_NAME, MAX_BODY_SIZE, Origin, Request, Response, split_url


class Transport(Protocol):
    """Sends for `Plex`. One instance serves many threads, and works on after a fork in the child."""

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """Exchange one request for its response.

        Args:
            request: what to send.
            deadline: when to give up, on the clock of `time.monotonic()`, whatever the other side does.
            connect_timeout: seconds allowed for name, TCP and TLS together, within the deadline.

        Raises:
            TimedOut: deadline or connect_timeout passed; its `sent` tells whether any byte may have left.
            Unreachable: no answer came; its `sent` likewise.
            MalformedReply: what came is not HTTP, or too large, or cut off.
            ValueError: the address or a header cannot be sent; nothing was.
        """
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; Ctrl-C ends it at once."""
        ...

    def close(self) -> None:
        """Close every connection. Sending afterwards is an error of the caller."""
        ...


class AsyncTransport(Protocol):
    """Sends for `AsyncPlex`; the same words, awaited. Cancelling a send closes its exchange."""

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `Transport.send`."""
        ...

    async def sleep(self, seconds: float) -> None:
        """As `Transport.sleep`."""
        ...

    async def close(self) -> None:
        """As `Transport.close`."""
        ...


_ERRNO_REASONS: dict[int | None, tuple[str, str | None]] = {
    errno.ECONNREFUSED: ("connection refused", "is it running, and is this its port?"),
    errno.ECONNRESET: ("it closed the connection without an answer", None),
    errno.ECONNABORTED: ("it closed the connection without an answer", None),
    errno.EPIPE: ("it closed the connection without an answer", None),
    errno.EHOSTUNREACH: ("there is no route to it", "is this computer on the network, and the other one awake?"),
    errno.ENETUNREACH: ("there is no route to it", "is this computer on the network?"),
    errno.ETIMEDOUT: ("it does not answer", "is it switched on, and does a firewall allow this port?"),
    errno.EMFILE: ("this program has too many files open", None),
}
# OpenSSL's X509_V_ERR numbers, as `SSLCertVerificationError.verify_code` has them.
_CERTIFICATE_REASONS = {
    9: "is not valid yet",
    10: "has expired",
    62: "is not valid for this host",
    64: "is not valid for this host",
}
_UNTRUSTED_REASON = "is not signed by an authority that this computer trusts"
_TRUST_HINT = "for an authority of your own, name its file in SSL_CERT_FILE"


def make_unreachable_error(origin: Origin, error: BaseException | None, *, sent: bool) -> Unreachable:
    """Say that no answer came, and why.

    Args:
        origin: where the request went.
        error: what the library raised; the operating system's own error is looked for below it.
        sent: whether any byte of the request may have arrived.

    Returns:
        An `Unreachable`, or a `TimedOut` where the reason is one.
    """
    if (root := _find_os_error(error)) is None:
        return Unreachable(f"{origin} cannot be reached: the connection failed", sent=sent)
    if isinstance(root, TimeoutError) and root.errno is None:
        return make_timeout_error(origin, sent=sent)
    reason, hint = _describe_error(root)
    return Unreachable(f"{origin} cannot be reached: {reason}", sent=sent, hint=hint)


def make_timeout_error(origin: Origin, *, sent: bool) -> TimedOut:
    """Say that the time is over."""
    what = "did not answer" if sent else "could not be connected to"
    return TimedOut(f"{origin} {what} in the time allowed", sent=sent)


def make_client_error(origin: Origin, error: BaseException, *, sent: bool) -> Unreachable:
    """Say that a client or transport that the program passed raised an error that is no network error.

    The message names the error's class only: its text, attributes and frames may hold the request.
    """
    if _find_os_error(error) is not None:
        return make_unreachable_error(origin, error, sent=sent)
    return Unreachable(
        f"{origin} cannot be reached: the HTTP client that was passed raised {type(error).__name__}",
        sent=sent,
        hint="is the client open, used in its own event loop, and are its hooks in order?",
    )


def make_closed_early_error(origin: Origin) -> Unreachable:
    """Say that the connection ended after the request and before any answer."""
    return Unreachable(f"{origin} cannot be reached: {_ERRNO_REASONS[errno.EPIPE][0]}", sent=True)


def make_tunnel_error(origin: Origin, proxy: Origin | None, status: int | None) -> Unreachable:
    """Say that a proxy made no tunnel; `status` is `None` where its answer was not HTTP."""
    answer = "does not speak HTTP" if status is None else f"answered {status}"
    hint = "put them into HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT" if status == 407 else None
    what = "wants a user name and password" if status == 407 else answer
    return Unreachable(
        f"{origin} cannot be reached: the proxy {proxy or ''} {what}".replace("  ", " "), sent=False, hint=hint
    )


def make_malformed_error(origin: Origin, what: str) -> MalformedReply:
    """Say that an answer came and cannot be read; `what` is ours, never text of the other side."""
    return MalformedReply(f"the answer of {origin} cannot be read: {what}")


def make_cut_off_error(origin: Origin) -> MalformedReply:
    """Say that an answer came, and the connection ended in the middle of it."""
    return MalformedReply(f"the answer of {origin} cannot be read: it is cut off", truncated=True)


def _find_os_error(error: BaseException | None) -> OSError | None:
    """Find the deepest OSError below an error: libraries wrap it, some several times."""
    found: OSError | None = None
    while error is not None:
        found = error if isinstance(error, OSError) else found
        error = error.__cause__ or error.__context__
    return found


def _describe_error(error: OSError) -> tuple[str, str | None]:
    import ssl  # only after a failure

    if isinstance(error, ssl.SSLCertVerificationError):
        words = _CERTIFICATE_REASONS.get(error.verify_code, _UNTRUSTED_REASON)
        return f"its certificate {words}", _TRUST_HINT if words is _UNTRUSTED_REASON else None
    if isinstance(error, ssl.SSLError):
        return "TLS could not be agreed on", "does this port speak https, or plain http?"
    if isinstance(error, socket.gaierror):
        return "the name could not be looked up", "is it spelt right, and does name look-up work on this network?"
    return _ERRNO_REASONS.get(error.errno, ("the connection failed", None))


_LINE_BREAKS = re.compile(r"[\r\n\0]")
_TRANSPORT_HEADERS = frozenset({"host", "content-length", "transfer-encoding"})
METHODS_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""The methods whose requests say how long their body is even where there is none."""
MAX_WAIT = 86400.0
"""The longest wait, in seconds: sockets and event loops refuse an endless one given as a number."""
DEADLINE_GRACE = 0.03
"""Added to a deadline of ours, so that a connection which takes all the time is told as one that was never made."""


class SleepMixin:
    """The rest of a transport that keeps no connections of its own."""

    def sleep(self, seconds: float) -> None:
        """As `base.Transport.sleep`."""
        time.sleep(seconds)

    def close(self) -> None:
        """Close nothing."""


class AsyncSleepMixin:
    """As `SleepMixin`, awaited."""

    async def sleep(self, seconds: float) -> None:
        """As `base.AsyncTransport.sleep`."""
        from asyncio import sleep  # `Plex` loads none of it

        await sleep(seconds)

    async def close(self) -> None:
        """Close nothing."""


def prepare_request(request: Request, deadline: float) -> tuple[Origin, str, list[tuple[bytes, bytes]], float]:
    """Check a request that is about to be sent.

    Returns:
        Where to, its target there, its fields as they are sent, and the seconds left.

    Raises:
        ValueError: its address, its method or a field cannot be sent, or a field is the transport's own to write.
        TimedOut: the deadline has passed.
    """
    origin, target = split_url(request.url)
    if not HEADER_NAME.fullmatch(request.method):
        raise ValueError("the method is not a word")
    fields = [_encode_header(name, value) for name, value in request.headers.items()]
    left = min(deadline - time.monotonic(), MAX_WAIT)
    if left <= 0:
        raise make_timeout_error(origin, sent=False)
    return origin, target, fields, left


def _encode_header(name: str, value: str) -> tuple[bytes, bytes]:
    encoded_name = _encode_header_name(name)
    if not value.isprintable() and _LINE_BREAKS.search(value):
        raise ValueError(f"the value of the header {name} holds a line break or a NUL")
    try:
        return encoded_name, value.encode("utf-8")
    except UnicodeEncodeError:  # it would carry the value
        raise ValueError(f"the value of the header {name} holds half a surrogate pair") from None


@lru_cache(maxsize=128)
def _encode_header_name(name: str) -> bytes:
    if not HEADER_NAME.fullmatch(name):
        raise ValueError("a header's name holds a character that no header name may hold")
    if name.lower() in _TRANSPORT_HEADERS:
        raise ValueError(f"the header {name} is written by the transport")
    return name.encode("ascii")


def read_fields(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Turn the fields of a reply into text, names in lower case; of a repeated field the last counts."""
    return {name.decode("latin-1").lower(): _decode_value(value) for name, value in pairs}


def _decode_value(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def check_response_head(origin: Origin, request: Request, status: int, fields: dict[str, str]) -> None:
    """Look at what a reply's head announces.

    Raises:
        MalformedReply: it is no final reply, or its body is too large.
    """
    if status < 200:
        raise make_malformed_error(origin, "it changes the protocol unasked")
    if request.method != "HEAD" and int(fields.get("content-length", 0)) > MAX_BODY_SIZE:
        raise make_malformed_error(origin, "it is too large")


def append_to_body(origin: Origin, body: bytearray, chunk: bytes) -> None:
    """Add a piece to a body.

    Raises:
        MalformedReply: it is larger than `MAX_BODY_SIZE` now.
    """
    body += chunk
    if len(body) > MAX_BODY_SIZE:
        raise make_malformed_error(origin, "it is too large")
