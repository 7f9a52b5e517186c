"""A media server's own security calls: a transient token, and how to reach a source with one.

Rule: as all of wire/, role-blind. Sources: the API's published description; the attributes' order and the address
list's form are observed.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from ticketstub.messages import Response
from ticketstub.models import Model, Source, TransientToken
from ticketstub.protocol.call import (
    Call,
    HttpSpec,
    ReplyCodec,
    build_container_codec,
    build_malformed_reply,
    read_reply,
    write_container_reply,
)
from ticketstub.protocol.codec import Format

SOURCE_PREFIXES = ("server://", "provider://")


class TransientTokenType(Enum):
    """What a transient token is for; `delegation` is the only one (documented)."""

    DELEGATION = "delegation"


class TransientTokenScope(Enum):
    """What a transient token reaches; `all` is the only one (documented)."""

    ALL = "all"


class _SourceContainer(Model, frozen=True, kw_only=True):
    device: Source | None = msgspec.field(name="Device", default=None)


class _SourceListContainer(Model, frozen=True, kw_only=True):
    device: tuple[Source, ...] = msgspec.field(name="Device", default=())


def write_source(source: Source, form: Format, *, as_list: bool = False) -> bytes:
    """Write a source.

    Args:
        source: it.
        form: JSON or XML.
        as_list: whether JSON has it in a list of one: the published description says an object, no body was observed.
    """
    if as_list:
        return write_container_reply(_SourceListContainer(device=(source,)), form, size=1)
    return write_container_reply(_SourceContainer(device=source), form, size=1)


class GetTransientToken(Call[TransientToken], frozen=True, kw_only=True):
    """Get a token for at most 48 hours with the caller's rights: `POST /security/token`, 200 (documented).

    It ends when the media server restarts. The server takes any method; POST keeps it out of caches.
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


class GetSourceConnectionInformation(Call[Source], frozen=True, kw_only=True):
    """Ask how to reach a source that the media server knows: `GET /security/resources`, 200 (documented).

    Needs the owner's token, or a transient token made from it, and Plex Media Server 1.15.4 or newer.

    Args:
        source: `server://` and a machine identifier, or `provider://` and a provider's identifier.
        refresh: whether the server asks anew instead of answering from memory.
    """

    http = HttpSpec(
        "GET",
        "/security/resources",
        "get_source_connection_information",
        base="server",
        reply=ReplyCodec(write=write_source),
    )

    source: str
    refresh: bool = False

    def __post_init__(self) -> None:
        if not self.source.startswith(SOURCE_PREFIXES) or self.source in SOURCE_PREFIXES:
            raise ValueError("a source starts with server:// or provider://, followed by its identifier")

    def read(self, response: Response) -> Source:
        found = read_reply(_SourceContainer, response, ("device",)).device
        if found is None or not (found.access_token or found.connections):
            raise build_malformed_reply(response, "the answer names neither an address nor a token")
        return found
