"""Adding and removing members of a Home: managed users, invitations, removals; and which role may do what."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.local_plex.asking import START, Clock, ask
from tests.local_plex.conftest import Start
from tests.local_plex.family import IDS, TOKENS, TOMS, call, family, refused, switch, user
from ticketstub.local_plex.settings import Settings

QUICK = Settings(switches_per_second=100_000)
GONE = {"home": False, "homeSize": 1, "homeAdmin": False, "guest": False}


@pytest.fixture(name="url")
def _url(start: Start) -> str:
    """A local Plex with the family, its clock standing still."""
    return start({"invitation_lists": "list"}, world=family(), settings=QUICK, clock=Clock()).url


def titles(url: str, who: str = "mira") -> list[str]:
    return [each["title"] for each in call(url, "GET", "/api/v2/home/users", who).json["users"]]


def remove(url: str, who: str, whom: object) -> Any:
    return call(url, "DELETE", f"/api/home/users/{IDS.get(str(whom), whom)}", who)


def test_a_new_managed_user(url: str) -> None:
    """The administrator creates one with a title; it is listed at once for every member."""
    headers = {"Content-Type": "application/json", "X-Plex-Token": TOKENS["mira"]}
    made = ask(url, "POST", "/api/home/users?title=Ada%20%26%20Co", headers, '{"title": "Not this"}')
    assert (200, "User") == (made.status, made.xml.tag)
    assert {"title": "Ada & Co", "restricted": "1", "username": ""}.items() <= made.xml.attrib.items()
    assert ["mira_quill", "Tom & <Co>", "elsa", "Pip", "Bo", "Ada & Co"] == titles(url)
    assert [6, 6, 6] == [user(url, who)["homeSize"] for who in ("mira", "tom", "pip")]
    assert re.fullmatch("[0-9a-f]{16}", made.xml.get("uuid") or "")
    ada = call(url, "POST", f"/api/v2/home/users/{made.xml.get('uuid')}/switch")
    assert (201, "Ada & Co", "", 6, START) == (
        ada.status,
        *(ada.json[name] for name in ("title", "username", "homeSize", "joinedAt")),
    )


def test_the_first_managed_user_makes_a_home(url: str) -> None:
    """An account without a Home gets one with its first managed user, and is its administrator."""
    assert 200 == call(url, "POST", "/api/home/users?title=Tiny", "nils").status
    assert {"home": True, "homeSize": 2, "homeAdmin": True, "guest": False}.items() <= user(url, "nils").items()
    assert ["nils", "Tiny"] == titles(url, "nils")
    assert "nils's home" == call(url, "GET", "/api/v2/home", "nils").json["name"]


def test_a_home_has_fifteen(url: str) -> None:
    """The sixteenth is refused (422, code 1008), and so is accepting an invitation to a full Home."""
    assert 200 == call(url, "POST", "/api/home/users?invitedEmail=nils@example.test").status
    statuses = [call(url, "POST", f"/api/home/users?title=Kid{number}").status for number in range(11)]
    assert [200] * 10 + [422] == statuses
    assert (422, 1008) == refused(call(url, "POST", "/api/home/users?title=Kid"))
    assert 15 == len(titles(url)) == user(url, "elsa")["homeSize"]
    (invitation,) = invitations(url, "nils")
    assert (404, 1002) == refused(call(url, "PUT", f"/api/invites/requests/{invitation['id']}", "nils"))
    assert 200 == remove(url, "mira", "bo").status
    assert 200 == call(url, "PUT", f"/api/invites/requests/{invitation['id']}", "nils").status


def test_what_it_must_say(url: str) -> None:
    """Neither parameter, both of them and an empty title are 400."""
    for query in ("", "?title=", "?title=%20", "?title=A&invitedEmail=nils@example.test"):
        assert (400, 1004) == refused(call(url, "POST", f"/api/home/users{query}"))
    assert 5 == len(titles(url))


def invitations(url: str, who: str, kind: str = "requests") -> list[dict[str, str]]:
    found = ask(url, "GET", f"/api/invites/{kind}", {"X-Plex-Token": TOKENS[who]})
    assert 200 == found.status
    listed = [dict(each.attrib) for each in found.xml.findall("Invite")]
    assert str(len(listed)) == found.xml.get("size")
    return listed


def test_an_invitation(url: str) -> None:
    """An invited account is not a member until it accepts: nobody can switch to it before."""
    assert ([], []) == (invitations(url, "nils"), invitations(url, "mira", "requested"))
    made = call(url, "POST", "/api/home/users?invitedEmail=Nils@Example.test")
    assert (200, IDS["nils"]) == (made.status, made.json["id"])
    assert (404, 5) == (switch(url, "nils").status, len(titles(url)))
    (received,), (sent,) = invitations(url, "nils"), invitations(url, "mira", "requested")
    assert {"home": "1", "friend": "0", "server": "0", "username": "mira_quill", "createdAt": str(START)}.items() <= (
        received.items()
    )
    assert ("nils", received["id"]) == (sent["username"], sent["id"])
    accepting = f"/api/invites/requests/{received['id']}?friend=0&home=1&server=0"
    assert (404, 1002) == refused(call(url, "PUT", accepting, "vera"))
    assert 200 == call(url, "PUT", accepting, "nils").status
    assert (404, 1002) == refused(call(url, "PUT", accepting, "nils"))
    assert (201, 6) == (switch(url, "nils").status, len(titles(url)))
    assert {"home": True, "homeSize": 6, "homeAdmin": False}.items() <= user(url, "nils").items()
    assert [] == invitations(url, "nils")


def test_an_invitation_that_comes_to_nothing(url: str) -> None:
    """The invited account refuses it and the sender withdraws it, once each; nobody else can."""
    for who, kind, other in (("nils", "requests", "mira"), ("mira", "requested", "nils")):
        assert 200 == call(url, "POST", "/api/home/users?invitedEmail=nils@example.test").status
        ((number),) = [each["id"] for each in invitations(url, who, kind)]
        path = f"/api/invites/{kind}/{number}"
        assert [(404, 1002)] * 2 == [refused(call(url, "DELETE", path, name)) for name in (other, "vera")]
        assert [200, 404] == [call(url, "DELETE", path, who).status for _ in range(2)]
        assert ([], 5) == (invitations(url, who, kind), len(titles(url)))


def test_who_cannot_be_invited(url: str) -> None:
    """An unknown account is 404; one that is in a Home or invited already is 422 with code 1014."""
    for email, expected in {
        "nobody@example.test": (404, 1002),
        "tom@example.test": (422, 1014),
        "mira@example.test": (422, 1014),
        "vera@example.test": (422, 1014),
    }.items():
        assert expected == refused(call(url, "POST", f"/api/home/users?invitedEmail={email}"))
    assert 200 == call(url, "POST", "/api/home/users?invitedEmail=nils@example.test").status
    assert (422, 1014) == refused(call(url, "POST", "/api/home/users?invitedEmail=nils@example.test"))


def test_removing_a_managed_user(url: str) -> None:
    """A removed managed user no longer exists: its tokens are dead, and nobody switches to it."""
    switched = [switch(url, "pip", None, who).json["authToken"] for who in ("mira", "elsa", "pip")]
    before = titles(url)
    removed = remove(url, "mira", "pip")
    assert (200, b"") == (removed.status, removed.body)
    for token in ("pip", *switched):
        assert (401, 1001) == refused(call(url, "GET", "/api/v2/user", token))
    assert (404, 1002) == refused(switch(url, "pip"))
    assert (404, 1002) == refused(remove(url, "mira", "pip"))
    assert [name for name in before if name != "Pip"] == titles(url)
    assert 4 == user(url, "tom")["homeSize"]


def test_removing_a_member(url: str) -> None:
    """A removed account continues alone; tokens of switches between it and the Home are dead."""
    to_tom = switch(url, "tom", TOMS).json["authToken"]
    to_pip = switch(url, "pip", None, "tom").json["authToken"]
    further = switch(url, "bo", "2580", to_pip).json["authToken"]
    from_mira = switch(url, "pip").json["authToken"]
    to_oneself = switch(url, "tom", TOMS, "tom").json["authToken"]
    assert 200 == remove(url, "mira", "tom").status
    tokens = (to_tom, to_pip, further, from_mira, to_oneself, "tom")
    assert [401, 401, 401, 200, 200, 200] == [call(url, "GET", "/api/v2/user", token).status for token in tokens]
    assert GONE.items() <= user(url, "tom").items()
    assert user(url, "tom")["protected"] is True
    assert (404, 1002) == refused(switch(url, "tom", TOMS))
    assert ["Attic"] == [
        each["name"] for each in call(url, "GET", "/api/v2/resources", "tom").json if each["sourceTitle"]
    ]


def test_leaving(url: str) -> None:
    """A member or a guest may leave, and come back through an invitation."""
    assert [200, 200] == [remove(url, who, who).status for who in ("tom", "elsa")]
    assert [GONE.items() <= user(url, who).items() for who in ("tom", "elsa")] == [True, True]
    assert ["mira_quill", "Pip", "Bo"] == titles(url)
    assert 200 == call(url, "POST", "/api/home/users?invitedEmail=elsa@example.test").status
    (invitation,) = invitations(url, "elsa")
    assert 200 == call(url, "PUT", f"/api/invites/requests/{invitation['id']}", "elsa").status
    assert {"home": True, "guest": False, "homeSize": 4}.items() <= user(url, "elsa").items()


MANAGED, ROLE, NOT_HERE, UNKNOWN = (403, 1009), (403, 1042), (403, 1043), (404, 1002)
OK = (200, 0)
NOBODY = (401, 1001)
BO, PIP, TOM, VERA = IDS["bo"], IDS["pip"], IDS["tom"], IDS["vera"]

# Who gets what for each request: the administrator, a member, a guest, a managed user, somebody else's administrator.
ROLES: dict[str, dict[str, tuple[int, int]]] = {
    f"POST /api/v2/home/users/restricted/{BO}?pin=1111": {
        "mira": OK, "tom": ROLE, "elsa": ROLE, "pip": MANAGED, "bo": MANAGED, "vera": UNKNOWN, "nils": UNKNOWN,
    },
    f"POST /api/v2/home/users/restricted/{TOM}?removePin=1": {
        "mira": NOT_HERE, "tom": ROLE, "elsa": ROLE, "pip": MANAGED, "vera": UNKNOWN,
    },
    "POST /api/v2/home/users/restricted/999?pin=1111": {"mira": UNKNOWN, "tom": ROLE, "pip": MANAGED, "vera": UNKNOWN},
    f"PUT /api/home/users/{BO}?pin=1111": {
        "mira": ROLE, "tom": ROLE, "elsa": ROLE, "pip": ROLE, "bo": MANAGED, "vera": UNKNOWN, "nils": UNKNOWN,
    },
    f"PUT /api/home/users/{VERA}?pin=1111": {"mira": UNKNOWN, "pip": UNKNOWN, "vera": OK, "nils": UNKNOWN},
    "POST /api/home/users?title=New": {
        "mira": OK, "tom": ROLE, "elsa": ROLE, "pip": MANAGED, "vera": OK, "nils": OK, "nobody": NOBODY,
    },
    "POST /api/home/users?invitedEmail=nils@example.test": {"mira": OK, "tom": ROLE, "pip": MANAGED, "vera": OK},
    f"DELETE /api/home/users/{PIP}": {
        "mira": OK, "tom": ROLE, "elsa": ROLE, "bo": MANAGED, "pip": MANAGED, "vera": UNKNOWN, "nils": UNKNOWN,
    },
    f"DELETE /api/home/users/{TOM}": {"mira": OK, "tom": OK, "elsa": ROLE, "pip": MANAGED, "vera": UNKNOWN},
    f"DELETE /api/home/users/{IDS['mira']}": {"mira": NOT_HERE, "tom": ROLE, "pip": MANAGED, "vera": UNKNOWN},
    f"DELETE /api/home/users/{IDS['nils']}": {"nils": NOT_HERE, "mira": UNKNOWN},
}  # fmt: skip


@pytest.mark.parametrize("request_line", ROLES)
def test_which_role_may_do_what(start: Start, request_line: str) -> None:
    """S22, S21: only the administrator changes members, owners their passcodes; other Homes' ids are not found."""
    method, path = request_line.split(" ")
    refusing = {who: status for who, status in ROLES[request_line].items() if status != OK}
    url = start({"invitation_lists": "list"}, world=family()).url
    before = everything(url)
    assert refusing == {who: refused(call(url, method, path, who)) for who in refusing}
    assert before == everything(url)
    for who in ROLES[request_line].keys() - refusing.keys():
        assert 200 == call(start(world=family()).url, method, path, who).status


def everything(url: str) -> list[object]:
    """A Home, as its members see it."""
    lists = [call(url, "GET", "/api/v2/home/users", who).json for who in ("mira", "vera", "nils")]
    accounts = [{name: value for name, value in user(url, who).items() if name != "authToken"} for who in TOKENS]
    return [*lists, *accounts, *(invitations(url, who) for who in TOKENS)]


def test_a_servers_token_changes_nothing(url: str) -> None:
    """S15: neither a share's nor a media server's token may change a Home."""
    for token in ("Qw7-Zr2_LmN8tYb4HsKd", "Vr7-on_the_Attic_001"):
        for request_line in ROLES:
            method, path = request_line.split(" ")
            assert NOBODY == refused(call(url, method, path, token))
