"""Approving PINs over HTTP: who may, what a code is, and that a PIN is approved once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.local_plex.asking import MIRA, TOM, TOM_ON_ATTIC, Clock, ask, get
from tests.local_plex.pin_asking import FORM, JSON, code_of, create, link, over, poll
from ticketstub.testing import LocalPlexController


@pytest.mark.parametrize("where", ["form", "query", "json"])
def test_where_the_code_stands(fresh: LocalPlexController, where: str) -> None:
    """The code is read from form, query or JSON; 204 has no body."""
    made = create(fresh.url)
    given = JSON | {"X-Plex-Token": MIRA}
    asked: dict[str, tuple[str, dict[str, str], str | None]] = {
        "form": ("", FORM, f"code={made['code']}"),
        "query": (f"?code={made['code']}", {}, None),
        "json": ("", {"Content-Type": "application/json"}, json.dumps({"code": made["code"]})),
    }
    query, headers, body = asked[where]
    linked = ask(fresh.url, "PUT", f"/api/v2/pins/link{query}", given | headers, body)
    assert (204, b"") == (linked.status, linked.body)
    assert poll(fresh.url, made["id"]).json["authToken"]


def test_no_code(plex: LocalPlexController) -> None:
    """Linking without a code is 400 with code 1004 for a valid token; the token is checked first."""
    for body in ("", "code=", "other=1"):
        given = JSON | FORM | {"X-Plex-Token": MIRA}
        assert (400, 1004) == code_of(ask(plex.url, "PUT", "/api/v2/pins/link", given, body))
    assert (401, 1001) == code_of(ask(plex.url, "PUT", "/api/v2/pins/link", JSON | FORM, ""))


@pytest.mark.parametrize("token", ["", "junk", "x" * 20, TOM_ON_ATTIC])
def test_who_may_not_link(fresh: LocalPlexController, token: str) -> None:
    """A missing, a dead and a share's token are 401 with code 1001, and the PIN stays as it was."""
    made = create(fresh.url)
    refused = link(fresh.url, made["code"], token)
    assert (401, 1001) == code_of(refused)
    assert poll(fresh.url, made["id"]).json["authToken"] is None
    assert 204 == link(fresh.url, made["code"]).status


def test_linking_twice(fresh: LocalPlexController) -> None:
    """A linked PIN cannot be linked again (404, code 1020), and stays with the first account."""
    made = create(fresh.url)
    assert 204 == link(fresh.url, made["code"], TOM).status
    for token in (MIRA, TOM):
        assert over(link(fresh.url, made["code"], token))
    assert "tom" == get(fresh.url, "/api/v2/user", poll(fresh.url, made["id"]).json["authToken"]).json["username"]


def test_a_pin_s_token_is_its_own(fresh: LocalPlexController) -> None:
    """Two PINs of one client have two tokens; both are valid."""
    tokens = []
    for _ in range(2):
        made = create(fresh.url)
        link(fresh.url, made["code"])
        tokens.append(poll(fresh.url, made["id"]).json["authToken"])
    assert tokens[0] != tokens[1]
    assert [200, 200] == [get(fresh.url, "/api/v2/user", token).status for token in tokens]


WRONG_CODES = ["ZZZZ!", "x" * 25, "X" * 25, "%00", "%EF%BC%A8%EF%BC%97QK", "H7Q", "H7QKK", "a" * 3000, "%C3%9F%C3%9Fab"]


@pytest.mark.parametrize("code", WRONG_CODES)
def test_wrong_codes(plex: LocalPlexController, clock: Clock, code: str) -> None:
    """A malformed and an unknown code are 404 with code 1020."""
    clock.now += 1000  # earlier attempts are forgotten
    assert over(link(plex.url, code))


@given(code=st.text(max_size=30))
@examples(40)
def test_any_text_as_a_code(plex: LocalPlexController, clock: Clock, code: str) -> None:
    """Any other code is 404, an empty one 400: never an error, never a link."""
    clock.now += 1000
    body = json.dumps({"code": code})
    given = JSON | {"X-Plex-Token": MIRA, "Content-Type": "application/json"}
    assert ask(plex.url, "PUT", "/api/v2/pins/link", given, body).status == (404 if code else 400)
