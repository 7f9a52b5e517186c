"""Other people and their media servers, as the caller sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local_plex.asking import ATTIC, MIRA, START, TOM_ON_ATTIC, Answered, Clock, ask
from tests.local_plex.conftest import Start
from tests.local_plex.family import IDS, JSON, TOKENS, TOMS_SERVER, UUIDS, VERA_ON_ATTIC, call, family, refused
from ticketstub.testing import LocalPlexController, local_plex

GONE = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Response code="410" status="This endpoint was deprecated and removed"/>'
)
XML = "application/xml; charset=utf-8"


@pytest.fixture(scope="module")
def plex(clock: Clock) -> Iterator[LocalPlexController]:
    """A local Plex with the family, for tests that change nothing."""
    with local_plex(family(), clock=clock) as running:
        yield running


@pytest.fixture(name="url")
def _url(plex: LocalPlexController) -> str:
    return plex.url


def in_xml(url: str, path: str, who: str = "mira", **headers: str) -> Any:
    found = ask(url, "GET", path, {"X-Plex-Token": TOKENS[who], **headers})
    assert (200, XML) == (found.status, found.headers["content-type"])
    return found.xml


@pytest.mark.parametrize("path", ["/api/users", "/api/users/"])
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_users(url: str, path: str, accept: str) -> None:
    """Friends and Home users, always in XML, with and without trailing slash, by a token alone."""
    root = in_xml(url, path, Accept=accept)
    assert ("MediaContainer", "5", "5") == (root.tag, root.get("size"), root.get("totalSize"))
    assert ["Tom & <Co>", "elsa", "Pip", "Bo", "vera"] == [user.get("title") for user in root]
    tom, pip = root[0], root[2]
    assert {
        "id": "10500321",
        "title": "Tom & <Co>",
        "username": "tom",
        "email": "tom@example.test",
        "recommendationsPlaylistId": "",
        "thumb": "https://plex.tv/users/90cc14a3be27d6f1/avatar?c=1592234494",
        "protected": "1",
        "home": "1",
        "allowTuners": "0",
        "allowSync": "0",
        "allowCameraUpload": "0",
        "allowChannels": "0",
        "allowSubtitleAdmin": "0",
        "filterAll": "",
        "filterMovies": "",
        "filterMusic": "",
        "filterPhotos": "",
        "filterTelevision": "",
        "restricted": "0",
    } == tom.attrib
    (server,) = tom
    share = server.attrib
    assert share.pop("id").isdigit()
    assert share.pop("serverId").isdigit()
    assert {
        "machineIdentifier": ATTIC,
        "name": "Attic",
        "lastSeenAt": str(START),
        "numLibraries": "0",
        "allLibraries": "1",
        "owned": "1",
        "pending": "0",
    } == share
    assert ("Server", "", "", "1", "0", 0) == (
        server.tag,
        pip.get("username"),
        pip.get("email"),
        pip.get("restricted"),
        pip.get("protected"),
        len(pip),
    )


def test_booleans_are_booleans(url: str) -> None:
    """Clients raise for an empty boolean and repeat for ever for a malformed size: every one is valid."""
    booleans = ["protected", "home", "restricted", "allowSync", "allowCameraUpload", "allowChannels"]
    booleans += ["allLibraries", "owned", "pending"]
    for path in ("/api/users", f"/api/servers/{ATTIC}/shared_servers", "/api/servers", "/api/home/users"):
        root = in_xml(url, path)
        assert {root.get("size")} == {str(len(root))}
        for element in root.iter():
            assert {element.get(name) for name in booleans} <= {"0", "1", None}


def test_everybody_has_their_own_users(url: str) -> None:
    """Accounts that share a server are friends; shares of a third account's servers are not listed."""
    known: dict[str, dict[str, list[str]]] = {
        who: {user.get("username"): [each.get("name") for each in user] for user in in_xml(url, "/api/users", who)}
        for who in ("tom", "vera", "nils")
    }
    assert {"mira_quill": ["Toms"], "elsa": [], "": []} == known["tom"]
    assert {"mira_quill": []} == known["vera"]
    assert {} == known["nils"]
    assert b'size="0"' in ask(url, "GET", "/api/users", {"X-Plex-Token": TOKENS["nils"]}).body


def test_users_without_a_token(url: str) -> None:
    """A dead token is 401 with code 1001."""
    dead = ask(url, "GET", "/api/users", {"X-Plex-Token": "Dead_token_012345678"})
    assert (401, "1001") == (dead.status, dead.xml.find("error").get("code"))


def test_friends(url: str) -> None:
    """`/api/v2/friends` is a bare list; null where managed users have nothing; the shares of one's own servers."""
    found = {each["id"]: each for each in call(url, "GET", "/api/v2/friends").json}
    assert [IDS[who] for who in ("tom", "elsa", "pip", "bo", "vera")] == list(found)
    tom, pip, vera = (found[IDS[who]] for who in ("tom", "pip", "vera"))
    expected = {"uuid": UUIDS["tom"], "title": "Tom & <Co>", "username": "tom", "status": "accepted", "home": True}
    assert expected.items() <= tom.items()
    assert (None, None, True, []) == (pip["username"], pip["email"], pip["restricted"], pip["sharedServers"])
    assert ("vera@example.test", False) == (vera["email"], vera["home"])


def test_friends_have_the_members_of_recorded_answers(url: str) -> None:
    """Each friend has every observed member in order; `restrictionProfile` only for members of the Home."""
    found = {each["id"]: each for each in call(url, "GET", "/api/v2/friends").json}
    members = "status sharingSettings sharedServers sharedSources id uuid title username email friendlyName thumb"
    outside = [*members.split(), "restricted", "home"]
    assert [outside, [*outside, "restrictionProfile"]] == [list(found[IDS[who]]) for who in ("vera", "tom")]
    assert ["little_kid", None] == [found[IDS[who]]["restrictionProfile"] for who in ("pip", "tom")]
    assert {
        "allowChannels": False,
        "allowSubtitleAdmin": False,
        "filterMovies": "",
        "filterMusic": "",
        "filterPhotos": None,
        "filterTelevision": "",
        "filterAll": None,
        "allowSync": False,
        "allowCameraUpload": False,
        "allowTuners": 0,
    } == found[IDS["vera"]]["sharingSettings"]


def test_shared_servers_of_friends_are_always_empty(url: str) -> None:
    """`sharedServers` of `/api/v2/friends` is empty, though tom and vera have shares of Attic (observed)."""
    assert [[]] * 5 == [each["sharedServers"] for each in call(url, "GET", "/api/v2/friends").json]
    assert 2 == len(call(url, "GET", "/api/v2/shared_servers/owned/accepted").json)


@pytest.mark.parametrize(
    ("status", "count"), [("accepted", 5), ("pending_sent,accepted", 5), ("", 5), ("pending_received", 0), ("odd", 0)]
)
def test_friends_by_status(url: str, status: str, count: int) -> None:
    """`?status=` filters; here all are accepted."""
    assert count == len(call(url, "GET", f"/api/v2/friends?status={status}").json)


def test_friends_in_xml(url: str) -> None:
    """Assumed: the same in v2's usual XML."""
    root = in_xml(url, "/api/v2/friends.xml", **{"X-Plex-Client-Identifier": "x"})
    assert ("friends", {"friend"}, "1") == (root.tag, {each.tag for each in root}, root[0].get("home"))
    assert ("0", []) == (root[0].find("sharingSettings").get("allowTuners"), list(root[0].find("sharedServers")))


def test_removing_a_friend_is_gone(url: str) -> None:
    """Observed since 2024: 410 for every friend; nothing changes."""
    answer = call(url, "DELETE", f"/api/friends/{IDS['vera']}")
    assert (410, GONE) == (answer.status, answer.body)
    assert 5 == len(in_xml(url, "/api/users"))


def test_shared_servers(url: str) -> None:
    """An owner gets each guest's token, in XML, and it works on the server."""
    root = in_xml(url, f"/api/servers/{ATTIC}/shared_servers", Accept="application/json")
    assert ("MediaContainer", "2", ATTIC) == (root.tag, root.get("size"), root.get("machineIdentifier"))
    assert {str(IDS["tom"]): TOM_ON_ATTIC, str(IDS["vera"]): VERA_ON_ATTIC} == {
        share.get("userID"): share.get("accessToken") for share in root
    }
    tom = root[0].attrib
    assert {"username": "tom", "email": "tom@example.test", "name": "Attic"}.items() <= tom.items()
    assert {str(START)} == {tom["acceptedAt"], tom["invitedAt"]}
    users = in_xml(url, "/api/users")
    assert users[0][0].get("id") == tom["id"]


@pytest.mark.parametrize("who", ["tom", "vera", "nils", "pip"])
def test_shared_servers_are_the_owners(url: str, who: str) -> None:
    """S21: another account's server is 404, whether the caller may use it or not, as is an unknown one."""
    for identifier in (ATTIC, "f" * 40, "x"):
        answer = ask(url, "GET", f"/api/servers/{identifier}/shared_servers", {"X-Plex-Token": TOKENS[who]})
        said = answer.xml.findtext("error")
        assert (404, "The requested resource or endpoint could not be found") == (answer.status, said)
        assert b"Qw7-" not in answer.body


def test_shared_servers_by_a_guests_token(url: str) -> None:
    """S15: a share's token is refused."""
    for token in (TOM_ON_ATTIC, VERA_ON_ATTIC):
        assert 422 == ask(url, "GET", f"/api/servers/{ATTIC}/shared_servers", {"X-Plex-Token": token}).status


def test_servers(url: str, plex: LocalPlexController) -> None:
    """The older list has one address and a token each: the caller's own, or the share's."""
    attic, toms = in_xml(url, "/api/servers", Accept="application/json")
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
    assert ("Toms", "0", "Mt2_wQ9-kLs5XbVe0RzA") == (toms.get("name"), toms.get("owned"), toms.get("accessToken"))


def test_one_server(url: str, plex: LocalPlexController) -> None:
    """`/api/v2/servers/{id}` returns a server that the caller can use, without its token."""
    found = call(url, "GET", f"/api/v2/servers/{ATTIC}", "tom").json
    assert {
        "name": "Attic",
        "address": "127.0.0.1",
        "port": plex.media_server("Attic").port,
        "version": "1.43.4.10903-0a1b2c3d4",
        "scheme": "http",
        "host": "127.0.0.1",
        "localAddresses": "127.0.0.1",
        "machineIdentifier": ATTIC,
        "createdAt": START,
        "updatedAt": START,
        "owned": False,
        "synced": False,
        "librarySections": [],
    } == found
    root = in_xml(url, f"/api/v2/servers/{ATTIC}")
    assert ("server", "Attic", "1") == (root.tag, root.get("name"), root.get("owned"))
    for who, identifier in (("nils", ATTIC), ("vera", TOMS_SERVER), ("mira", "f" * 40)):
        assert (404, 1002) == refused(call(url, "GET", f"/api/v2/servers/{identifier}", who))


def test_shares_of_v2(url: str) -> None:
    """Accepted shares are listed for the owner with the guest; none is pending."""
    found = call(url, "GET", "/api/v2/shared_servers/owned/accepted").json
    assert [("Attic", IDS["tom"], "tom"), ("Attic", IDS["vera"], "vera")] == [
        (share["name"], share["invitedId"], share["invited"]["username"]) for share in found
    ]
    assert b"accessToken" not in call(url, "GET", "/api/v2/shared_servers/owned/accepted").body
    assert [] == call(url, "GET", "/api/v2/shared_servers/owned/accepted", "vera").json
    for path in ("received/pending", "owned/pending"):
        pending = call(url, "GET", f"/api/v2/shared_servers/invites/{path}")
        assert (200, b"[]") == (pending.status, pending.body)
    assert found == call(url, "GET", "/api/v2/shared_servers/invites/owned/accepted").json
    root = in_xml(url, "/api/v2/shared_servers/owned/accepted", **{"X-Plex-Client-Identifier": "x"})
    assert ("sharedServers", "sharedServer") == (root.tag, root[0].tag)


@pytest.mark.parametrize("path", ["/api/invites/requests", "/api/invites/requested"])
def test_the_older_lists_of_invitations_are_gone(url: str, path: str) -> None:
    """Since 2025 both lists are 410 with the older API's single response, whatever is accepted."""
    answer = call(url, "GET", path)
    assert (410, XML, GONE) == (answer.status, answer.headers["content-type"], answer.body)


@pytest.mark.parametrize("path", ["/api/invites/requests", "/api/invites/requested"])
def test_no_invitations(start: Start, path: str) -> None:
    """With `invitation_lists = "list"` both lists without any are an empty container whose size is a number."""
    root = in_xml(start({"invitation_lists": "list"}, world=family()).url, path, Accept="application/json")
    assert ("MediaContainer", "0", 0) == (root.tag, root.get("size"), len(root))


def test_a_share_outlives_a_home(start: Start) -> None:
    """When a guest leaves the Home, its explicit share stays: a Home shares nothing by itself."""
    url = start(world=family()).url
    assert 200 == call(url, "DELETE", f"/api/home/users/{IDS['tom']}").status
    users = {user.get("username"): (user.get("home"), len(user)) for user in in_xml(url, "/api/users")}
    assert {"tom": ("0", 1), "elsa": ("1", 0), "": ("1", 0), "vera": ("0", 1)} == users


def test_tokens_of_shares_may_be_missing(start: Start) -> None:
    """With `shared_server_tokens = "missing"` those outside the owner's Home have none, as in spring 2026."""
    url = start({"shared_server_tokens": "missing"}, world=family()).url
    root = in_xml(url, f"/api/servers/{ATTIC}/shared_servers")
    assert {"tom": TOM_ON_ATTIC, "vera": ""} == {share.get("username"): share.get("accessToken") for share in root}


def create(url: str, who: str = "mira", **parameters: object) -> Answered:
    headers = {**JSON, "Content-Type": "application/json", "X-Plex-Token": TOKENS[who]}
    return ask(url, "POST", "/api/v2/shared_servers", headers, json.dumps(parameters))


def test_a_share_is_made(start: Start) -> None:
    """`POST /api/v2/shared_servers` shares a server with an account or a managed user, who can use it at once."""
    plex = start(world=family())
    made = create(plex.url, machineIdentifier=ATTIC, invitedId=IDS["pip"], librarySectionIds=[], settings={})
    assert (201, "Attic", ATTIC, IDS["pip"], True, None, "Pip") == (
        made.status,
        *(made.json[name] for name in ("name", "machineIdentifier", "invitedId", "accepted", "deletedAt")),
        made.json["invited"]["title"],
    )
    assert 201 == create(plex.url, machineIdentifier=ATTIC, invitedEmail="nils@example.test").status
    for who in ("pip", "nils"):
        (attic,) = call(plex.url, "GET", "/api/v2/resources", who).json
        assert 200 == ask(plex.media_server("Attic").url, "GET", "/", {"X-Plex-Token": attic["accessToken"]}).status


@pytest.mark.parametrize("accept", ["application/json", "application/xml"])
def test_a_share_that_exists_already(url: str, accept: str) -> None:
    """It is refused with HTTP 422, whose body has code 1999 and status 400 and no message (observed)."""
    headers = {"Accept": accept, "X-Plex-Client-Identifier": "x", "X-Plex-Token": MIRA}
    answer = ask(url, "POST", f"/api/v2/shared_servers?machineIdentifier={ATTIC}&invitedId={IDS['vera']}", headers)
    expected = {"code": 1999, "field": "base", "status": 400}
    found = answer.json["errors"][0] if "json" in accept else answer.xml[0].attrib
    assert (422, {name: str(value) for name, value in expected.items()}) == (
        answer.status,
        {name: str(value) for name, value in found.items()},
    )


def test_who_cannot_be_given_a_share(url: str) -> None:
    """Only the caller's own server (404), with a known account (404) other than the caller (403)."""
    vera: dict[str, object] = {"invitedId": IDS["vera"]}
    asked: list[tuple[str, dict[str, object], tuple[int, int]]] = [
        ("vera", {"machineIdentifier": ATTIC, "invitedId": IDS["nils"]}, (404, 1002)),
        ("mira", {"machineIdentifier": TOMS_SERVER, **vera}, (404, 1002)),
        ("mira", {"machineIdentifier": ATTIC, "invitedId": 7}, (404, 1002)),
        ("mira", {"machineIdentifier": ATTIC, "invitedId": 10**17}, (404, 1002)),
        ("mira", {"machineIdentifier": ATTIC, "invitedEmail": "nobody@example.test"}, (404, 1002)),
        ("mira", {"machineIdentifier": ATTIC}, (404, 1002)),
        ("mira", {"machineIdentifier": ATTIC, "invitedId": IDS["mira"]}, (403, 1042)),
        ("mira", vera, (400, 1004)),
    ]
    assert [expected for *_, expected in asked] == [refused(create(url, who, **given)) for who, given, _ in asked]
