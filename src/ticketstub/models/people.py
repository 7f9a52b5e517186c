"""Other people: the members of a Home, friends, shares and invitations.

Rule: see the package, `ticketstub.models`. Sources: observed bodies of `/api/v2/home/users` and `/api/v2/friends`, and
of the older API (`/api/users`, `shared_servers`).
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

import msgspec

from ticketstub.models.base import AwareDatetime, BaseUser, EpochSeconds, Model
from ticketstub.tokens import Secret, Token

Role: TypeAlias = Literal["owner", "home_admin", "home", "managed", "restricted", "friend"]
"""In which role an account may use a media server: as its owner; as the administrator or another member of the owner's
Home; as a managed user of a Home; as one with a restriction profile, or the Home's guest; or as anybody else with whom
the owner shared it."""


class HomeUser(BaseUser, frozen=True, kw_only=True):
    """A member of a Home. Managed users are `restricted`. Switching to a `protected` user requires its passcode."""

    omit_if_empty: ClassVar[frozenset[str]] = frozenset({"pin"})

    has_password: bool | None = None
    restricted: bool | None = None
    updated_at: EpochSeconds | None = None
    restriction_profile: str | None = None
    admin: bool | None = None
    guest: bool | None = None
    protected: bool | None = None
    pin: Secret | None = None


class Home(Model, frozen=True, kw_only=True):
    """A Home. An account without other members has a Home with one user (assumed)."""

    omit_if_empty: ClassVar[frozenset[str]] = frozenset({"users"})

    id: int | None = None
    name: str | None = None
    guest_user_id: int | None = msgspec.field(name="guestUserID", default=None)
    guest_user_uuid: str | None = msgspec.field(name="guestUserUUID", default=None)
    guest_enabled: bool | None = None
    subscription: bool | None = None
    users: tuple[HomeUser, ...] = ()


class AccessibleServer(Model, frozen=True, kw_only=True):
    """A media server that a user may access."""

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
    """A share of one media server: the user it is shared with, and that user's token for the server."""

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
    """Another user, as v2 describes one."""

    restricted: bool | None = None
    home: bool | None = None


class SharingSettings(Model, frozen=True, kw_only=True):
    """What a user may do on the media servers shared with them."""

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
    """A share of one media server as v2 lists it: its owner and the invited user."""

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
    """A friend as v2 lists them. `status` is `accepted`, `pending_sent` or `pending_received`.

    Plex currently leaves `shared_servers` empty, whatever is shared (observed).
    """

    omit_if_empty: ClassVar[frozenset[str]] = frozenset({"restrictionProfile"})

    status: str | None = None
    sharing_settings: SharingSettings | None = None
    shared_servers: tuple[Share, ...] = ()
    restriction_profile: str | None = None


class Invitation(Model, frozen=True, kw_only=True):
    """A pending invitation: to be friends, to join a Home, or to use media servers."""

    id: int | None = None
    created_at: EpochSeconds | None = None
    friend: bool | None = None
    home: bool | None = None
    server: bool | None = None
    username: str | None = None
    email: str | None = None
    thumb: str | None = None
    friendly_name: str | None = None
