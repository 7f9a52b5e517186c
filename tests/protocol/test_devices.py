"""Devices, claims and the older resource lists: the replies of the real services, and the requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from tests.samples.reading import answer
from ticketstub.errors import MalformedReply
from ticketstub.messages import Response
from ticketstub.models import AuthorizedDevice, Connection, Resource
from ticketstub.protocol.claim import (
    ClaimServer,
    ClaimStatus,
    ExchangeClaim,
    GetClaimStatus,
    GetClaimToken,
    UnclaimServer,
)
from ticketstub.protocol.codec import Format
from ticketstub.protocol.legacy import GetLegacyResources, GetPmsResources, GetServerList
from ticketstub.protocol.resource import GetDevices, GetPublicAddress, RemoveDevice
from ticketstub.tokens import Secret, Token

ATTIC = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
SERVERS = Token("Zp2Vw9LkTq7Xs4RbNd8H")
WORKSHOP = AuthorizedDevice(
    name="Workshop PC (Demo App)",
    public_address="203.0.113.5",
    product="Demo App",
    product_version="1.2.0",
    platform="Linux",
    platform_version="6.1",
    device="Linux",
    model="Plex OAuth",
    client_identifier="demo-client-7c1f",
    version="1.2.0",
    id=777001,
    token=Token("Xk3mPz_9Q-vT7rLb2NfW"),
    created_at=1793675700,
    last_seen_at=1793675745,
    screen_resolution="1440x900",
)
MINE = ClaimStatus(
    auth_token=SERVERS,
    username="mira@example.test",
    mapping_state="mapped",
    sign_in_state="ok",
    public_address="203.0.113.5",
    public_port=32400,
    private_address="192.168.1.50",
    private_port=32400,
    subscription_features="home,pass",
    subscription_active=True,
    subscription_state="Active",
)


def received(body: bytes) -> Response:
    return Response(200, {}, body)


def test_devices_are_read() -> None:
    """Each row of `/devices.xml` has its own token and addresses. Empty is None; unknown members are ignored."""
    workshop, attic, phone = GetDevices().read(answer("devices.xml"))
    assert WORKSHOP == workshop
    assert (777002, SERVERS, "server", "Docker Container") == (attic.id, attic.token, attic.provides, attic.device)
    uris = ("http://192.168.1.50:32400", "https://media.example.test:443")
    assert tuple(Connection(uri=uri) for uri in uris) == attic.connections
    assert (None, (Connection(uri="http://192.168.1.81:32500"),)) == (phone.token, phone.connections)
    assert [(), (), ()] == [each.problems for each in (workshop, attic, phone)]


@pytest.mark.parametrize(
    "body",
    [
        b'<MediaContainer publicAddress="203.0.113.5" size="0"/>',
        b'<MediaContainer publicAddress="203.0.113.5" size="0">\n</MediaContainer>',
        b'{"MediaContainer":{"size":0}}',
        b'{"MediaContainer":{"publicAddress":"203.0.113.5","size":0,"Device":[]}}',
    ],
)
def test_no_devices(body: bytes) -> None:
    """An account without devices has an empty list, which is not malformed."""
    assert () == GetDevices().read(received(body))


@pytest.mark.parametrize("body", [b"<pong>true</pong>", b'<user id="1"/>', b'{"id": 1}', b'"devices"', b"3"])
def test_what_is_no_list_of_devices(body: bytes) -> None:
    """A reply that is not a list of devices is malformed."""
    with pytest.raises(MalformedReply):
        GetDevices().read(received(body))


def test_devices_are_written() -> None:
    """The container has the caller's address and the count. A device has its columns in the observed order."""
    attic = AuthorizedDevice(name="Attic", id=2, token=SERVERS, connections=(Connection(uri="http://192.0.2.7:32400"),))
    body = GetDevices().write((WORKSHOP, attic), Format.XML).decode()
    assert (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<MediaContainer publicAddress="203.0.113.5" size="2">'
        '<Device name="Workshop PC (Demo App)" publicAddress="203.0.113.5" product="Demo App" productVersion="1.2.0"'
        ' platform="Linux" platformVersion="6.1" device="Linux" model="Plex OAuth" vendor="" provides=""'
        ' clientIdentifier="demo-client-7c1f" version="1.2.0" id="777001" token="Xk3mPz_9Q-vT7rLb2NfW"'
        ' createdAt="1793675700" lastSeenAt="1793675745" screenResolution="1440x900" screenDensity=""></Device>'
    ) == body.partition('<Device name="Attic"')[0]
    assert '<Connection uri="http://192.0.2.7:32400"/></Device></MediaContainer>' in body


def test_a_removal_is_asked_for_by_number() -> None:
    """`DELETE /devices/{id}.xml` succeeds with 200 and a body or with 204; the body is ignored."""
    call: Any = RemoveDevice(id=777001)
    assert ("DELETE", "/devices/777001.xml") == (call.http.method, call.build_target())
    assert None is call.read(received(b"<x/>")) is call.read(Response(204, {}, b""))


def test_an_address_is_plain_text() -> None:
    """`GET /:/ip` is read without its line break; a web page is not an address."""
    assert ("/:/ip", False) == (GetPublicAddress().build_target(), GetPublicAddress.http.needs_token)
    assert "203.0.113.5" == GetPublicAddress().read(received(b"203.0.113.5\n"))
    assert "2001:db8::7" == GetPublicAddress().read(received(b"2001:db8::7"))
    for body in (b"", b"<html><body>203.0.113.5", b"your address is 203.0.113.5"):
        with pytest.raises(MalformedReply):
            GetPublicAddress().read(received(body))


def test_a_claim_token_is_read() -> None:
    """The token of `/api/claim/token.json` is read, whatever the Content-Type."""
    assert Token.from_wire("claim-A1b2C3d4E5f6G7h8I9j0") == GetClaimToken().read(answer("claim_token.json"))
    with pytest.raises(MalformedReply):
        GetClaimToken().read(received(b'{"error":"no"}'))


def test_an_exchange_gives_the_servers_token() -> None:
    """The server's token is an attribute or element in XML, and at the top level in JSON."""
    call = ExchangeClaim(token=Secret("claim-A1b2C3d4E5f6G7h8I9j0"))
    assert "/api/claim/exchange?token=claim-A1b2C3d4E5f6G7h8I9j0" == call.build_target()
    assert "A1b2" not in repr(call)
    found: Any = call.read(answer("claim_exchange.xml"))
    assert (10500123, SERVERS) == (found.id, found.auth_token)
    element = b"<user><authentication-token>Zp2Vw9LkTq7Xs4RbNd8H</authentication-token></user>"
    assert SERVERS == call.read(received(element)).auth_token
    assert SERVERS == call.read(received(b'{"authToken":"Zp2Vw9LkTq7Xs4RbNd8H"}')).auth_token


@pytest.mark.parametrize("name", ["my_plex.json", "my_plex.xml"])
def test_how_a_server_stands_is_read(name: str) -> None:
    """The claim status is `MyPlex`, without MediaContainer. Ports are numbers, the subscription a boolean."""
    found = GetClaimStatus().read(answer(name))
    assert MINE == replace(found, mapping_error=None)
    assert "" == (found.mapping_error or "")
    assert () == found.problems


def test_what_a_server_is_asked() -> None:
    """Claim calls go to `/myplex/…` of the server itself; only claiming needs no token."""
    claim = ClaimServer(token=Secret("claim-A1b2C3d4E5f6G7h8I9j0"))
    asked = [
        (call.http.base, call.http.method, call.build_target(), call.http.needs_token)
        for call in (claim, GetClaimStatus(), UnclaimServer())
    ]
    assert [
        ("server", "POST", "/myplex/claim?token=claim-A1b2C3d4E5f6G7h8I9j0", False),
        ("server", "GET", "/myplex/account", True),
        ("server", "DELETE", "/myplex/account", True),
    ] == asked


@pytest.mark.parametrize("call", [GetLegacyResources(), GetPmsResources()])
def test_the_older_list_is_read(call: GetLegacyResources) -> None:
    """The older list has MediaContainer, Device and Connection, dates in seconds, and players without token."""
    attic, laptop = call.read(answer("resources_legacy.xml"))
    assert (ATTIC, True, datetime(2020, 1, 12, 15, 30, 18, tzinfo=UTC)) == (
        attic.client_identifier,
        attic.owned,
        attic.created_at,
    )
    assert ("http://192.168.1.50:32400",) == tuple(connection.uri for connection in attic.connections)
    assert ("Laptop", None, ()) == (laptop.name, laptop.access_token, laptop.connections)


def test_where_the_older_lists_are() -> None:
    """The older lists have three paths; the last one is XML by its name."""
    paths = [call.http.path for call in (GetLegacyResources, GetPmsResources, GetServerList)]
    assert ["/api/resources", "/pms/resources", "/pms/servers.xml"] == paths


FRIENDS = Resource(
    name="Friend Box",
    product="Plex Media Server",
    client_identifier=ATTIC,
    created_at=datetime(2021, 3, 12, 2, 21, 19, tzinfo=UTC),
    provides="server",
    owner_id=10500321,
    source_title="other_user",
    access_token=Token("Qw7-Zr2_LmN8tYb4HsKd"),
    owned=False,
    home=True,
    synced=False,
    relay=True,
    presence=False,
    https_required=False,
    public_address_matches=False,
    connections=(
        Connection(
            protocol="http", address="192.0.2.7", port=32400, uri="http://192.0.2.7:32400", local=True, relay=False
        ),
        Connection(
            protocol="https",
            address="198.51.100.7",
            port=8443,
            uri="https://a.plex.direct:8443",
            local=False,
            relay=True,
        ),
    ),
)
PHONE = Resource(
    name="Phone", provides="client,player", owned=True, home=False, synced=False, relay=False, presence=True
)


@pytest.mark.parametrize("form", list(Format))
def test_the_older_list_is_written(form: Format) -> None:
    """It is always XML: dates in seconds, `relay` only if it is 1, no IPv6, fewer attributes for players."""
    body = GetLegacyResources().write((FRIENDS, PHONE), form).decode()
    assert (
        '<?xml version="1.0" encoding="UTF-8"?>\n<MediaContainer size="2">'
        '<Device name="Friend Box" product="Plex Media Server" productVersion="" platform="" platformVersion=""'
        f' device="" clientIdentifier="{ATTIC}" createdAt="1615515679" lastSeenAt="" provides="server" owned="0"'
        ' accessToken="Qw7-Zr2_LmN8tYb4HsKd" publicAddress="" httpsRequired="0" synced="0" relay="1"'
        ' publicAddressMatches="0" presence="0" home="1" sourceTitle="other_user" ownerId="10500321">'
        '<Connection protocol="http" address="192.0.2.7" port="32400" uri="http://192.0.2.7:32400" local="1"/>'
        '<Connection protocol="https" address="198.51.100.7" port="8443" uri="https://a.plex.direct:8443" local="0"'
        ' relay="1"/></Device>'
    ) == body.partition('<Device name="Phone"')[0]
    phone = body.partition('<Device name="Phone"')[2]
    for absent in ("accessToken", "httpsRequired", "relay", "dnsRebinding", "sourceTitle", "home", "synced"):
        assert absent not in phone


def test_the_oldest_list_is_written() -> None:
    """`/pms/servers.xml` lists servers only, with one address each and the local ones in a list."""
    body = GetServerList().write((FRIENDS, PHONE), Format.XML).decode()
    assert (
        '<Server accessToken="Qw7-Zr2_LmN8tYb4HsKd" name="Friend Box" address="192.0.2.7" port="32400" version=""'
        f' scheme="http" host="192.0.2.7" localAddresses="192.0.2.7" machineIdentifier="{ATTIC}" createdAt="1615515679"'
        ' updatedAt="1615515679" owned="0" synced="0" sourceTitle="other_user" ownerId="10500321"/>'
    ) in body
    assert "Phone" not in body


def test_what_the_older_lists_write_is_read() -> None:
    """Addresses, owner and token are read back from both forms; other replies are malformed."""
    older = GetLegacyResources().read(received(GetLegacyResources().write((FRIENDS, PHONE), Format.XML)))
    assert [("Friend Box", 10500321, 2), ("Phone", None, 0)] == [
        (each.name, each.owner_id, len(each.connections)) for each in older
    ]
    (oldest,) = GetServerList().read(received(GetServerList().write((FRIENDS, PHONE), Format.XML)))
    assert (ATTIC, "192.0.2.7", 32400, True) == (
        oldest.client_identifier,
        oldest.connections[0].address,
        oldest.connections[0].port,
        oldest.is_media_server,
    )
    assert () == GetLegacyResources().read(received(b'<MediaContainer size="0"/>'))
    for call in (GetLegacyResources(), GetServerList()):
        with pytest.raises(MalformedReply):
            call.read(received(b"<pong>true</pong>"))


def test_an_owner_in_the_other_spelling_is_read() -> None:
    """Some older lists spell it `ownerID` (observed in clients)."""
    body = b'<MediaContainer size="1"><Device name="A" owned="0" ownerID="7" provides="server"/></MediaContainer>'
    assert [7] == [each.owner_id for each in GetLegacyResources().read(received(body))]
