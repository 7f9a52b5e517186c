"""What goes wrong below HTTP, in words: one table from the operating system's and TLS's errors to ours.

Rule: a message names host, port and reason, and nothing else of the request; the error of the library stays behind,
for several libraries put the whole address or the headers into theirs.
"""

from __future__ import annotations

import errno
import socket
import ssl

from ticketstub.errors import MalformedReply, TimedOut, Unreachable
from ticketstub.messages import Origin

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
    if isinstance(error, ssl.SSLCertVerificationError):
        words = _CERTIFICATE_REASONS.get(error.verify_code, _UNTRUSTED_REASON)
        return f"its certificate {words}", _TRUST_HINT if words is _UNTRUSTED_REASON else None
    if isinstance(error, ssl.SSLError):
        return "TLS could not be agreed on", "does this port speak https, or plain http?"
    if isinstance(error, socket.gaierror):
        return "the name could not be looked up", "is it spelt right, and does name look-up work on this network?"
    return _ERRNO_REASONS.get(error.errno, ("the connection failed", None))
