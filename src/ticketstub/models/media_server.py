"""What a media server tells: tokens, sources, who and what it is.

Rule: as all of records/. Sources: the API's published description for the first two, observed bodies for the rest.
"""

from __future__ import annotations

import msgspec

from ticketstub.models.base import EpochSeconds, Model
from ticketstub.models.resource import Connection
from ticketstub.tokens import Token


class TransientToken(Model, frozen=True, kw_only=True):
    """A token that a media server made for at most 48 hours; it dies when that server restarts (documented)."""

    token: Token | None = None


class Source(Model, frozen=True, kw_only=True):
    """How to reach a source that a media server knows, and the transient token to reach it with (documented)."""

    name: str | None = None
    client_identifier: str | None = None
    access_token: Token | None = None
    connections: tuple[Connection, ...] = msgspec.field(name="Connection", default=())


class Identity(Model, frozen=True, kw_only=True):
    """Who a media server is; told without a token."""

    api_version: str | None = None
    claimed: bool | None = None
    machine_identifier: str | None = None
    version: str | None = None


class ServerInformation(Model, frozen=True, kw_only=True):
    """What a media server says of itself to somebody with a token."""

    machine_identifier: str | None = None
    friendly_name: str | None = None
    version: str | None = None
    platform: str | None = None
    platform_version: str | None = None
    multiuser: bool | None = None
    my_plex: bool | None = None
    my_plex_username: str | None = None
    my_plex_mapping_state: str | None = None
    my_plex_signin_state: str | None = None
    my_plex_subscription: bool | None = None
    owner_features: str | None = None
    transcoder_active_video_sessions: int | None = None
    updated_at: EpochSeconds | None = None
