"""Disputed details of PINs: how a local Plex behaves, and each alternative of `[answers]`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.local_plex.asking import MIRA, PASSWORDS, START, TOM, Clock, ask, get, sign_in
from tests.local_plex.conftest import Start
from tests.local_plex.pin_asking import CLIENT, JSON, XML, create, link, over, poll
from ticketstub.testing import LocalPlexController


def test_a_linked_pin_told_again(start: Start) -> None:
    """Each poll returns the token, also in XML."""
    plex = start()
    made = create(plex.url)
    link(plex.url, made["code"])
    token = poll(plex.url, made["id"]).json["authToken"]
    assert token
    assert token == poll(plex.url, made["id"]).json["authToken"]
    assert token == ask(plex.url, "GET", f"/api/v2/pins/{made['id']}", XML).xml.get("authToken")


def test_head_is_as_long_as_the_answer(start: Start) -> None:
    """HEAD returns no body and so no token, with the length of GET; also in the older API."""
    plex = start()
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


def test_linking_again(start: Start) -> None:
    """The account that linked a PIN gets 404, as any other does; the token stays the same."""
    plex = start()
    made = create(plex.url)
    assert 204 == link(plex.url, made["code"], TOM).status
    token = poll(plex.url, made["id"]).json["authToken"]
    assert (404, 404) == (link(plex.url, made["code"], TOM).status, link(plex.url, made["code"], MIRA).status)
    assert token == poll(plex.url, made["id"]).json["authToken"]
    assert "tom" == get(plex.url, "/api/v2/user", token).json["username"]


def test_the_case_of_a_typed_code(start: Start) -> None:
    """4 lower-case characters are the code, too."""
    plex = start()
    made = create(plex.url)
    while made["code"] == made["code"].lower():  # digits alone
        made = create(plex.url)
    assert 204 == link(plex.url, made["code"].lower()).status
    assert 204 == link(plex.url, create(plex.url)["code"]).status


def test_the_case_of_a_strong_code(start: Start) -> None:
    """A strong code is not typed by people: it must match exactly."""
    plex = start()
    made = create(plex.url, "?strong=true")
    assert over(link(plex.url, made["code"].upper()))
    assert 204 == link(plex.url, made["code"]).status


def deny(path: Path, pin_id: int) -> None:
    """Deny a PIN, as the approval page does."""
    with sqlite3.connect(path) as database:
        database.execute("UPDATE pin SET denied_at = ? WHERE id = ?", (START, pin_id))
    database.close()


@pytest.mark.parametrize("way", ["pending", "not_found"])
def test_denied(start: Start, tmp_path: Path, way: str) -> None:
    """`denied_pin`: a denied PIN has no token until it expires, or is 404 at once; it cannot be linked."""
    clock = Clock()
    plex = start({"denied_pin": way}, db=f"sqlite:///{tmp_path}/plex.db", clock=clock)
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


def test_the_location_in_xml(start: Start) -> None:
    """The XML has the location as a child; JSON has it, too."""
    plex = start()
    made = ask(plex.url, "POST", "/api/v2/pins", XML).xml
    polled = ask(plex.url, "GET", f"/api/v2/pins/{made.get('id')}", XML).xml
    for found in (made, polled):
        assert ["location"] == [child.tag for child in found]
        assert "location" not in found.attrib
    assert "ZZ" == create(plex.url)["location"]["code"]
    assert "ZZ" == poll(plex.url, made.get("id")).json["location"]["code"]


@pytest.mark.parametrize("form", ["xml", "json"])
def test_the_format_that_comes_unasked(start: Start, form: str) -> None:
    """`default_format` selects the format of a PIN if the client accepts any."""
    made = ask(start({"default_format": form}).url, "POST", "/api/v2/pins", {"X-Plex-Client-Identifier": CLIENT})
    assert f"application/{form}; charset=utf-8" == made.headers["content-type"]


def wrong_codes(plex: LocalPlexController, many: int) -> None:
    for number in range(many):
        assert over(link(plex.url, f"zz{number:02}".replace("z", "!")))


def test_wrong_codes_are_counted(start: Start) -> None:
    """S12: after 5 wrong codes in 15 minutes an account gets 429, code 1003, with Retry-After if the world says so.

    A right code does not help then; another account and other calls are not held up; after 15 minutes it works again.
    """
    clock = Clock()
    plex = start(clock=clock)
    made = create(plex.url)
    wrong_codes(plex, 5)
    for code in ("!!!!", made["code"]):
        refused = link(plex.url, code)
        body = b'{"errors":[{"code":1003,"message":"API rate limit exceeded","status":429}]}'
        assert (429, body, None) == (refused.status, refused.body, refused.headers.get("retry-after"))
    assert 200 == get(plex.url, "/api/v2/user", MIRA).status
    assert 204 == link(plex.url, create(plex.url)["code"], TOM).status
    clock.now += 899
    assert 429 == link(plex.url, made["code"]).status
    clock.now += 1
    assert 204 == link(plex.url, create(plex.url)["code"]).status


def test_right_codes_do_not_count(start: Start) -> None:
    """An account that links one PIN after the other is not limited, and gains no further attempts."""
    plex = start(clock=Clock())
    wrong_codes(plex, 3)
    for _ in range(8):
        assert 204 == link(plex.url, create(plex.url)["code"]).status
    wrong_codes(plex, 2)
    assert 429 == link(plex.url, "!!!!").status


def test_a_locked_account(start: Start) -> None:
    """S12: a PIN that was linked before its account was locked has no token until the lock ends, nor can it link."""
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
    """S6: a token links nothing after its sign-out, and neither does a token of a disabled account."""
    plex = start()
    made = create(plex.url)
    token = sign_in(plex.url, "tom", PASSWORDS["tom"]).json["authToken"]
    headers = {"X-Plex-Token": token, "X-Plex-Client-Identifier": CLIENT}
    assert 204 == ask(plex.url, "DELETE", "/api/v2/users/signout", headers).status
    assert 401 == link(plex.url, made["code"], token).status
    assert poll(plex.url, made["id"]).json["authToken"] is None


def test_a_disabled_approver(start: Start, tmp_path: Path) -> None:
    """S6: a disabled account links nothing, and what it linked before is dead."""
    plex = start(db=f"sqlite:///{tmp_path}/plex.db")
    made, other = create(plex.url), create(plex.url)
    assert 204 == link(plex.url, made["code"], TOM).status
    token = poll(plex.url, made["id"]).json["authToken"]
    with sqlite3.connect(tmp_path / "plex.db") as database:
        database.execute("UPDATE account SET disabled_at = ? WHERE id = 10500321", (START,))
    database.close()
    assert 401 == link(plex.url, other["code"], TOM).status
    assert 401 == get(plex.url, "/api/v2/user", token).status
