"""The control API: who may use it, and that its commands do what the Python ones do (S19)."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.local_plex.asking import MIRA, SECRET, Answered, Clock, ask, get, world
from tests.tables import paired
from ticketstub.local_plex.control.commands import COMMANDS
from ticketstub.local_plex.control.controller import Controller
from ticketstub.local_plex.control.http_api import KeyFileError, load_or_create_key
from ticketstub.local_plex.listeners import ControlConfig
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.world.schema import World
from ticketstub.tokens import Secret

KEY = "k3y-of-the-test-0123456789-0123456789"
BEARER = {"Authorization": f"Bearer {KEY}"}
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes of this kind")


@pytest.fixture(scope="module", name="plex")
def _plex() -> Iterator[LocalPlex]:
    described = world(denied_pin="not_found")
    local = LocalPlex(
        World.from_dict(described), clock=Clock(), controller=Controller(), control=ControlConfig(Secret(KEY))
    )
    with local.run_in_thread():
        yield local


@pytest.fixture(autouse=True)
def _fresh(plex: LocalPlex) -> None:
    assert 204 == call_control(plex, "POST", "/reset").status


def call_control(
    plex: LocalPlex,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Answered:
    assert plex.control_url is not None
    sent = "" if body is None else body if isinstance(body, str) else json.dumps(body)
    fields = {"Content-Type": "application/json", **(BEARER if headers is None else headers)}
    return ask(plex.control_url, method, f"/control/v1{path}", fields, sent)


def new_pin(plex: LocalPlex) -> dict[str, Any]:
    made = ask(plex.url, "POST", "/api/v2/pins", {"Accept": "application/json", "X-Plex-Client-Identifier": "c"})
    found: dict[str, Any] = made.json
    return found


def poll(plex: LocalPlex, pin: Mapping[str, Any]) -> Answered:
    return get(plex.url, f"/api/v2/pins/{pin['id']}", **{"X-Plex-Client-Identifier": "c"})


EVERY_VERB = [(method, path.removeprefix("/control/v1")) for path, methods in COMMANDS.items() for method in methods]


UNWELCOME: list[tuple[dict[str, str], int]] = [
    ({}, 401),
    ({"Authorization": "Bearer "}, 401),
    ({"Authorization": f"Bearer {KEY}x"}, 401),
    ({"Authorization": f"Bearer {KEY[:-1]}"}, 401),
    ({"Authorization": f"Bearer  {KEY}"}, 401),
    ({"Authorization": f"Basic {KEY}"}, 401),
    ({"Authorization": KEY}, 401),
    ({"X-Plex-Token": KEY}, 401),
    ({"X-Plex-Token": MIRA}, 401),
    ({**BEARER, "Origin": "http://127.0.0.1:8190"}, 403),
    ({**BEARER, "Origin": "null"}, 403),
    ({**BEARER, "Sec-Fetch-Site": "cross-site"}, 403),
    ({**BEARER, "Sec-Fetch-Site": "same-site"}, 403),
    ({"Origin": "https://evil.example"}, 403),
]


@pytest.mark.parametrize(("asked", "how"), paired(EVERY_VERB, UNWELCOME))
def test_nobody_asks_without_the_key_nor_a_browser_for_a_page(
    plex: LocalPlex, asked: tuple[str, str], how: tuple[dict[str, str], int]
) -> None:
    """Every command is 401 without the key, with a wrong or a misplaced one; a web page's request is 403."""
    (method, path), (headers, status) = asked, how
    body = {"token": MIRA, "account": "tom", "pin": 1} if method == "POST" else None
    refused = call_control(plex, method, path, body, headers)
    assert status == refused.status
    assert ["error"] == list(refused.json)
    assert (status == 401) == ("www-authenticate" in refused.headers)
    assert KEY not in refused.body.decode()
    assert "access-control-allow-origin" not in refused.headers
    assert 200 == get(plex.url, "/api/v2/user", MIRA).status


def test_a_browser_is_not_told_that_it_may_ask(plex: LocalPlex) -> None:
    """A preflight request gets no permission."""
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    refused = call_control(plex, "OPTIONS", "/reset", None, asked)
    assert 403 == refused.status
    assert [] == [name for name in refused.headers if name.startswith("access-control")]


def test_the_control_api_is_nowhere_else(plex: LocalPlex) -> None:
    """plex.tv's port and the media servers know none of its paths, not even with the key."""
    for url in (plex.url, plex.media_server("Attic").url):
        assert ask(url, "POST", "/control/v1/reset", BEARER).status in {401, 404}
    assert 404 == call_control(plex, "GET", "/../api/v2/user").status


def test_without_asking_for_it_there_is_none() -> None:
    """A local Plex has a control port only with a key, and accepts a key only with a controller."""
    assert LocalPlex(World.from_dict({})).control_url is None
    with pytest.raises(ValueError, match="needs a controller"):
        LocalPlex(World.from_dict({}), control=ControlConfig(Secret(KEY)))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[1]", "malformed"),
        ("{", "malformed"),
        ({"pin": 1.5}, "pin"),
        ({}, "pin"),
        ({"pin": 1, "acount": "tom"}, "acount"),
    ],
)
def test_a_wrong_order_is_said(plex: LocalPlex, body: object, said: str) -> None:
    """A body that is no JSON object, lacks a member or has an unknown one is 400, and the message names the member."""
    refused = call_control(plex, "POST", "/pins/approve", body)
    assert (400, True) == (refused.status, said in refused.json["error"])


def test_wrong_paths_methods_and_forms_are_said(plex: LocalPlex) -> None:
    """404 for an unknown command, 405 with the allowed method, 415 for a form, 413 for a body that is too long."""
    assert 404 == call_control(plex, "POST", "/pins/aprove").status
    wrong = call_control(plex, "GET", "/reset")
    assert (405, "POST") == (wrong.status, wrong.headers["allow"])
    form = {**BEARER, "Content-Type": "application/x-www-form-urlencoded"}
    assert 415 == call_control(plex, "POST", "/pins/approve", "pin=1", form).status
    assert 413 == call_control(plex, "POST", "/pins/approve", {"pin": "x" * 20_000}).status


def test_a_pin_is_approved_denied_and_ended(plex: LocalPlex) -> None:
    """Success is 204; an unknown PIN is 404, one already decided 409."""
    pin, other, third = new_pin(plex), new_pin(plex), new_pin(plex)
    assert 204 == call_control(plex, "POST", "/pins/approve", {"pin": pin["code"], "account": "tom"}).status
    assert poll(plex, pin).json["authToken"]
    assert 409 == call_control(plex, "POST", "/pins/approve", {"pin": pin["id"]}).status
    assert 204 == call_control(plex, "POST", "/pins/deny", {"pin": other["id"]}).status
    assert 404 == poll(plex, other).status
    assert 204 == call_control(plex, "POST", "/pins/expire", {"pin": third["id"]}).status
    assert 404 == poll(plex, third).status
    unknown = call_control(plex, "POST", "/pins/approve", {"pin": "ZZZZ9"})
    assert (404, {"error": "no valid PIN has this id or code"}) == (unknown.status, unknown.json)
    assert 404 == call_control(plex, "POST", "/pins/approve", {"pin": new_pin(plex)["id"], "account": "nobody"}).status


def test_tokens_are_made_and_ended(plex: LocalPlex) -> None:
    """A token for an account works until it is revoked or expired; revoking it again is 404."""
    for path in ("/tokens/revoke", "/tokens/expire"):
        made = call_control(plex, "POST", "/tokens", {"account": "tom"})
        token = made.json["token"]
        assert (200, "no-store") == (made.status, made.headers["cache-control"])
        assert "tom" == get(plex.url, "/api/v2/user", token).json["username"]
        assert 204 == call_control(plex, "POST", path, {"token": token}).status
        assert 401 == get(plex.url, "/api/v2/user", token).status
        refused = call_control(plex, "POST", path, {"token": token})
        assert (404, False) == (refused.status, token in refused.body.decode())


def test_accounts_and_codes(plex: LocalPlex) -> None:
    """An account takes the members of a world file; a code has six digits; errors name their member."""
    members = {"username": "nora", "verification_secret": SECRET, "more": {"country": "NL"}}
    made = call_control(plex, "POST", "/accounts", members)
    assert ("nora", "nora@example.test") == (made.json["username"], made.json["email"])
    assert re.fullmatch("[0-9]{6}", call_control(plex, "POST", "/codes", {"account": "nora"}).json["code"])
    assert 404 == call_control(plex, "POST", "/codes", {"account": "tom"}).status
    faulty = call_control(plex, "POST", "/accounts", {"username": "eva", "password": "", "more": {"contry": "NL"}})
    assert 400 == faulty.status
    assert "contry" in faulty.json["error"]
    taken = call_control(plex, "POST", "/accounts", {"username": "nina", "email": "tom@example.test"})
    assert 409 == taken.status


def test_refusals_delays_chaos_and_the_clock(plex: LocalPlex) -> None:
    """Rules apply to the next calls, and the clock moves; invalid arguments are 400."""
    rule = {"call": "GET /api/v2/user", "status": 503, "retry_after": 2}
    assert 204 == call_control(plex, "POST", "/refusals", rule).status
    refused = get(plex.url, "/api/v2/user", MIRA)
    assert (503, "2") == (refused.status, refused.headers["retry-after"])
    assert 204 == call_control(plex, "POST", "/delays", {"call": "GET /api/v2/user", "seconds": 0.01}).status
    assert 200 == get(plex.url, "/api/v2/user", MIRA).status
    before = call_control(plex, "GET", "/clock").json["now"]
    assert {"now": before + 691_200} == call_control(plex, "POST", "/clock/advance", {"days": 8}).json
    assert 400 == call_control(plex, "POST", "/clock/advance", {"days": -1}).status
    assert 400 == call_control(plex, "POST", "/refusals", {"call": "nonsense"}).status
    assert 400 == call_control(plex, "POST", "/chaos", {"share": 2}).status


def test_the_control_port_is_out_of_reach_of_chaos_and_of_its_own_rules(plex: LocalPlex) -> None:
    """With chaos and refusals for every call, the commands still answer, and none is in the request log."""
    assert 204 == call_control(plex, "POST", "/chaos", {"share": 1.0, "longest": 0}).status
    assert 204 == call_control(plex, "POST", "/refusals", {"call": "GET /control/v1/requests", "times": 50}).status
    for _ in range(20):
        assert {"requests": []} == call_control(plex, "GET", "/requests").json
    assert 204 == call_control(plex, "POST", "/chaos", {"share": 0}).status


def test_chaos_leaves_the_pages_files_alone(plex: LocalPlex) -> None:
    """With chaos for every call, a page's style sheet still arrives."""
    path = re.search(r'href="(/static/[^"]+\.css)"', ask(plex.url, "GET", "/sign-in").body.decode())
    assert path is not None
    call_control(plex, "POST", "/chaos", {"share": 1.0, "longest": 0})
    assert [200] * 20 == [ask(plex.url, "GET", path[1]).status for _ in range(20)]


def test_what_came_in_is_told_and_forgotten(plex: LocalPlex) -> None:
    """The log is JSON with secrets masked; DELETE clears it."""
    get(plex.url, "/api/v2/user", MIRA)
    answer = call_control(plex, "GET", "/requests")
    (only,) = answer.json["requests"]
    assert ("GET", "/api/v2/user", 200) == (only["method"], only["template"], only["status"])
    assert MIRA not in answer.body.decode()
    assert 204 == call_control(plex, "DELETE", "/requests").status
    assert {"requests": []} == call_control(plex, "GET", "/requests").json


@posix
def test_the_key_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """A missing file is created with mode 0600 and a key of 256 random bits, and reused at the next start."""
    path = tmp_path / "control.key"
    key = load_or_create_key(path)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert len(key.reveal()) >= 43
    assert key == load_or_create_key(path)
    assert key != load_or_create_key(tmp_path / "another.key")


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such pipes")
def test_a_pipe_is_no_key_file(tmp_path: Path) -> None:
    """It is refused at once, without waiting for data."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeyFileError, match="is not a regular file"):
        load_or_create_key(tmp_path / "pipe")


@posix
def test_a_key_file_that_is_not_safe_is_refused(tmp_path: Path) -> None:
    """A file that others can read, a link, a folder, a short or empty key: refused, without showing the key."""
    path = tmp_path / "control.key"
    path.write_text(KEY, "utf-8")
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600") as refused:
        load_or_create_key(path)
    assert KEY not in str(refused.value)
    path.chmod(0o600)
    assert Secret(KEY) == load_or_create_key(path)
    (tmp_path / "link.key").symlink_to(path)
    for faulty in (tmp_path / "link.key", tmp_path, tmp_path / "no" / "such" / "folder.key"):
        with pytest.raises(KeyFileError):
            load_or_create_key(faulty)
    for short in ("", "short", "with a space in the middle of it all 0123456789"):
        path.write_text(short, "utf-8")
        with pytest.raises(KeyFileError, match="32"):
            load_or_create_key(path)
