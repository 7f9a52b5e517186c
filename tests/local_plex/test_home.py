"""The members of a Home, in both forms; the bodies are written out here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.local_plex.asking import MIRA, START, Clock, ask
from tests.local_plex.conftest import Start
from tests.local_plex.family import IDS, JSON, TOKENS, UUIDS, XML, call, family, refused, switch, user
from ticketstub.testing import LocalPlexController, local_plex

GUEST = {"guestUserID", "guestUserUUID"}


@pytest.fixture(scope="module")
def home(clock: Clock) -> Iterator[LocalPlexController]:
    """A local Plex with the family, for tests that change nothing."""
    with local_plex(family(), clock=clock) as running:
        yield running


def listed(name: str, **facts: object) -> dict[str, Any]:
    """Describe a member as v2 does (protocol: GET /api/v2/home/users)."""
    uuid = UUIDS[name]
    return {
        "id": IDS[name],
        "uuid": uuid,
        "thumb": f"https://plex.tv/users/{uuid}/avatar?c=1592234494",
        "hasPassword": False,
        "updatedAt": START,
        "restrictionProfile": None,
        "admin": False,
        "guest": False,
        **facts,
    }


MIRAS = listed(
    "mira",
    title="mira_quill",
    username="mira_quill",
    email="mira@example.test",
    friendlyName=None,
    restricted=False,
    admin=True,
    protected=False,
)
TOMS = listed(
    "tom",
    title="Tom & <Co>",
    username="tom",
    email="tom@example.test",
    friendlyName="Tom & <Co>",
    restricted=False,
    protected=True,
)
PIPS = listed(
    "pip",
    title="Pip",
    username=None,
    email=None,
    friendlyName="Pip",
    restricted=True,
    restrictionProfile="little_kid",
    protected=False,
    thumb="https://plex.tv/users/b71d04e96c2fa835/avatar?c=1552593531",
)


def test_home_users_in_json(home: LocalPlexController) -> None:
    """A Home and its members, the administrator first; managed users have null for user name and address."""
    found = call(home.url, "GET", "/api/v2/home/users").json
    assert ("Quill home", False, True) == (found["name"], found["guestEnabled"], found["subscription"])
    assert {"id", "name", "guestEnabled", "subscription", "users"} | GUEST == found.keys()
    assert isinstance(found["id"], int)
    assert isinstance(found["guestUserID"], int)
    assert ["mira_quill", "Tom & <Co>", "elsa", "Pip", "Bo"] == [each["title"] for each in found["users"]]
    mira, tom, elsa, pip, bo = found["users"]
    assert (MIRAS, TOMS, PIPS) == (mira, tom, pip)
    assert (True, False, True) == (elsa["guest"], pip["guest"], bo["protected"])


def test_the_home_alone(home: LocalPlexController) -> None:
    """`GET /api/v2/home` is the same without its users."""
    full, bare = (call(home.url, "GET", f"/api/v2/home{path}").json for path in ("/users", ""))
    assert {name: value for name, value in full.items() if name != "users"} == bare


def in_xml(value: object) -> str:
    """Write a scalar as Plex's XML does."""
    return "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)


def test_home_users_in_xml(home: LocalPlexController) -> None:
    """The assumed XML is v2's usual one: attributes, a wrapper, booleans 0 or 1, null empty."""
    root = ask(home.url, "GET", "/api/v2/home/users", {**XML, "X-Plex-Token": MIRA}).xml
    assert "home" == root.tag
    assert {"name": "Quill home", "guestEnabled": "0", "subscription": "1"}.items() <= root.attrib.items()
    users = root.findall("users/user")
    assert 5 == len(users)
    written = {name: in_xml(value) for name, value in PIPS.items()}
    assert written == users[3].attrib


@pytest.mark.parametrize("headers", [XML, JSON, {}], ids=["xml", "json", "token alone"])
def test_legacy_home_users(home: LocalPlexController, headers: dict[str, str]) -> None:
    """The older list is always a MediaContainer in XML, and needs no client identifier."""
    found = ask(home.url, "GET", "/api/home/users", {**headers, "X-Plex-Token": MIRA})
    assert (200, "application/xml; charset=utf-8") == (found.status, found.headers["content-type"])
    root = found.xml
    said = {"size": "5", "totalSize": "5", "friendlyName": "myPlex", "identifier": "com.plexapp.plugins.myplex"}
    assert said.items() <= root.attrib.items()
    assert root.get("guestUserID", "").isdigit()
    assert ("MediaContainer", {"User"}) == (root.tag, {child.tag for child in root})
    assert {
        "id": "10500456",
        "uuid": "b71d04e96c2fa835",
        "admin": "0",
        "guest": "0",
        "restricted": "1",
        "restrictionProfile": "little_kid",
        "hasPassword": "0",
        "protected": "0",
        "title": "Pip",
        "username": "",
        "email": "",
        "thumb": "https://plex.tv/users/b71d04e96c2fa835/avatar?c=1552593531",
    } == root[3].attrib


def test_everybody_in_it_sees_the_same(home: LocalPlexController) -> None:
    """Each member gets the same list, and no other Home has any of them."""
    seen = {who: call(home.url, "GET", "/api/v2/home/users", who).json for who in TOKENS}
    assert all(seen[who] == seen["mira"] for who in ("tom", "elsa", "pip", "bo"))
    assert ["vera"] == [each["username"] for each in seen["vera"]["users"]]
    assert "Next door" == seen["vera"]["name"]


def test_who_must_be_named(home: LocalPlexController) -> None:
    """v2 needs a client identifier (400, code 1000) and a valid token (401, code 1001); the older list replies 422."""
    for path in ("/api/v2/home", "/api/v2/home/users"):
        headers = {"Accept": "application/json", "X-Plex-Token": MIRA}
        assert (400, 1000) == refused(ask(home.url, "GET", path, headers))
        assert (401, 1001) == refused(call(home.url, "GET", path, "Dead_token_012345678"))
    dead = ask(home.url, "GET", "/api/home/users", {"X-Plex-Token": "Dead_token_012345678"})
    assert (422, "Invalid token") == (dead.status, dead.xml.findtext("error"))


def test_alone(home: LocalPlexController) -> None:
    """Assumed: an account without a Home is a Home of one, in which it is the administrator."""
    found = call(home.url, "GET", "/api/v2/home/users", "nils").json
    assert [(10500800, True, "nils")] == [(each["id"], each["admin"], each["username"]) for each in found["users"]]
    assert "1" == ask(home.url, "GET", "/api/home/users", {"X-Plex-Token": TOKENS["nils"]}).xml.get("size")
    assert (False, 1, False) == tuple(user(home.url, "nils")[name] for name in ("home", "homeSize", "homeAdmin"))


ACCOUNTS: dict[str, dict[str, object]] = {
    "mira": {"homeAdmin": True, "guest": False, "restricted": False, "protected": False},
    "tom": {"homeAdmin": False, "guest": False, "restricted": False, "protected": True},
    "elsa": {"homeAdmin": False, "guest": True, "restricted": False, "protected": False},
    "pip": {"homeAdmin": False, "guest": False, "restricted": True, "protected": False, "hasPassword": False},
    "bo": {"homeAdmin": False, "guest": False, "restricted": True, "protected": True, "confirmed": False},
}


@pytest.mark.parametrize("who", ACCOUNTS)
def test_what_an_account_says_of_its_home(home: LocalPlexController, who: str) -> None:
    """`/api/v2/user` says who is in a Home, and in which role."""
    expected = {"home": True, "homeSize": 5, "maxHomeSize": 15, **ACCOUNTS[who]}
    assert expected.items() <= user(home.url, who).items()


def test_a_managed_users_account(home: LocalPlexController) -> None:
    """Managed users have empty user name and address, no mailing list, and their restrictions."""
    pip = user(home.url, "pip")
    assert ("", "", "Pip", "Pip", None, "little_kid") == tuple(
        pip[name] for name in ("username", "email", "title", "friendlyName", "mailingListStatus", "restrictionProfile")
    )
    assert dict.fromkeys(("all", "movies", "music", "photos", "television")) == pip["customRestrictions"]
    assert not {"restrictionProfile", "customRestrictions"} & user(home.url, "mira").keys()
    assert "restrictionProfile" not in user(home.url, "bo")


def test_what_is_shown_of_a_passcode(start: Start) -> None:
    """`pin` is present only with a passcode, looks like a hash, and differs for the same digits."""
    url = start(world=family()).url
    assert "pin" not in user(url, "mira")
    shown = [user(url, who)["pin"] for who in ("tom", "bo")]
    for _ in range(2):
        assert 200 == call(url, "POST", f"/api/v2/home/users/restricted/{IDS['bo']}?pin=2580").status
        shown.append(user(url, "bo")["pin"])
    assert 4 == len(set(shown))
    assert all(32 == len(text) and set(text) <= set("0123456789abcdef") for text in shown)
    assert shown[0] == switch(url, "tom", "4711").json["pin"]
    assert b"pin" not in call(url, "GET", "/api/v2/home/users").body
