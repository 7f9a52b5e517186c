"""Other people: friends, who shares what with whom, and a media server as plex.tv describes it.

Rule: as all of records/. Sources: observed bodies of the older API (`/api/users`, `shared_servers`).
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from ticketstub.models.base import AwareDatetime, EpochSeconds, Model
from ticketstub.models.home import BaseUser
from ticketstub.tokens import Token


class AccessibleServer(Model, frozen=True, kw_only=True):
    """A media server that somebody may use."""

    id: int | None = None
    server_id: int | None = None
    machine_identifier: str | None = None
    name: str | None = None
    last_seen_at: EpochSeconds | None = None
    num_libraries: int | None = None
    all_libraries: bool | None = None
    owned: bool | None = None
    pending: bool | None = None


class User(Model, frozen=True, kw_only=True):
    """A friend or Home user of the account."""

    id: int | None = None
    title: str | None = None
    username: str | None = None
    email: str | None = None
    recommendations_playlist_id: str | None = None
    thumb: str | None = None
    protected: bool | None = None
    home: bool | None = None
    allow_tuners: bool | None = None
    allow_sync: bool | None = None
    allow_camera_upload: bool | None = None
    allow_channels: bool | None = None
    allow_subtitle_admin: bool | None = None
    filter_all: str | None = None
    filter_movies: str | None = None
    filter_music: str | None = None
    filter_photos: str | None = None
    filter_television: str | None = None
    restricted: bool | None = None
    servers: tuple[AccessibleServer, ...] = msgspec.field(name="Server", default=())


class SharedServer(Model, frozen=True, kw_only=True):
    """A share of one media server: with whom, and that user's own token there."""

    id: int | None = None
    username: str | None = None
    email: str | None = None
    user_id: int | None = msgspec.field(name="userID", default=None)
    access_token: Token | None = None
    name: str | None = None
    accepted_at: EpochSeconds | None = None
    invited_at: EpochSeconds | None = None
    all_libraries: bool | None = None
    owned: bool | None = None
    machine_identifier: str | None = None


class Person(BaseUser, frozen=True, kw_only=True):
    """Somebody else, as v2 names them."""

    restricted: bool | None = None
    home: bool | None = None


class SharingSettings(Model, frozen=True, kw_only=True):
    """What somebody may do on the media servers that they were given a share of."""

    allow_channels: bool | None = None
    allow_subtitle_admin: bool | None = None
    filter_movies: str | None = None
    filter_music: str | None = None
    filter_photos: str | None = None
    filter_television: str | None = None
    filter_all: str | None = None
    allow_sync: bool | None = None
    allow_camera_upload: bool | None = None
    allow_tuners: int | None = None


class Share(Model, frozen=True, kw_only=True):
    """A share of one media server as v2 lists it: who owns it, who was invited."""

    id: int | None = None
    name: str | None = None
    owner_id: int | None = None
    invited_id: int | None = None
    invited_email: str | None = None
    server_id: int | None = None
    accepted: bool | None = None
    accepted_at: AwareDatetime | None = None
    deleted_at: AwareDatetime | None = None
    left_at: AwareDatetime | None = None
    owned: bool | None = None
    machine_identifier: str | None = None
    last_seen_at: AwareDatetime | None = None
    num_libraries: int | None = None
    invited: Person | None = None
    sharing_settings: SharingSettings | None = None
    all_libraries: bool | None = None


class Friend(Person, frozen=True, kw_only=True):
    """A friend as v2 lists them: `status` is `accepted`, `pending_sent` or `pending_received`.

    `shared_servers` is empty in present answers, whatever is shared.
    """

    omit_if_empty: ClassVar[frozenset[str]] = frozenset({"restrictionProfile"})

    status: str | None = None
    sharing_settings: SharingSettings | None = None
    shared_servers: tuple[Share, ...] = ()
    restriction_profile: str | None = None


class PublishedServer(Model, frozen=True, kw_only=True):
    """A media server as it was published to plex.tv. `access_token` stands in the older list only."""

    omit_if_empty: ClassVar[frozenset[str]] = frozenset({"accessToken"})

    access_token: Token | None = None
    name: str | None = None
    address: str | None = None
    port: int | None = None
    version: str | None = None
    scheme: str | None = None
    host: str | None = None
    local_addresses: str | None = None
    machine_identifier: str | None = None
    created_at: EpochSeconds | None = None
    updated_at: EpochSeconds | None = None
    owned: bool | None = None
    synced: bool | None = None


class Invitation(Model, frozen=True, kw_only=True):
    """An invitation that waits for an answer: to be friends, to share a Home, to use media servers."""

    id: int | None = None
    created_at: EpochSeconds | None = None
    friend: bool | None = None
    home: bool | None = None
    server: bool | None = None
    username: str | None = None
    email: str | None = None
    thumb: str | None = None
    friendly_name: str | None = None
