"""The content of the samples, written out by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from ticketstub.models import (
    Account,
    Connection,
    CustomRestrictions,
    Profile,
    Resource,
    ServerInformation,
    Service,
    Source,
    Subscription,
    TransientToken,
)
from ticketstub.protocol.account import PostUsersSignInData
from ticketstub.protocol.media_server import (
    GetSourceConnectionInformation,
    GetTransientToken,
    TransientTokenScope,
    TransientTokenType,
)
from ticketstub.tokens import Secret, Token

TOKEN = Token("Xk3mPz_9Q-vT7rLb2NfW")
THUMB = "https://plex.tv/users/3f9c2b7a5d1e8f04/avatar?c=1724402119"
ATTIC = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
DIRECT = "5d0c3a9be17f42d8a6b4c2e0f19d7385.plex.direct"
VERSION = "1.43.4.10903-0a1b2c3d4"

SIGN_IN = PostUsersSignInData.from_text("mira_quill", "hunter2")
TRANSIENT = GetTransientToken(type=TransientTokenType.DELEGATION, scope=TransientTokenScope.ALL)
SOURCE = GetSourceConnectionInformation(source=f"server://{ATTIC}")

ACCOUNT_JSON = Account(
    id=10500123,
    uuid="3f9c2b7a5d1e8f04",
    username="mira_quill",
    title="mira_quill",
    email="mira@example.test",
    friendly_name="",
    locale=None,
    confirmed=True,
    joined_at=1552593531,
    email_only_auth=False,
    has_password=True,
    protected=False,
    thumb=THUMB,
    auth_token=TOKEN,
    mailing_list_status="unsubscribed",
    mailing_list_active=False,
    scrobble_types="",
    country="NL",
    subscription=Subscription(active=False, status="Inactive", features=("home", "two-factor-authentication")),
    restricted=False,
    anonymous=False,
    home=False,
    guest=False,
    home_size=1,
    home_admin=False,
    max_home_size=15,
    remember_expires_at=1725611719,
    profile=Profile(
        auto_select_audio=True,
        auto_select_subtitle=1,
        default_subtitle_accessibility=0,
        default_subtitle_forced=0,
        watched_indicator=1,
        media_reviews_visibility=0,
    ),
    services=(
        Service(
            identifier="metadata",
            endpoint="https://metadata.provider.plex.tv",
            token=Token("made-up-token-value"),
            status="online",
        ),
    ),
    experimental_features=False,
    two_factor_enabled=False,
    backup_codes_created=False,
)

ACCOUNT_XML = Account(
    id=10500123,
    uuid="3f9c2b7a5d1e8f04",
    username="mira_quill",
    title="Mira",
    email="mira@example.test",
    friendly_name="Mira",
    confirmed=True,
    joined_at=1552593531,
    email_only_auth=False,
    has_password=True,
    protected=False,
    thumb=THUMB,
    auth_token=TOKEN,
    mailing_list_status="unsubscribed",
    mailing_list_active=False,
    country="NL",
    subscription=Subscription(
        active=True,
        subscribed_at=datetime(2023, 3, 24, tzinfo=UTC),
        status="Active",
        plan="lifetime",
        features=("companions_sonos",),
    ),
    restricted=False,
    home=True,
    guest=False,
    home_size=2,
    home_admin=True,
    max_home_size=15,
    remember_expires_at=1725611719,
    profile=Profile(
        auto_select_audio=False,
        default_audio_language="en",
        default_subtitle_language="en",
        auto_select_subtitle=0,
        default_subtitle_accessibility=0,
        default_subtitle_forced=0,
    ),
    entitlements=("all",),
    roles=("plexpass",),
    experimental_features=False,
    two_factor_enabled=True,
    backup_codes_created=True,
)

LEGACY_XML = Account(
    id=10500123,
    uuid="3f9c2b7a5d1e8f04",
    username="mira_quill",
    title="mira_quill",
    email="mira@example.test",
    joined_at=1552593531,
    has_password=True,
    thumb=THUMB,
    auth_token=TOKEN,
    mailing_list_status="unsubscribed",
    subscription=Subscription(active=False, status="Inactive"),
    restricted=False,
    home=False,
    guest=False,
    home_size=1,
    max_home_size=15,
    roles=("plexpass",),
    services=(
        Service(
            identifier="metadata",
            endpoint="https://metadata.provider.plex.tv",
            token=Token("made-up-token-value"),
            status="online",
        ),
    ),
)

LEGACY_JSON = Account(
    id=10500123,
    uuid="3f9c2b7a5d1e8f04",
    username="mira_quill",
    title="mira_quill",
    email="mira@example.test",
    joined_at=1552593531,
    has_password=True,
    thumb=THUMB,
    auth_token=TOKEN,
    subscription=Subscription(active=True, status="Active", plan="lifetime", features=("pass", "home")),
    roles=("plexpass",),
    entitlements=("all", "ios"),
)

MANAGED = Account(
    id=10500456,
    uuid="b71d04e96c2fa835",
    username="",
    title="Pip",
    email="",
    friendly_name="Pip",
    confirmed=False,
    joined_at=1592234475,
    email_only_auth=False,
    has_password=False,
    protected=True,
    thumb="https://plex.tv/users/b71d04e96c2fa835/avatar?c=1592234475",
    auth_token=Token("aB4_tuRq81-ZxPmK0nEv"),
    mailing_list_active=False,
    scrobble_types="",
    country="NL",
    pin=Secret("9d8f0a4c1b7e6d5f9d8f0a4c1b7e6d5f"),
    subscription=Subscription(active=False, status="Inactive"),
    restricted=True,
    restriction_profile="little_kid",
    custom_restrictions=CustomRestrictions(movies="contentRating=G"),
    home=True,
    guest=False,
    home_size=2,
    home_admin=False,
    max_home_size=15,
    profile=Profile(
        auto_select_audio=True,
        auto_select_subtitle=0,
        default_subtitle_accessibility=0,
        default_subtitle_forced=0,
    ),
)

LOCAL = Connection(
    protocol="https",
    address="192.168.1.50",
    port=32400,
    uri=f"https://192-168-1-50.{DIRECT}:32400",
    local=True,
    relay=False,
    ipv6=False,
)
ATTIC_IN_XML = Resource(
    name="Attic",
    product="Plex Media Server",
    product_version=VERSION,
    platform="Linux",
    platform_version="6.1.0",
    device="Docker Container",
    client_identifier=ATTIC,
    created_at=datetime(2020, 1, 12, 15, 30, 18, tzinfo=UTC),
    last_seen_at=datetime(2026, 11, 3, 3, 15, 45, tzinfo=UTC),
    provides="server",
    public_address="203.0.113.5",
    access_token=TOKEN,
    owned=True,
    home=False,
    synced=False,
    relay=True,
    presence=True,
    https_required=False,
    public_address_matches=True,
    dns_rebinding_protection=False,
    nat_loopback_supported=False,
    connections=(LOCAL,),
)

SOURCE_READ = Source(
    name="Attic (mira_quill)",
    client_identifier=ATTIC,
    access_token=Token("transient-8c2a6f41-7e95-4d10-b3a7-19f4e6d0c528"),
    connections=(
        Connection(
            protocol="https",
            address="192.168.1.50",
            port=32400,
            uri=f"https://192-168-1-50.{DIRECT}:32400",
            local=True,
        ),
        Connection(
            protocol="https",
            address="198.51.100.7",
            port=8443,
            uri=f"https://198-51-100-7.{DIRECT}:8443",
            local=False,
            relay=True,
        ),
    ),
)
INFORMATION_XML = ServerInformation(
    machine_identifier=ATTIC,
    friendly_name="Attic",
    version=VERSION,
    platform="Linux",
    platform_version="6.1.0",
    multiuser=True,
    my_plex=True,
    my_plex_username="mira@example.test",
    my_plex_mapping_state="mapped",
    my_plex_signin_state="ok",
    my_plex_subscription=True,
    owner_features="pass,home",
    transcoder_active_video_sessions=0,
    updated_at=1793675745,
)
INFORMATION_JSON = ServerInformation(
    machine_identifier=ATTIC,
    friendly_name="Attic",
    version=VERSION,
    platform="Linux",
    platform_version="6.1.0",
    multiuser=True,
    my_plex=True,
    my_plex_mapping_state="unknown",
    my_plex_signin_state="none",
    my_plex_subscription=False,
    transcoder_active_video_sessions=1,
    updated_at=1793675745,
)
TRANSIENT_READ = TransientToken(token=Token("transient-5b7e1c90-2d4f-4a63-9e18-c0d7a4f2b631"))
