"""The error classes of the page's two operations.

Rule: the page names a class for a 401 in JSON and `SDKError` for every other status from 400 on, while the releases
raise `SDKError` for a 401, too. Here the classes of the page are subclasses of `SDKError`, so that programs written for
either work. A request without a response raises `ticketstub.Unreachable`, where the releases raise an error of
requests. Each class is a `PlexError`: its message contains no secret, and its `__cause__` is the error that Ticketstub
raises otherwise.
"""

from __future__ import annotations

from functools import partial

from ticketstub.compat import reject_missing_name
from ticketstub.compat.plex_api.models.operations import RawResponse
from ticketstub.errors import PlexError
from ticketstub.messages import Response, is_array, is_object
from ticketstub.models import Model
from ticketstub.protocol.lenient import read_models


class ListedError(Model, frozen=True, kw_only=True):
    """One entry of the `errors` in the body of a refusal."""

    code: int | None = None
    message: str | None = None
    status: int | None = None


GetTransientTokenErrors = GetSourceConnectionInformationErrors = ListedError


class SDKError(PlexError):
    """Plex answered with a status of 400 or above, or with a body that does not fit the operation.

    Attributes: `message`, `status_code`, `headers`, `body`, `raw_response`.
    """

    @property
    def raw_response(self) -> RawResponse:
        """The response. Pickling leaves it out; afterwards it has only its status."""
        return RawResponse(self.response or Response(self.status or 0, {}, b""))

    @property
    def status_code(self) -> int:
        """The status of the response."""
        return self.raw_response.status_code

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response; a name is found in any capitalization."""
        return self.raw_response.headers

    @property
    def body(self) -> str:
        """The body of the response as text. May contain secrets."""
        return self.raw_response.text

    def __str__(self) -> str:
        return f"{self.message}: Status {self.status}"


class _UnauthorizedError(SDKError):
    @property
    def errors(self) -> list[ListedError] | None:
        """The errors that the body lists, or `None` if it lists none."""
        try:
            body = self.raw_response.json()
        except (ValueError, RecursionError):
            return None
        found = body.get("errors") if is_object(body) else None
        return [*read_models(ListedError, found)] if is_array(found) else None


class GetTransientTokenResponseBody(_UnauthorizedError):
    """A transient token was refused with 401 in JSON."""


class GetSourceConnectionInformationResponseBody(_UnauthorizedError):
    """The connection information of a source was refused with 401 in JSON."""


__getattr__ = partial(reject_missing_name, __name__)
