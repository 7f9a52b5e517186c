"""Everything that can go wrong, as one tree.

Rule: whatever Plex or the network does reaches the caller as a `PlexError`; a mistake in the program itself stays a
`TypeError` or `ValueError` and is found before anything is sent. No message holds a secret.

    PlexError
    ├── Refusal                     Plex answered, and the answer is no (its kinds: refusals.py)
    ├── Unreachable                 no answer came: name, route, TLS, reset
    │   └── TimedOut                no answer came in the time allowed
    ├── MalformedReply              an answer came, and it cannot be read
    ├── SignInFailed                no sign-in came of it, and not because a call failed
    │   ├── PinExpired              nobody approved the PIN in its time
    │   ├── Denied                  somebody denied it, or it is gone before its time
    │   └── GaveUp                  the time that the program allowed is over
    ├── RedirectRefused             the answer points elsewhere and following it would repeat a body or loop
    │   └── CrossOriginRedirect     following it would take the credentials to another origin
    └── CredentialsError            the token or key at hand does not belong where it was about to go
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketstub.messages import Response

_MAX_MESSAGE_LENGTH = 200
# Long runs without a space in foreign text may be tokens; controls and text-direction marks can rewrite a terminal.
_POSSIBLE_SECRET = re.compile(r"[^\s\"'<>=&?,;()]{16,}")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


def sanitize_text(text: str, max_length: int = _MAX_MESSAGE_LENGTH) -> str:
    """Make text from the other side safe to show: no control or direction characters, at most `max_length` of them."""
    return _UNPRINTABLE.sub(" ", text).strip()[:max_length]


def redact_secrets(text: str) -> str:
    """Make text from the other side safe to show and leave out every run of characters that may be a token."""
    return sanitize_text(_POSSIBLE_SECRET.sub("…", text))  # shortened last: half a token is too short to see


class PlexWarning(RuntimeWarning):
    """Something here is in the way that costs less than an error: an identifier or a sign-in that cannot be kept."""


class PlexError(Exception):
    """The root of everything that Plex or the network can do to a call.

    Attributes:
        message: one sentence, free of secrets.
        hint: what to do about it, or `None`.
        status: the HTTP status of the answer, or `None` where none came.
        code: Plex's error code (1001, 1029 …), or `None`.
        response: the answer itself, or `None`. It may hold secrets: it is left out of `repr`, `vars()` and pickles.
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
    """No answer came: the name, the route, TLS or the connection failed. It says nothing about the token.

    Attributes:
        sent: whether any byte of the request may have reached the other side.
    """

    __slots__ = ("sent",)

    def __init__(self, message: str, *, sent: bool = True, hint: str | None = None, **details: object) -> None:
        super().__init__(message, hint=hint, **details)  # type: ignore[arg-type]  # those of PlexError
        self.sent = sent


class TimedOut(Unreachable):
    """No whole answer came in the time allowed."""


class MalformedReply(PlexError):
    """An answer came and cannot be read: HTML, empty, cut off, too large, or not what the call is answered with.

    Attributes:
        cut_off: whether the connection ended in the middle of it: it may well be whole the next time.
    """

    __slots__ = ("truncated",)

    def __init__(self, message: str, *, truncated: bool = False, **details: object) -> None:
        super().__init__(message, **details)  # type: ignore[arg-type]  # those of PlexError
        self.truncated = truncated


class SignInFailed(PlexError):
    """No sign-in came of it, and not because a call failed; its kinds say why."""


class PinExpired(SignInFailed):
    """Nobody approved the PIN in its time: 15 minutes for one that is typed, 30 for one that is opened (documented)."""


class Denied(SignInFailed):
    """Somebody denied the sign-in, or Plex no longer knows the PIN although its time is not over."""


class GaveUp(SignInFailed):
    """The time that the program allowed for the sign-in is over; the PIN itself may still be approved."""


class RedirectRefused(PlexError):
    """The answer redirects, and following it would repeat a body, loop, or lead nowhere."""


class CrossOriginRedirect(RedirectRefused):
    """The answer redirects to another origin; the credentials stay here."""


class CredentialsError(PlexError):
    """The token or key at hand does not belong where it was about to go; nothing was sent."""
