"""A media server's own calls: identity and information, transient tokens and sources, and any other request.

Rule: the client and the local Plex use the same code (see `call`). Sources: the API's published description for the
identity and the security calls, observed bodies for the rest: the order of attributes and the form of the address list.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal, get_args
from urllib.parse import urlencode

import msgspec

from ticketstub.messages import Response
from ticketstub.models import Identity, Model, ServerInformation, Source, TransientToken
from ticketstub.protocol.call import (
    CONTAINER,
    Call,
    HttpSpec,
    ReplyCodec,
    build_container_codec,
    build_malformed_reply,
    read_reply,
)
from ticketstub.protocol.codec import Format, to_builtins, write_document
from ticketstub.tokens import is_header_safe

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

_PATH = re.compile(r"/(?!/)[!$-\[\]-~]*")  # printable ASCII without space, quote, number sign and backslash


class GetIdentity(Call[Identity], frozen=True, kw_only=True):
    """Get the identity of a media server: `GET /identity`, 200, no token (documented)."""

    http = HttpSpec(
        "GET",
        "/identity",
        "identity",
        base="server",
        needs_token=False,
        reply=build_container_codec(Identity, "machine_identifier"),
    )


class GetServerInformation(Call[ServerInformation], frozen=True, kw_only=True):
    """Get what a media server says about itself: `GET /`, 200 (observed)."""

    http = HttpSpec(
        "GET",
        "/",
        "server_information",
        base="server",
        mark="observed",
        reply=build_container_codec(ServerInformation, "machine_identifier"),
    )


class TransientTokenType(StrEnum):
    """What a transient token is for; `delegation` is the only value (documented)."""

    DELEGATION = "delegation"


class TransientTokenScope(StrEnum):
    """What a transient token gives access to; `all` is the only value (documented)."""

    ALL = "all"


class GetTransientToken(Call[TransientToken], frozen=True, kw_only=True):
    """Get a token with the caller's rights, valid for at most 48 hours: `POST /security/token`, 200 (documented).

    It becomes invalid when the media server restarts. The server accepts any method; POST keeps the token out of
    caches.
    """

    http = HttpSpec(
        "POST",
        "/security/token",
        "get_transient_token",
        base="server",
        retryable=False,
        reply=build_container_codec(TransientToken, "token"),
    )

    type: TransientTokenType
    scope: TransientTokenScope


class _SourceContainer(Model, frozen=True, kw_only=True):
    device: Source | None = msgspec.field(name="Device", default=None)


def write_source(source: Source, form: Format, *, as_list: bool = False) -> bytes:
    """Write a source.

    Args:
        source: the source.
        form: JSON or XML.
        as_list: whether JSON contains it in a list of one. The published description has an object; no body was
            observed.
    """
    members = to_builtins(source, include_nulls=False)
    return write_document(CONTAINER, {"size": 1, "Device": [members] if as_list else members}, form, wrap_json=True)


def _read_source(response: Response) -> Source:
    found = read_reply(_SourceContainer, response, ("device",)).device
    if found is None or not (found.access_token or found.connections):
        raise build_malformed_reply(response, "the reply contains neither an address nor a token")
    return found


class GetSourceConnectionInformation(Call[Source], frozen=True, kw_only=True):
    """Get the addresses of a source that the media server knows: `GET /security/resources`, 200 (documented).

    It requires the owner's token, or a transient token made from it, and Plex Media Server 1.15.4 or newer.

    Args:
        source: `server://` and a machine identifier, or `provider://` and a provider's identifier.
        refresh: whether the server fetches the addresses again instead of using its cache.
    """

    http = HttpSpec(
        "GET",
        "/security/resources",
        "get_source_connection_information",
        base="server",
        reply=ReplyCodec(_read_source, write_source),
    )

    source: str
    refresh: bool = False

    def __post_init__(self) -> None:
        if not re.match(r"(server|provider)://.", self.source, re.DOTALL):
            raise ValueError("a source starts with server:// or provider://, followed by its identifier")


class RawRequest(Call[Response], frozen=True, kw_only=True):
    """Send any other request to a media server. The reply is the response as received.

    Args:
        method: the HTTP method.
        path: the path with its leading slash, as it is sent (percent-encoded if necessary).
        query: the names and values of the query.
        content: the body.
        content_type: the media type of the body.
    """

    http = HttpSpec("GET", "", "raw", base="server", mark="assumed", reply=ReplyCodec(lambda response: response))

    method: Method = "GET"
    path: str
    query: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    content: bytes = b""
    content_type: str | None = None

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path):
            raise ValueError("a path starts with one slash and is printable ASCII, percent-encoded if necessary")
        if self.method not in get_args(Method):
            raise ValueError(f"the method must be one of {', '.join(get_args(Method))}")
        if self.content_type is not None and not (self.content_type and is_header_safe(self.content_type)):
            raise ValueError("a media type is printable ASCII")

    __rich_repr__ = None  # type: ignore[assignment]  # msgspec's would show in Rich everything that `__repr__` hides

    def __repr__(self) -> str:
        return f"RawRequest({self.method} {self.path.partition('?')[0]})"  # query and body may hold secrets

    def get_method(self) -> str:
        return self.method

    def is_retryable(self) -> bool:
        return self.method in {"GET", "HEAD", "OPTIONS"}

    def build_target(self) -> str:
        separator = "&" if "?" in self.path else "?"
        return f"{self.path}{separator}{urlencode(self.query)}" if self.query else self.path

    def build_body(self) -> tuple[bytes, str | None]:
        return self.content, self.content_type
