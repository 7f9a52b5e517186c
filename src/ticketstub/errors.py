"""All errors, as one tree.

Rule: whatever Plex or the network does reaches the caller as a `PlexError`. A mistake in the program itself is a
`TypeError` or `ValueError` and is raised before anything is sent. No message contains a secret.

    PlexError
    ├── Refusal                     Plex refused the request (subclasses: refusals.py)
    ├── Unreachable                 there was no response: name lookup, route, TLS or connection failed
    │   ├── TimedOut                there was no complete response within the time limit
    │   └── ServerUnreachable       no address of the media server answered as that server
    ├── MalformedReply              the response cannot be read
    ├── SignInFailed                the sign-in ended without a token, although no call failed
    │   ├── PinExpired              nobody approved the PIN before it expired
    │   ├── Denied                  the sign-in was denied, or the PIN disappeared before it expired
    │   ├── GaveUp                  the time that the program allowed is over
    │   └── NotSignedIn             no usable sign-in is stored, and the program did not ask for a new one
    ├── RedirectRefused             following the redirect would repeat a body, loop or lead nowhere
    │   └── CrossOriginRedirect     following the redirect would send the credentials to another origin
    ├── ServerNotFound              the account has no media server of that name or identifier
    │   └── AmbiguousServer         the account has several media servers of that name
    └── CredentialsError            the credentials are missing or not for this server, or their store failed
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from ticketstub.messages import Response

if TYPE_CHECKING:
    from ticketstub.routes import AddressReport, UnreachableReason

# Long runs without a space may be tokens. Control and text direction characters can rewrite a terminal.
_LONG_RUN = r"[^\s\"'<>=&?,;()]{16,}"
_UNPRINTABLE = "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+"


def sanitize_text(text: str, max_length: int = 200) -> str:
    """Make received text safe to show: without control and direction characters, cut to `max_length`."""
    return re.sub(_UNPRINTABLE, " ", text).strip()[:max_length]


def redact_secrets(text: str) -> str:
    """Make received text safe to show, and replace every run of characters that may be a token."""
    return sanitize_text(re.sub(_LONG_RUN, "…", text))  # cut last: half a token would not be recognized


class PlexWarning(RuntimeWarning):
    """Something does not work, but the call succeeds: an identifier or a sign-in cannot be stored."""


class PlexError(Exception):
    """The base class of everything that can go wrong in a call, other than a mistake in the program.

    Attributes:
        message: One sentence without secrets.
        hint: What to do about it, or `None`.
        status: The HTTP status of the response, or `None` if there was none.
        code: Plex's error code (1001, 1029 …), or `None`.
        response: The response, or `None`. It may contain secrets and is left out of `repr`, `vars()` and pickles.
    """

    __slots__ = ("code", "hint", "message", "response", "status")

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        code: int | None = None,
        response: Response | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status
        self.code = code
        self.response = response

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        names = {name for kind in type(self).__mro__ for name in vars(kind).get("__slots__", ())}
        attributes = {name: getattr(self, name) for name in names - {"message", "response"}}
        return partial(type(self), **attributes), (self.message,)


class Unreachable(PlexError):
    """There was no response: the name lookup, the route, TLS or the connection failed. The token may still be valid.

    Attributes:
        sent: Whether any byte of the request may have reached the server.
        reason: The reason as a word (`refused`, `dns`, `certificate_expired` …), or `None` if it is another one.
    """

    __slots__ = ("reason", "sent")

    def __init__(
        self,
        message: str,
        *,
        sent: bool = True,
        hint: str | None = None,
        reason: UnreachableReason | None = None,
        **details: str | int | Response | None,
    ) -> None:
        super().__init__(message, hint=hint, **details)  # type: ignore[arg-type]  # the arguments of PlexError
        self.sent = sent
        self.reason: UnreachableReason | None = reason


class TimedOut(Unreachable):
    """There was no complete response within the time limit."""


class ServerUnreachable(Unreachable):
    """No address of the media server answered as that server within the time limit.

    Attributes:
        addresses: A report for each of its addresses.
    """

    __slots__ = ("addresses",)

    def __init__(
        self,
        message: str,
        *,
        addresses: tuple[AddressReport, ...] = (),
        **details: str | int | Response | None,
    ) -> None:
        super().__init__(message, **details)  # type: ignore[arg-type]  # the arguments of Unreachable
        self.addresses = addresses


class MalformedReply(PlexError):
    """The response cannot be read: it is HTML, empty, truncated, too large, or not a response to this call.

    Attributes:
        truncated: Whether the connection ended in the middle of the response, which may succeed the next time.
    """

    __slots__ = ("truncated",)

    def __init__(self, message: str, *, truncated: bool = False, **details: str | int | Response | None) -> None:
        super().__init__(message, **details)  # type: ignore[arg-type]  # the arguments of PlexError
        self.truncated = truncated


class SignInFailed(PlexError):
    """The sign-in ended without a token, although no call failed. The subclasses say why."""


class PinExpired(SignInFailed):
    """Nobody approved the PIN before it expired: after 15 minutes if it is typed, 30 if it is opened (documented)."""


class Denied(SignInFailed):
    """The sign-in was denied, or the PIN disappeared at Plex before it expired."""


class GaveUp(SignInFailed):
    """The time that the program allowed for the sign-in is over. The PIN may still be approved."""


class NotSignedIn(SignInFailed):
    """No usable sign-in is stored, and the program did not ask for a new one."""


class RedirectRefused(PlexError):
    """The response is a redirect, and following it would repeat a body, loop or lead nowhere."""


class CrossOriginRedirect(RedirectRefused):
    """The response redirects to another origin. The credentials were not sent there."""


class ServerNotFound(PlexError):
    """The account has no media server of that name or identifier: it is misspelt, or not shared with it any more."""


class AmbiguousServer(ServerNotFound):
    """The account has several media servers of that name; name one by its machine identifier."""


class CredentialsError(PlexError):
    """The credentials are missing or not for this server, so nothing was sent; or the credential store failed."""
