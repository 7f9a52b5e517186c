"""S21: an id is no right: with another's id each route answers as if there were nothing, and nothing happens.

Rule: nils, who is alone, and vera, who has a Home next door, ask about what is mira's. Every route whose path holds
an id is in the table, and so is every other call that is told one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.local_plex.asking import ATTIC, Answered
from tests.local_plex.family import IDS, NILS, UUIDS, VERA
from tests.local_plex.test_auth_keys import Key
from tests.local_plex.whole import Browser
from tests.security.stage import PHONE, Stage, device_jwt
from ticketstub.local_plex.api.plex_tv import ROUTES

OTHERS = {"nils": NILS, "vera": VERA}


class Row(NamedTuple):
    """A request with an id of mira's, what others get, and what she gets who may."""

    route: str
    target: str
    refused: int
    hers: int


ROWS = [
    Row("DELETE /devices/{id}", "/devices/{device}.json", 404, 204),
    Row("PUT /api/home/users/{id}", "/api/home/users/{mira}?pin=1234", 404, 200),
    Row("DELETE /api/home/users/{id}", "/api/home/users/{elsa}", 404, 200),
    Row("DELETE /api/home/users/{id}", "/api/home/users/{pip}", 404, 200),
    Row("POST /api/v2/home/users/restricted/{id}", "/api/v2/home/users/restricted/{pip}?pin=1234", 404, 200),
    Row("POST /api/v2/home/users/restricted/{id}", "/api/v2/home/users/restricted/{bo}?removePin=1", 404, 200),
    Row("POST /api/v2/home/users/{uuid}/switch", "/api/v2/home/users/{pip}/switch", 404, 201),
    Row("POST /api/v2/home/users/{uuid}/switch", f"/api/v2/home/users/{UUIDS['pip']}/switch", 404, 201),
    Row("POST /api/v2/home/users/{uuid}/switch", f"/api/v2/home/users/{UUIDS['tom']}/switch?pin=4711", 404, 201),
    Row("POST /api/v2/home/users/{uuid}/switch", f"/api/v2/home/users/{UUIDS['mira']}/switch", 404, 201),
    Row("POST /api/home/users/{id}/switch", "/api/home/users/{pip}/switch", 404, 201),
    Row("POST /api/home/users/{id}/switch", "/api/home/users/{bo}/switch?pin=2580", 404, 201),
    Row("DELETE /api/invites/requested/{id}", "/api/invites/requested/{invitation}", 404, 200),
    Row("GET /api/servers/{machineIdentifier}/shared_servers", f"/api/servers/{ATTIC}/shared_servers", 404, 200),
    Row("GET /api/v2/servers/{machineIdentifier}", f"/api/v2/servers/{ATTIC}", 404, 200),
]
# An invitation is for one: whoever is not invited can neither take it nor refuse it, not even who sent it.
INVITED = [
    Row("PUT /api/invites/requests/{id}", "/api/invites/requests/{invitation}", 404, 404),
    Row("DELETE /api/invites/requests/{id}", "/api/invites/requests/{invitation}", 404, 404),
]
# These take an id and no token, so they have tests of their own below; the last does nothing (410).
WITHOUT_TOKEN = {
    *("GET /api/v2/pins/{id}", "GET /pins/{id}", "GET /api/v2/pins/qr/{code}", "GET /users/{uuid}/avatar"),
    "DELETE /api/friends/{id}",
}
MAY = {
    ("vera", "GET /api/v2/servers/{machineIdentifier}"),
    ("nils", "PUT /api/invites/requests/{id}"),
    ("nils", "DELETE /api/invites/requests/{id}"),
}
"""Who is somebody there: vera has a share of that server, nils is the one who was invited."""


@pytest.fixture(name="stage", scope="module")
def _stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def ask(stage: Stage, row: Row, token: str | None) -> Answered:
    return stage.plex.ask(row.route.split()[0], row.target.format_map(stage.names), token, client="others-pc")


def test_every_route_with_an_id_is_here() -> None:
    """A route of plex.tv whose path holds an id is in one of the tables."""
    known = {row.route for row in (*ROWS, *INVITED)} | WITHOUT_TOKEN
    assert {
        f"{route.method} {route.path_template}" for route in ROUTES.list_routes() if "{" in route.path_template
    } == known


@pytest.mark.parametrize("row", [*ROWS, *INVITED], ids=lambda row: row.target)
@pytest.mark.parametrize("who", OTHERS)
def test_anothers_id(stage: Stage, row: Row, who: str) -> None:
    """What is another's is not there, and what is asked for does not happen; mira herself gets what she asks for."""
    stage.again()
    before = stage.plex.rows()
    if (who, row.route) not in MAY:
        answer = ask(stage, row, OTHERS[who])
        assert row.refused == answer.status
        assert b"mira" not in answer.body
        assert before == stage.plex.rows()
    assert row.hers == ask(stage, row, stage.tokens["account"]).status


@pytest.mark.parametrize(
    "row", [row for row in ROWS if "{machineIdentifier}" not in row.route], ids=lambda row: row.target
)
def test_an_id_that_nobody_has_is_told_in_the_same_way(stage: Stage, row: Row) -> None:
    """Another's id and one that nobody has cannot be told apart."""
    stage.again()
    there = ask(stage, row, NILS)
    nobodys = row.target.format_map(dict.fromkeys(stage.names, 999_999_999))
    for uuid in UUIDS.values():
        nobodys = nobodys.replace(uuid, "0123456789abcdef")
    absent = stage.plex.ask(row.route.split()[0], nobodys, NILS, client="others-pc")
    assert (there.status, there.body) == (absent.status, absent.body)


@pytest.mark.parametrize("path", ["/api/v2/pins/{pin}", "/pins/{legacy_pin}.json"])
def test_anothers_pin(stage: Stage, path: str) -> None:
    """A PIN is told to the client that made it, whoever asks with whichever token."""
    stage.again()
    before = stage.plex.rows()
    for token in (None, NILS, stage.tokens["account"]):
        answer = stage.plex.ask("GET", path.format_map(stage.names), token, client="others-pc")
        assert 404 == answer.status
        assert str(stage.names["code"]).encode() not in answer.body
    assert before == stage.plex.rows()


def test_anothers_key(stage: Stage) -> None:
    """A key of mira's phone proves nothing for another client, and nobody else registers it or its name there."""
    stage.again()
    before = stage.plex.rows("nonce")
    proof = {"jwt": device_jwt(stage.plex, stage.key, PHONE)}
    assert 422 == stage.plex.ask("POST", "/api/v2/auth/token", client="others-pc", body=proof).status
    named = {"jwt": device_jwt(stage.plex, stage.key, "others-pc")}
    assert 422 == stage.plex.ask("POST", "/api/v2/auth/token", client=PHONE, body=named).status
    for key in (stage.key, Key("phone")):
        for client in (PHONE, "others-pc") if key is stage.key else (PHONE,):
            answer = stage.plex.ask("POST", "/api/v2/auth/jwk", NILS, client=client, body={"jwk": key.jwk})
            assert 422 == answer.status
    assert before == stage.plex.rows("nonce")


def test_anothers_media_server(stage: Stage) -> None:
    """A server that is somebody's is neither claimed nor given up by another, whose claim token stays good."""
    stage.again()
    claim = stage.plex.ask("GET", "/api/claim/token.json", NILS).json["token"]
    before = stage.plex.rows()
    assert 404 == stage.plex.ask("POST", f"/api/claim/exchange?token={claim}", client=ATTIC).status
    assert 401 == stage.plex.ask("POST", f"/myplex/claim?token={claim}", at="Attic").status
    assert 401 == stage.plex.ask("DELETE", "/myplex/account", NILS, at="Attic").status
    assert before == stage.plex.rows()
    assert 200 == stage.plex.ask("POST", f"/api/claim/exchange?token={claim}", client="nils-box").status


def test_anothers_ids_on_pages(stage: Stage) -> None:
    """A form with another's device or Home user does nothing."""
    stage.again()
    browser = stage.plex.browser().signed_in("nils")
    before = stage.plex.rows()
    removed = _send(browser, "/account/devices", id=str(stage.names["device"]))
    assert (303, "/account/devices?removed=no") == (removed.status, removed.headers["location"])
    for user in ("pip", "tom", "mira"):
        assert 404 == _send(browser, "/account/home", user=str(IDS[user]), passcode="4711").status
    assert before == stage.plex.rows()


def _send(browser: Browser, action: str, **fields: str) -> Answered:
    return browser.post(action, {"form_token": browser.fields("/link")["form_token"], **fields})
