"""What several operations of 0.36.3 share: enumerations, the account, a source's connections.

Rule: annotations only, under the release's names; enumerations of Plex's are plain text and numbers, for Plex adds to
them; what Plex left out is `None`.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import ClassVar

from ticketstub.compat.not_covered import missing
from ticketstub.compat.shapes import Shape


class Accepts(StrEnum):
    """A media type. It has no effect here: JSON is asked for, and either is read."""

    APPLICATION_JSON = "application/json"
    APPLICATION_XML = "application/xml"


class BoolInt(IntEnum):
    """No or yes."""

    FALSE = 0
    TRUE = 1


class Subscription(Shape):
    """What an account pays for."""

    active: bool | None
    features: list[str]
    payment_service: str | None
    plan: str | None
    status: str | None
    subscribed_at: str | None


class UserPlexAccountSubscription(Shape):
    """One entry of the account's list of subscriptions, present or past."""

    id: str | None
    mode: str | None
    type: str | None
    state: str | None
    renews_at: str | None
    ends_at: str | None
    canceled: bool | None
    grace_period: bool | None
    on_hold: bool | None


class UserProfile(Shape):
    """How an account likes to watch and listen."""

    auto_select_audio: bool | None
    auto_select_subtitle: int | None
    default_audio_accessibility: int | None
    default_audio_language: str | None
    default_audio_languages: list[str] | None
    default_subtitle_accessibility: int | None
    default_subtitle_forced: int | None
    default_subtitle_language: str | None
    default_subtitle_languages: list[str] | None
    media_reviews_languages: list[str] | None
    media_reviews_visibility: int | None
    watched_indicator: int | None


class Services(Shape):
    """A service of Plex that the account may use."""

    endpoint: str | None
    identifier: str | None
    secret: str | None
    status: str | None
    token: str | None


class UserPlexAccount(Shape):
    """An account; `auth_token`, `pin` and a service's token are text here, as in the release."""

    inner: ClassVar[dict[str, type[Shape]]] = {
        "profile": UserProfile,
        "services": Services,
        "subscription": Subscription,
        "subscriptions": UserPlexAccountSubscription,
        "past_subscriptions": UserPlexAccountSubscription,
        "trials": UserPlexAccountSubscription,
    }

    ads_consent: bool | None
    ads_consent_reminder_at: int | None
    ads_consent_set_at: int | None
    anonymous: bool | None
    attribution_partner: str | None
    auth_token: str | None
    backup_codes_created: bool | None
    confirmed: bool | None
    country: str | None
    email: str | None
    email_only_auth: bool | None
    entitlements: list[str]
    experimental_features: bool | None
    friendly_name: str | None
    guest: bool | None
    has_password: bool | None
    home: bool | None
    home_admin: bool | None
    home_size: int | None
    id: int | None
    joined_at: int | None
    locale: str | None
    mailing_list_active: bool | None
    mailing_list_status: str | None
    max_home_size: int | None
    pin: str | None
    profile: UserProfile | None
    protected: bool | None
    remember_expires_at: int | None
    restricted: bool | None
    roles: list[str]
    scrobble_types: str | None
    services: list[Services]
    subscription: Subscription | None
    subscription_description: str | None
    subscriptions: list[UserPlexAccountSubscription]
    thumb: str | None
    title: str | None
    two_factor_enabled: bool | None
    username: str | None
    uuid: str | None


class Connection(Shape):
    """One address of a source."""

    address: str | None
    local: bool | None
    port: int | None
    protocol: str | None
    relay: bool | None
    uri: str | None


class ConnectionInfo(Shape):
    """A source: its name, its identifier, the transient token for it, and its addresses."""

    inner: ClassVar[dict[str, type[Shape]]] = {"connection": Connection}
    renamed: ClassVar[dict[str, str]] = {"connection": "connections"}

    access_token: str | None
    client_identifier: str | None
    connection: list[Connection]
    name: str | None


def __getattr__(name: str) -> object:
    raise missing(__name__, name)
