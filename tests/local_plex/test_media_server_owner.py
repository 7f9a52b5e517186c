"""What a media server tells its owner, whom else it accepts, and how it behaves while it is unclaimed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.local_plex.asking import ATTIC, MIRA, MIRA_ON_TOMS, START, TOM, TOM_ON_ATTIC, Clock, ask, get, transient
from tests.local_plex.conftest import Start
from tests.local_plex.small import LOFT, rows, signed_in, small
from tests.tables import every
from ticketstub.local_plex.domain import media_servers as policy
from ticketstub.local_plex.world.schema import World, WorldError
from ticketstub.refusals import Unauthorized
from ticketstub.testing import LocalPlexController, local_plex

PAGE = b"<html><head><title>%b</title></head><body><h1>%d %b</h1></body></html>"
OWNERS = ["/accounts", "/devices", "/statistics/resources?timespan=6", "/myplex/account"]
TRANSIENT = "/security/token?type=delegation&scope=all"
SOURCE = "/security/resources?source=provider://tv.example.movies"


@pytest.fixture(name="begin")
def _begin(start: Start) -> Start:
    """Start with the small world; `attic` changes keys of its first media server."""

    def begin(answers: dict[str, object] | None = None, attic: dict[str, object] | None = None) -> LocalPlexController:
        return start(answers, world=small(**(attic or {})), clock=Clock())

    return begin


@pytest.fixture(name="plex", scope="module")
def _plex() -> Iterator[LocalPlexController]:
    """A local Plex for the tests that change nothing."""
    with local_plex(small(), clock=Clock()) as running:
        yield running


@pytest.fixture(name="attic")
def _attic(plex: LocalPlexController) -> str:
    return plex.media_server("Attic").url


@pytest.fixture(name="loft")
def _loft(plex: LocalPlexController) -> str:
    return plex.media_server("Loft").url


def in_xml(url: str, path: str, token: str = MIRA) -> Any:
    answer = ask(url, "GET", path, {"X-Plex-Token": token})
    assert (200, "text/xml;charset=utf-8") == (answer.status, answer.headers["content-type"])
    return answer.xml


def test_accounts(attic: str) -> None:
    """Nobody is 0, the owner is 1 whatever its id on plex.tv, and a guest has that id; all in the observed form."""
    answer = ask(attic, "GET", "/accounts", {"X-Plex-Token": MIRA})
    common = ' defaultAudioLanguage="en" autoSelectAudio="1" defaultSubtitleLanguage="en" subtitleMode="1" thumb="'
    start = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<MediaContainer size="3" identifier="com.plexapp.system.accounts">'
        f'<Account id="0" key="/accounts/0" name=""{common}"/>'
        f'<Account id="1" key="/accounts/1" name="mira_quill"{common}https://plex.tv/users/'
    )
    assert answer.body.decode().startswith(start)
    assert f'<Account id="10500321" key="/accounts/10500321" name="tom"{common}https://plex.tv/users/' in str(
        answer.body
    )
    container = get(attic, "/accounts", MIRA).json["MediaContainer"]
    assert (3, [0, 1, 10500321], True) == (
        container["size"],
        [each["id"] for each in container["Account"]],
        container["Account"][1]["autoSelectAudio"],
    )


def test_devices(plex: LocalPlexController, attic: str) -> None:
    """The owner's devices except media servers: number, name, platform, identifier, and creation time in seconds."""
    signed_in(plex.url)
    container = in_xml(attic, "/devices")
    (device,) = container
    number = str(rows(plex.url, MIRA)["kitchen-1"]["id"])
    assert {
        "id": number,
        "name": "Kitchen & <Hall>",
        "platform": "Linux",
        "clientIdentifier": "kitchen-1",
        "createdAt": str(START),
    } == device.attrib
    assert {"size": "1", "identifier": "com.plexapp.system.devices"} == container.attrib


def test_statistics(attic: str) -> None:
    """One measurement of an idle server, over the requested time; anything but a number is 400."""
    container = in_xml(attic, "/statistics/resources?timespan=6")
    (measured,) = container
    names = [f"{whose}{what}Utilization" for whose in ("host", "process") for what in ("Cpu", "Memory")]
    assert {"timespan": "6", "at": str(START), **dict.fromkeys(names, "0.0")} == measured.attrib
    assert ("1", "StatisticsResources") == (container.get("size"), measured.tag)
    assert 400 == get(attic, "/statistics/resources?timespan=soon", MIRA).status


@pytest.mark.parametrize("token", [MIRA, TOM_ON_ATTIC])
def test_clients(attic: str, token: str) -> None:
    """There are no players in its network; every user of the server may ask."""
    assert {"size": "0"} == in_xml(attic, "/clients", token).attrib
    assert {"MediaContainer": {"size": 0}} == get(attic, "/clients", token).json


def test_every_list_has_a_size_that_is_a_number(attic: str) -> None:
    """python-plexapi repeats its request for ever without a `size`, and refuses booleans other than 0 and 1."""
    for path in ("/accounts", "/devices", "/statistics/resources", "/clients", "/library/sections", "/"):
        assert in_xml(attic, path).get("size").isdigit()
    booleans = [each.get("autoSelectAudio") for each in in_xml(attic, "/accounts")]
    assert {"1"} == set(booleans)


def test_how_it_stands_with_plex_tv(plex: LocalPlexController, attic: str) -> None:
    """`MyPlex`, in JSON without a container: owner, addresses and subscription, but no longer the server's token."""
    host, port = "127.0.0.1", plex.media_server("Attic").port
    expected = {
        "username": "mira@example.test",
        "mappingState": "mapped",
        "mappingError": "",
        "signInState": "ok",
        "publicAddress": host,
        "publicPort": port,
        "privateAddress": host,
        "privatePort": port,
        "subscriptionFeatures": "home,pass",
        "subscriptionActive": True,
        "subscriptionState": "Active",
    }
    assert {"MyPlex": expected} == get(attic, "/myplex/account", MIRA).json
    element = in_xml(attic, "/myplex/account")
    texts = {name: str(int(value)) if isinstance(value, bool) else str(value) for name, value in expected.items()}
    assert ("MyPlex", texts) == (element.tag, element.attrib)
    toms = get(plex.media_server("Toms").url, "/myplex/account", TOM).json["MyPlex"]
    assert ("tom@example.test", "", False, "Inactive") == (
        toms["username"],
        toms["subscriptionFeatures"],
        toms["subscriptionActive"],
        toms["subscriptionState"],
    )


@pytest.mark.parametrize("path", OWNERS)
def test_what_is_the_owners_is_nobody_elses(plex: LocalPlexController, attic: str, path: str) -> None:
    """A share and its derived tokens get the 403 page; other accounts, other servers and nobody the 401 page."""
    shared = [get(attic, path, token) for token in (TOM_ON_ATTIC, transient(attic, TOM_ON_ATTIC))]
    assert [(403, PAGE % (b"Forbidden", 403, b"Forbidden"))] * 2 == [(one.status, one.body) for one in shared]
    elsewhere = rows(plex.url, TOM)
    others = (TOM, MIRA_ON_TOMS, next(iter(elsewhere.values()))["token"], "Dead_token_012345678", None)
    answers = [get(attic, path, token) for token in others]
    page = PAGE % (b"Unauthorized", 401, b"Unauthorized")
    assert [(401, page)] * len(others) == [(answer.status, answer.body) for answer in answers]
    assert 200 == get(attic, path, transient(attic, MIRA)).status


def test_a_transient_token_of_the_owner_has_the_owners_access(begin: Start) -> None:
    """A transient token has its origin's access: it may read `/myplex/account`, and even unclaim the server."""
    attic = begin().media_server("Attic").url
    token = transient(attic, MIRA)
    assert get(attic, "/myplex/account", MIRA).json == get(attic, "/myplex/account", token).json
    assert [403, 200] == [
        ask(attic, "DELETE", "/myplex/account", {"X-Plex-Token": each}).status
        for each in (transient(attic, TOM_ON_ATTIC), token)
    ]
    assert not get(attic, "/identity").json["MediaContainer"]["claimed"]


def test_the_older_answer_tells_the_servers_token(begin: Start) -> None:
    """With `my_plex_account = "with_token"` the owner gets the server's token, but not with a temporary one (S16)."""
    plex = begin({"my_plex_account": "with_token"})
    attic, own = plex.media_server("Attic").url, rows(plex.url, MIRA)[ATTIC]["token"]
    tokens = (MIRA, own, transient(attic, MIRA))
    told = [get(attic, "/myplex/account", token).json["MyPlex"].get("authToken") for token in tokens]
    assert [own, own, None] == told


def test_my_plex_may_be_forbidden(begin: Start) -> None:
    """With `my_plex_account = "forbidden"` it is 403 for the owner too, as was reported."""
    attic = begin({"my_plex_account": "forbidden"}).media_server("Attic").url
    answers = [get(attic, path, MIRA) for path in ("/myplex/account", "/accounts")]
    assert [403, 200] == [answer.status for answer in answers]


def test_plex_tv_may_refuse_the_tokens_of_media_servers(begin: Start) -> None:
    """With `server_tokens = "forbidden"` plex.tv's v2 API answers 403 to a server's own token, and to no other."""
    statuses = {}
    for way in ("accept", "forbidden"):
        plex = begin({"server_tokens": way})
        own = rows(plex.url, MIRA)[ATTIC]["token"]
        paths = ("/api/v2/user", "/api/v2/ping", "/users/account.json")
        statuses[way] = [[get(plex.url, path, token).status for path in paths] for token in (MIRA, own)]
    assert {"accept": [[200, 200, 200]] * 2, "forbidden": [[200, 200, 200], [403, 403, 200]]} == statuses


def test_a_token_in_the_query(attic: str) -> None:
    """`X-Plex-Token` works in the query as in the header."""
    assert [200, 401] == [ask(attic, "GET", f"/accounts?X-Plex-Token={token}").status for token in (MIRA, TOM)]


def test_head_is_a_probe(attic: str, loft: str) -> None:
    """`HEAD /` has the status of GET and no body, with a token, without one, and on an unclaimed server."""
    for url, token, status in ((attic, MIRA, 200), (attic, None, 401), (attic, TOM_ON_ATTIC, 200), (loft, None, 200)):
        answer = ask(url, "HEAD", "/", {"X-Plex-Token": token} if token else {})
        assert (status, b"") == (answer.status, answer.body)


def test_a_server_that_is_nobodys(loft: str) -> None:
    """It says that it is not claimed, and accepts its own machine as its owner, with any token or none."""
    identity = get(loft, "/identity").json["MediaContainer"]
    assert (False, LOFT) == (identity["claimed"], identity["machineIdentifier"])
    root = in_xml(loft, "/", "Dead_token_012345678")
    assert ("unknown", "none", None, "0") == (
        root.get("myPlexMappingState"),
        root.get("myPlexSigninState"),
        root.get("myPlexUsername"),
        root.get("myPlexSubscription"),
    )
    assert [200] * 4 == [get(loft, path).status for path in OWNERS]
    assert [0] == [each["id"] for each in get(loft, "/accounts").json["MediaContainer"]["Account"]]
    standing = get(loft, "/myplex/account").json["MyPlex"]
    assert {"mappingState": "unknown", "signInState": "none", "subscriptionActive": False} == standing


ELSEWHERE = [
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example:32400"},
    {"Host": "127.0.0.1@evil.example"},
    {"Host": "plex.direct.evil.example"},
    {"Host": "notplex.tv"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
]
HERE = [
    {"Host": "127.0.0.1:32400"},
    {"Host": "localhost"},
    {"Host": "LOCALHOST.:32400"},
    {"Host": "[::1]:32400"},
    {"Host": "plex"},
    {"Host": "host.docker.internal:32400"},
    {"Host": "127-0-0-1.0123abc.plex.direct:32400"},
    {"Host": "app.plex.tv"},
    {"Host": "localhost:32400", "Origin": "http://localhost:32400"},
    {"Host": "localhost:32400", "Origin": "https://localhost:32400", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
]


@pytest.mark.parametrize("said", ELSEWHERE)
def test_a_web_page_of_another_site_is_not_this_machine(begin: Start, said: dict[str, str]) -> None:
    """While no token is needed, a page of another site, or of a name pointed here, reads and claims nothing."""
    plex = begin()
    loft = plex.media_server("Loft").url
    assert [401] * 4 == [get(loft, path, **said).status for path in OWNERS]
    claim = get(plex.url, "/api/claim/token.json", MIRA).json["token"]
    assert 403 == ask(loft, "POST", f"/myplex/claim?token={claim}", said).status
    assert not get(loft, "/identity").json["MediaContainer"]["claimed"]
    attic = plex.media_server("Attic").url
    assert [200, 200] == [
        get(attic, "/accounts", MIRA, **said).status,
        get(plex.url, "/api/v2/user", MIRA, **said).status,
    ]


@pytest.mark.parametrize("said", HERE)
def test_a_page_of_its_own_is_this_machine(begin: Start, said: dict[str, str]) -> None:
    """Programs, the server's own pages and names of the local network are accepted and may claim."""
    plex = begin()
    loft = plex.media_server("Loft").url
    assert 200 == get(loft, "/accounts", **said).status
    claim = get(plex.url, "/api/claim/token.json", MIRA).json["token"]
    assert 200 == ask(loft, "POST", f"/myplex/claim?token={claim}", said).status


def test_nobodys_server_makes_no_transient_tokens(loft: str) -> None:
    """There is no token for a transient one to stand for: the 403 page, also for sources."""
    for path in (TRANSIENT, SOURCE):
        assert (403, "text/html") == ((answer := get(loft, path)).status, answer.headers["content-type"])
    assert 400 == get(loft, "/security/token").status


def test_nobodys_server_is_no_resource(plex: LocalPlexController) -> None:
    """No account lists it, neither as a resource nor as a device."""
    for token in (MIRA, TOM):
        assert LOFT not in rows(plex.url, token)
        assert LOFT.encode() not in get(plex.url, "/api/v2/resources", token).body


@pytest.mark.parametrize(
    ("server", "faults"),
    [
        ({}, ("media_server[0].owner: is missing",)),
        ({"claimed": True}, ("media_server[0].owner: is missing",)),
        ({"claimed": False}, ()),
        ({"claimed": "no", "owner": "mira_quill"}, ("media_server[0].claimed: must be true or false, not text",)),
        (
            {"claimed": False, "owner": "mira_quill", "token": TOM_ON_ATTIC, "share": [{"account": "tom"}]},
            tuple(
                f"media_server[0].{key}: conflicts with claimed = false: nobody owns this server"
                for key in ("owner", "token", "share")
            ),
        ),
        ({"owner": "tom", "token": MIRA}, ("media_server[0].token: is the same as account[0].token",)),
        (
            {"owner": "tom", "token": "short"},
            ("media_server[0].token: must be exactly 20 characters of A-Z a-z 0-9 _ and -",),
        ),
    ],
)
def test_who_owns_a_worlds_server(server: dict[str, object], faults: tuple[str, ...]) -> None:
    """A server has an owner unless it is unclaimed; then it has nothing that an owner provides."""
    told = {"account": small()["account"], "media_server": [{"name": "New", **server}]}
    if not faults:
        assert "" == World.from_dict(told).media_servers[0].owner
        return
    with pytest.raises(WorldError) as caught:
        World.from_dict(told)
    assert faults == caught.value.faults


@every(
    ("address", "this_machine", "same_network"),
    [
        ("127.0.0.1", True, True),
        ("127.9.9.9", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("172.18.0.3", False, True),
        ("192.168.1.50", False, True),
        ("::ffff:10.0.0.4", False, True),
        ("169.254.3.4", False, True),
        ("fe80::1%eth0", False, True),
        ("fd12:3456::7", False, True),
        ("8.8.8.8", False, False),
        ("::ffff:8.8.8.8", False, False),
        ("2606:4700::1111", False, False),
        ("", False, False),
        ("localhost", False, False),
        ("127.0.0.1.example.test", False, False),
    ],
)
def test_who_is_near(address: str, *, this_machine: bool, same_network: bool) -> None:
    """Only loopback is this machine; private and link-local addresses may be in its network; a name is neither."""
    assert this_machine is policy.is_local_machine(address)
    assert same_network is policy.is_same_network(address)
    if same_network:
        policy.check_claimable(None, address)
    else:
        with pytest.raises(Unauthorized):
            policy.check_claimable(None, address)
    with pytest.raises(Unauthorized):
        policy.check_claimable(10500123, address)


@pytest.mark.parametrize("status", [401, 403])
def test_security_without_a_token(begin: Start, status: int) -> None:
    """`security_without_token` affects only `/security/*`: a missing and a dead token get the page of that status."""
    attic = begin({"security_without_token": status}).media_server("Attic").url
    for token in (None, "Dead_token_012345678", TOM):
        answers = [get(attic, path, token) for path in (TRANSIENT, SOURCE, "/security/token")]
        assert [(status, "text/html")] * 3 == [(one.status, one.headers["content-type"]) for one in answers]
        assert [401, 401] == [get(attic, path, token).status for path in ("/", "/accounts")]
    assert 200 == get(attic, TRANSIENT, MIRA).status


@pytest.mark.parametrize("status", [404, 400])
def test_an_unknown_source(begin: Start, status: int) -> None:
    """`unknown_source` selects how an unknown source is refused."""
    attic = begin({"unknown_source": status}).media_server("Attic").url
    assert [status, 200] == [get(attic, path, MIRA).status for path in (SOURCE + "x", SOURCE)]


def test_an_old_media_server(begin: Start) -> None:
    """A server older than 1.15.4 refuses with 404, but issues transient tokens."""
    old: dict[str, object] = {"version": "1.15.3.858-fbfb913f7"}
    attic = begin({}, old).media_server("Attic").url
    assert [404, 404] == [get(attic, SOURCE, token).status for token in (MIRA, TOM_ON_ATTIC)]
    assert 200 == get(attic, TRANSIENT, MIRA).status


@pytest.mark.parametrize("way", ["object", "list"])
def test_the_device_of_a_source(begin: Start, way: str) -> None:
    """`source_device`: in JSON an object, or a list of one; XML and `size` are the same either way."""
    attic = begin({"source_device": way}).media_server("Attic").url
    container = get(attic, SOURCE, MIRA).json["MediaContainer"]
    (device,) = container["Device"] if way == "list" else [container["Device"]]
    assert (1, "Movies", "tv.example.movies", ["https://movies.example.test"]) == (
        container["size"],
        device["name"],
        device["clientIdentifier"],
        [each["uri"] for each in device["Connection"]],
    )
    (element,) = in_xml(attic, SOURCE)
    assert ("Device", "Movies", 1) == (element.tag, element.get("name"), len(element))
