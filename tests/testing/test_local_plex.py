"""A local Plex in a test: what each command does to clients, and that a reset undoes it."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.local_plex.asking import MIRA, PASSWORDS, Clock, ask, get, sign_in, transient, world
from ticketstub import (
    Denied,
    Device,
    DeviceKey,
    Err,
    MalformedReply,
    NotFound,
    PinExpired,
    Plex,
    RateLimited,
    Retry,
    ServerError,
    Token,
    TokenExpired,
    Unauthorized,
    Unreachable,
)
from ticketstub.calls import GetTokenDetails
from ticketstub.local_plex.domain.passwords import PasswordChecker
from ticketstub.local_plex.world.schema import World, WorldError
from ticketstub.models import Pin
from ticketstub.testing import LocalPlexController, TooLate, local_plex

PEOPLE: dict[str, Any] = {"account": [{"username": "ana", "email": "ana@example.test"}]}
_ONCE, _DEVICE, _DETAILS = Retry(attempts=1), Device(client_identifier="c"), GetTokenDetails()
CANARIES = ("paper-lantern-42", "cAnArY-7f3kQ2vTz8Lm1", "Xk3mPz_9Q-vT7rLb2NfW")


@pytest.fixture(scope="module")
def running() -> Iterator[LocalPlexController]:
    with local_plex(world()) as plex:
        yield plex


@pytest.fixture
def stage(running: LocalPlexController) -> LocalPlexController:
    running.reset()
    return running


def test_worlds_are_taken_as_they_come(tmp_path: Path) -> None:
    """A world is the demonstration, a mapping, TOML text, a file or a `World`; a faulty one raises a WorldError."""
    text = '[[account]]\nusername = "ana"\nemail = "ana@example.test"\n'
    file = tmp_path / "world.toml"
    file.write_text(text, "utf-8")
    for given in (
        text,
        file,
        str(file),
        World.parse(text),
        {"account": [{"username": "ana", "email": "a@example.test"}]},
    ):
        with local_plex(given) as plex:
            assert "ana" == plex.account().username
    with pytest.raises(WorldError, match="not TOML"), local_plex("[[account"):
        pass


def test_nothing_is_hashed_before_it_must_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory no password is hashed at start, for a new account or at a reset; each still works."""
    monkeypatch.setattr(PasswordChecker, "hash_blocking", lambda _self, _password: pytest.fail("a password was hashed"))
    with local_plex() as plex:
        plex.add_account("nora", password="rainy-harbour-17")
        assert 201 == sign_in(plex.url, "nora", "rainy-harbour-17").status
        plex.reset()
        assert 401 == sign_in(plex.url, "nora", "rainy-harbour-17").status
        for account in World.demo().accounts:
            if account.password and not account.verification_secret:
                assert 201 == sign_in(plex.url, account.username, account.password.reveal()).status


def test_a_pin_is_approved_and_denied_by_whatever_names_it(stage: LocalPlexController) -> None:
    """By id, by code in any case, by the PIN itself or a pending sign-in; for the first account or another."""
    anyone = stage.client(signed_in=False)
    named: dict[str, Callable[[Pin], int | str | Pin]] = {
        "id": lambda pin: pin.id or 0,
        "code": lambda pin: pin.code or "",
        "small": lambda pin: (pin.code or "").lower(),
        "itself": lambda pin: pin,
    }
    for name in named.values():
        pin = anyone.pins.create()
        stage.approve(name(pin))
        assert anyone.pins.get(pin.id or 0).auth_token is not None
    begun = anyone.begin_sign_in()
    stage.approve(begun, account="tom@example.test")
    assert "tom" == anyone.with_options(token=begun.finish().token).authentication.get_token_details().username


def test_a_denied_pin_ends_the_sign_in() -> None:
    """If the world treats a denied PIN as gone, a waiting client learns of the denial at once."""
    with local_plex({**PEOPLE, "answers": {"denied_pin": "not_found"}}) as plex:
        begun = plex.client(signed_in=False).begin_sign_in()
        plex.deny(begun)
        with pytest.raises(Denied):
            begun.finish()


def test_what_cannot_be_approved_is_said(stage: LocalPlexController) -> None:
    """An unknown PIN or account is a LookupError that names nothing secret; a decided PIN stays decided."""
    pin = stage.client(signed_in=False).pins.create()
    with pytest.raises(LookupError, match="no valid PIN"):
        stage.approve("ZZZZ" if pin.code != "ZZZZ" else "ZZZY")
    with pytest.raises(LookupError, match="the world has mira_quill, tom"):
        stage.approve(pin, account="nobody")
    stage.deny(pin)
    with pytest.raises(TooLate):
        stage.approve(pin)
    with pytest.raises(TooLate):
        stage.deny(pin)
    disabled = stage.client(signed_in=False).pins.create()
    with pytest.raises(TooLate):
        stage.approve(disabled, account="gone")


def test_a_call_is_refused_so_many_times_and_no_other(stage: LocalPlexController) -> None:
    """The next calls of the kind get the status, Plex's code and message, and Retry-After; later ones succeed."""
    stage.refuse_next("POST /api/v2/users/signin", status=429, times=2, retry_after=7)
    assert 200 == get(stage.url, "/api/v2/ping", stage.token_for().reveal()).status
    for _ in range(2):
        refused = sign_in(stage.url, "mira_quill", PASSWORDS["mira_quill"])
        assert (429, "7") == (refused.status, refused.headers["retry-after"])
        expected = {"errors": [{"code": 1003, "message": "API rate limit exceeded", "status": 429}]}
        assert expected == refused.json
    assert 201 == sign_in(stage.url, "mira_quill", PASSWORDS["mira_quill"]).status


@pytest.mark.parametrize(
    ("path", "accept", "body"),
    [
        ("/api/v2/pins", "application/json", b'{"errors":[{"code":1007,"message":"Busy today","status":500}]}'),
        ("/api/v2/pins.xml", "", b'<errors><error code="1007" message="Busy today" status="500"/></errors>'),
        ("/pins.xml", "", b"<errors><error>Busy today</error></errors>"),
    ],
)
def test_a_refusal_is_written_as_the_place_writes_its_own(
    stage: LocalPlexController, path: str, accept: str, body: bytes
) -> None:
    """In JSON, XML or the older XML, as the client asked for."""
    stage.refuse_next(f"POST {path}", status=500, message="Busy today")
    refused = ask(stage.url, "POST", path, {"Accept": accept, "X-Plex-Client-Identifier": "c"})
    assert 500 == refused.status
    assert body in refused.body.replace(b"\n", b"").replace(b"  ", b"")


def test_a_media_server_refuses_as_it_does_and_alone(stage: LocalPlexController) -> None:
    """`at` selects the place; others answer. A media server refuses with its web page, or with the given body."""
    attic, toms = stage.media_server("Attic").url, stage.media_server("Toms").url
    stage.refuse_next("GET /identity", status=503, times=2, at="Attic")
    assert 200 == get(toms, "/identity").status
    refused = get(attic, "/identity")
    assert (503, True) == (refused.status, refused.body.startswith(b"<html>"))
    stage.refuse_next("GET /identity", status=418, body="short and stout", at="Toms")
    assert (418, b"short and stout") == (get(toms, "/identity").status, b"short and stout")
    assert 503 == get(attic, "/identity").status


def test_a_pattern_means_any_piece_and_any_method(stage: LocalPlexController) -> None:
    """`{id}` matches one segment, `*` any method; a refused call has no effect; a malformed pattern is a ValueError."""
    anyone = stage.client(signed_in=False)
    pin = anyone.pins.create()
    stage.approve(pin)
    stage.refuse_next("* /api/v2/pins/{id}", status=404, code=1020)
    with pytest.raises(NotFound):
        anyone.pins.get(pin.id or 0)
    assert anyone.pins.get(pin.id or 0).auth_token is not None
    for wrong in ("/api/v2/pins", "GET", "GET api/v2/pins", ""):
        with pytest.raises(ValueError, match="POST /api/v2/users/signin"):
            stage.refuse_next(wrong)
    with pytest.raises(ValueError, match=r">= 400 - at `\$.status`"):
        stage.refuse_next("GET /", status=200)
    with pytest.raises(ValueError, match=r">= 1 - at `\$.times`"):
        stage.refuse_next("GET /", times=0)


def test_an_answer_is_delayed(stage: LocalPlexController) -> None:
    """The next call of the kind waits, and the one after it does not."""
    stage.delay("GET /identity", 0.5)
    url = stage.media_server("Attic").url
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        get(url, "/identity")
        taken.append(time.perf_counter() - began)
    assert taken[0] >= 0.5 > taken[1]
    with pytest.raises(ValueError, match="3600"):
        stage.delay("GET /identity", 4000)


def test_the_clock_moves_forwards_until_a_reset(stage: LocalPlexController) -> None:
    """An advanced clock expires PINs, shows in Date and lets rate limits recover; a reset restores it."""
    anyone = stage.client(signed_in=False)
    begun = anyone.begin_sign_in()
    before = stage.now
    stage.advance(minutes=30, seconds=1)
    assert 1801 <= stage.now - before <= 1861
    with pytest.raises(PinExpired):
        begun.finish()
    stage.reset()
    assert 0 <= stage.now - before <= 60
    with pytest.raises(ValueError, match=r">= 0.0 - at `\$.days`"):
        stage.advance(days=-1)
    with pytest.raises(ValueError, match=r"`\$.seconds`"):
        stage.advance(seconds=float("nan"))
    with pytest.raises(ValueError, match="forwards"):
        stage.advance(seconds=3e11)


def test_tokens_are_revoked_and_expire(stage: LocalPlexController) -> None:
    """A revoked or expired token is unknown (401); an invalid one cannot be revoked."""
    for end in (stage.revoke, stage.expire):
        token = stage.token_for("tom")
        plex = stage.client(signed_in=False).with_options(token=token)
        assert "tom" == plex.authentication.get_token_details().username
        end(token)
        with pytest.raises(Unauthorized) as refused:
            plex.authentication.get_token_details()
        assert (401, 1001) == (refused.value.status, refused.value.code)
        with pytest.raises(LookupError):
            end(token)
    stage.revoke(stage.token_for().reveal())


def test_transient_tokens_end_too(stage: LocalPlexController) -> None:
    """Transient tokens of a media server are revoked by the same commands."""
    attic, token = stage.media_server("Attic").url, stage.token_for()
    for end in (stage.revoke, stage.expire):
        made = transient(attic, token.reveal())
        assert 200 == get(attic, "/", made).status
        end(Token(made))
        assert 401 == get(attic, "/", made).status


def test_a_jwt_expires_as_one_whose_time_is_over(stage: LocalPlexController) -> None:
    """After `expire` plex.tv answers a JWT with 498, as it does after seven days."""
    anyone = stage.client(signed_in=False)
    begun = anyone.begin_sign_in(device_key=DeviceKey.generate())
    stage.approve(begun)
    token = begun.finish().token
    assert token is not None
    assert "jwt" == token.kind
    stage.expire(token)
    with pytest.raises(TokenExpired) as refused:
        anyone.with_options(token=token).authentication.get_token_details()
    assert 498 == refused.value.status


def test_a_pin_expires_before_its_time(stage: LocalPlexController) -> None:
    """An expired PIN is gone at once."""
    anyone = stage.client(signed_in=False)
    pin = anyone.pins.create()
    stage.expire(pin)
    with pytest.raises(NotFound):
        anyone.pins.get(pin.id or 0)


def test_accounts_are_found_made_and_given_passwords(stage: LocalPlexController) -> None:
    """`account` finds or creates an account; its password signs it in; a faulty description is a WorldError."""
    made = stage.account("nora", password="silver-thimble-3")
    assert ("nora", "nora@example.test") == (made.username, made.email)
    assert 201 == sign_in(stage.url, "nora", "silver-thimble-3").status
    assert made.id == stage.account("nora").id
    assert "lia" == stage.account("lia@example.test").username
    stage.account("tom", password="another-rain-99")
    assert 401 == sign_in(stage.url, "tom", PASSWORDS["tom"]).status
    assert 201 == sign_in(stage.url, "tom", "another-rain-99").status
    assert "tom" == stage.account("tom").client().authentication.get_token_details().username
    with pytest.raises(WorldError, match="email"):
        stage.add_account("eva", email="no address")
    assert "account" in repr(stage.account()).lower()


def test_a_verification_code_signs_in(stage: LocalPlexController) -> None:
    """`code_for` returns the current code, and half a minute later the next one."""
    for _ in range(2):
        code = stage.code_for("vera")
        assert 201 == sign_in(stage.url, "vera", PASSWORDS["vera"], verificationCode=code).status
        stage.advance(seconds=30)
    with pytest.raises(LookupError, match="no verification codes"):
        stage.code_for("tom")


def test_what_came_in_is_told_without_secrets(stage: LocalPlexController) -> None:
    """The log has method, path, route, status, header fields and body, but no token, password, code or cookie."""
    sign_in(stage.url, "mira_quill", CANARIES[0], {"Cookie": f"a={CANARIES[1]}"}, verificationCode="123456")
    get(stage.url, f"/api/v2/user?X-Plex-Token={CANARIES[2]}", Referer=f"http://x.test/?t={CANARIES[1]}")
    ask(
        stage.url,
        "POST",
        "/users/sign_in.xml",
        {"Authorization": f"Basic {CANARIES[1]}", "Content-Type": "application/json"},
        json.dumps({"user": {"password": CANARIES[0], "login": "mira_quill"}}),
    )
    get(stage.url, f"/api/v2/pins/qr/{CANARIES[1]}")
    get(stage.url, f"/nowhere/{CANARIES[2]}")
    first, second, third, fourth, fifth = stage.requests
    assert ("POST", "/api/v2/users/signin", 201, "plex.tv") == (first.method, first.template, first.status, first.place)
    assert {"login": "mira_quill", "password": "…", "verificationCode": "…"} == first.body
    assert "demo-client-7c1f" == first.headers["x-plex-client-identifier"]
    assert "#" + hashlib.sha256(CANARIES[2].encode()).hexdigest()[:6] == second.query["X-Plex-Token"]
    assert "http://x.test/" == second.headers["referer"]
    assert ({"password": "…", "login": "mira_quill"}, "…") == (third.body["user"], third.headers["authorization"])
    assert ("/api/v2/pins/qr/…", "/api/v2/pins/qr/{code}") == (fourth.path, fourth.template)
    assert ("/nowhere/…", "-", 404) == (fifth.path, fifth.template, fifth.status)
    said = repr(stage.requests) + "".join(map(repr, stage.requests))
    assert [] == [canary for canary in CANARIES if canary in said]
    assert [first] == stage.requests.filter("POST /api/v2/users/signin")
    assert [fourth] == stage.requests.filter("GET /api/v2/pins/qr/{code}", at="plex.tv")
    stage.requests.clear()
    assert [] == list(stage.requests)


def test_what_came_in_at_a_media_server_names_it(stage: LocalPlexController) -> None:
    """A request is logged with the server's name and its route, also a refused one."""
    get(stage.media_server("Attic").url, "/security/token?type=delegation&scope=all")
    (only,) = stage.requests
    assert ("Attic", "/security/token", 401) == (only.place, only.template, only.status)
    assert "GET /security/token at Attic: 401" == str(only)


def test_only_the_last_requests_are_kept(stage: LocalPlexController) -> None:
    """The log keeps a thousand requests, and drops the oldest."""
    client = stage.client(signed_in=False)
    for _ in range(1010):
        client.at(stage.media_server("Attic").url).identity()
    assert 1000 == len(stage.requests)


def test_a_reset_leaves_nothing(stage: LocalPlexController) -> None:
    """Accounts, tokens, PINs, passwords, transient tokens, refusals, chaos and requests are as at the start again."""
    attic, token = stage.media_server("Attic").url, stage.token_for()
    handed_on = transient(attic, token.reveal())
    stage.account("nora", password="silver-thimble-3")
    stage.account("tom", password="another-rain-99")
    pin = stage.client(signed_in=False).pins.create()
    for _ in range(12):
        sign_in(stage.url, "digits", "wrong-wrong-wrong")
    stage.refuse_next("GET /identity", times=100)
    stage.chaos(1.0)
    stage.reset()
    assert [] == list(stage.requests)
    assert 401 == get(stage.url, "/api/v2/user", token.reveal()).status
    assert 401 == get(attic, "/", handed_on).status
    assert 404 == get(stage.url, f"/api/v2/pins/{pin.id}").status
    assert 401 == sign_in(stage.url, "nora", "silver-thimble-3").status
    assert 201 == sign_in(stage.url, "tom", PASSWORDS["tom"]).status
    assert 201 == sign_in(stage.url, "digits", PASSWORDS["digits"]).status
    assert 200 == get(attic, "/identity").status


def test_a_known_token_of_the_world_lives_again_after_a_reset(stage: LocalPlexController) -> None:
    """A world's own token that was signed out is valid again, and the account's data is restored."""
    stage.revoke(MIRA)
    assert 401 == get(stage.url, "/api/v2/user", MIRA).status
    stage.reset()
    assert 200 == get(stage.url, "/api/v2/user", MIRA).status


def test_a_reset_works_with_a_database_in_a_file(tmp_path: Path) -> None:
    """Changes in a database file are undone, too."""
    with local_plex(world(), db=f"sqlite:///{tmp_path / 'plex.db'}") as plex:
        token = plex.token_for()
        plex.reset()
        assert 401 == get(plex.url, "/api/v2/user", token.reveal()).status
        assert 200 == get(plex.url, "/api/v2/user", plex.token_for().reveal()).status


def test_its_clock_may_be_the_tests_own() -> None:
    """A clock that the test passes runs below the one that the controller moves."""
    with local_plex({"account": []}, clock=Clock(1_795_000_000)) as plex:
        plex.advance(hours=1)
        assert 1_795_003_600 == plex.now
        with pytest.raises(LookupError, match="no account"):
            plex.account()


def test_chaos_refuses_delays_and_cuts_off_over_sockets(stage: LocalPlexController) -> None:
    """With chaos for every call, a raw client sees 429, 503, late responses, truncated bodies, and no response."""
    token = stage.token_for().reveal()
    stage.chaos(1.0, seed=3, longest=0.01)
    seen = [_seen(stage.url, token) for _ in range(40)]
    assert {"429", "503", "200", "cut off", "no answer"} == set(seen)
    stage.chaos(0)
    assert ["200"] * 20 == [_seen(stage.url, token) for _ in range(20)]


def test_chaos_repeats_itself(stage: LocalPlexController) -> None:
    """The same seed and the same calls give the same faults, and another seed others."""
    token = stage.token_for().reveal()
    runs = []
    for seed in (7, 7, 8):
        stage.chaos(0.5, seed=seed, longest=0)
        runs.append([_seen(stage.url, token) for _ in range(30)])
    assert runs[0] == runs[1] != runs[2]


def test_our_own_client_sees_a_cut_answer_as_malformed_or_none(stage: LocalPlexController) -> None:
    """A truncated response is a MalformedReply, none at all Unreachable, in process as over sockets."""
    token = stage.token_for()
    for client in (stage.client(retry=_ONCE), Plex(plex_tv=stage.url, token=token, retry=_ONCE, device=_DEVICE)):
        stage.chaos(1.0, seed=3, longest=0)
        with client:
            kinds = {
                type(answer.error)
                for answer in (client.attempt(_DETAILS) for _ in range(30))
                if isinstance(answer, Err)
            }
        assert {MalformedReply, Unreachable, RateLimited, ServerError} == kinds
        stage.chaos(0)


@pytest.mark.long
def test_our_own_command_finds_it_by_its_environment(stage: LocalPlexController) -> None:
    """A subprocess needs only `env` to use this local Plex."""
    program = (
        "import os; from ticketstub import Plex; p = Plex(plex_tv=os.environ['TICKETSTUB_PLEX_TV']); print(p.plex_tv)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **stage.env}, capture_output=True, text=True, check=True
    )
    assert stage.url == done.stdout.strip()


def test_after_its_end_every_verb_says_so() -> None:
    """A command of a stopped local Plex is a RuntimeError, and nothing waits for ever."""
    with local_plex({"account": []}) as plex:
        pass
    with pytest.raises(RuntimeError, match="has stopped"):
        plex.reset()


def _seen(url: str, token: str) -> str:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request("GET", "/api/v2/user", headers={"X-Plex-Token": token, "X-Plex-Client-Identifier": "c"})
        response = connection.getresponse()
        response.read()
        return str(response.status)
    except http.client.IncompleteRead:
        return "cut off"
    except ConnectionError:
        return "no answer"
    finally:
        connection.close()
