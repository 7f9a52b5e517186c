"""PINs of the older API, `/pins.xml`: Rails' elements, written out here, and how their clients use them."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from tests.local_plex.asking import MIRA, START, TOM, Answered, Clock, ask, get
from tests.local_plex.conftest import Start
from tests.local_plex.pin_asking import CLIENT, create, link, over, poll
from ticketstub.testing import LocalPlexController

WHO = {"X-Plex-Client-Identifier": CLIENT, "X-Plex-Product": "Demo App"}
PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n'
GONE = (404, f"{PROLOG}<errors><error>Code not found or expired</error></errors>")


def make(url: str) -> tuple[str, str]:
    """Create one; return its id and code as in the XML."""
    made = ask(url, "POST", "/pins.xml", WHO)
    assert made.status == 201, made
    return made.xml.findtext("id"), made.xml.findtext("code")


def stands(url: str, pin_id: str, **headers: str) -> Answered:
    return ask(url, "GET", f"/pins/{pin_id}.xml", WHO | headers)


def pending(pin_id: str, code: str) -> str:
    return (
        f'{PROLOG}<pin><id type="integer">{pin_id}</id><code>{code}</code>'
        '<expires-at type="dateTime">2026-11-18T11:11:40Z</expires-at><user-id type="integer" nil="true"/>'
        "<client-identifier>demo-client-7c1f</client-identifier>"
        '<trusted type="boolean">false</trusted><auth-token nil="true"/><auth_token nil="true"/></pin>'
    )


def test_made(fresh: LocalPlexController) -> None:
    """`POST /pins.xml` with an empty body is 201 with the PIN's address, Rails' types and nulls, and 300 seconds."""
    made = ask(fresh.url, "POST", "/pins.xml", WHO, "")
    pin_id, code = made.xml.findtext("id"), made.xml.findtext("code")
    assert (201, pending(pin_id, code)) == (made.status, made.body.decode())
    assert f"{fresh.url}/pins/{pin_id}" == made.headers["location"]
    assert ("application/xml; charset=utf-8", "Location") == (
        made.headers["content-type"],
        made.headers["access-control-expose-headers"],
    )
    assert re.fullmatch("[A-Z0-9]{4}", code)
    assert 10**8 <= int(pin_id) < 2**31


def test_pending(fresh: LocalPlexController) -> None:
    """A poll is 200 with the same body until somebody approves it, also at the returned location."""
    pin_id, code = make(fresh.url)
    for path in (f"/pins/{pin_id}.xml", f"/pins/{pin_id}"):
        found = ask(fresh.url, "GET", path, WHO)
        assert (200, pending(pin_id, code)) == (found.status, found.body.decode())


def test_linked(fresh: LocalPlexController) -> None:
    """Once linked it has the user's id and the token under both names; the token works on the older API."""
    pin_id, code = make(fresh.url)
    assert 204 == link(fresh.url, code, TOM).status
    found = stands(fresh.url, pin_id)
    token = found.xml.findtext("auth_token")
    expected = (
        pending(pin_id, code)
        .replace('<user-id type="integer" nil="true"/>', '<user-id type="integer">10500321</user-id>')
        .replace('<auth-token nil="true"/>', f"<auth-token>{token}</auth-token>")
        .replace('<auth_token nil="true"/>', f"<auth_token>{token}</auth_token>")
    )
    assert (200, expected) == (found.status, found.body.decode())
    account = ask(fresh.url, "GET", f"/users/account?X-Plex-Token={token}")
    assert (200, "tom") == (account.status, account.xml.get("username"))


def test_over(start: Start) -> None:
    """After 300 seconds it is 404 in the older API's words, linked or not, and cannot be linked."""
    clock = Clock()
    plex = start(clock=clock)
    (linked, code), (waiting, other) = make(plex.url), make(plex.url)
    link(plex.url, code)
    clock.now = START + 299
    assert [200, 200] == [stands(plex.url, linked).status, stands(plex.url, waiting).status]
    clock.now = START + 300
    for pin_id in (linked, waiting, "1402233445", "abc", "9" * 30):
        found = stands(plex.url, pin_id)
        assert GONE == (found.status, found.body.decode())
    assert over(link(plex.url, other))


def test_another_client(fresh: LocalPlexController) -> None:
    """For another client it does not exist; without a client identifier, creating and polling are 400."""
    pin_id, code = make(fresh.url)
    link(fresh.url, code)
    found = stands(fresh.url, pin_id, **{"X-Plex-Client-Identifier": "other-client"})
    assert GONE == (found.status, found.body.decode())
    for method, path in (("POST", "/pins.xml"), ("GET", f"/pins/{pin_id}.xml")):
        refused = ask(fresh.url, method, path)
        expected = f"{PROLOG}<errors><error>X-Plex-Client-Identifier is missing</error></errors>"
        assert (400, expected) == (refused.status, refused.body.decode())


def test_each_kind_by_its_own_path(fresh: LocalPlexController) -> None:
    """A PIN exists only in the API that created it (assumed)."""
    pin_id, _ = make(fresh.url)
    assert over(poll(fresh.url, pin_id))
    assert GONE[0] == stands(fresh.url, create(fresh.url)["id"]).status


def test_the_json_twin(fresh: LocalPlexController) -> None:
    """`/pins.json` has the same members in a `pin`, in snake case; so has a refusal its text."""
    made = ask(fresh.url, "POST", "/pins.json", WHO)
    pin_id, code = made.json["pin"]["id"], made.json["pin"]["code"]
    expected = {
        "id": pin_id,
        "code": code,
        "expires_at": "2026-11-18T11:11:40Z",
        "user_id": None,
        "client_identifier": "demo-client-7c1f",
        "trusted": False,
        "auth_token": None,
    }
    assert (201, "application/json; charset=utf-8", {"pin": expected}) == (
        made.status,
        made.headers["content-type"],
        made.json,
    )
    link(fresh.url, code)
    found = ask(fresh.url, "GET", f"/pins/{pin_id}.json", WHO).json["pin"]
    assert (10500123, 20) == (found["user_id"], len(found["auth_token"]))
    refused = ask(fresh.url, "GET", "/pins/5.json", WHO)
    assert (404, {"error": "Code not found or expired"}) == (refused.status, refused.json)


@pytest.mark.parametrize("way", ["pending", "not_found"])
def test_denied(start: Start, tmp_path: Path, way: str) -> None:
    """`denied_pin` applies here too."""
    plex = start({"denied_pin": way}, db=f"sqlite:///{tmp_path}/plex.db", clock=Clock())
    pin_id, code = make(plex.url)
    with sqlite3.connect(tmp_path / "plex.db") as database:
        database.execute("UPDATE pin SET denied_at = ?", (START,))
    database.close()
    found = stands(plex.url, pin_id)
    expected = (200, pending(pin_id, code)) if way == "pending" else GONE
    assert expected == (found.status, found.body.decode())


def test_as_a_media_centre_does(fresh: LocalPlexController) -> None:
    """An old media centre's sign-in: create, show the code, poll each second, read `auth_token`, get the account."""
    pin_id, code = make(fresh.url)
    for _ in range(3):
        assert "true" == stands(fresh.url, pin_id).xml.find("auth_token").get("nil")
    link(fresh.url, code, MIRA)
    token = stands(fresh.url, pin_id).xml.findtext("auth_token")
    assert "mira_quill" == get(fresh.url, "/api/v2/user", token).json["username"]
