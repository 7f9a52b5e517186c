"""Claim tokens: issued for an account, exchanged once for a server's own token, and useful for nothing else."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.local_plex.asking import ATTIC, MIRA, START, TOM, TOM_ON_ATTIC, Answered, Clock, ask, get, transient
from tests.local_plex.conftest import Start
from tests.local_plex.small import JSON, LOFT, remove, rows, signed_in, small
from ticketstub.testing import LocalPlexController, local_plex

CELLAR = "4e6d1c82aa07f35b90c3e1d74b58f2a6630d9e1c"
SERVER = {
    "X-Plex-Product": "Plex Media Server",
    "X-Plex-Version": "1.1",
    "X-Plex-Provides": "server",
    "X-Plex-Platform": "Linux",
    "X-Plex-Platform-Version": "1.0",
    "X-Plex-Device-Name": "PlexMediaServer",
    "X-Plex-Device": "Linux",
}
"""What the official container image sends."""


@pytest.fixture(name="begin")
def _begin(start: Start) -> Start:
    """Start with the small world."""

    def begin(answers: dict[str, object] | None = None, **options: Any) -> LocalPlexController:
        return start(answers, world=small(), **options)

    return begin


@pytest.fixture(name="plex", scope="module")
def _plex() -> Iterator[LocalPlexController]:
    """A local Plex for the tests that claim none of its media servers."""
    with local_plex(small(), clock=Clock()) as running:
        yield running


def claim_token(url: str, token: str = MIRA) -> str:
    answer = ask(url, "GET", "/api/claim/token.json", {"X-Plex-Token": token})
    assert answer.status == 200, answer
    found: str = answer.json["token"]
    return found


def exchange(url: str, claim: str, machine: str = CELLAR, **headers: str) -> Answered:
    given = SERVER | {"X-Plex-Client-Identifier": machine} | headers
    return ask(url, "POST", f"/api/claim/exchange?{urlencode({'token': claim})}", given)


def claimed(url: str, claim: str) -> Answered:
    """Hand a claim token to a media server."""
    return ask(url, "POST", f"/myplex/claim?{urlencode({'token': claim})}", JSON)


def is_claimed(url: str) -> bool:
    found: bool = get(url, "/identity").json["MediaContainer"]["claimed"]
    return found


def test_a_claim_token_is_always_json(plex: LocalPlexController) -> None:
    """`{"token":"claim-…"}` with 20 characters after the prefix, for every Accept; each is new."""
    for accept in ("application/xml", "*/*", "application/json"):
        answer = ask(plex.url, "GET", "/api/claim/token.json", {"X-Plex-Token": MIRA, "Accept": accept})
        assert (200, "application/json; charset=utf-8") == (answer.status, answer.headers["content-type"])
        assert ["token"] == list(answer.json)
        assert re.fullmatch("claim-[A-Za-z0-9_-]{20}", answer.json["token"])
    assert claim_token(plex.url) != claim_token(plex.url)


def test_a_claim_token_is_for_an_accounts_own_token(plex: LocalPlexController) -> None:
    """A share's, a media server's, a transient, a dead and a missing token get none, and the refusal is JSON."""
    own = rows(plex.url, MIRA)[ATTIC]["token"]
    short_lived = transient(plex.media_server("Attic").url, MIRA)
    for token in (TOM_ON_ATTIC, own, short_lived, claim_token(plex.url), "Dead_token_012345678", None):
        answer = ask(plex.url, "GET", "/api/claim/token.json", {"X-Plex-Token": token} if token else {})
        assert answer.status in {401, 422}
        assert ["error"] == list(answer.json)


def test_an_exchange_in_xml(plex: LocalPlexController) -> None:
    """200 and the account's `<user …>` with the server's own token as attribute and as `<authentication-token>`."""
    answer = exchange(plex.url, claim_token(plex.url))
    assert (200, "application/xml; charset=utf-8") == (answer.status, answer.headers["content-type"])
    user = answer.xml
    token = user.get("authToken")
    assert ("user", "mira_quill", "10500123") == (user.tag, user.get("username"), user.get("id"))
    assert re.fullmatch("[A-Za-z0-9_-]{20}", token)
    assert token == user.findtext("authentication-token")
    assert token not in (MIRA, TOM)
    # What the official image does with it.
    assert [token] == re.findall(r".*<authentication-token>(.*)</authentication-token>.*", answer.body.decode())


def test_an_exchange_in_json(plex: LocalPlexController) -> None:
    """`authToken` at the top level."""
    answer = exchange(plex.url, claim_token(plex.url, TOM), Accept="application/json")
    assert (200, "tom") == (answer.status, answer.json["username"])
    assert re.fullmatch("[A-Za-z0-9_-]{20}", answer.json["authToken"])


def test_the_server_is_a_device_then(plex: LocalPlexController) -> None:
    """The machine is a device of the account with its own description; its token works on plex.tv, as a server's."""
    token = exchange(plex.url, claim_token(plex.url), Accept="application/json").json["authToken"]
    row = rows(plex.url, MIRA)[CELLAR]
    expected = {"name": "PlexMediaServer", "product": "Plex Media Server", "provides": "server", "token": token}
    assert expected == {name: row[name] for name in expected}
    assert "mira_quill" == get(plex.url, "/api/v2/user", token).json["username"]
    assert [CELLAR] == list(rows(plex.url, token))
    assert 204 == remove(plex.url, MIRA, row["id"]).status
    assert 401 == get(plex.url, "/api/v2/user", token).status


def test_a_claim_token_opens_nothing(plex: LocalPlexController) -> None:
    """It is not an X-Plex-Token, neither on plex.tv nor on a media server, which replies with the plain 401 page."""
    claim = claim_token(plex.url)
    for path in ("/api/v2/user", "/api/v2/resources", "/devices.xml", "/api/claim/token.json", "/api/resources"):
        assert get(plex.url, path, claim).status in {401, 422}
    answer = get(plex.media_server("Attic").url, "/accounts", claim)
    assert (401, b"<html><head><title>Unauthorized") == (answer.status, answer.body[:31])
    assert 200 == exchange(plex.url, claim).status  # and trying spent nothing


def test_what_is_no_good_claim_token_is_refused(begin: Start) -> None:
    """An unknown, spent, expired, different, cut or altered token is 404 each time, and makes no device."""
    clock = Clock()
    plex = begin(clock=clock)
    spent, over = claim_token(plex.url), claim_token(plex.url)
    assert 200 == exchange(plex.url, spent).status
    before = {name: row["token"] for name, row in rows(plex.url, MIRA).items()}
    clock.now = START + 240
    altered = spent[:-1] + ("A" if spent[-1] != "A" else "B")
    bad = [
        spent,
        over,
        "claim-A1b2C3d4E5f6G7h8I9j0",
        MIRA,
        over[6:],
        "Claim-" + over[6:],
        over[:-1],
        over + "x",
        altered,
        "é",
    ]
    answers = [exchange(plex.url, claim) for claim in bad]
    assert [404] * len(bad) == [answer.status for answer in answers]
    assert 1 == len({answer.body for answer in answers})
    assert before == {name: row["token"] for name, row in rows(plex.url, MIRA).items()}
    in_json = exchange(plex.url, over, Accept="application/json")
    assert ["error"] == list(in_json.json)


def test_a_claim_token_lives_four_minutes(begin: Start) -> None:
    """It is valid until the last second, and not after it."""
    clock = Clock()
    plex = begin(clock=clock)
    one, other = claim_token(plex.url), claim_token(plex.url)
    clock.now = START + 239
    assert 200 == exchange(plex.url, one).status
    clock.now = START + 240
    assert 404 == exchange(plex.url, other).status


def test_what_an_exchange_must_name(plex: LocalPlexController) -> None:
    """Without a client identifier or a claim token it is 400; neither spends a token."""
    claim = claim_token(plex.url)
    assert 400 == ask(plex.url, "POST", f"/api/claim/exchange?token={claim}", SERVER).status
    assert 400 == ask(plex.url, "POST", "/api/claim/exchange", SERVER | {"X-Plex-Client-Identifier": CELLAR}).status
    assert 405 == ask(plex.url, "GET", f"/api/claim/exchange?token={claim}", {}).status
    assert 200 == exchange(plex.url, claim).status


def test_one_account_has_so_many_claim_tokens(begin: Start) -> None:
    """More than 100 valid ones are 429; other accounts are not affected, and it ends after four minutes."""
    clock = Clock()
    plex = begin(clock=clock)
    for _ in range(100):
        claim_token(plex.url)
    assert 429 == ask(plex.url, "GET", "/api/claim/token.json", {"X-Plex-Token": MIRA}).status
    claim_token(plex.url, TOM)
    clock.now = START + 240
    claim_token(plex.url)


def test_nobody_claims_what_is_somebody_elses(plex: LocalPlexController) -> None:
    """S21: an exchange for another account's server is refused like an invalid claim token, and spends nothing."""
    claim = claim_token(plex.url, TOM)
    before = rows(plex.url, MIRA)
    assert 404 == exchange(plex.url, claim, ATTIC).status
    assert ATTIC not in rows(plex.url, TOM)
    assert before == rows(plex.url, MIRA)
    assert 200 == get(plex.media_server("Attic").url, "/accounts", MIRA).status
    assert 200 == exchange(plex.url, claim).status


def test_64_at_once(begin: Start) -> None:
    """S4: of 64 simultaneous exchanges of one claim token, exactly one wins, and the others get the same refusal."""
    plex = begin()
    claim, gate = claim_token(plex.url), threading.Barrier(64)

    def go(number: int) -> int:
        gate.wait()
        return exchange(plex.url, claim, f"{number:040x}").status

    with ThreadPoolExecutor(64) as pool:
        statuses = list(pool.map(go, range(64)))
    assert [200] + [404] * 63 == sorted(statuses)
    assert 3 == sum("server" in row["provides"] for row in rows(plex.url, MIRA).values())


def test_a_media_server_is_claimed(begin: Start) -> None:
    """`POST /myplex/claim` adds the server to the account: resource, device, token; then tokens are required again."""
    plex = begin()
    loft = plex.media_server("Loft").url
    assert (False, 200) == (is_claimed(loft), get(loft, "/accounts").status)
    answer = claimed(loft, claim_token(plex.url))
    assert 200 == answer.status
    (inner,) = answer.json.values()
    own = rows(plex.url, MIRA)[LOFT]["token"]
    assert ("MyPlex", None, "mira@example.test", "mapped", "ok") == (
        next(iter(answer.json)),
        inner.get("authToken"),
        inner["username"],
        inner["mappingState"],
        inner["signInState"],
    )
    assert is_claimed(loft)
    assert [401, 200, 401, 200] == [get(loft, "/accounts", token).status for token in (None, MIRA, TOM, own)]
    assert "Loft" in {each["name"] for each in get(plex.url, "/api/v2/resources", MIRA).json if each["owned"]}
    assert 401 == claimed(loft, claim_token(plex.url)).status
    assert 401 == claimed(plex.media_server("Attic").url, claim_token(plex.url, TOM)).status


def test_a_media_server_refuses_a_bad_claim_token(begin: Start) -> None:
    """The server stays unclaimed, and the refusal is a web page; without a claim token it is 400."""
    plex = begin()
    loft = plex.media_server("Loft").url
    answer = claimed(loft, "claim-A1b2C3d4E5f6G7h8I9j0")
    assert (404, "text/html") == (answer.status, answer.headers["content-type"])
    assert 400 == ask(loft, "POST", "/myplex/claim", {}).status
    assert not is_claimed(loft)


def test_of_two_accounts_one_gets_the_server(begin: Start) -> None:
    """S4: of 16 simultaneous claims of one media server, by two accounts with a claim token each, exactly one wins."""
    plex = begin()
    loft, gate = plex.media_server("Loft").url, threading.Barrier(16)
    tokens = [claim_token(plex.url, (MIRA, TOM)[number % 2]) for number in range(16)]

    def go(token: str) -> int:
        gate.wait()
        return claimed(loft, token).status

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(go, tokens))
    assert 1 == statuses.count(200)
    assert {200, 401, 404} >= set(statuses)
    assert 1 == [LOFT in rows(plex.url, token) for token in (MIRA, TOM)].count(True)


def test_a_media_server_is_given_up(begin: Start) -> None:
    """`DELETE /myplex/account` ends its token, device, shares and all derived tokens; the server is unclaimed."""
    plex = begin()
    attic = plex.media_server("Attic").url
    own = rows(plex.url, MIRA)[ATTIC]["token"]
    toms_transient = transient(attic, TOM_ON_ATTIC)
    answer = ask(attic, "DELETE", "/myplex/account", {"X-Plex-Token": MIRA})
    assert (200, "MyPlex") == (answer.status, answer.xml.tag)
    assert {"mappingState": "unknown", "signInState": "none", "subscriptionActive": "0"} == answer.xml.attrib
    assert (False, 401) == (is_claimed(attic), get(plex.url, "/api/v2/user", own).status)
    assert ATTIC not in rows(plex.url, MIRA)
    assert ["Toms"] == [each["name"] for each in get(plex.url, "/api/v2/resources", TOM).json]
    assert 200 == claimed(attic, claim_token(plex.url, TOM)).status
    old = (MIRA, own, TOM_ON_ATTIC, toms_transient)
    assert [401] * 4 == [get(attic, "/", token).status for token in old]
    assert 200 == get(attic, "/accounts", TOM).status


def test_only_its_owner_gives_a_server_up(begin: Start) -> None:
    """A share is not enough: 403, and nothing ends."""
    plex = begin()
    attic = plex.media_server("Attic").url
    statuses = [
        ask(attic, "DELETE", "/myplex/account", {"X-Plex-Token": token}).status for token in (TOM_ON_ATTIC, TOM, "x")
    ]
    assert [403, 401, 401] == statuses
    assert is_claimed(attic)


def test_it_is_kept_with_the_database(tmp_path: Path, start: Start) -> None:
    """Claims and their end survive a restart, whatever the world says; shares do not come back."""
    db = f"sqlite:///{tmp_path / 'plex.db'}"
    world = small()
    world["media_server"][0]["share"] = [{"account": "tom"}]  # its token is made at random
    with local_plex(world, db=db) as plex:
        assert 200 == claimed(plex.media_server("Loft").url, claim_token(plex.url, TOM)).status
        own = rows(plex.url, TOM)[LOFT]["token"]
        attic = plex.media_server("Attic").url
        assert 200 == ask(attic, "DELETE", "/myplex/account", {"X-Plex-Token": MIRA}).status
    plex = start(world=world, db=db)
    attic, loft = (plex.media_server(name).url for name in ("Attic", "Loft"))
    assert [False, True] == [is_claimed(attic), is_claimed(loft)]
    assert (200, 200) == (get(loft, "/accounts", TOM).status, get(loft, "/accounts", own).status)
    names = [sorted(each["name"] for each in get(plex.url, "/api/v2/resources", token).json) for token in (MIRA, TOM)]
    assert [["Shed", "Toms"], ["Loft", "Toms"]] == names
    assert {"Shed"} == {row["name"] for row in rows(plex.url, MIRA).values()}


def test_a_claim_token_ends_with_the_token_that_asked(begin: Start) -> None:
    """S6: a claim token that a removed device had requested is not a way back into the account."""
    plex = begin()
    token = signed_in(plex.url)
    claim = claim_token(plex.url, token)
    assert 200 == exchange(plex.url, claim_token(plex.url, token)).status
    assert 204 == remove(plex.url, MIRA, rows(plex.url, MIRA)["kitchen-1"]["id"]).status
    assert ask(plex.url, "GET", "/api/claim/token.json", {"X-Plex-Token": token}).status in {401, 422}
    assert 404 == exchange(plex.url, claim).status
    assert 404 == exchange(plex.url, claim, ATTIC).status
