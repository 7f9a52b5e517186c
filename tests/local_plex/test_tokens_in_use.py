"""S6: the local Plex caches the tokens that are in use, and nobody can tell: whatever ends a token ends it at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.local_plex.asking import MIRA, PASSWORDS, TOM_ON_ATTIC, Clock, ask, get, sign_in
from tests.local_plex.conftest import Start
from tests.local_plex.family import IDS, call, family, switch, user
from tests.local_plex.test_auth_keys import exchange, registered
from ticketstub import Token
from ticketstub.testing import LocalPlexController

TokenAndEnd = tuple[str, Callable[[], object]]


def use(plex: LocalPlexController, token: str) -> list[int]:
    """Use a token on plex.tv and on a media server, and return the statuses."""
    return [get(plex.url, "/api/v2/user", token).status, get(plex.media_server("Attic").url, "/", token).status]


def signed_out(plex: LocalPlexController) -> TokenAndEnd:
    token = plex.token_for("mira_quill").reveal()
    return token, lambda: call(plex.url, "DELETE", "/api/v2/users/signout", token)


def revoked(plex: LocalPlexController) -> TokenAndEnd:
    token = plex.token_for("mira_quill")
    return token.reveal(), lambda: plex.revoke(token)


def expired(plex: LocalPlexController) -> TokenAndEnd:
    token = plex.token_for("mira_quill")
    return token.reveal(), lambda: plex.expire(token)


def device_removed(plex: LocalPlexController) -> TokenAndEnd:
    token = plex.token_for("mira_quill").reveal()
    devices = ask(plex.url, "GET", "/devices.xml", {"X-Plex-Token": token}).xml
    (number,) = [each.get("id") for each in devices if each.get("token") == token]
    return token, lambda: call(plex.url, "DELETE", f"/devices/{number}.json")


def member_removed(plex: LocalPlexController) -> TokenAndEnd:
    token = switch(plex.url, "mira", None, "tom").json["authToken"]
    return token, lambda: call(plex.url, "DELETE", f"/api/home/users/{IDS['tom']}")


def reset(plex: LocalPlexController) -> TokenAndEnd:
    return plex.token_for("mira_quill").reveal(), plex.reset


WAYS: dict[str, Callable[[LocalPlexController], TokenAndEnd]] = {
    "sign-out": signed_out,
    "revocation": revoked,
    "expiry": expired,
    "its device is removed": device_removed,
    "a member leaves the Home, after a switch": member_removed,
    "reset": reset,
}


@pytest.mark.parametrize("kept", ["memory", "file"])
@pytest.mark.parametrize("way", WAYS)
def test_a_token_in_use_ends_at_once(start: Start, tmp_path: Path, way: str, kept: str) -> None:
    """A token that was accepted a moment ago is refused after whatever ends it, on plex.tv and on a media server."""
    plex = start(world=family(), db=f"sqlite:///{tmp_path / 'plex.db'}" if kept == "file" else None)
    token, end = WAYS[way](plex)
    assert [[200, 200]] * 3 == [use(plex, token) for _ in range(3)]
    end()
    assert [401, 401] == use(plex, token)


def test_a_share_in_use_ends_at_once(start: Start) -> None:
    """The token of a share is refused by the media server once the share has ended, and a new one is accepted."""
    plex = start(world=family())
    attic = plex.media_server("Attic").url
    assert [200, 200] == [get(attic, "/", TOM_ON_ATTIC).status for _ in range(2)]
    plex.unshare("Attic", "tom")
    assert 401 == get(attic, "/", TOM_ON_ATTIC).status
    plex.share("Attic", "tom")
    (token,) = [
        each["accessToken"] for each in call(plex.url, "GET", "/api/v2/resources", "tom").json if not each["owned"]
    ]
    assert [200, 401] == [get(attic, "/", each).status for each in (token, TOM_ON_ATTIC)]


def test_a_token_in_use_ends_by_the_clock(start: Start) -> None:
    """A token ends at its second, without any write; when the clock goes back to before it, it is valid again."""
    clock = Clock()
    plex = start(clock=clock)
    answer = sign_in(plex.url, "tom", PASSWORDS["tom"], rememberMe="true").json
    token, begin = answer["authToken"], clock.now
    asked = []
    for clock.now in (begin, answer["rememberExpiresAt"] - 1, answer["rememberExpiresAt"], begin):
        asked += [get(plex.url, "/api/v2/user", token).status for _ in range(2)]
    assert [200, 200, 200, 200, 401, 401, 200, 200] == asked
    plex.advance(days=15)
    assert 401 == get(plex.url, "/api/v2/user", token).status


def test_a_refused_token_that_becomes_valid(start: Start) -> None:
    """A token that was refused a moment ago is accepted once it is valid again: here, after a reset."""
    plex = start()
    plex.revoke(MIRA)
    assert [401, 401] == [get(plex.url, "/api/v2/user", MIRA).status for _ in range(2)]
    plex.reset()
    assert 200 == get(plex.url, "/api/v2/user", MIRA).status


def test_a_jwt_in_use_ends_at_once(start: Start) -> None:
    """A JWT that was accepted a moment ago is refused after its sign-out."""
    clock = Clock()
    plex = start(clock=clock)
    key, _ = registered(plex.url)
    jwt = exchange(plex.url, key, clock.now).json["auth_token"]
    assert [200, 200] == [get(plex.url, "/api/v2/user", jwt).status for _ in range(2)]
    plex.expire(Token(jwt))
    assert 498 == get(plex.url, "/api/v2/user", jwt).status


def test_the_account_of_a_token_in_use_is_up_to_date(start: Start) -> None:
    """A passcode that was set or removed shows in the account of a token in use, and decides about the next switch."""
    plex = start(world=family())
    path = f"/api/home/users/{IDS['mira']}"
    assert [False, False] == [user(plex.url, "mira")["protected"] for _ in range(2)]
    assert [201, 201] == [switch(plex.url, "mira", None, "tom").status for _ in range(2)]
    assert 200 == call(plex.url, "PUT", f"{path}?pin=1234").status
    assert user(plex.url, "mira")["protected"] is True
    assert [403, 201] == [switch(plex.url, "mira", code, "tom").status for code in (None, "1234")]
    assert 200 == call(plex.url, "PUT", f"{path}?pin=&currentPin=1234").status
    assert user(plex.url, "mira")["protected"] is False
    assert 201 == switch(plex.url, "mira", None, "tom").status


def test_faults_and_the_log_apply_to_tokens_in_use(start: Start) -> None:
    """A cached token skips neither an ordered refusal nor the request log."""
    plex = start()
    token = plex.token_for("tom").reveal()
    check = lambda: get(plex.url, "/api/v2/user", token).status  # noqa: E731
    assert [200, 200] == [check(), check()]
    plex.refuse_next("GET /api/v2/user", status=503)
    assert [503, 200] == [check(), check()]
    assert [200, 200, 503, 200] == [each.status for each in plex.requests.filter("GET /api/v2/user")]
