"""`check`, stepped by hand: each kind of token, who is asked about it, and which answers count."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.flows.jwts import plex_jwt
from tests.client.flows.stepping import ATTIC, HERE
from tests.client.flows.walking import NOW, OPAQUE, RESET, UNAUTHORIZED, USER, Walker, error, ok
from ticketstub.client.config import CallSettings, Retry
from ticketstub.client.flows.check import check_token
from ticketstub.tokens import Token

REFUSED = ok(UNAUTHORIZED, 401)
PAGE_401 = ok("<html><head><title>Unauthorized</title></head><body><h1>401 Unauthorized</h1></body></html>", 401)
ROOT = ok('{"MediaContainer":{"size":25,"friendlyName":"Attic","machineIdentifier":"9b1f"}}')
TRANSIENT = "transient-5b7e1c90-2d4f-4a63-9e18-c0d7a4f2b631"


def devices(token: str = OPAQUE, provides: str = "controller") -> Any:
    return ok(
        '<?xml version="1.0" encoding="UTF-8"?><MediaContainer publicAddress="203.0.113.5">'
        '<Device name="Phone" id="1" token="aaaaaaaaaaaaaaaaaaaa" provides="player"/>'
        f'<Device name="Workshop" product="Demo App" provides="{provides}" id="777001" token="{token}"/>'
        "</MediaContainer>"
    )


def checking(token: str | Token, *answers: object, server: str | None = None) -> tuple[Any, Walker]:
    walker = Walker(answers, settings=CallSettings(plex_tv=HERE, server=server, retry=Retry(attempts=1)))
    return walker.run(lambda context: check_token(token, context)), walker


def carried(walker: Walker) -> list[tuple[str, str | None]]:
    """List where each request went, and with which token."""
    return [(sent.url, sent.headers.get("X-Plex-Token")) for sent in walker.sent]


def test_an_accounts_token() -> None:
    """An account's token: alive, with its account and device."""
    found, walker = checking(OPAQUE, ok(USER), devices())
    assert ("account", True, "mira_quill", "Workshop", None) == (
        found.kind,
        found.alive,
        found.account.username,
        found.device.name,
        found.expires_at,
    )
    assert [(f"{HERE}/api/v2/user", OPAQUE), (f"{HERE}/devices.xml", OPAQUE)] == carried(walker)
    assert ("plex.tv",) == found.checked_with


def test_a_servers_own_token() -> None:
    """A token of a device that provides a media server is that server's own."""
    assert "server" == checking(OPAQUE, ok(USER), devices(provides="server"))[0].kind


@pytest.mark.parametrize("answer", [ok(b"", 503), error(403, 1042), devices(token="bbbbbbbbbbbbbbbbbbbb"), RESET])
def test_no_list_of_devices(answer: Any) -> None:
    """A token is alive even if its device cannot be looked up."""
    found, _ = checking(OPAQUE, ok(USER), answer)
    assert ("account", True, None) == (found.kind, found.alive, found.device)


def test_a_remembered_token_ends() -> None:
    """A 14-day token has an expiry; the same field in the past, as other tokens have it, is ignored."""
    ends = [
        checking(OPAQUE, ok(USER.replace(b'"username"', b'"rememberExpiresAt":%d,"username"' % moment)), devices())[0]
        for moment in (int(NOW) + 86400, int(NOW) - 86400)
    ]
    assert [NOW + 86400, None] == [found.expires_at and found.expires_at.timestamp() for found in ends]


def test_a_jwt() -> None:
    """A JWT: alive, with its account and its own expiry."""
    jwt = plex_jwt(NOW)
    found, _ = checking(jwt, ok(USER), devices())
    assert ("jwt", True, NOW + 604_800) == (found.kind, found.alive, found.expires_at.timestamp())


def test_a_jwt_whose_time_is_over() -> None:
    """498: expired, with the time, and renewable by its device; no media server is asked about a JWT."""
    jwt = plex_jwt(NOW - 2 * 604_800)
    found, walker = checking(jwt, error(498, 1001), server=ATTIC)
    assert ("jwt", False, NOW - 604_800) == (found.kind, found.alive, found.expires_at.timestamp())
    assert "renew" in found.reason
    assert all(url.startswith(HERE) for url, _ in carried(walker))


def test_a_claim_token() -> None:
    """A claim token is recognised without a request: a request could use it up."""
    found, walker = checking("claim-A1b2C3d4E5f6G7h8I9j0", server=ATTIC)
    assert ("claim", None, []) == (found.kind, found.alive, walker.sent)


def test_a_dead_token() -> None:
    """401: plex.tv does not know it; it may still be a media server's own."""
    found, _ = checking(OPAQUE, REFUSED)
    assert ("unknown", False, None, None) == (found.kind, found.alive, found.account, found.unreachable)
    assert "media server" in found.reason


def test_a_shared_servers_token() -> None:
    """A token that only the named media server accepts is shared, if the server refuses requests without a token."""
    found, walker = checking(OPAQUE, REFUSED, ROOT, PAGE_401, server=ATTIC)
    assert ("shared", True, ("plex.tv", "media server")) == (found.kind, found.alive, found.checked_with)
    assert [(f"{HERE}/api/v2/user", OPAQUE), (f"{ATTIC}/", OPAQUE), (f"{ATTIC}/", None)] == carried(walker)


def test_dead_everywhere() -> None:
    """Neither plex.tv nor the media server accepts it."""
    assert False is checking(OPAQUE, REFUSED, PAGE_401, server=ATTIC)[0].alive


def test_a_server_that_admits_anybody_proves_nothing() -> None:
    """If the media server also answers without a token, its answer to the token proves nothing."""
    assert checking(OPAQUE, REFUSED, ROOT, ROOT, server=ATTIC)[0].alive is None


def test_a_local_token_of_a_media_server_never_goes_to_plex_tv() -> None:
    """plex.tv is not asked about a token that begins with `local-`; the media server that created it is."""
    text = "local-5b7e1c90-2d4f-4a63-9e18-c0d7a4f2b631"
    found, walker = checking(text)
    assert ("local", None, []) == (found.kind, found.alive, walker.sent)
    found, walker = checking(text, ROOT, PAGE_401, server=ATTIC)
    assert ("local", True) == (found.kind, found.alive)


def test_a_transient_token_needs_its_server() -> None:
    """plex.tv is not asked about a transient token; without a media server the result is unknown."""
    found, walker = checking(TRANSIENT)
    assert ("transient", None, []) == (found.kind, found.alive, walker.sent)
    found, walker = checking(TRANSIENT, ROOT, PAGE_401, server=ATTIC)
    assert ("transient", True) == (found.kind, found.alive)
    assert False is checking(TRANSIENT, PAGE_401, server=ATTIC)[0].alive


@pytest.mark.parametrize(
    "outage", [RESET, ok(b"", 503), ok(b"", 404), error(429, 1003), error(401, 1031), ok(b"<html>"), error(403, 1042)]
)
def test_an_outage_is_no_verdict(outage: object) -> None:
    """If plex.tv does not answer, the token is neither alive nor dead, and the result says why."""
    found, _ = checking(OPAQUE, outage)
    assert (None, True) == (found.alive, bool(found.unreachable))


def test_an_outage_of_plex_tv_and_a_server_that_refuses() -> None:
    """While plex.tv does not answer, a media server's refusal proves nothing: it may be an account's token."""
    assert checking(OPAQUE, RESET, PAGE_401, server=ATTIC)[0].alive is None
    assert True is checking(OPAQUE, RESET, ROOT, PAGE_401, server=ATTIC)[0].alive


def test_an_outage_of_the_server() -> None:
    """A media server that does not answer is reported, and nothing is concluded."""
    found, _ = checking(OPAQUE, REFUSED, RESET, server=ATTIC)
    assert (None, True) == (found.alive, bool(found.unreachable))


IDENTITY = ok('{"MediaContainer":{"machineIdentifier":"9b1f"}}')


def listed(token: str | None, identifier: str = "9b1f") -> Any:
    access = "null" if token is None else f'"{token}"'
    return ok(f'[{{"name":"Attic","provides":"server","clientIdentifier":"{identifier}","accessToken":{access}}}]')


def test_an_accounts_token_on_its_own_server() -> None:
    """An account's token is sent to the named media server only if plex.tv lists it for that very server."""
    found, walker = checking(OPAQUE, ok(USER), devices(), IDENTITY, listed(OPAQUE), ROOT, PAGE_401, server=ATTIC)
    assert (True, True, ("plex.tv", "media server")) == (found.alive, found.accepted_by_server, found.checked_with)
    assert [(f"{ATTIC}/identity", None), (f"{HERE}/api/v2/resources", OPAQUE), (f"{ATTIC}/", OPAQUE)] == [
        (url.partition("?")[0], token) for url, token in carried(walker)[2:5]
    ]


@pytest.mark.parametrize(
    "answer", [listed("Qw7-Zr2_LmN8tYb4HsKd"), listed(OPAQUE, "another"), listed(None), ok("[]"), RESET]
)
def test_an_accounts_token_stays_away_from_other_servers(answer: Any) -> None:
    """A media server that plex.tv does not list with this very token never receives it."""
    found, walker = checking(OPAQUE, ok(USER), devices(), IDENTITY, answer, server=ATTIC)
    assert True is found.alive
    assert found.accepted_by_server is (None if answer is RESET else False)
    assert [None] == [token for url, token in carried(walker) if url.startswith(ATTIC)]


def test_a_jwt_is_never_sent_to_a_server() -> None:
    """Media servers refuse JWTs, so none is sent there, and the result says so."""
    found, walker = checking(plex_jwt(NOW), ok(USER), devices(), server=ATTIC)
    assert (True, False) == (found.alive, found.accepted_by_server)
    assert all(url.startswith(HERE) for url, _ in carried(walker))


@pytest.mark.parametrize("text", ["", "mira@example.test", "X-Plex-Token: abc", "two words"])
def test_what_is_no_token(text: str) -> None:
    """Text that cannot be a token is an error before anything is sent."""
    with pytest.raises(ValueError, match=r"(?i)token"):
        checking(text)


def test_a_token_is_taken_as_it_is() -> None:
    """A `Token` is used as it is."""
    found, walker = checking(Token(OPAQUE), ok(USER), devices())
    assert (True, OPAQUE) == (found.alive, walker.sent[0].headers["X-Plex-Token"])


def test_nothing_of_it_prints_the_token() -> None:
    """A result holds no token in its repr."""
    found, _ = checking(OPAQUE, ok(USER), devices())
    assert OPAQUE not in repr(found)
