"""The account, and the PINs with which a client signs in to it.

Rule: see the package, `ticketstub.models`. Sources: observed bodies of `GET /api/v2/user`, of sign-ins and of PINs; the
lifetimes of PINs are documented.
"""

from __future__ import annotations

from typing import ClassVar

from ticketstub.models.base import AwareDatetime, EpochSeconds, Model
from ticketstub.tokens import Secret, Token


class Subscription(Model, frozen=True, kw_only=True):
    """The Plex Pass subscription of an account, active or not."""

    active: bool | None = None
    subscribed_at: AwareDatetime | None = None
    status: str | None = None
    payment_service: str | None = None
    plan: str | None = None
    features: tuple[str, ...] = ()


class PaidSubscription(Model, frozen=True, kw_only=True):
    """One entry in an account's lists of current subscriptions, past subscriptions and trials."""

    id: str | None = None
    mode: str | None = None
    type: str | None = None
    state: str | None = None
    renews_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    canceled: bool | None = None
    grace_period: bool | None = None
    on_hold: bool | None = None


class Profile(Model, frozen=True, kw_only=True):
    """An account's preferences for playback: languages, subtitles, reviews."""

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


class Service(Model, frozen=True, kw_only=True):
    """A Plex service that the account may use."""

    identifier: str | None = None
    endpoint: str | None = None
    token: Token | None = None
    secret: Secret | None = None
    status: str | None = None


class CustomRestrictions(Model, frozen=True, kw_only=True):
    """What a managed user may not see. Each field is a comma-separated list."""

    all: str | None = None
    movies: str | None = None
    music: str | None = None
    photos: str | None = None
    television: str | None = None


class Account(Model, frozen=True, kw_only=True):
    """A Plex account, as `GET /api/v2/user` and a sign-in describe it.

    `joined_at` and the other numeric times are seconds since 1970 (UTC). `username` and `email` are empty for managed
    users. `auth_token` repeats the caller's token; after a sign-in, it is the new token.
    """

    omit_if_empty: ClassVar[frozenset[str]] = frozenset({"pin", "restrictionProfile", "customRestrictions", "roles"})

    id: int | None = None
    uuid: str | None = None
    username: str | None = None
    title: str | None = None
    email: str | None = None
    friendly_name: str | None = None
    locale: str | None = None
    confirmed: bool | None = None
    joined_at: EpochSeconds | None = None
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
    remember_expires_at: EpochSeconds | None = None
    profile: Profile | None = None
    entitlements: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    subscriptions: tuple[PaidSubscription, ...] = ()
    past_subscriptions: tuple[PaidSubscription, ...] = ()
    trials: tuple[PaidSubscription, ...] = ()
    services: tuple[Service, ...] = ()
    ads_consent: bool | None = None
    ads_consent_set_at: EpochSeconds | None = None
    ads_consent_reminder_at: EpochSeconds | None = None
    experimental_features: bool | None = None
    two_factor_enabled: bool | None = None
    backup_codes_created: bool | None = None
    attribution_partner: str | None = None


class Location(Model, frozen=True, kw_only=True, rename=None):
    """The location of the client that created a PIN, derived from its IP address. Wire names have underscores."""

    code: str | None = None
    european_union_member: bool | None = None
    continent_code: str | None = None
    country: str | None = None
    city: str | None = None
    time_zone: str | None = None
    postal_code: str | None = None
    in_privacy_restricted_country: bool | None = None
    in_privacy_restricted_region: bool | None = None
    subdivisions: str | None = None
    coordinates: str | None = None


class Pin(Model, frozen=True, kw_only=True):
    """A PIN: the code that a client displays, or opens in a browser, for the user to approve.

    `code` has 4 characters to type or, if the PIN is strong, 25 characters for the browser. `expires_in` is the
    remaining lifetime in seconds; it starts at 900 for a typed code and at 1800 for a strong one. `auth_token` is
    `None` until the user approves the PIN.
    """

    # Our choice: in XML, an empty location would be text, not an object.
    omit_if_empty: ClassVar[frozenset[str]] = frozenset({"location"})

    id: int | None = None
    code: str | None = None
    product: str | None = None
    trusted: bool | None = None
    qr: str | None = None
    client_identifier: str | None = None
    location: Location | None = None
    expires_in: int | None = None
    created_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    auth_token: Token | None = None
    new_registration: bool | None = None


class LegacyPin(Model, frozen=True, kw_only=True, rename="kebab"):
    """A PIN of the older API, `/pins.xml`. Its code always has 4 characters."""

    id: int | None = None
    code: str | None = None
    expires_at: AwareDatetime | None = None
    user_id: int | None = None
    client_identifier: str | None = None
    trusted: bool | None = None
    auth_token: Token | None = None
