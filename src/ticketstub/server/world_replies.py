"""What a media server of a world can answer beyond what a local Plex knows: its keys.

Rule: as in world_reading.py. A server has a folder or an upstream, never both; what belongs to an upstream stands
beside one only. A relative folder is one beside the world's file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from ticketstub.server import world_values as check
from ticketstub.server.world_reading import Key, value
from ticketstub.token import Token

S = TypeVar("S", bound="Whole")

_OF_UPSTREAM = ("upstream_token", "upstream_outside", "upstream_writes")


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A media server that answers more than the local Plex knows: from a folder, or from a media server upstream.

    Attributes:
        replies: the folder with the answers.
        upstream: the address of the media server that is asked.
        upstream_token: the token that it is asked with.
        upstream_outside: whether it may be elsewhere than on this machine or in a private network.
        upstream_writes: whether other methods than GET and HEAD are passed on.
    """

    replies: str = ""
    upstream: str = ""
    upstream_token: Token | None = None
    upstream_outside: bool = False
    upstream_writes: bool = False


def _sendable(raw: object) -> Token:
    """Take the token of a server that is none of ours: any text that can stand in a header."""
    try:
        return Token(check.text(raw))
    except check.Unfit:
        raise
    except ValueError:
        raise check.Unfit("is no token") from None


def base(raw: object) -> str:
    """Take the address of a media server; raises `Unfit`."""
    given = check.address(raw).rstrip("/")
    if given.count("/") != 2 or "?" in given or "#" in given:
        raise check.Unfit("must be an address without a path, as http://host:32400")
    return given


KEYS = {
    "replies": Key(value(check.text)),
    "upstream": Key(value(base)),
    "upstream_token": Key(value(_sendable)),
    "upstream_outside": Key(value(check.flag)),
    "upstream_writes": Key(value(check.flag)),
}


def one_of_both(values: dict[str, object]) -> Iterable[tuple[str, str]]:
    """Say what of these keys does not go together."""
    if "upstream" in values and "replies" in values:
        yield "upstream", "stands beside replies: give one of the two"
    if "upstream" in values and values.get("claimed") is False:
        yield "claimed", "stands beside upstream: false would let anybody on this machine ask with its token"
    if "upstream" not in values:
        for key in _OF_UPSTREAM:
            if key in values:
                yield key, "stands without upstream"


def beside(servers: Sequence[S], folder: Path) -> tuple[tuple[S, ...], list[str]]:
    """Take relative folders as ones in this folder, and say which are not there."""
    placed = tuple(
        msgspec.structs.replace(server, replies=str(folder / server.replies)) if server.replies else server
        for server in servers
    )
    missing = [
        f"media_server[{index}].replies: there is no folder {server.replies}"
        for index, server in enumerate(placed)
        if server.replies and not Path(server.replies).is_dir()
    ]
    return placed, missing
