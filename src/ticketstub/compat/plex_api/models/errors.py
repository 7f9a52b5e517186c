"""The error classes of the page's two operations.

Rule: the page names a class for a 401 in JSON, and `SDKError` for every other status from 400 on; the releases raise
`SDKError` for a 401 too. Here the former are kinds of the latter, so that a program written after either is right. What
never was answered stays ours: `ticketstub.Unreachable`, where the releases let an error of requests through. Each is a
`PlexError` whose message holds no secret, with the error of ours that it stands for as its `__cause__`.
"""

from __future__ import annotations

from ticketstub.compat.answers import RawResponse, build_missing_error
from ticketstub.errors import PlexError
from ticketstub.messages import Response
from ticketstub.models import Model
from ticketstub.protocol.lenient import read_models
from ticketstub.protocol.plain import is_array, is_object


class ListedError(Model, frozen=True, kw_only=True):
    """One entry of the `errors` in a refusal's body."""

    code: int | None = None
    message: str | None = None
    status: int | None = None


GetTransientTokenErrors = ListedError
GetSourceConnectionInformationErrors = ListedError


class SDKError(PlexError):
    """Plex answered with a status from 400 on, or with what the call is not answered with.

    Attributes: `message`, `status_code`, `body`, `raw_response`.
    """

    __slots__ = ()

    @property
    def raw_response(self) -> RawResponse:
        """The answer; an empty one after pickling, which leaves it out."""
        return RawResponse(self.response or Response(self.status or 0, {}, b""))

    @property
    def status_code(self) -> int:
        """The answer's status."""
        return self.raw_response.status_code

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers; a name is found however it is written."""
        return self.raw_response.headers

    @property
    def body(self) -> str:
        """The answer's body as text. May hold secrets."""
        return self.raw_response.text

    def __str__(self) -> str:
        return f"{self.message}: Status {self.status}"


class _Unauthorized(SDKError):
    __slots__ = ()

    @property
    def errors(self) -> list[ListedError] | None:
        """The errors that the body lists, each with code, message and status; `None` where it lists none."""
        try:
            body = self.raw_response.json()
        except (ValueError, RecursionError):
            return None
        found = body.get("errors") if is_object(body) else None
        return [*read_models(ListedError, found)] if is_array(found) else None


class GetTransientTokenResponseBody(_Unauthorized):
    """A transient token was refused with 401 in JSON."""

    __slots__ = ()


class GetSourceConnectionInformationResponseBody(_Unauthorized):
    """A source's connection information was refused with 401 in JSON."""

    __slots__ = ()


def __getattr__(name: str) -> object:
    raise build_missing_error(__name__, name)
