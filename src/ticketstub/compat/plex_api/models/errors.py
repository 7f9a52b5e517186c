"""The error classes of the page's two operations.

Rule: the page names a class for a 401 in JSON, and `SDKError` for every other status from 400 on; the releases raise
`SDKError` for a 401 too. Here the former are kinds of the latter, so that a program written after either is right. What
never was answered stays ours: `ticketstub.Unreachable`, where the releases let an error of requests through.
"""

from __future__ import annotations

from ticketstub.compat.answers import AnsweredError, ListedError, listed_errors
from ticketstub.compat.not_covered import missing

GetTransientTokenErrors = ListedError
GetSourceConnectionInformationErrors = ListedError


class SDKError(AnsweredError):
    """Plex answered with a status from 400 on, or with what the call is not answered with.

    Attributes: `message`, `status_code`, `body`, `raw_response`.
    """

    __slots__ = ()


class _Unauthorized(SDKError):
    __slots__ = ()

    @property
    def errors(self) -> list[ListedError] | None:
        """The errors that the body lists, each with code, message and status."""
        return listed_errors(self.raw_response)


class GetTransientTokenResponseBody(_Unauthorized):
    """A transient token was refused with 401 in JSON."""

    __slots__ = ()


class GetSourceConnectionInformationResponseBody(_Unauthorized):
    """A source's connection information was refused with 401 in JSON."""

    __slots__ = ()


def __getattr__(name: str) -> object:
    raise missing(__name__, name)
