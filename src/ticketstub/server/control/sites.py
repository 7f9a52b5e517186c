"""What a local Plex hands on when it is put together: its places, and where the control API is to answer.

Rule: only names and types, so that a local Plex without a hand loads nothing of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ticketstub.server.media_server import MediaServer
    from ticketstub.server.plex_tv import PlexTv
    from ticketstub.server.transient import TransientTokens
    from ticketstub.token import Secret


class Sites(NamedTuple):
    """The places of a local Plex: plex.tv, the media servers by port, and their transient tokens."""

    plex_tv: PlexTv
    media_servers: Mapping[int, MediaServer]
    transient: Sequence[TransientTokens]


class Control(NamedTuple):
    """Where the control API is to answer: its key, and a port; 0 takes a free one."""

    key: Secret
    port: int = 0
