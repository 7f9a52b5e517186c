"""Each call reads what the real services send. The expected values are written out by hand in expected.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.protocol.expected import (
    ACCOUNT_JSON,
    ACCOUNT_XML,
    ATTIC,
    ATTIC_IN_XML,
    INFORMATION_JSON,
    INFORMATION_XML,
    LEGACY_JSON,
    LEGACY_XML,
    LOCAL,
    MANAGED,
    SIGN_IN,
    SOURCE,
    SOURCE_READ,
    TOKEN,
    TRANSIENT,
    TRANSIENT_READ,
    VERSION,
)
from tests.samples.reading import answer
from tests.tables import every
from ticketstub.models import Identity, PaidSubscription
from ticketstub.protocol.account import GetTokenDetails, Ping
from ticketstub.protocol.call import Call
from ticketstub.protocol.media_server import GetIdentity, GetServerInformation
from ticketstub.protocol.resource import GetResources
from ticketstub.tokens import Token

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


@every("name", list(READ))
def test_reads(name: str) -> None:
    """A call reads the real service's reply as exactly these values."""
    call, expected = READ[name]
    assert expected == call.read(answer(name))


@every("name", [name for name in READ if name not in ("ping.json", "ping.xml", "resources.xml")])
def test_real_answers_have_no_problems(name: str) -> None:
    """Nothing that the real service sends is reported as a problem."""
    call, _ = READ[name]
    assert () == call.read(answer(name)).problems


def test_sign_in_in_json() -> None:
    """A sign-in yields the token, subscriptions and trials; ids are numbers or texts."""
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
    """The XML of a sign-in yields the same: the token, the wrapped lists, the textual dates."""
    account: Any = SIGN_IN.read(answer("sign_in.xml", 201))
    assert TOKEN == account.auth_token
    assert ("pass", "home") == account.subscription.features
    assert [("70020", True)] == [(past.id, past.canceled) for past in account.past_subscriptions]
    assert [datetime(2023, 2, 10, 3, 33, 20, tzinfo=UTC)] == [trial.ends_at for trial in account.trials]


def test_resources_in_json() -> None:
    """Own servers have no owner, shared ones have their own token, players have none; nulls are None."""
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
    """A resource without connections and protection flags is read; missing values are None or empty."""
    (stale,) = GetResources().read(answer("resources_bare.json"))
    assert ("Stale", None, None, ()) == (stale.name, stale.platform, stale.nat_loopback_supported, stale.connections)
    assert () == stale.problems


def test_resources_of_the_old_kind() -> None:
    """The old list (MediaContainer, Device, epoch dates) is read too."""
    attic, laptop = GetResources().read(answer("resources_legacy.xml"))
    assert datetime(2020, 1, 12, 15, 30, 18, tzinfo=UTC) == attic.created_at
    assert ("Laptop", None) == (laptop.name, laptop.access_token)


def test_no_resources() -> None:
    """An account without resources has an empty list, in either format."""
    empty = [b"[]", b"<resources/>", b'<?xml version="1.0"?><resources>\n</resources>']
    for body in empty:
        found = answer("ping.json")
        found.body = body
        assert () == GetResources().read(found)
