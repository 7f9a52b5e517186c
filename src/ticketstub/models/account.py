"""The account, and what it pays for, likes and may use.

Rule: as all of records/. Sources: observed bodies of `GET /api/v2/user` and of sign-ins.
"""

from __future__ import annotations

from typing import ClassVar

from ticketstub.models.base import AwareDatetime, EpochSeconds, Model
from ticketstub.tokens import Secret, Token


class Subscription(Model, frozen=True, kw_only=True):
    """What an account pays for, or does not; past ones and trials have the last fields."""

    active: bool | None = None
    subscribed_at: AwareDatetime | None = None
    status: str | None = None
    payment_service: str | None = None
    plan: str | None = None
    features: tuple[str, ...] = ()


class PaidSubscription(Model, frozen=True, kw_only=True):
    """One entry of an account's list of subscriptions, present or past."""

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


class Service(Model, frozen=True, kw_only=True):
    """A service of Plex that the account may use."""

    identifier: str | None = None
    endpoint: str | None = None
    token: Token | None = None
    secret: Secret | None = None
    status: str | None = None


class CustomRestrictions(Model, frozen=True, kw_only=True):
    """What a managed user may not see, as comma lists."""

    all: str | None = None
    movies: str | None = None
    music: str | None = None
    photos: str | None = None
    television: str | None = None


class Account(Model, frozen=True, kw_only=True):
    """A Plex account, as `GET /api/v2/user` and a sign-in describe it.

    `joined_at` and the other times that Plex writes as numbers are seconds since 1970 (UTC). `username` and `email`
    are empty for managed users. `auth_token` echoes the caller's token, or is the new one after a sign-in.
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
