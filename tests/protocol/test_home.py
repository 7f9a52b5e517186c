"""Plex Home and other people: the replies of the real services, and the requests, written out by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests import strategies
from tests.examples import examples
from tests.samples.reading import answer, sample
from tests.tables import every
from ticketstub.errors import MalformedReply
from ticketstub.messages import Response
from ticketstub.models import (
    AccessibleServer,
    Friend,
    Home,
    HomeUser,
    Invitation,
    PublishedServer,
    Share,
    SharedServer,
    SharingSettings,
    User,
)
from ticketstub.protocol.call import Call
from ticketstub.protocol.codec import Format, to_builtins, write_document
from ticketstub.protocol.home import (
    AddHomeUser,
    GetHome,
    GetHomeUsers,
    GetLegacyHomeUsers,
    RemoveHomeUser,
    SetManagedPasscode,
    SetPasscode,
    SwitchHomeUser,
    SwitchLegacyHomeUser,
)
from ticketstub.protocol.people import (
    AcceptInvitation,
    GetFriends,
    GetOwnedShares,
    GetPendingShares,
    GetReceivedInvitations,
    GetSentInvitations,
    GetServer,
    GetServers,
    GetSharedServers,
    GetUsers,
    RefuseInvitation,
    RemoveFriend,
    WithdrawInvitation,
)
from ticketstub.tokens import Secret, Token

ATTIC = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
MIRA = HomeUser(
    id=10500123,
    uuid="3f9c2b7a5d1e8f04",
    title="mira_quill",
    username="mira_quill",
    email="mira@example.test",
    thumb="https://plex.tv/users/3f9c2b7a5d1e8f04/avatar?c=1592234494",
    has_password=True,
    restricted=False,
    updated_at=1592234494,
    admin=True,
    guest=False,
    protected=True,
)
PIP = HomeUser(
    id=10500456,
    uuid="b71d04e96c2fa835",
    title="Pip",
    friendly_name="Pip",
    thumb="https://plex.tv/users/b71d04e96c2fa835/avatar?c=1592234475",
    has_password=False,
    restricted=True,
    updated_at=1592234475,
    restriction_profile="little_kid",
    admin=False,
    guest=False,
    protected=False,
)
QUILL = Home(
    id=778899,
    name="Quill home",
    guest_user_id=33000001,
    guest_user_uuid="0c4e8a2f6b1d9357",
    guest_enabled=False,
    subscription=True,
)
OAK = User(
    id=10500789,
    title="oak",
    username="oak",
    email="oak@example.test",
    thumb="https://plex.tv/users/5a5a5a5a5a5a5a5a/avatar?c=1592234475",
    protected=False,
    home=False,
    allow_tuners=False,
    allow_sync=False,
    allow_camera_upload=False,
    allow_channels=False,
    allow_subtitle_admin=False,
    restricted=False,
    servers=(
        AccessibleServer(
            id=900100200,
            server_id=9999999,
            machine_identifier=ATTIC,
            name="Attic",
            last_seen_at=1556281940,
            num_libraries=16,
            all_libraries=True,
            owned=True,
            pending=False,
        ),
    ),
)
OAK_ON_ATTIC = SharedServer(
    id=900100200,
    username="oak",
    email="oak@example.test",
    user_id=10500789,
    access_token=Token("Qw7-Zr2_LmN8tYb4HsKd"),
    name="Attic",
    accepted_at=1556281940,
    invited_at=1556281000,
    all_libraries=True,
    owned=False,
    machine_identifier=ATTIC,
)
FRIEND = Friend(
    id=10500789,
    uuid="5a5a5a5a5a5a5a5a",
    title="oak",
    username="oak",
    email="oak@example.test",
    thumb="https://plex.tv/users/5a5a5a5a5a5a5a5a/avatar?c=1592234475",
    restricted=False,
    home=False,
    status="accepted",
    shared_servers=(
        Share(
            id=900100200,
            name="Attic",
            server_id=9999999,
            owner_id=10500123,
            invited_id=10500789,
            num_libraries=16,
            all_libraries=True,
        ),
    ),
    sharing_settings=SharingSettings(allow_channels=False, filter_movies=""),
)
PUBLISHED = PublishedServer(
    name="Attic",
    address="203.0.113.5",
    port=32400,
    version="1.43.4.10903-0a1b2c3d4",
    scheme="http",
    local_addresses="192.168.1.50",
    machine_identifier=ATTIC,
    created_at=1578843018,
    updated_at=1793675745,
    owned=True,
    synced=False,
)
INVITED = Invitation(
    id=12345,
    created_at=1635126033,
    friend=True,
    home=True,
    server=True,
    username="oak",
    email="oak@example.test",
    thumb="https://plex.tv/users/5a5a5a5a5a5a5a5a/avatar?c=1635126033",
    friendly_name="Oak",
)
SHARED = GetSharedServers(machine_identifier=ATTIC)
READ: dict[str, tuple[Call[Any], Any]] = {
    "home.json": (GetHome(), QUILL),
    "home_users.json": (GetHomeUsers(), (MIRA, PIP)),
    "users.xml": (GetUsers(), (OAK,)),
    "shared_servers.xml": (SHARED, (OAK_ON_ATTIC,)),
    "friends.json": (GetFriends(), (FRIEND,)),
    "server_v2.json": (GetServer(machine_identifier=ATTIC), PUBLISHED),
    "invites.xml": (GetReceivedInvitations(), (INVITED,)),
}


@pytest.mark.parametrize("name", READ)
def test_reads(name: str) -> None:
    """A call reads the real service's reply as exactly these values, without problems."""
    call, expected = READ[name]
    found = call.read(answer(name))
    assert expected == found
    for each in found if isinstance(found, tuple) else (found,):
        assert () == each.problems


def test_legacy_home_users() -> None:
    """The older list yields the same people, except for what it does not contain."""
    found = GetLegacyHomeUsers().read(answer("home_users_legacy.xml"))
    assert 33000001 == found.guest_user_id
    assert [(10500123, True, None), (10500456, False, "little_kid")] == [
        (user.id, user.protected, user.restriction_profile) for user in found.users
    ]
    assert (None, None) == (found.users[1].username, found.users[1].friendly_name)


def test_a_legacy_switch() -> None:
    """The token of an older switch is found under its older name."""
    found = SwitchLegacyHomeUser(id=10500456).read(answer("switch.xml", 201))
    assert (Token("aB4_tuRq81-ZxPmK0nEv"), "Pip", True) == (found.auth_token, found.title, found.restricted)


def test_dates_as_text() -> None:
    """`updatedAt` is read as a number of seconds and as text; which one Plex sends is unknown."""
    body = sample("home_users.json").replace(b"1592234494,", b'"2020-06-15T15:21:34Z",')
    assert 1592234494 == GetHomeUsers().read(Response(200, {}, body))[0].updated_at


def test_a_bare_list_of_home_users() -> None:
    """A bare list is accepted too, as in some clients."""
    body = sample("home_users.json")
    bare = body[body.index(b"[") : -2]
    assert (MIRA, PIP) == GetHomeUsers().read(Response(200, {}, bare))


@every(
    "call",
    [GetHome(), GetHomeUsers(), GetLegacyHomeUsers(), SwitchHomeUser(uuid="x"), GetServer(machine_identifier="x")],
)
@every("body", [b"", b"<html></html>", b"{}", b"null", b"<MediaContainer/>"])
def test_what_is_no_answer(call: Call[Any], body: bytes) -> None:
    """An unrelated reply is malformed, not an empty Home."""
    with pytest.raises(MalformedReply):
        call.read(Response(call.http.status, {}, body))


@pytest.mark.parametrize(
    "call", [GetUsers(), GetFriends(), SHARED, GetServers(), GetOwnedShares(), GetPendingShares(), GetSentInvitations()]
)
def test_empty_lists(call: Call[Any]) -> None:
    """An empty reply is an empty list in both formats; a plain sentence is malformed."""
    for body in (b"[]", b'<MediaContainer size="0"/>', b'<MediaContainer size="0">\n</MediaContainer>'):
        assert () == call.read(Response(200, {}, body))
    with pytest.raises(MalformedReply):
        call.read(Response(200, {}, b'"come back later"'))


SENT: dict[str, tuple[Call[Any], str]] = {
    "home": (GetHome(), "GET /api/v2/home"),
    "home users": (GetHomeUsers(), "GET /api/v2/home/users"),
    "older home users": (GetLegacyHomeUsers(), "GET /api/home/users"),
    "switch": (SwitchHomeUser(uuid="b71d04e96c2fa835"), "POST /api/v2/home/users/b71d04e96c2fa835/switch"),
    "switch with passcode": (
        SwitchHomeUser(uuid="b71d04e96c2fa835", passcode=Secret("0471")),
        "POST /api/v2/home/users/b71d04e96c2fa835/switch?pin=0471",
    ),
    "older switch": (
        SwitchLegacyHomeUser(id=10500456, passcode=Secret("4711")),
        "POST /api/home/users/10500456/switch?pin=4711",
    ),
    "set": (SetPasscode(id=10500123, passcode=Secret("1234")), "PUT /api/home/users/10500123?pin=1234"),
    "change": (
        SetPasscode(id=10500123, passcode=Secret("1234"), current=Secret("9876")),
        "PUT /api/home/users/10500123?pin=1234&currentPin=9876",
    ),
    "remove": (
        SetPasscode(id=10500123, passcode=Secret(""), current=Secret("9876")),
        "PUT /api/home/users/10500123?pin=&currentPin=9876",
    ),
    "set a managed user's": (
        SetManagedPasscode(id=10500456, passcode=Secret("2580")),
        "POST /api/v2/home/users/restricted/10500456?pin=2580",
    ),
    "remove a managed user's": (
        SetManagedPasscode(id=10500456, remove=True),
        "POST /api/v2/home/users/restricted/10500456?removePin=1",
    ),
    "add": (AddHomeUser(title="Pip & Co"), "POST /api/home/users?title=Pip+%26+Co"),
    "invite": (AddHomeUser(invited_email="oak@example.test"), "POST /api/home/users?invitedEmail=oak%40example.test"),
    "take out": (RemoveHomeUser(id=10500456), "DELETE /api/home/users/10500456"),
    "users": (GetUsers(), "GET /api/users"),
    "friends": (GetFriends(), "GET /api/v2/friends"),
    "remove a friend": (RemoveFriend(id=10500789), "DELETE /api/friends/10500789"),
    "shares": (SHARED, f"GET /api/servers/{ATTIC}/shared_servers"),
    "servers": (GetServers(), "GET /api/servers"),
    "server": (GetServer(machine_identifier=ATTIC), f"GET /api/v2/servers/{ATTIC}"),
    "own shares": (GetOwnedShares(), "GET /api/v2/shared_servers/owned/accepted"),
    "pending shares": (GetPendingShares(), "GET /api/v2/shared_servers/invites/received/pending"),
    "received": (GetReceivedInvitations(), "GET /api/invites/requests"),
    "sent": (GetSentInvitations(), "GET /api/invites/requested"),
    "accept": (
        AcceptInvitation(id=12345, friend=False, home=True, server=False),
        "PUT /api/invites/requests/12345?friend=0&home=1&server=0",
    ),
    "refuse": (RefuseInvitation(id=12345), "DELETE /api/invites/requests/12345"),
    "withdraw": (WithdrawInvitation(id=12345), "DELETE /api/invites/requested/12345"),
}


@every("name", list(SENT))
def test_sent(name: str) -> None:
    """Each call has this method, path and query, no body, and is not retried if it changes something."""
    call, expected = SENT[name]
    assert expected == f"{call.get_method()} {call.build_target()}"
    assert (b"", None) == call.build_body()
    assert (call.http.method == "GET") is call.is_retryable()
    assert call.http.needs_token


def test_passcodes_are_secrets() -> None:
    """A call with a passcode lists it among its secrets and does not print it."""
    for call in (
        SwitchHomeUser(uuid="x", passcode=Secret("4711")),
        SetPasscode(id=1, passcode=Secret("4711"), current=Secret("4711")),
        SetManagedPasscode(id=1, passcode=Secret("4711")),
    ):
        assert "4711" in call.list_secrets()
        assert "4711" not in f"{call!r}"


USERS = st.lists(strategies.of(HomeUser), min_size=1, max_size=3).map(tuple)
# A PIN is never listed, and dates as text have an upper limit.
KNOWN = {"id": 10500456, "pin": None, "updated_at": 1592234475}


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("iso", [True, False])
@given(users=USERS)
@examples(15)
def test_a_home_in_every_form(form: Format, iso: bool, users: tuple[HomeUser, ...]) -> None:  # a case of the table
    """Home users that one end writes are read back the same by the other, in every form of dates."""
    listed = tuple(msgspec.structs.replace(user, **KNOWN) for user in users)
    told = [to_builtins(user) | ({"updatedAt": "2020-06-15T15:21:15Z"} if iso else {}) for user in listed]
    body = write_document("home", {"id": 778899, "name": "Quill home", "users": told}, form)
    assert listed == GetHomeUsers().read(Response(200, {}, body))


PEOPLE: dict[str, tuple[Call[Any], Any]] = {
    "home": (GetHome(), QUILL),
    "home users": (GetHomeUsers(), (MIRA, PIP)),
    "users": (GetUsers(), (OAK,)),
    "friends": (GetFriends(), (replace(FRIEND, sharing_settings=SharingSettings(allow_tuners=2)),)),
    "shares": (SHARED, (OAK_ON_ATTIC,)),
    "servers": (GetServers(), (PUBLISHED,)),
    "server": (GetServer(machine_identifier=ATTIC), PUBLISHED),
    "own shares": (GetOwnedShares(), FRIEND.shared_servers),
    "invitations": (GetReceivedInvitations(), (INVITED,)),
    "a member": (AddHomeUser(title="Pip"), PIP),
}


@every("form", Format)
@every("name", list(PEOPLE))
def test_both_ways(name: str, form: Format) -> None:
    """What one end writes is read back by the other, in JSON and XML, except for what the older list omits."""
    call, value = PEOPLE[name]
    found = call.read(Response(200, {}, call.write(value, form)))
    if name == "a member":
        assert (PIP.id, PIP.title, PIP.restriction_profile) == (found.id, found.title, found.restriction_profile)
    else:
        assert value == found
