"""Plex said no: each meaning is a class, and one table says which status and code it is.

Rule: role-blind. A client raises what `refusal()` picks from an answer; the local Plex raises the same classes, whose
table row is what it writes. How a refusal looks on the wire (JSON, XML, HTML) is protocol/error_bodies.py's business.
Sources: codes and messages observed in public clients' error tables and issues; hints are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ticketstub.errors import PlexError

if TYPE_CHECKING:
    from ticketstub.messages import Response


class RefusalDefaults(NamedTuple):
    """What a refusal says where nothing else is said: status, code, message, and what to do about it."""

    status: int
    code: int | None
    message: str
    hint: str | None = None


class Refusal(PlexError):
    """Plex answered, and the answer is no. Raised itself for a status or code without a class of its own.

    Attributes:
        retry_after: seconds that Plex asks to wait, or `None` where it does not say (observed: it usually does not).
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
        is_custom = message is not None or status is not None
        super().__init__(
            message or self.default.message,
            hint=hint or self.default.hint,
            status=status or self.default.status,
            code=code if is_custom else self.default.code,
            response=response,
        )
        self.retry_after = retry_after

    def __str__(self) -> str:
        label = f"{self.status}/{self.code}" if self.code else f"{self.status}"
        return f"{self.message} [{label}]" + (f" ({self.hint})" if self.hint else "")


class BadRequest(Refusal):
    """The request misses something or holds something that Plex does not take (400)."""

    default = RefusalDefaults(
        400, 1004, "The request was malformed, missed a required parameter or contained invalid values for them"
    )


class ClientIdentifierMissing(BadRequest):
    """The request names no client (400, code 1000). This library always names one."""

    default = RefusalDefaults(400, 1000, "X-Plex-Client-Identifier is missing")


class Unauthorized(Refusal):
    """Login and password are wrong, or the token is unknown or no longer valid (401, or 422 "Invalid token")."""

    default = RefusalDefaults(401, 1001, "User could not be authenticated")


class VerificationCodeRequired(Unauthorized):
    """The account asks for a verification code and none was sent (401, code 1029)."""

    default = RefusalDefaults(
        401,
        1029,
        "Please enter the verification code",
        "pass verification_code= with the six digits of the authenticator app",
    )


class WrongVerificationCode(Unauthorized):
    """The verification code is wrong, too old, or was used before (401, code 1028)."""

    default = RefusalDefaults(
        401, 1028, "Invalid verification code", "each code works once; wait for the next one, and check the clock"
    )


class TooManyFailures(Unauthorized):
    """Plex refuses sign-ins from this address or to this account for a while (401, code 1031)."""

    default = RefusalDefaults(
        401,
        1031,
        (
            "User could not be authenticated. This IP appears to be having trouble signing in to an account "
            "(detected repeated failures)"
        ),
        "wait before the next try, hours if need be; every further try makes it longer",
    )


class TokenExpired(Unauthorized):
    """The token was a JWT and its time is over (498). It can be renewed with its device key."""

    default = RefusalDefaults(498, 1001, "Token expired")


class Forbidden(Refusal):
    """Plex knows who asks, and that one may not (403)."""

    default = RefusalDefaults(403, 1042, "User is missing the required role to perform this action")


class PasscodeRequired(Forbidden):
    """The Home user is protected, and the passcode is missing or wrong (403, code 1041)."""

    default = RefusalDefaults(403, 1041, "A valid PIN is required to perform this action")


class NotFound(Refusal):
    """There is no such thing at this address (404)."""

    default = RefusalDefaults(404, 1002, "The requested resource or endpoint could not be found")


class PinNotFound(NotFound):
    """The PIN is unknown, expired, or another client's (404, code 1020)."""

    default = RefusalDefaults(404, 1020, "Code not found or expired")


class Conflict(Refusal):
    """It exists already, or is in the way of something that does (409)."""

    default = RefusalDefaults(409, None, "The request conflicts with what exists")


class RateLimited(Refusal):
    """Too many requests (429); `retry_after` says for how long, where Plex does."""

    default = RefusalDefaults(429, 1003, "API rate limit exceeded")


class ServerError(Refusal):
    """Plex is in trouble (5xx, or an empty 404, which its edge sends in an outage). It says nothing of the token."""

    default = RefusalDefaults(
        500,
        1007,
        "Internal Server Error. Something went wrong on our end",
        "this says nothing about the token; try again later",
    )


# Most specific first: a row matches when what it names (status, code, or both) is what the answer has.
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

# Texts by which older answers, which carry no code, say the same (lower case; observed unless marked).
_MESSAGE_CODES: tuple[tuple[int, str, int], ...] = (
    (401, "please enter the verification code", 1029),
    (401, "invalid verification code", 1028),
    (401, "detected repeated failures", 1031),
    (401, "too many failed", 1031),  # observed once, wording uncertain
    (404, "code not found or expired", 1020),
)

_HINTS = {
    1030: "sign in with the account's e-mail address instead of its user name",
    1003: "slow down; Plex seldom says for how long",
}


REFUSAL_CLASSES: tuple[type[Refusal], ...] = (Refusal, ServerError, *(kind for _, _, kind in _REFUSAL_TABLE))
"""Every class of refusal."""


def find_refusal_class(status: int, code: int | None, message: str | None) -> type[Refusal]:
    """Pick the class for a refusal by status and code, or by its text where there is no code."""
    text = (message or "").lower()
    if code is None:
        code = next(
            (row_code for row_status, words, row_code in _MESSAGE_CODES if row_status == status and words in text), None
        )
    if status == 422 and "invalid token" in text:
        return Unauthorized
    if status >= 500:
        return ServerError
    rows = (kind for at, known, kind in _REFUSAL_TABLE if at in (None, status) and known in (None, code))
    return next(rows, Refusal)


def build_refusal(
    status: int, code: int | None = None, message: str | None = None, *, response: Response | None = None
) -> Refusal:
    """Make the refusal that an answer stands for.

    Args:
        status: the HTTP status.
        code: Plex's code, if the body has one.
        message: what the body says, already free of secrets.
        response: the answer, kept on the error.
    """
    kind = find_refusal_class(status, code, message)
    text = message or kind.default.message if kind is not Refusal else message or f"Plex answered {status}"
    return kind(text, status=status, code=code, hint=_HINTS.get(code or 0), response=response)
