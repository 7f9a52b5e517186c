"""What Plex refuses: one class for each meaning, and one table from status and code to class.

Rule: both ends use this table. A client raises the class that `build_refusal()` chooses for a response; the local Plex
raises the same classes and writes their default status, code and message. protocol/error_bodies.py knows how a refusal
looks on the wire (JSON, XML, HTML). Sources: codes and messages were observed in the error tables and issues of public
clients; the hints are written for this library.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from ticketstub.errors import PlexError
from ticketstub.messages import Response


class RefusalDefaults(NamedTuple):
    """The status, code, message and hint of a refusal that is raised without its own."""

    status: int
    code: int | None
    message: str
    hint: str | None = None


class Refusal(PlexError):
    """Plex refused the request. Raised as such for a status and code without a subclass.

    Attributes:
        retry_after: How many seconds Plex asks to wait, or `None` if it does not say (observed: it usually does not).
    """

    __slots__ = ("retry_after",)
    default: ClassVar[RefusalDefaults] = RefusalDefaults(400, 1999, "The request was refused")

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        status: int | None = None,
        code: int | None = None,
        response: Response | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            message or self.default.message,
            hint=hint or self.default.hint,
            status=status or self.default.status,
            code=self.default.code if message is None and status is None else code,
            response=response,
        )
        self.retry_after = retry_after

    def __str__(self) -> str:
        label = f"{self.status}/{self.code}" if self.code else f"{self.status}"
        return f"{self.message} [{label}]" + (f" ({self.hint})" if self.hint else "")


class BadRequest(Refusal):
    """The request lacks a parameter or contains one that Plex does not accept (400)."""


class ClientIdentifierMissing(BadRequest):
    """The request has no client identifier (400, code 1000). This library always sends one."""


class Unauthorized(Refusal):
    """The login or password is wrong, or the token is unknown or no longer valid (401, or 422 "Invalid token")."""


class VerificationCodeRequired(Unauthorized):
    """The account requires a verification code and none was sent (401, code 1029)."""


class WrongVerificationCode(Unauthorized):
    """The verification code is wrong, too old or already used (401, code 1028)."""


class TooManyFailures(Unauthorized):
    """After too many failures, Plex refuses sign-ins from this address or to this account (401, code 1031)."""


class TokenExpired(Unauthorized):
    """The token is a JWT and has expired (498). It can be renewed with its device key."""


class Forbidden(Refusal):
    """The token is valid, but its account is not allowed to do this (403)."""


class PasscodeRequired(Forbidden):
    """The Home user is protected by a passcode, which is missing or wrong (403, code 1041)."""


class NotFound(Refusal):
    """The resource or path does not exist (404)."""


class PinNotFound(NotFound):
    """The PIN is unknown or expired, or belongs to another client (404, code 1020)."""


class Conflict(Refusal):
    """The resource already exists, or conflicts with one that does (409)."""


class RateLimited(Refusal):
    """There were too many requests (429). `retry_after` is how long to wait, if Plex says so."""


class ServerError(Refusal):
    """Plex failed (5xx, or an empty 404, which its edge sends in an outage). The token may still be valid."""


# What each class says if it is raised without a status, code or message of its own.
_DEFAULTS: dict[type[Refusal], RefusalDefaults] = {
    BadRequest: RefusalDefaults(
        400, 1004, "The request was malformed, missed a required parameter or contained invalid values for them"
    ),
    ClientIdentifierMissing: RefusalDefaults(400, 1000, "X-Plex-Client-Identifier is missing"),
    Unauthorized: RefusalDefaults(401, 1001, "User could not be authenticated"),
    VerificationCodeRequired: RefusalDefaults(
        401,
        1029,
        "Please enter the verification code",
        "pass verification_code= with the six digits of the authenticator app",
    ),
    WrongVerificationCode: RefusalDefaults(
        401, 1028, "Invalid verification code", "each code works once; wait for the next one, and check the clock"
    ),
    TooManyFailures: RefusalDefaults(
        401,
        1031,
        (
            "User could not be authenticated. This IP appears to be having trouble signing in to an account "
            "(detected repeated failures)"
        ),
        "wait before the next try, for hours if necessary; each try in between extends the wait",
    ),
    TokenExpired: RefusalDefaults(498, 1001, "Token expired"),
    Forbidden: RefusalDefaults(403, 1042, "User is missing the required role to perform this action"),
    PasscodeRequired: RefusalDefaults(403, 1041, "A valid PIN is required to perform this action"),
    NotFound: RefusalDefaults(404, 1002, "The requested resource or endpoint could not be found"),
    PinNotFound: RefusalDefaults(404, 1020, "Code not found or expired"),
    Conflict: RefusalDefaults(409, None, "The request conflicts with what exists"),
    RateLimited: RefusalDefaults(429, 1003, "API rate limit exceeded"),
    ServerError: RefusalDefaults(
        500,
        1007,
        "Internal Server Error. Something went wrong on our end",
        "this says nothing about the token; try again later",
    ),
}
for _kind, _default in _DEFAULTS.items():
    _kind.default = _default

# The first matching row counts. A row matches if the response has its status and its code; `None` matches any.
_REFUSAL_TABLE: tuple[tuple[int | None, int | None, type[Refusal]], ...] = (
    (400, 1000, ClientIdentifierMissing),
    (None, 1028, WrongVerificationCode),
    (None, 1029, VerificationCodeRequired),
    (None, 1031, TooManyFailures),
    (404, 1020, PinNotFound),
    (403, 1041, PasscodeRequired),
    (498, None, TokenExpired),
    (400, None, BadRequest),
    (401, None, Unauthorized),
    (403, None, Forbidden),
    (404, None, NotFound),
    (409, None, Conflict),
    (429, None, RateLimited),
)

# For responses without a code: a status, words of the message in lower case, and the code they stand for (observed).
_MESSAGE_CODES: tuple[tuple[int, str, int], ...] = (
    (401, "please enter the verification code", 1029),
    (401, "invalid verification code", 1028),
    (401, "detected repeated failures", 1031),
    (401, "too many failed", 1031),  # observed once, wording uncertain
    (404, "code not found or expired", 1020),
)

_HINTS = {
    1030: "sign in with the account's e-mail address instead of its user name",
    1003: "send fewer requests; Plex seldom says how long to wait",
}


REFUSAL_CLASSES: tuple[type[Refusal], ...] = (Refusal, ServerError, *(kind for _, _, kind in _REFUSAL_TABLE))
"""All classes of refusals."""


def find_refusal_class(status: int, code: int | None, message: str | None) -> type[Refusal]:
    """Return the class of a refusal by its status and code, or by its message if it has no code."""
    text = (message or "").lower()
    codes = [known for at, words, known in _MESSAGE_CODES if code is None and at == status and words in text]
    code = codes[0] if codes else code
    if status == 422 and "invalid token" in text:
        return Unauthorized
    if status >= 500:
        return ServerError
    return next((kind for at, known, kind in _REFUSAL_TABLE if at in (None, status) and known in (None, code)), Refusal)


def build_refusal(
    status: int, code: int | None = None, message: str | None = None, *, response: Response | None = None
) -> Refusal:
    """Create the refusal for a response.

    Args:
        status: The HTTP status.
        code: Plex's code, if the body has one.
        message: The message of the body, already without secrets.
        response: The response, to be available on the error.
    """
    kind = find_refusal_class(status, code, message)
    default = f"Plex answered {status}" if kind is Refusal else kind.default.message
    return kind(message or default, status=status, code=code, hint=_HINTS.get(code or 0), response=response)
