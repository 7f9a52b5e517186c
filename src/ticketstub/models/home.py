"""Plex Home: several users under one roof, some of them managed, some protected by a passcode.

Rule: as all of records/. Sources: observed bodies of `/api/v2/home/users`.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from ticketstub.models.base import EpochSeconds, Model
from ticketstub.tokens import Secret


class BaseUser(Model, frozen=True, kw_only=True):
    """Somebody by all the names that v2 has for people. Managed users have neither user name nor e-mail address."""

    id: int | None = None
    uuid: str | None = None
    title: str | None = None
    username: str | None = None
    email: str | None = None
    friendly_name: str | None = None
    thumb: str | None = None


class HomeUser(BaseUser, frozen=True, kw_only=True):
    """A member of a Home; managed ones are `restricted`. `protected`: switching to it needs its passcode."""

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
    """A Home. An account that has none is a Home of its own (assumed)."""

    omit_if_empty: ClassVar[frozenset[str]] = frozenset({"users"})

    id: int | None = None
    name: str | None = None
    guest_user_id: int | None = msgspec.field(name="guestUserID", default=None)
    guest_user_uuid: str | None = msgspec.field(name="guestUserUUID", default=None)
    guest_enabled: bool | None = None
    subscription: bool | None = None
    users: tuple[HomeUser, ...] = ()
