"""The addresses of media servers: the two of the default, those that a world names, and who is told which."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.local_plex.asking import ATTIC, MIRA, TOM, ask, get
from tests.local_plex.conftest import Start
from tests.local_plex.small import rows, small
from ticketstub.local_plex.domain.media_servers import derive_plex_direct_id
from ticketstub.local_plex.world.addresses import WorldAddress
from ticketstub.local_plex.world.schema import World, WorldError
from ticketstub.testing import local_plex

RELAY = "https://198-51-100-7.5d0c3a9be17f42d8a6b4c2e0f19d7385.plex.direct:8443"
CUSTOM = "https://media.example.test"
NAMED: list[dict[str, object]] = [
    {"local": True},
    {"host": "192.168.1.50", "port": 32400, "local": True},
    {"host": "2001:db8::7"},
    {"uri": CUSTOM},
    {"uri": RELAY, "relay": True},
]
ALL = "?includeHttps=1&includeRelay=1&includeIPv6=1"
FORMS = ["/api/v2/resources", "/api/resources", "/pms/resources"]


def attic(url: str, token: str, query: str = "") -> Any:
    """Return what the list says of Attic."""
    found = get(url, f"/api/v2/resources{query}", token).json
    return next(each for each in found if each["name"] == "Attic")


def uris(url: str, path: str, query: str) -> list[str | None]:
    """Return the addresses of Attic, in the order of the list."""
    answer = ask(url, "GET", path + query, {"X-Plex-Token": MIRA, "X-Plex-Client-Identifier": "x"})
    resource = next(each for each in answer.xml if each.get("name") == "Attic")
    return [each.get("uri") for each in resource.iter() if each.get("uri")]


@pytest.mark.parametrize("token", [MIRA, TOM])
def test_by_default_one_address_is_local_and_one_is_not(start: Start, token: str) -> None:
    """A media server is listed twice at the place where it answers: as a local and as a remote address."""
    plex = start(world=small())
    uri = plex.media_server("Attic").url
    told = attic(plex.url, token)
    assert [(uri, True, False), (uri, False, False)] == [
        (each["uri"], each["local"], each["relay"]) for each in told["connections"]
    ]
    assert (False, True, "127.0.0.1") == (told["relay"], told["presence"], told["publicAddress"])
    assert 200 == get(uri, "/", told["accessToken"]).status


@pytest.mark.parametrize("path", FORMS)
def test_a_world_names_the_addresses(start: Start, path: str) -> None:
    """Relays are listed with `includeRelay=1`, IPv6 with `includeIPv6=1`; each form of the list has the same."""
    plex = start(world=small(address=NAMED))
    own = plex.media_server("Attic").url
    v6 = f"http://[2001:db8::7]:{plex.media_server('Attic').port}"
    assert [own, "http://192.168.1.50:32400", v6, CUSTOM, RELAY] == uris(plex.url, path, ALL)
    assert [own, "http://192.168.1.50:32400", CUSTOM] == uris(plex.url, path, "")
    assert [own, "http://192.168.1.50:32400", CUSTOM, RELAY] == uris(plex.url, path, "?includeRelay=1")
    assert [own, "http://192.168.1.50:32400", v6, CUSTOM] == uris(plex.url, path, "?includeIPv6=1")


def test_what_each_address_says_of_itself(start: Start) -> None:
    """Protocol, host and port are those of the address, also where the world writes it out."""
    told = attic(start(world=small(address=NAMED)).url, MIRA, ALL)
    assert [
        {"protocol": "https", "address": "media.example.test", "port": 443, "uri": CUSTOM}
        | {"local": False, "relay": False, "IPv6": False},
        {"protocol": "https", "address": RELAY[8:-5], "port": 8443, "uri": RELAY}
        | {"local": False, "relay": True, "IPv6": False},
    ] == told["connections"][3:]
    assert (True, True) == (told["relay"], told["presence"])


def test_the_older_form_marks_relays_alone(start: Start) -> None:
    """`relay` is an attribute of relays only, as was observed."""
    plex = start(world=small(address=NAMED))
    container = ask(plex.url, "GET", "/api/resources?includeRelay=1", {"X-Plex-Token": MIRA}).xml
    assert [None, None, None, "1"] == [each.get("relay") for each in container[0]]


def test_https_names_are_for_addresses_that_the_world_does_not_write_out(start: Start) -> None:
    """With `includeHttps=1`, where TLS is answered, a host in digits has its name below plex.direct."""
    plex = start(world=small(address=NAMED), plex_direct=True)
    names = [f"https://192-168-1-50.{derive_plex_direct_id(ATTIC)}.plex.direct:32400", CUSTOM]
    assert names == uris(plex.url, "/api/v2/resources", "?includeHttps=1")[1:]
    assert "http://192.168.1.50:32400" in uris(plex.url, "/api/v2/resources", "")


def test_a_server_without_addresses(start: Start) -> None:
    """An empty list is a server that is known and cannot be reached: no connections, not present."""
    plex = start(world=small(address=[]))
    told = attic(plex.url, MIRA, ALL)
    assert ([], False, None) == (told["connections"], told["presence"], told["publicAddress"])
    assert 200 == get(plex.media_server("Attic").url, "/identity").status


def test_the_device_list_has_each_address_once(start: Start) -> None:
    """`/devices.xml` says neither local nor remote, so the same address stands there once; relays do not."""
    plex = start(world=small(address=[*NAMED, {"local": False}]))
    listed = [each["uri"] for each in rows(plex.url, MIRA)[ATTIC]["Connection"]]
    port = plex.media_server("Attic").port
    own = f"http://127.0.0.1:{port}"
    assert [own, "http://192.168.1.50:32400", f"http://[2001:db8::7]:{port}", CUSTOM] == listed


def test_the_lists_of_one_address_have_the_remote_one(start: Start) -> None:
    """`/pms/servers.xml`, `/api/servers` and `/api/v2/servers/{id}` tell the remote address, and all local ones."""
    plex = start(world=small(address=NAMED))
    for path in ("/pms/servers.xml", "/api/servers.xml", f"/api/v2/servers/{ATTIC}"):
        answer = ask(plex.url, "GET", path, {"X-Plex-Token": MIRA, "X-Plex-Client-Identifier": "x"})
        told = next(each for each in answer.xml.iter() if each.get("name") == "Attic")
        assert "127.0.0.1,192.168.1.50" == told.get("localAddresses"), path
        outside = ("media.example.test", "443", "https") if "pms" in path else ("2001:db8::7", None, "http")
        assert outside[::2] == (told.get("address"), told.get("scheme")), path


def test_a_source_that_is_a_server_of_this_local_plex(start: Start) -> None:
    """`/security/resources` tells a media server's addresses where its source names none of its own."""
    source = [{"identifier": f"server://{ATTIC}", "name": "Attic (mira_quill)"}]
    plex = start(world=small(address=NAMED, source=source))
    url = plex.media_server("Attic").url
    found = ask(url, "GET", f"/security/resources?source=server://{ATTIC}", {"X-Plex-Token": MIRA}).xml
    port = f":{plex.media_server('Attic').port}"
    assert [url, "http://192.168.1.50:32400", f"http://[2001:db8::7]{port}", CUSTOM, RELAY] == [
        each.get("uri") for each in found[0]
    ]
    assert [None, None, None, None, "1"] == [each.get("relay") for each in found[0]]


def test_my_plex_tells_both_sides(start: Start) -> None:
    """`/myplex/account` tells the remote address as the public one and the local address as the private one."""
    plex = start(world=small(address=[{"host": "192.168.1.50", "local": True}, {"uri": CUSTOM}]))
    told = ask(plex.media_server("Attic").url, "GET", "/myplex/account", {"X-Plex-Token": MIRA}).xml
    assert ("media.example.test", "443") == (told.get("publicAddress"), told.get("publicPort"))
    assert "192.168.1.50" == told.get("privateAddress")


def test_an_advertised_address_and_a_media_port_are_listed(start: Start) -> None:
    """What `serve --advertise` and `--media-port` say is where both addresses of the default lead."""
    plex = start(world=small(), advertise="127.0.0.9")
    port = plex.media_server("Attic").port
    listed = [each["uri"] for each in attic(plex.url, MIRA)["connections"]]
    assert [f"http://127.0.0.9:{port}"] * 2 == listed


def test_addresses_in_a_world() -> None:
    """An address is written out, or a host and a port, each by default where the server answers."""
    (server,) = World.from_dict(
        {
            "account": [{"username": "mira_quill", "email": "mira@example.test"}],
            "media_server": [{"name": "Attic", "owner": "mira_quill", "address": NAMED}],
        }
    ).media_servers
    assert (
        WorldAddress(local=True),
        WorldAddress(host="192.168.1.50", port=32400, local=True),
        WorldAddress(host="2001:db8::7"),
        WorldAddress(uri=CUSTOM),
        WorldAddress(uri=RELAY, relay=True),
    ) == server.addresses


def test_faults_of_addresses_are_told_by_their_paths() -> None:
    """Every faulty key of an address is named by its path, all at once."""
    wrong: list[object] = [
        {"host": "media.example.test"},
        {"host": 7},
        {"uri": "ftp://a"},
        {"uri": CUSTOM, "port": 1},
        {"local": True, "relay": True},
        {"scheme": "https"},
        "http://127.0.0.1",
    ]
    with pytest.raises(WorldError) as caught:
        World.from_dict({"media_server": [{"name": "Attic", "claimed": False, "address": wrong}]})
    at = "media_server[0].address"
    assert (
        f"{at}[0].host: must be an IP address; for a host name, use uri",
        f"{at}[1].host: must be text, not a number",
        f"{at}[2].uri: must be http:// or https:// with a host, and without a user name",
        f"{at}[3].port: conflicts with uri, which has its own",
        f"{at}[4].relay: conflicts with local = true: a relay is not in the server's own network",
        f"{at}[5].scheme: is not a known key",
        f"{at}[6]: must be a table",
    ) == caught.value.faults


def test_the_addresses_of_a_kept_database_are_the_files(tmp_path: Any) -> None:
    """With a database, too, addresses are what the world says at each start."""
    database = f"sqlite:///{tmp_path}/local.db"
    for address, expected in (([{"uri": CUSTOM}], re.escape(CUSTOM)), (None, r"http://127\.0\.0\.1:\d+")):
        described = small(address=address) if address else small()
        with local_plex(described, db=database) as plex:
            found = attic(plex.url, MIRA)["connections"]
        assert re.fullmatch(expected, found[-1]["uri"])
