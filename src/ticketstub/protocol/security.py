"""A media server's own security calls: a transient token, and how to reach a source with one.

Rule: as all of wire/, role-blind. Sources: the API's published description; the attributes' order and the address
list's form are observed.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from ticketstub.messages import Response
from ticketstub.models import Record, Source, TransientToken
from ticketstub.protocol.call import Call, Http, Reply, contained, in_container, malformed, one
from ticketstub.protocol.codec import Format

PREFIXES = ("server://", "provider://")


class TransientTokenType(Enum):
    """What a transient token is for; `delegation` is the only one (documented)."""

    DELEGATION = "delegation"


class TransientTokenScope(Enum):
    """What a transient token reaches; `all` is the only one (documented)."""

    ALL = "all"


class _Sources(Record, frozen=True, kw_only=True):
    device: Source | None = msgspec.field(name="Device", default=None)


class _SourceList(Record, frozen=True, kw_only=True):
    device: tuple[Source, ...] = msgspec.field(name="Device", default=())


def write_source(source: Source, form: Format, *, in_list: bool = False) -> bytes:
    """Write a source.

    Args:
        source: it.
        form: JSON or XML.
        in_list: whether JSON has it in a list of one: the published description says an object, no body was observed.
    """
    if in_list:
        return contained(_SourceList(device=(source,)), form, size=1)
    return contained(_Sources(device=source), form, size=1)


class GetTransientToken(Call[TransientToken], frozen=True, kw_only=True):
    """Get a token for at most 48 hours with the caller's rights: `POST /security/token`, 200 (documented).

    It ends when the media server restarts. The server takes any method; POST keeps it out of caches.
    """

    http = Http(
        "POST",
        "/security/token",
        "get_transient_token",
        base="server",
        repeatable=False,
        reply=in_container(TransientToken, "token"),
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

    http = Http(
        "GET",
        "/security/resources",
        "get_source_connection_information",
        base="server",
        reply=Reply(write=write_source),
    )

    source: str
    refresh: bool = False

    def __post_init__(self) -> None:
        if not self.source.startswith(PREFIXES) or self.source in PREFIXES:
            raise ValueError("a source starts with server:// or provider://, followed by its identifier")

    def read(self, response: Response) -> Source:
        found = one(_Sources, response, ("device",)).device
        if found is None or not (found.access_token or found.connections):
            raise malformed(response, "the answer names neither an address nor a token")
        return found
