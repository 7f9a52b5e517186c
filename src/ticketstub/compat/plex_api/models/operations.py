"""The values and results of the page's two operations.

Rule: in these releases a result holds no body: programs read `raw_response.text`. Ours adds what is in it, as `token`
and `source`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ticketstub.compat.answers import RawResponse, build_missing_error
from ticketstub.models import Source
from ticketstub.tokens import Token


class GetTransientTokenQueryParamType(StrEnum):
    """What a transient token is for; `delegation` is the only one (documented)."""

    DELEGATION = "delegation"


class Scope(StrEnum):
    """What a transient token reaches; `all` is the only one (documented)."""

    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class _Response:
    content_type: str
    status_code: int
    raw_response: RawResponse


@dataclass(frozen=True, kw_only=True)
class GetTransientTokenResponse(_Response):
    """The answer with a transient token; `token` is our addition."""

    token: Token | None


@dataclass(frozen=True, kw_only=True)
class GetSourceConnectionInformationResponse(_Response):
    """The answer with a source's connections; `source` is our addition."""

    source: Source


def __getattr__(name: str) -> object:
    raise build_missing_error(__name__, name)
