"""The resources of an account, in the current form and the older ones: servers, players, tokens and flags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local_plex.asking import ATTIC, MIRA, MIRA_ON_TOMS, START, TOM, TOM_ON_ATTIC, Clock, ask, get
from tests.local_plex.conftest import Start
from tests.local_plex.family import PIP, VERA, family, switch
from tests.local_plex.small import rows, signed_in, small
from ticketstub.testing import LocalPlexController, local_plex

ATTICS_OWN = "At9-the_attics_own_0"
OLDER = ["/api/resources", "/pms/resources"]
BOOLEANS = "owned synced relay presence httpsRequired publicAddressMatches dnsRebindingProtection natLoopbackSupported"


@pytest.fixture(name="plex", scope="module")
def _plex() -> Iterator[LocalPlexController]:
    """The small world, with a player, a controller and a plain application of mira's."""
    with local_plex(small(), clock=Clock()) as running:
        signed_in(running.url)
        signed_in(running.url, **{"X-Plex-Client-Identifier": "remote-1", "X-Plex-Provides": "controller"})
        signed_in(running.url, **{"X-Plex-Client-Identifier": "plain-1", "X-Plex-Provides": ""})
        yield running


def listed(url: str, token: str = MIRA, query: str = "") -> list[dict[str, Any]]:
    answer = get(url, f"/api/v2/resources{query}", token)
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.json
    return found


def older(url: str, path: str = "/api/resources", token: str = MIRA, **headers: str) -> Any:
    answer = ask(url, "GET", path, {"X-Plex-Token": token, **headers})
    assert (200, "application/xml; charset=utf-8") == (answer.status, answer.headers["content-type"])
    return answer.xml


def test_players_are_resources_too(plex: LocalPlexController) -> None:
    """Devices that provide a player or client follow the servers, without token and addresses.

    What only servers say is missing; a plain application is not listed, nor is a device that only controls others.
    """
    found = listed(plex.url)
    assert ["Attic", "Shed", "Toms", "kitchen-1"] == [
        each["name"] if each["provides"] == "server" else each["clientIdentifier"] for each in found
    ]
    when = "2026-11-18T11:06:40Z"
    assert START == 1795000000
    assert {
        "name": "Kitchen & <Hall>",
        "product": "Demo App",
        "productVersion": "1.2.0",
        "platform": "Linux",
        "platformVersion": "6.1",
        "device": "Linux",
        "clientIdentifier": "kitchen-1",
        "createdAt": when,
        "lastSeenAt": when,
        "provides": "client,player",
        "ownerId": None,
        "sourceTitle": None,
        "publicAddress": "127.0.0.1",
        "accessToken": None,
        "owned": True,
        "home": False,
        "synced": False,
        "relay": False,
        "presence": False,
        "httpsRequired": False,
        "publicAddressMatches": True,
        "connections": [],
    } == found[3]
    assert {"server"} == {each["provides"] for each in listed(plex.url, TOM)}  # others' devices are nobody's business


def test_no_boolean_is_empty_in_xml(plex: LocalPlexController) -> None:
    """python-plexapi refuses a boolean other than 0 and 1: each one is valid, also of players."""
    answer = ask(plex.url, "GET", "/api/v2/resources", {"X-Plex-Token": MIRA, "X-Plex-Client-Identifier": "x"})
    assert ("resources", 4) == (answer.xml.tag, len(answer.xml))
    for resource in answer.xml:
        given = {name: resource.get(name) for name in (*BOOLEANS.split(), "home") if name in resource.attrib}
        assert {"0", "1"} >= set(given.values())
        assert resource.get("provides")
        assert "connections" == resource[0].tag
        for connection in resource[0]:
            assert {"0", "1"} >= {connection.get(name) for name in ("local", "relay", "IPv6")}


def test_the_token_of_each_server(plex: LocalPlexController) -> None:
    """Owned: the token that asked, also a device's; shared: that share's; nobody gets any other."""
    token = signed_in(plex.url)
    for asking in (MIRA, token):
        tokens = {
            each["name"]: each["accessToken"] for each in listed(plex.url, asking) if each["provides"] == "server"
        }
        assert {"Attic": asking, "Shed": asking, "Toms": MIRA_ON_TOMS} == tokens
    assert {"Toms": TOM, "Attic": TOM_ON_ATTIC} == {each["name"]: each["accessToken"] for each in listed(plex.url, TOM)}


def test_a_servers_own_token_is_told_no_other(start: Start) -> None:
    """A media server's token is listed for that server, and no token for the owner's others and for shares."""
    world = small(token=ATTICS_OWN)
    plex = start(world=world, clock=Clock())
    tokens = {
        each["name"]: each["accessToken"] for each in listed(plex.url, ATTICS_OWN) if each["provides"] == "server"
    }
    assert {"Attic": ATTICS_OWN, "Shed": None, "Toms": None} == tokens
    for path in (*OLDER, "/pms/servers.xml", "/api/servers.xml"):
        assert MIRA_ON_TOMS.encode() not in get(plex.url, path, ATTICS_OWN).body


@pytest.mark.parametrize("path", OLDER)
def test_the_older_form(plex: LocalPlexController, path: str) -> None:
    """MediaContainer, Device, Connection; dates in seconds; no `connections`, no IPv6; no `relay` of an address."""
    container = older(plex.url, path)
    assert ("MediaContainer", "4") == (container.tag, container.get("size"))
    attic, _shed, toms, kitchen = container
    server = plex.media_server("Attic")
    assert {
        "name": "Attic",
        "product": "Plex Media Server",
        "productVersion": "1.43.4.10903-0a1b2c3d4",
        "platform": "Linux",
        "platformVersion": "6.1.0",
        "device": "",
        "clientIdentifier": ATTIC,
        "createdAt": str(START),
        "lastSeenAt": str(START),
        "provides": "server",
        "owned": "1",
        "accessToken": MIRA,
        "publicAddress": "127.0.0.1",
        "httpsRequired": "0",
        "synced": "0",
        "relay": "0",
        "dnsRebindingProtection": "0",
        "natLoopbackSupported": "0",
        "publicAddressMatches": "1",
        "presence": "1",
    } == attic.attrib
    address = {"protocol": "http", "address": "127.0.0.1", "port": str(server.port), "uri": server.url, "local": "1"}
    both = [("Connection", address), ("Connection", address | {"local": "0"})]
    assert both == [(child.tag, child.attrib) for child in attic]
    shared = {"owned": "0", "accessToken": MIRA_ON_TOMS, "home": "0", "sourceTitle": "tom", "ownerId": "10500321"}
    assert shared == {name: toms.get(name) for name in shared}
    assert {"owned": "1", "provides": "client,player", "presence": "0"}.items() <= kitchen.attrib.items()
    absent = {"accessToken", "httpsRequired", "relay", "synced", "dnsRebindingProtection", "home", "ownerId"}
    assert not absent & kitchen.attrib.keys()
    assert [] == list(kitchen)


@pytest.mark.parametrize("path", [*OLDER, "/api/resources/", "/api/resources.json"])
def test_the_older_form_is_xml_whatever_is_accepted(plex: LocalPlexController, path: str) -> None:
    """Clients ask for JSON and read XML; they need no client identifier either."""
    older(plex.url, path, Accept="application/json")


def test_the_oldest_form(plex: LocalPlexController) -> None:
    """`/pms/servers.xml` lists only servers, each with one address."""
    container = older(plex.url, "/pms/servers.xml")
    assert (["Server"] * 3, "3") == ([each.tag for each in container], container.get("size"))
    attic, _shed, toms = container
    port = str(plex.media_server("Attic").port)
    assert {
        "accessToken": MIRA,
        "name": "Attic",
        "address": "127.0.0.1",
        "port": port,
        "version": "1.43.4.10903-0a1b2c3d4",
        "scheme": "http",
        "host": "127.0.0.1",
        "localAddresses": "127.0.0.1",
        "machineIdentifier": ATTIC,
        "createdAt": str(START),
        "updatedAt": str(START),
        "owned": "1",
        "synced": "0",
    } == attic.attrib
    assert ("0", "tom", "10500321") == (toms.get("owned"), toms.get("sourceTitle"), toms.get("ownerId"))


@pytest.mark.parametrize("status", [422, 401])
def test_a_dead_token_on_the_older_forms(start: Start, status: int) -> None:
    """422 "Invalid token" in XML without a code, or 401 if the world says so; no server is listed."""
    plex = start({"legacy_dead_token": status}, world=small())
    for path in (*OLDER, "/pms/servers.xml", "/devices.xml"):
        answers = [
            ask(plex.url, "GET", f"{path}?X-Plex-Token={token}") for token in ("Dead_token_012345678", TOM_ON_ATTIC)
        ]
        assert [status] * 2 == [answer.status for answer in answers]
        assert [("errors", "Invalid token")] * 2 == [(one.xml.tag, one.xml.findtext("error")) for one in answers]


def test_only_the_present_form_asks_for_a_client_identifier(plex: LocalPlexController) -> None:
    """400 with code 1000 there, 200 on the older ones."""
    headers = {"X-Plex-Token": MIRA, "Accept": "application/json"}
    answer = ask(plex.url, "GET", "/api/v2/resources", headers)
    assert (400, 1000) == (answer.status, answer.json["errors"][0]["code"])
    assert [200] * 4 == [
        ask(plex.url, "GET", path, headers).status for path in (*OLDER, "/pms/servers.xml", "/devices.xml")
    ]


@pytest.mark.parametrize("path", ["/api/v2/resources", *OLDER])
def test_what_is_included_is_0_or_1(plex: LocalPlexController, path: str) -> None:
    """Anything else is 400, on the older forms too."""
    assert 400 == get(plex.url, f"{path}?includeRelay=yes", MIRA).status
    assert 200 == get(plex.url, f"{path}?includeHttps=1&includeRelay=1&includeIPv6=1", MIRA).status


def test_ipv6_addresses_are_listed_where_asked_for(start: Start) -> None:
    """A server with only an IPv6 address has none for a client that does not include those."""
    plex = start(world=small(), host="::1")
    uri = plex.media_server("Attic").url
    assert uri.startswith("http://[::1]:")
    with_ipv6, without = (listed(plex.url, MIRA, query)[0]["connections"] for query in ("?includeIPv6=1", ""))
    assert [] == without
    assert [("::1", uri, True)] * 2 == [(each["address"], each["uri"], each["IPv6"]) for each in with_ipv6]
    connection, _remote = older(plex.url, "/api/resources?includeIPv6=1")[0]
    assert (uri, None) == (connection.get("uri"), connection.get("IPv6"))


def test_servers_of_the_home_are_marked(start: Start) -> None:
    """`home` is true for servers of other members of the Home, and false for own and other servers."""
    plex = start(world=family())
    marks = {token: {each["name"]: each["home"] for each in listed(plex.url, token)} for token in (MIRA, TOM, VERA)}
    assert {"Attic": False, "Toms": True} == marks[MIRA]
    assert {"Attic": True, "Toms": False} == marks[TOM]
    assert {"Attic": False} == marks[VERA]
    toms = older(plex.url)[1]
    assert ("Toms", "1") == (toms.get("name"), toms.get("home"))


def test_a_removed_device_loses_whom_it_switched_to(start: Start) -> None:
    """S6: a token of a device's switch ends with the device, which could switch back otherwise (assumed)."""
    plex = start(world=family())
    token = signed_in(plex.url, **{"X-Plex-Client-Identifier": "demo-client-7c1f"})
    pips = switch(plex.url, "pip", who=token).json["authToken"]
    elsewhere = signed_in(plex.url, **{"X-Plex-Client-Identifier": "hall-1"})
    assert [200, 200] == [get(plex.url, "/api/v2/user", one).status for one in (token, pips)]
    device_id = rows(plex.url, MIRA)["demo-client-7c1f"]["id"]
    assert 204 == ask(plex.url, "DELETE", f"/devices/{device_id}.xml", {"X-Plex-Token": MIRA}).status
    found = [get(plex.url, "/api/v2/user", one).status for one in (token, pips, elsewhere, PIP, MIRA)]
    assert [401, 401, 200, 200, 200] == found


def test_a_share_in_the_list_opens_that_server_alone(plex: LocalPlexController) -> None:
    """Tom's listed token works on Attic only, and is never printed elsewhere."""
    assert [200, 401, 401] == [
        get(plex.media_server(name).url, "/", TOM_ON_ATTIC).status for name in ("Attic", "Shed", "Toms")
    ]
    for path in ("/api/v2/resources", *OLDER, "/pms/servers.xml"):
        body = get(plex.url, path, TOM).body.decode()
        assert {TOM, TOM_ON_ATTIC} == set(re.findall(f"{MIRA}|{MIRA_ON_TOMS}|{TOM_ON_ATTIC}|{TOM}", body))


def test_an_owned_server_has_an_empty_owner_in_xml(plex: LocalPlexController) -> None:
    """`ownerId` is empty for what the caller owns, and the owner's id for what is shared (observed)."""
    root = ask(plex.url, "GET", "/api/v2/resources", {"X-Plex-Token": MIRA, "X-Plex-Client-Identifier": "x"}).xml
    assert {"Attic": "", "Toms": "10500321"}.items() <= {each.get("name"): each.get("ownerId") for each in root}.items()


def test_the_older_lists_may_be_empty(start: Start) -> None:
    """With `legacy_server_lists = "empty"` the oldest list is empty and the older ones have no owned servers."""
    plex = start({"legacy_server_lists": "empty"}, world=small())
    assert 0 == len(older(plex.url, "/pms/servers.xml"))
    assert [["Toms"]] * 2 == [[each.get("name") for each in older(plex.url, path)] for path in OLDER]
    assert {"Attic", "Shed", "Toms"} == {each["name"] for each in listed(plex.url)}


def test_cors_may_be_missing(start: Start, plex: LocalPlexController) -> None:
    """With `cors = "none"` no preflight, reply or refusal allows pages of other origins to read it."""
    without = start({"cors": "none"}, world=small())
    field = "access-control-allow-origin"
    for url, expected in ((plex.url, ["*"] * 3), (without.url, [None] * 3)):
        preflight = ask(url, "OPTIONS", "/api/v2/user", {"Access-Control-Request-Headers": "x-plex-token"})
        answers = [preflight, get(url, "/api/v2/user", MIRA), get(url, "/api/v2/user", "Dead_token_012345678")]
        assert [200, 200, 401] == [answer.status for answer in answers]
        assert expected == [answer.headers.get(field) for answer in answers]
