"""A media server's own calls: who it is, what it says of itself, and any other request as it is.

Rule: as all of wire/, role-blind. Sources: observed bodies; the API's published description for the identity.
"""

from __future__ import annotations

import re
from typing import Literal, get_args
from urllib.parse import urlencode

import msgspec

from ticketstub.messages import Response
from ticketstub.models import Identity, ServerInformation
from ticketstub.protocol.call import Call, HttpSpec, build_container_codec

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

_RETRYABLE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MEDIA_TYPE = re.compile(r"[ -~]+")
_PATH = re.compile(r"/(?!/)[!$-\[\]-~]*")  # printable ASCII but for space, quote, number sign and backslash


class GetIdentity(Call[Identity], frozen=True, kw_only=True):
    """Ask a media server who it is: `GET /identity`, 200, no token (documented)."""

    http = HttpSpec(
        "GET",
        "/identity",
        "identity",
        base="server",
        needs_token=False,
        reply=build_container_codec(Identity, "machine_identifier"),
    )


class GetServerInformation(Call[ServerInformation], frozen=True, kw_only=True):
    """Ask a media server about itself: `GET /`, 200 (observed)."""

    http = HttpSpec(
        "GET",
        "/",
        "server_information",
        base="server",
        mark="observed",
        reply=build_container_codec(ServerInformation, "machine_identifier"),
    )


class RawRequest(Call[Response], frozen=True, kw_only=True):
    """Ask a media server anything else; the reply is the answer as it came.

    Args:
        verb: the HTTP method.
        at: the path, from its leading slash, as it goes on the wire (percent-encoded where need be).
        query: the query's names and values.
        content: the body.
        content_type: the body's media type.
    """

    http = HttpSpec("GET", "", "raw", base="server", mark="assumed")

    method: Method = "GET"
    path: str
    query: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    content: bytes = b""
    content_type: str | None = None

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path):
            raise ValueError(
                "a path starts with one slash and holds printable ASCII only, percent-encoded where need be"
            )
        if self.method not in get_args(Method):
            raise ValueError(f"a raw request's method is one of {', '.join(get_args(Method))}")
        if self.content_type is not None and not _MEDIA_TYPE.fullmatch(self.content_type):
            raise ValueError("a media type is printable ASCII")

    __rich_repr__ = None  # type: ignore[assignment]  # msgspec's would show rich all that `__repr__` leaves out

    def __repr__(self) -> str:
        return f"RawRequest({self.method} {self.path.partition('?')[0]})"  # query and body may hold secrets

    def get_method(self) -> str:
        return self.method

    def is_retryable(self) -> bool:
        return self.method in _RETRYABLE_METHODS

    def build_target(self) -> str:
        if not self.query:
            return self.path
        return f"{self.path}{'&' if '?' in self.path else '?'}{urlencode(self.query)}"

    def build_body(self) -> tuple[bytes, str | None]:
        return self.content, self.content_type

    def read(self, response: Response) -> Response:
        return response
