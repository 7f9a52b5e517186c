"""What is disputed about PINs, each way: the keys of `[answers]` that are about them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.server.asking import MIRA, PASSWORDS, START, TOM, Clock, ask, get, sign_in
from tests.server.conftest import Start
from tests.server.pin_asking import CLIENT, JSON, XML, create, link, over, poll
from ticketstub.server.local_plex import LocalPlex


def test_a_linked_pin_told_again(swift: Start) -> None:
    """`linked_pin = "repeat"`, the default: each poll tells the token, also in XML."""
    plex = swift({"linked_pin": "repeat"})
    made = create(plex.url)
    link(plex.url, made["code"])
    token = poll(plex.url, made["id"]).json["authToken"]
    assert token
    assert token == poll(plex.url, made["id"]).json["authToken"]
    assert token == ask(plex.url, "GET", f"/api/v2/pins/{made['id']}", XML).xml.get("authToken")


def test_a_linked_pin_told_once(swift: Start) -> None:
    """`linked_pin = "once"`: the first poll has the token; later ones look pending, until it ends; the token lives."""
    clock = Clock()
    plex = swift({"linked_pin": "once"}, clock=clock)
    made = create(plex.url)
    assert poll(plex.url, made["id"]).json["authToken"] is None
    link(plex.url, made["code"])
    first = poll(plex.url, made["id"]).json
    assert (20, False) == (len(first["authToken"]), first["newRegistration"])
    for _ in range(3):
        later = poll(plex.url, made["id"])
        assert (200, None, None) == (later.status, later.json["authToken"], later.json["newRegistration"])
    assert 200 == get(plex.url, "/api/v2/user", first["authToken"]).status
    clock.now += 900
    assert over(poll(plex.url, made["id"]))


def test_another_client_does_not_use_it_up(swift: Start) -> None:
    """With `linked_pin = "once"` a stranger's poll does not count."""
    plex = swift({"linked_pin": "once"})
    made = create(plex.url)
    link(plex.url, made["code"])
    assert over(poll(plex.url, made["id"], **{"X-Plex-Client-Identifier": "other-client"}))
    assert poll(plex.url, made["id"]).json["authToken"]


def test_head_does_not_use_it_up(swift: Start) -> None:
    """HEAD tells no body and so no token: with `linked_pin = "once"` the next GET still has it, also the older form."""
    plex = swift({"linked_pin": "once"})
    made = create(plex.url)
    link(plex.url, made["code"])
    looks = [ask(plex.url, "HEAD", f"/api/v2/pins/{made['id']}", JSON) for _ in range(2)]
    assert [(200, b"")] * 2 == [(looked.status, looked.body) for looked in looks]
    told = poll(plex.url, made["id"])
    assert told.json["authToken"]
    assert looks[-1].headers["content-length"] == told.headers["content-length"]
    older = ask(plex.url, "POST", "/pins.xml", XML).xml
    link(plex.url, older.findtext("code") or "")
    path = f"/pins/{older.findtext('id')}.xml"
    assert 200 == ask(plex.url, "HEAD", path, XML).status
    assert ask(plex.url, "GET", path, XML).xml.findtext("auth_token")


@pytest.mark.parametrize(("way", "own", "other"), [("refuse", 404, 404), ("accept", 204, 404)])
def test_linking_again(swift: Start, way: str, own: int, other: int) -> None:
    """`link_again`: the account that linked a PIN is told 404 or 204, any other 404; the token stays the one it was."""
    plex = swift({"link_again": way})
    made = create(plex.url)
    assert 204 == link(plex.url, made["code"], TOM).status
    token = poll(plex.url, made["id"]).json["authToken"]
    assert (own, other) == (link(plex.url, made["code"], TOM).status, link(plex.url, made["code"], MIRA).status)
    assert token == poll(plex.url, made["id"]).json["authToken"]
    assert "tom" == get(plex.url, "/api/v2/user", token).json["username"]


@pytest.mark.parametrize(("way", "status"), [("ignore", 204), ("exact", 404)])
def test_the_case_of_a_typed_code(swift: Start, way: str, status: int) -> None:
    """`link_code_case`: 4 characters typed small are the code, or not; in their own letters they always are."""
    plex = swift({"link_code_case": way})
    made = create(plex.url)
    while made["code"] == made["code"].lower():  # digits alone
        made = create(plex.url)
    assert status == link(plex.url, made["code"].lower()).status
    assert 204 == link(plex.url, create(plex.url)["code"]).status


@pytest.mark.parametrize("way", ["ignore", "exact"])
def test_the_case_of_a_strong_code(swift: Start, way: str) -> None:
    """A strong code is nobody's to type: it counts in its own letters only."""
    plex = swift({"link_code_case": way})
    made = create(plex.url, "?strong=true")
    assert over(link(plex.url, made["code"].upper()))
    assert 204 == link(plex.url, made["code"]).status


def deny(path: Path, pin_id: int) -> None:
    """Say no, as the approval page does."""
    with sqlite3.connect(path) as database:
        database.execute("UPDATE pin SET denied_at = ? WHERE id = ?", (START, pin_id))
    database.close()


@pytest.mark.parametrize("way", ["pending", "not_found"])
def test_denied(swift: Start, tmp_path: Path, way: str) -> None:
    """`denied_pin`: a denied PIN stays without token until it ends, or is 404 at once; nobody can link it then."""
    clock = Clock()
    plex = swift({"denied_pin": way}, db=f"sqlite:///{tmp_path}/plex.db", clock=clock)
    made = create(plex.url)
    deny(tmp_path / "plex.db", made["id"])
    assert over(link(plex.url, made["code"]))
    found = poll(plex.url, made["id"])
    if way == "pending":
        assert (200, None, None) == (found.status, found.json["authToken"], found.json["newRegistration"])
    else:
        assert over(found)
    clock.now += 900
    assert over(poll(plex.url, made["id"]))


@pytest.mark.parametrize("there", [True, False])
def test_the_location_in_xml(swift: Start, there: bool) -> None:
    """`pin_location_in_xml`: the XML has the location as a child, or no child at all; JSON always has it."""
    plex = swift({"pin_location_in_xml": there})
    made = ask(plex.url, "POST", "/api/v2/pins", XML).xml
    polled = ask(plex.url, "GET", f"/api/v2/pins/{made.get('id')}", XML).xml
    for found in (made, polled):
        assert (["location"] if there else []) == [child.tag for child in found]
        assert "location" not in found.attrib
    assert "ZZ" == create(plex.url)["location"]["code"]
    assert "ZZ" == poll(plex.url, made.get("id")).json["location"]["code"]


@pytest.mark.parametrize(("rotate", "alive"), [(False, [200, 200]), (True, [401, 200])])
def test_rotation(swift: Start, rotate: bool, alive: list[int]) -> None:
    """`rotate_tokens`: a second PIN of a client ends its first token of that account, or leaves it."""
    plex = swift({"rotate_tokens": rotate})
    tokens = []
    for _ in range(2):
        made = create(plex.url)
        link(plex.url, made["code"])
        tokens.append(poll(plex.url, made["id"]).json["authToken"])
    assert alive == [get(plex.url, "/api/v2/user", token).status for token in tokens]
    assert 200 == get(plex.url, "/api/v2/user", MIRA).status


@pytest.mark.parametrize("form", ["xml", "json"])
def test_the_format_that_comes_unasked(swift: Start, form: str) -> None:
    """`default_format` says what a PIN is written as where nothing is asked for."""
    made = ask(swift({"default_format": form}).url, "POST", "/api/v2/pins", {"X-Plex-Client-Identifier": CLIENT})
    assert f"application/{form}; charset=utf-8" == made.headers["content-type"]


def wrong_codes(plex: LocalPlex, many: int) -> None:
    for number in range(many):
        assert over(link(plex.url, f"zz{number:02}".replace("z", "!")))


@pytest.mark.parametrize(("says", "wait"), [(False, None), (True, "900")])
def test_wrong_codes_are_counted(swift: Start, says: bool, wait: str | None) -> None:
    """S12: after 5 wrong codes in 15 minutes an account is told 429, code 1003, with Retry-After where the world says.

    A right code does not help then; another account and other calls are not held up; after 15 minutes it works again.
    """
    clock = Clock()
    plex = swift({"retry_after": says}, clock=clock)
    made = create(plex.url)
    wrong_codes(plex, 5)
    for code in ("!!!!", made["code"]):
        refused = link(plex.url, code)
        body = b'{"errors":[{"code":1003,"message":"API rate limit exceeded","status":429}]}'
        assert (429, body, wait) == (refused.status, refused.body, refused.headers.get("retry-after"))
    assert 200 == get(plex.url, "/api/v2/user", MIRA).status
    assert 204 == link(plex.url, create(plex.url)["code"], TOM).status
    clock.now += 899
    assert 429 == link(plex.url, made["code"]).status
    clock.now += 1
    assert 204 == link(plex.url, create(plex.url)["code"]).status


def test_right_codes_do_not_count(swift: Start) -> None:
    """Who links one PIN after the other is not held up, and wins no further guesses by it."""
    plex = swift(clock=Clock())
    wrong_codes(plex, 3)
    for _ in range(8):
        assert 204 == link(plex.url, create(plex.url)["code"]).status
    wrong_codes(plex, 2)
    assert 429 == link(plex.url, "!!!!").status


def test_a_locked_account(start: Start) -> None:
    """S12: a PIN that was linked before its account was locked tells no token until the lock ends, nor can it link."""
    clock = Clock()
    plex = start(clock=clock)
    made, other = create(plex.url, "?strong=true"), create(plex.url, "?strong=true")
    assert 204 == link(plex.url, made["code"], TOM).status
    for _ in range(10):
        sign_in(plex.url, "tom", "wrong")
    assert 429 == poll(plex.url, made["id"]).status
    assert 429 == link(plex.url, other["code"], TOM).status
    assert 200 == poll(plex.url, other["id"]).status
    clock.now += 15 * 60
    assert "tom" == get(plex.url, "/api/v2/user", poll(plex.url, made["id"]).json["authToken"]).json["username"]
    assert 201 == sign_in(plex.url, "tom", PASSWORDS["tom"]).status


def test_a_revoked_approver(start: Start) -> None:
    """S6: a token that was signed out links nothing from then on, and neither does one of a disabled account."""
    plex = start()
    made = create(plex.url)
    token = sign_in(plex.url, "tom", PASSWORDS["tom"]).json["authToken"]
    headers = {"X-Plex-Token": token, "X-Plex-Client-Identifier": CLIENT}
    assert 204 == ask(plex.url, "DELETE", "/api/v2/users/signout", headers).status
    assert 401 == link(plex.url, made["code"], token).status
    assert poll(plex.url, made["id"]).json["authToken"] is None


def test_a_disabled_approver(swift: Start, tmp_path: Path) -> None:
    """S6: an account that is off links nothing, and what it linked before is dead."""
    plex = swift(db=f"sqlite:///{tmp_path}/plex.db")
    made, other = create(plex.url), create(plex.url)
    assert 204 == link(plex.url, made["code"], TOM).status
    token = poll(plex.url, made["id"]).json["authToken"]
    with sqlite3.connect(tmp_path / "plex.db") as database:
        database.execute("UPDATE account SET disabled_at = ?, version = version + 1 WHERE id = 10500321", (START,))
    database.close()
    assert 401 == link(plex.url, other["code"], TOM).status
    assert 401 == get(plex.url, "/api/v2/user", token).status
