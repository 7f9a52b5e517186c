"""What ends a token: a sign-out, a new sign-in, its expiry; from when on, and what happens to the device."""

from pathlib import Path
from typing import Any

import pytest

from tests.local_plex.asking import MIRA, PASSWORDS, START, TOM, TOM_ON_ATTIC, Answered, Clock, ask, get, sign_in, world
from tests.local_plex.conftest import Start
from tests.local_plex.test_auth_keys import exchange, registered
from ticketstub.testing import local_plex

DEAD = b'{"errors":[{"code":1001,"message":"User could not be authenticated","status":401}]}'
NAMED = {"X-Plex-Client-Identifier": "demo-client-7c1f", "Accept": "application/json"}


def sign_out(url: str, token: str | None, **headers: str) -> Answered:
    return ask(url, "DELETE", "/api/v2/users/signout", ({"X-Plex-Token": token} if token else {}) | NAMED | headers)


def new_token(url: str, identifier: str = "demo-client-7c1f", login: str = "tom") -> str:
    found: str = sign_in(url, login, PASSWORDS[login], {"X-Plex-Client-Identifier": identifier}).json["authToken"]
    return found


def devices(url: str, token: str) -> dict[str, str | None]:
    """List the devices of clients: identifier and token."""
    found: Any = ask(url, "GET", "/devices.xml", {"X-Plex-Token": token}).xml
    named = {each.get("clientIdentifier"): each.get("token") or None for each in found}
    return {name: text for name, text in named.items() if name.startswith("demo")}


@pytest.mark.parametrize("kept", ["memory", "file"])
def test_a_sign_out_ends_this_token_only(start: Start, tmp_path: Path, kept: str) -> None:
    """S6: 204 without body; from then on that token is dead everywhere, and every other one of the account is valid."""
    plex = start(db=f"sqlite:///{tmp_path / 'plex.db'}" if kept == "file" else None)
    first, second = new_token(plex.url), new_token(plex.url)
    answer = sign_out(plex.url, first)
    assert (204, b"", None) == (answer.status, answer.body, answer.headers.get("content-type"))
    dead = get(plex.url, "/api/v2/user", first)
    assert (401, DEAD) == (dead.status, dead.body)
    assert 422 == ask(plex.url, "GET", "/users/account", {"X-Plex-Token": first}).status
    assert 401 == get(plex.media_server("Toms").url, "/", first).status
    assert [200, 200] == [get(plex.url, "/api/v2/user", each).status for each in (second, TOM)]


def test_a_dead_token_cannot_sign_out(start: Start) -> None:
    """A dead, a missing and a share's token are 401 with code 1001."""
    plex = start()
    token = new_token(plex.url)
    sign_out(plex.url, token)
    for each in (token, "Dead_token_012345678", TOM_ON_ATTIC, None):
        answer = sign_out(plex.url, each)
        assert (401, DEAD) == (answer.status, answer.body)
    assert 200 == get(plex.media_server("Attic").url, "/", TOM_ON_ATTIC).status


def test_no_client_identifier_is_needed(start: Start) -> None:
    """A sign-out with only a token works (observed), also in the query."""
    plex = start()
    token = new_token(plex.url)
    assert 204 == ask(plex.url, "DELETE", f"/api/v2/users/signout?X-Plex-Token={token}").status
    assert 401 == get(plex.url, "/api/v2/user", token).status


def test_a_known_token_of_the_world(start: Start, tmp_path: Path) -> None:
    """A token of the world stays dead after its sign-out, also after the next start with the same world."""
    db = f"sqlite:///{tmp_path / 'plex.db'}"
    with local_plex(world(), db=db) as before:
        assert 204 == sign_out(before.url, MIRA).status
    assert 401 == get(start(db=db).url, "/api/v2/user", MIRA).status


def test_the_device_of_a_sign_out(start: Start) -> None:
    """The device's row stays without a token; other rows are unchanged."""
    plex = start()
    token, other = new_token(plex.url, "demo-one"), new_token(plex.url, "demo-two")
    assert 204 == sign_out(plex.url, token).status
    assert 401 == get(plex.url, "/api/v2/user", token).status
    found = devices(plex.url, other)
    assert ({"demo-one", "demo-two"}, other, None) == (set(found), found["demo-two"], found.get("demo-one"))


def test_a_plain_sign_in_does_not_end(start: Start) -> None:
    """Without `rememberMe` a token stays valid, whatever `rememberExpiresAt` says."""
    clock = Clock()
    plex = start(clock=clock)
    answer = sign_in(plex.url, "tom", PASSWORDS["tom"]).json
    end = START + 14 * 24 * 3600
    assert end == answer["rememberExpiresAt"]
    clock.now = end
    assert 200 == get(plex.url, "/api/v2/user", answer["authToken"]).status


def test_a_jwt_signs_out(start: Start) -> None:
    """S6: a JWT ends like any token; its device's key stays, and can get another JWT."""
    clock = Clock()
    plex = start(clock=clock)
    key, _ = registered(plex.url)
    first, second = (exchange(plex.url, key, clock.now).json["auth_token"] for _ in range(2))
    assert 204 == sign_out(plex.url, first).status
    assert [401, 200] == [get(plex.url, "/api/v2/user", each).status for each in (first, second)]
    assert 200 == exchange(plex.url, key, clock.now).status
