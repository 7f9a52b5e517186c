"""The values and results of the page's two operations.

Rule: a result of these releases has no parsed body, so programs read `raw_response.text`. Here it also has the parsed
value, as `token` or `source`. A body may contain secrets and is shown in no `repr`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from ticketstub.compat import reject_missing_name
from ticketstub.messages import Response
from ticketstub.models import Source
from ticketstub.protocol.media_server import TransientTokenScope, TransientTokenType
from ticketstub.tokens import Token

GetTransientTokenQueryParamType = TransientTokenType
Scope = TransientTokenScope


class CaseInsensitiveHeaders(dict[str, str]):
    """The headers of a response. Their names are in lower case and found in any capitalization."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401  # as a dictionary's
        """Return the header of that name, or `default`."""
        return super().get(name.lower(), default)

    def __repr__(self) -> str:
        return f"<CaseInsensitiveHeaders {', '.join(self)}>"


class RawResponse(Response):
    """The response, with the names that requests and httpx share: status_code, headers, text, content and json()."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status, CaseInsensitiveHeaders(response.headers), response.body)
        self.status_code = response.status

    @property
    def content(self) -> bytes:
        """The body as bytes. May contain secrets."""
        return self.body

    @property
    def content_type(self) -> str:
        """The value of the header, or an empty string."""
        return self.headers.get("content-type", "")


@dataclass(frozen=True, kw_only=True)
class _OperationResponse:
    content_type: str
    status_code: int
    raw_response: RawResponse


@dataclass(frozen=True, kw_only=True)
class GetTransientTokenResponse(_OperationResponse):
    """The response with a transient token. `token` is an addition of Ticketstub."""

    token: Token | None


@dataclass(frozen=True, kw_only=True)
class GetSourceConnectionInformationResponse(_OperationResponse):
    """The response with the connections of a source. `source` is an addition of Ticketstub."""

    source: Source


__getattr__ = partial(reject_missing_name, __name__)
