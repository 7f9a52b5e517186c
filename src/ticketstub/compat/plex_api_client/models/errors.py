"""The error classes of 0.36.3 that the four operations can raise, and which answer is which.

Rule: as in the release, `BadRequest` and `Unauthorized` are for plex.tv's 400 and 401 in JSON; everything else that was
answered is an `SDKError`, also a media server's 401. What was not answered is a `NoResponseError`, where the release
lets an error of httpx through. What was not even sent stays ours: `ticketstub.CredentialsError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from ticketstub.compat.answers import AnsweredError, ListedError, RawResponse, listed_errors
from ticketstub.compat.not_covered import missing
from ticketstub.errors import CredentialsError, MalformedReply, PlexError

BadRequestErrors = ListedError
UnauthorizedErrors = ListedError


@dataclass(frozen=True)
class ErrorData:
    """What the body of a refusal lists: `errors`, each with code, message and status."""

    errors: list[ListedError] | None = None


BadRequestData = ErrorData
UnauthorizedData = ErrorData


class PlexAPIError(AnsweredError):
    """The base of all that were answered: `message`, `status_code`, `body`, `headers`, `raw_response`."""

    __slots__ = ()


class _Typed(PlexAPIError):
    __slots__ = ()

    @property
    def data(self) -> ErrorData:
        """What the body lists."""
        return ErrorData(listed_errors(self.raw_response))


class BadRequest(_Typed):
    """plex.tv refused with 400 in JSON."""

    __slots__ = ()


class Unauthorized(_Typed):
    """plex.tv refused with 401 in JSON; `__cause__` tells a missing code from a wrong password."""

    __slots__ = ()


class SDKError(PlexAPIError):
    """Any other refusal, and an answer that no call is answered with."""

    __slots__ = ()


class ResponseValidationError(PlexAPIError):
    """An answer of success in JSON that is not what the call is answered with."""

    __slots__ = ()

    @property
    def cause(self) -> BaseException | None:
        """The `ticketstub.MalformedReply` that says what is wrong."""
        return self.__cause__


class NoResponseError(PlexError):
    """No answer came; `__cause__` is ours, such as `TimedOut`. As in the release, no kind of `PlexAPIError`."""

    __slots__ = ()


def raise_for(error: PlexError, *, typed: bool) -> NoReturn:
    """Raise the SDK's error for ours.

    Args:
        error: what our client ended with.
        typed: whether the operation has classes for 400 and 401.
    """
    if isinstance(error, CredentialsError):
        raise error
    if error.response is None:
        raise NoResponseError(error.message, hint=error.hint) from error
    raise _kind(error, RawResponse(error.response), typed=typed).of(error, error.response) from error


def _kind(error: PlexError, response: RawResponse, *, typed: bool) -> type[PlexAPIError]:
    if not response.is_json:
        return SDKError
    if isinstance(error, MalformedReply) and response.status_code < 300:
        return ResponseValidationError
    return {400: BadRequest, 401: Unauthorized}.get(response.status_code, SDKError) if typed else SDKError


def __getattr__(name: str) -> object:
    raise missing(__name__, name)
