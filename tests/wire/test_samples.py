"""Each call reads what the real services send; the expected values are written out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.samples.reading import answer
from ticketstub.records import (
    Account,
    Connection,
    CustomRestrictions,
    Identity,
    PaidSubscription,
    Profile,
    Resource,
    ServerInformation,
    Service,
    Source,
    Subscription,
    TransientToken,
)
from ticketstub.token import Secret, Token
from ticketstub.wire.accounts import GetTokenDetails, Ping, PostUsersSignInData
from ticketstub.wire.call import Call
from ticketstub.wire.media_server import GetIdentity, GetServerInformation
from ticketstub.wire.resources import GetResources
from ticketstub.wire.security import (
    GetSourceConnectionInformation,
    GetTransientToken,
    TransientTokenScope,
    TransientTokenType,
)

TOKEN = Token("Xk3mPz_9Q-vT7rLb2NfW")
THUMB = "https://plex.tv/users/3f9c2b7a5d1e8f04/avatar?c=1724402119"
ATTIC = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
DIRECT = "5d0c3a9be17f42d8a6b4c2e0f19d7385.plex.direct"
VERSION = "1.43.4.10903-0a1b2c3d4"

SIGN_IN = PostUsersSignInData.of("mira_quill", "hunter2")
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

READ: dict[str, tuple[Call[Any], Any]] = {
    "account.json": (GetTokenDetails(), ACCOUNT_JSON),
    "account.xml": (GetTokenDetails(), ACCOUNT_XML),
    "account_managed.json": (GetTokenDetails(), MANAGED),
    "account_legacy.xml": (GetTokenDetails(), LEGACY_XML),
    "account_legacy.json": (GetTokenDetails(), LEGACY_JSON),
    "ping.json": (Ping(), True),
    "ping.xml": (Ping(), True),
    "resources.xml": (GetResources(), (ATTIC_IN_XML,)),
    "transient_token.json": (TRANSIENT, TRANSIENT_READ),
    "transient_token.xml": (TRANSIENT, TRANSIENT_READ),
    "source.xml": (SOURCE, SOURCE_READ),
    "source_object.json": (SOURCE, SOURCE_READ),
    "source_list.json": (SOURCE, SOURCE_READ),
    "identity.json": (
        GetIdentity(),
        Identity(machine_identifier=ATTIC, version=VERSION, api_version="1.2.3", claimed=True),
    ),
    "identity.xml": (GetIdentity(), Identity(machine_identifier=ATTIC, version=VERSION, claimed=True)),
    "identity_2020.xml": (GetIdentity(), Identity(machine_identifier=ATTIC, version="1.19.2.2737-b69929dab")),
    "server_information.xml": (GetServerInformation(), INFORMATION_XML),
    "server_information.json": (GetServerInformation(), INFORMATION_JSON),
}


@pytest.mark.parametrize("name", READ)
def test_reads(name: str) -> None:
    """A call reads the real service's answer into exactly these values."""
    call, expected = READ[name]
    assert expected == call.read(answer(name))


@pytest.mark.parametrize("name", [name for name in READ if name not in ("ping.json", "ping.xml", "resources.xml")])
def test_real_answers_have_no_problems(name: str) -> None:
    """Nothing that the real service sends is read as a problem."""
    call, _ = READ[name]
    assert () == call.read(answer(name)).problems


def test_sign_in_in_json() -> None:
    """A sign-in yields the token, present and past subscriptions and trials; ids come as numbers or as text."""
    account: Any = SIGN_IN.read(answer("sign_in.json", 201))
    assert TOKEN == account.auth_token
    assert (datetime(2023, 3, 24, tzinfo=UTC), "stripe", "yearly") == (
        account.subscription.subscribed_at,
        account.subscription.payment_service,
        account.subscription.plan,
    )
    renews = datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)
    assert (PaidSubscription(id="70021", mode="yearly", type="plexpass", state="active", renews_at=renews),) == (
        account.subscriptions
    )
    ended = datetime(2023, 3, 24, tzinfo=UTC)
    past = PaidSubscription(
        id="70020",
        mode="monthly",
        type="plexpass",
        state="ended",
        ends_at=ended,
        canceled=True,
        grace_period=False,
        on_hold=False,
    )
    assert (past,) == account.past_subscriptions
    assert ("70019", "trial") == (account.trials[0].id, account.trials[0].mode)
    assert ("nl", "en") == account.profile.default_audio_languages
    assert () == account.problems


def test_sign_in_in_xml() -> None:
    """The XML of a sign-in yields the same: the token, the lists in their wrappers, dates in words."""
    account: Any = SIGN_IN.read(answer("sign_in.xml", 201))
    assert TOKEN == account.auth_token
    assert ("pass", "home") == account.subscription.features
    assert [("70020", True)] == [(past.id, past.canceled) for past in account.past_subscriptions]
    assert [datetime(2023, 2, 10, 3, 33, 20, tzinfo=UTC)] == [trial.ends_at for trial in account.trials]


def test_resources_in_json() -> None:
    """Own servers have no owner, shared ones a token of their own, players none; nulls are None."""
    attic, friend, phone = GetResources().read(answer("resources.json"))
    assert ["Attic", "Friend Box", "Phone"] == [attic.name, friend.name, phone.name]
    assert [None, 10500321, None] == [attic.owner_id, friend.owner_id, phone.owner_id]
    assert [TOKEN, Token("Qw7-Zr2_LmN8tYb4HsKd"), None] == [attic.access_token, friend.access_token, phone.access_token]
    assert [4, 0, 1] == [len(attic.connections), len(friend.connections), len(phone.connections)]
    assert LOCAL == attic.connections[0]
    assert [False, False, False, True] == [connection.relay for connection in attic.connections]
    assert (None, None, None) == (friend.platform, friend.platform_version, friend.dns_rebinding_protection)
    assert [True, True, False] == [attic.is_media_server, friend.is_media_server, phone.is_media_server]


def test_resources_that_lack_much() -> None:
    """A resource without connections and protection flags is read; what is missing is None or empty."""
    (stale,) = GetResources().read(answer("resources_bare.json"))
    assert ("Stale", None, None, ()) == (stale.name, stale.platform, stale.nat_loopback_supported, stale.connections)
    assert () == stale.problems


def test_resources_of_the_old_kind() -> None:
    """The old list (MediaContainer, Device, epoch dates) is read too."""
    attic, laptop = GetResources().read(answer("resources_legacy.xml"))
    assert datetime(2020, 1, 12, 15, 30, 18, tzinfo=UTC) == attic.created_at
    assert ("Laptop", None) == (laptop.name, laptop.access_token)


def test_no_resources() -> None:
    """An account that reaches nothing has an empty list, in either format."""
    empty = [b"[]", b"<resources/>", b'<?xml version="1.0"?><resources>\n</resources>']
    for body in empty:
        found = answer("ping.json")
        found.body = body
        assert () == GetResources().read(found)
