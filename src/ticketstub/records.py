"""The nouns of Plex, as frozen data.

Rule: a record has no behaviour beyond small derived properties, and no idea of the network. Names are ours
(`auth_token`), the wire's are derived from them (`authToken`); those that cannot be are written out. A field that
Plex left out, sent as null or sent with the wrong type is `None` (or empty, for a list); the latter are named in
`problems`. Enumerations stay text, because Plex adds values without notice. Sources: observed bodies, unless said.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from ticketstub.token import Secret, Token


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", dict=True):
    """A noun of Plex."""

    left_out: ClassVar[frozenset[str]] = frozenset()
    """The wire's names that plex.tv leaves out, rather than write null, where there is nothing (observed)."""

    @property
    def problems(self) -> tuple[str, ...]:
        """The wire's names (`profile.autoSelectAudio`) of what had a wrong type and was read as `None`."""
        found: tuple[str, ...] = self.__dict__.get("problems", ())
        return found


class Subscription(Record, frozen=True, kw_only=True):
    """What an account pays for, or does not; past ones and trials have the last fields."""

    active: bool | None = None
    subscribed_at: datetime | None = None
    status: str | None = None
    payment_service: str | None = None
    plan: str | None = None
    features: tuple[str, ...] = ()


class PaidSubscription(Record, frozen=True, kw_only=True):
    """One entry of an account's list of subscriptions, present or past."""

    id: str | None = None
    mode: str | None = None
    type: str | None = None
    state: str | None = None
    renews_at: datetime | None = None
    ends_at: datetime | None = None
    canceled: bool | None = None
    grace_period: bool | None = None
    on_hold: bool | None = None


class Profile(Record, frozen=True, kw_only=True):
    """How an account likes to watch and listen."""

    auto_select_audio: bool | None = None
    default_audio_language: str | None = None
    default_audio_languages: tuple[str, ...] | None = None
    default_audio_accessibility: int | None = None
    default_subtitle_language: str | None = None
    default_subtitle_languages: tuple[str, ...] | None = None
    auto_select_subtitle: int | None = None
    default_subtitle_accessibility: int | None = None
    default_subtitle_forced: int | None = None
    watched_indicator: int | None = None
    media_reviews_visibility: int | None = None
    media_reviews_languages: tuple[str, ...] | None = None


class Service(Record, frozen=True, kw_only=True):
    """A service of Plex that the account may use."""

    identifier: str | None = None
    endpoint: str | None = None
    token: Token | None = None
    secret: Secret | None = None
    status: str | None = None


class CustomRestrictions(Record, frozen=True, kw_only=True):
    """What a managed user may not see, as comma lists."""

    all: str | None = None
    movies: str | None = None
    music: str | None = None
    photos: str | None = None
    television: str | None = None


class Account(Record, frozen=True, kw_only=True):
    """A Plex account, as `GET /api/v2/user` and a sign-in describe it.

    `joined_at` and the other times that Plex writes as numbers are seconds since 1970 (UTC). `username` and `email`
    are empty for managed users. `auth_token` echoes the caller's token, or is the new one after a sign-in.
    """

    left_out: ClassVar[frozenset[str]] = frozenset({"pin", "restrictionProfile", "customRestrictions", "roles"})

    id: int | None = None
    uuid: str | None = None
    username: str | None = None
    title: str | None = None
    email: str | None = None
    friendly_name: str | None = None
    locale: str | None = None
    confirmed: bool | None = None
    joined_at: int | None = None
    email_only_auth: bool | None = None
    has_password: bool | None = None
    protected: bool | None = None
    thumb: str | None = None
    auth_token: Token | None = None
    mailing_list_status: str | None = None
    mailing_list_active: bool | None = None
    scrobble_types: str | None = None
    country: str | None = None
    pin: Secret | None = None
    subscription: Subscription | None = None
    subscription_description: str | None = None
    restricted: bool | None = None
    anonymous: bool | None = None
    restriction_profile: str | None = None
    custom_restrictions: CustomRestrictions | None = None
    home: bool | None = None
    guest: bool | None = None
    home_size: int | None = None
    home_admin: bool | None = None
    max_home_size: int | None = None
    remember_expires_at: int | None = None
    profile: Profile | None = None
    entitlements: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    subscriptions: tuple[PaidSubscription, ...] = ()
    past_subscriptions: tuple[PaidSubscription, ...] = ()
    trials: tuple[PaidSubscription, ...] = ()
    services: tuple[Service, ...] = ()
    ads_consent: bool | None = None
    ads_consent_set_at: int | None = None
    ads_consent_reminder_at: int | None = None
    experimental_features: bool | None = None
    two_factor_enabled: bool | None = None
    backup_codes_created: bool | None = None
    attribution_partner: str | None = None


class Connection(Record, frozen=True, kw_only=True):
    """One address of a device. On a media server's own answers, `relay` appears only where it is true."""

    protocol: str | None = None
    address: str | None = None
    port: int | None = None
    uri: str | None = None
    local: bool | None = None
    relay: bool | None = None
    ipv6: bool | None = msgspec.field(name="IPv6", default=None)


class Resource(Record, frozen=True, kw_only=True):
    """A media server or player that the account can reach.

    `owner_id` is `None` where the caller owns it. `access_token` is this server's own token for the caller; players
    have none, and no other token will do in its place.
    """

    name: str | None = None
    product: str | None = None
    product_version: str | None = None
    platform: str | None = None
    platform_version: str | None = None
    device: str | None = None
    client_identifier: str | None = None
    created_at: datetime | None = None
    last_seen_at: datetime | None = None
    provides: str | None = None
    owner_id: int | None = None
    source_title: str | None = None
    public_address: str | None = None
    access_token: Token | None = None
    owned: bool | None = None
    home: bool | None = None
    synced: bool | None = None
    relay: bool | None = None
    presence: bool | None = None
    https_required: bool | None = None
    public_address_matches: bool | None = None
    dns_rebinding_protection: bool | None = None
    nat_loopback_supported: bool | None = None
    connections: tuple[Connection, ...] = ()

    @property
    def is_media_server(self) -> bool:
        """Whether it provides a media server (`provides` is a comma list)."""
        return "server" in (self.provides or "").split(",")


class TransientToken(Record, frozen=True, kw_only=True):
    """A token that a media server made for at most 48 hours; it dies when that server restarts (documented)."""

    token: Token | None = None


class Source(Record, frozen=True, kw_only=True):
    """How to reach a source that a media server knows, and the transient token to reach it with (documented)."""

    name: str | None = None
    client_identifier: str | None = None
    access_token: Token | None = None
    connections: tuple[Connection, ...] = msgspec.field(name="Connection", default=())


class Identity(Record, frozen=True, kw_only=True):
    """Who a media server is; told without a token."""

    api_version: str | None = None
    claimed: bool | None = None
    machine_identifier: str | None = None
    version: str | None = None


class ServerInformation(Record, frozen=True, kw_only=True):
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
    updated_at: int | None = None
