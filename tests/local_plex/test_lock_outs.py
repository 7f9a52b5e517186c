"""Lock-outs over HTTP: whom they affect, what they cost, when they end, and what else they stop (S3, S12)."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest
from argon2 import PasswordHasher

from tests.local_plex.asking import SECRET, TOM, Answered, Clock, ask, code_at
from tests.local_plex.asking import sign_in as sign_in_v2
from tests.local_plex.counting import counted
from tests.local_plex.family import TOMS, call, family, switch
from tests.local_plex.pin_asking import link
from tests.local_plex.test_auth_keys import CLIENT, Key, exchange, post
from tests.local_plex.whole import FORM, Whole
from ticketstub.local_plex.domain import sign_ins
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.storage.base import NewSignIn, StoreUnavailable
from ticketstub.local_plex.world.schema import World
from ticketstub.refusals import RateLimited
from ticketstub.testing import LocalPlexController, local_plex

PASSWORD = "paper-lantern-42"
# Cheap hashes: at 20 ms for each attempt these tests would take minutes.
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
LOCKED = (
    b'{"errors":[{"code":1031,"message":"User could not be authenticated. This IP appears to be having trouble '
    b'signing in to an account (detected repeated failures)","status":401}]}'
)
WRONG = b'{"errors":[{"code":1001,"message":"User could not be authenticated","status":401}]}'
LIMITED = b'{"errors":[{"code":1003,"message":"API rate limit exceeded","status":429}]}'
LOGINS = {
    "name": "mira_quill",
    "e-mail": "mira@example.test",
    "upper case": "MIRA_QUILL",
    "trailing space": "mira_quill ",
    "NFKC twin": "\uff4dira_\uff31uill",
}
MINUTE = 60
Begin = Callable[..., LocalPlexController]


def account(name: str, **more: object) -> dict[str, object]:
    return {"username": name, "email": f"{name.partition('_')[0]}@example.test", "password_hash": HASH, **more}


def world(**answers: object) -> World:
    accounts = [
        account("mira_quill", id=10500123),
        account("tom", id=10500321),
        account("vera", verification_secret=SECRET),
        account("elsa", email_only_auth=True),
        account("gone", disabled=True),
        {"username": "silent", "email": "silent@example.test"},
        *(account(f"one{number}") for number in range(5)),
    ]
    return World.from_dict({"account": accounts, "answers": answers})


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="begin")
def _begin(clock: Clock) -> Iterator[Begin]:
    """Start a local Plex. It ends with the test, or when the next one starts on the same file."""
    with ExitStack() as running:

        def begin(db: str | None = None, **answers: object) -> LocalPlexController:
            if db:
                running.close()
            return running.enter_context(local_plex(world(**answers), db=db, clock=clock))

        yield begin


def basic(url: str, login: str, password: str) -> Answered:
    packed = b64encode(f"{login}:{password}".encode()).decode()
    return ask(url, "POST", "/users/sign_in.json", {"Authorization": f"Basic {packed}"})


def form(url: str, login: str, password: str) -> Answered:
    fields = urlencode({"user[login]": login, "user[password]": password})
    return ask(url, "POST", "/users/sign_in.json", {"Content-Type": "application/x-www-form-urlencoded"}, fields)


FLOWS: dict[str, Callable[[str, str, str], Answered]] = {"v2": sign_in_v2, "legacy form": form, "legacy Basic": basic}


def fail(url: str, login: str = "mira_quill", times: int = 10) -> None:
    """Sign in with a wrong password several times."""
    assert [401] * times == [sign_in_v2(url, login, "x").status for _ in range(times)]


@pytest.mark.parametrize("spelling", LOGINS)
@pytest.mark.parametrize("flow", FLOWS)
def test_the_eleventh_attempt(begin: Begin, flow: str, spelling: str) -> None:
    """S12: after ten failures the eleventh attempt is refused, also with the right password, in any spelling."""
    plex = begin()
    fail(plex.url, LOGINS[spelling])
    answer = FLOWS[flow](plex.url, LOGINS[spelling], PASSWORD)
    assert (401, "detected repeated failures") == (answer.status, answer.body.decode()[-1000:].split("(")[1][:26])
    other = FLOWS[flow](plex.url, "tom", PASSWORD)
    assert 201 == other.status


@pytest.mark.parametrize("kept", ["memory", "file"])
def test_all_spellings_share_one_counter(begin: Begin, tmp_path: Path, kept: str) -> None:
    """S12: failures in five spellings and over two APIs count together, also after a restart on a file."""
    db = f"sqlite:///{tmp_path / 'plex.db'}" if kept == "file" else None
    plex = begin(db)
    for login in LOGINS.values():
        fail(plex.url, login, 1)
        assert 401 == basic(plex.url, login, "x").status
    for login in LOGINS.values():
        answer = sign_in_v2(plex.url, login, PASSWORD)
        assert (401, LOCKED) == (answer.status, answer.body)
    if db:
        again = sign_in_v2(begin(db).url, "mira_quill", PASSWORD)
        assert (401, LOCKED) == (again.status, again.body)


def test_unknown_logins_lock_like_known_ones(begin: Begin) -> None:
    """S3: an unknown login, one without a password and a disabled one are refused and locked like a known one."""
    plex = begin()

    def answers(login: str) -> list[tuple[int, bytes, list[str]]]:
        found = [sign_in_v2(plex.url, login, "x") for _ in range(12)]
        return [(each.status, each.body, sorted(each.headers)) for each in found]

    known = answers("tom")
    assert [WRONG] * 10 + [LOCKED] * 2 == [body for _, body, _ in known]
    for login in ("nobody", "NOBODY2 ", "silent", "gone", "elsa"):
        assert known == answers(login)
    assert LOCKED == sign_in_v2(plex.url, " nobody", "x").body


def test_a_refused_attempt_costs_what_any_costs(begin: Begin) -> None:
    """S3: every kind of refusal costs one argon2 verification, also for a locked account, where it verifies nothing."""
    plex = begin()
    fail(plex.url)
    fail(plex.url, "nobody")
    for login, password in (("mira_quill", "x"), ("mira_quill", PASSWORD), ("nobody", "x"), ("mira_quill", "")):
        count = counted(plex)
        before, idle = count.made, count.for_nobody
        assert LOCKED == sign_in_v2(plex.url, login, password).body
        assert (1, 1) == (count.made - before, count.for_nobody - idle)


def test_a_lock_ends_by_itself_and_doubles(begin: Begin, clock: Clock) -> None:
    """The first lock lasts 15 minutes, the next 30; each ends by itself, and a success starts again."""
    plex = begin()
    for minutes in (15, 30):
        fail(plex.url)
        clock.now += minutes * MINUTE - 1
        assert LOCKED == sign_in_v2(plex.url, "mira_quill", PASSWORD).body
        clock.now += 1
    assert 201 == sign_in_v2(plex.url, "mira_quill", PASSWORD).status
    fail(plex.url)
    clock.now += 15 * MINUTE
    assert 201 == sign_in_v2(plex.url, "mira_quill", PASSWORD).status


def test_a_locked_account_gives_out_no_token_in_any_way(clock: Clock) -> None:
    """S12: a PIN linked before or during the lock, a Home switch and a JWT are all 429 until it ends."""
    named = {"Accept": "application/json", "X-Plex-Client-Identifier": CLIENT}
    with local_plex(family(), clock=clock) as plex:
        url, key = plex.url, Key()
        assert 201 == post(url, "/api/v2/auth/jwk", {"jwk": key.jwk}, TOM).status
        pins = [ask(url, "POST", "/api/v2/pins", named).json for _ in range(2)]

        def ways() -> list[int]:
            """Try each: the linked PIN, a PIN to link, a switch, a JWT."""
            return [
                ask(url, "GET", f"/api/v2/pins/{pins[0]['id']}", named).status,
                link(url, pins[1]["code"], TOM).status,
                switch(url, "tom", TOMS).status,
                exchange(url, key, clock.now).status,
            ]

        assert 204 == link(url, pins[0]["code"], TOM).status
        fail(url, "tom")
        assert [429] * 4 == ways()
        assert 200 == call(url, "GET", "/api/v2/user", "tom").status  # what was given out before is not taken away
        clock.now += 15 * MINUTE - 1
        pins = [ask(url, "POST", "/api/v2/pins", named).json for _ in range(2)]
        assert [200, 429, 429, 429] == ways()  # an unlinked PIN has nothing to give
        clock.now += 1
        assert [200, 204, 201, 200] == ways()


def test_a_hundred_failures(begin: Begin, clock: Clock) -> None:
    """After 100 failures no password is accepted, until somebody who is signed in approves a PIN."""
    plex = begin()
    named = {"X-Plex-Client-Identifier": "demo-client-7c1f", "Accept": "application/json"}
    token = sign_in_v2(plex.url, "mira_quill", PASSWORD).json["authToken"]
    for _ in range(10):
        fail(plex.url)
        clock.now += 24 * 60 * MINUTE
    assert LOCKED == sign_in_v2(plex.url, "mira_quill", PASSWORD).body
    code = ask(plex.url, "POST", "/api/v2/pins", named).json["code"]
    form_ = named | {"X-Plex-Token": token, "Content-Type": "application/x-www-form-urlencoded"}
    assert 204 == ask(plex.url, "PUT", "/api/v2/pins/link", form_, f"code={code}").status
    assert 201 == sign_in_v2(plex.url, "mira_quill", PASSWORD).status


def test_a_success_forgets_the_failures(begin: Begin) -> None:
    """Nine failures and a success allow ten more failures."""
    plex = begin()
    for _ in range(2):
        fail(plex.url, times=9)
        assert 201 == sign_in_v2(plex.url, "mira_quill", PASSWORD).status
    fail(plex.url)
    assert LOCKED == sign_in_v2(plex.url, "mira_quill", PASSWORD).body


def test_a_right_password_is_no_guess(begin: Begin) -> None:
    """A refusal for another reason than the password does not lock: a missing code, a user name for an address."""
    plex = begin()
    for _ in range(12):
        assert 1029 == sign_in_v2(plex.url, "vera", PASSWORD).json["errors"][0]["code"]
        assert 1030 == sign_in_v2(plex.url, "elsa", PASSWORD).json["errors"][0]["code"]
    assert 201 == sign_in_v2(plex.url, "elsa@example.test", PASSWORD).status


def test_wrong_codes(begin: Begin, clock: Clock) -> None:
    """S12: five wrong codes in five minutes are allowed; then the right one waits, too; no password is locked."""
    clock.now += 3600
    plex = begin()

    def attempt(code: str) -> Any:
        answer = sign_in_v2(plex.url, "vera", PASSWORD, verificationCode=code)
        return answer.status if answer.status == 201 else answer.json["errors"][0]["code"]

    assert [1028] * 5 == [attempt("000000") for _ in range(5)]
    assert [1031] * 2 == [attempt(code_at(clock.now)) for _ in range(2)]
    assert 1001 == sign_in_v2(plex.url, "vera", "x").json["errors"][0]["code"]
    clock.now += 5 * MINUTE
    assert 201 == attempt(code_at(clock.now))
    assert 1028 == attempt(code_at(clock.now))


def at_once(number: int, attempt: Callable[[], Answered]) -> list[Answered]:
    gate = Barrier(number)

    def go(_number: int) -> Answered:
        gate.wait(60)
        return attempt()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(go, range(number)))


@pytest.mark.usefixtures("costly_hashes")
def test_64_wrong_passwords_at_once(begin: Begin) -> None:
    """S12: of 64 concurrent wrong passwords at most ten are verified against the account's hash."""
    plex = begin()
    count = counted(plex)
    answers = at_once(64, lambda: sign_in_v2(plex.url, "mira_quill", "x"))
    guesses = count.made - count.for_nobody
    codes = [(each.status, each.json["errors"][0]["code"]) for each in answers]
    assert 2 <= guesses <= 10
    assert guesses == codes.count((401, 1001))
    assert {(401, 1001), (401, 1031), (503, 1013)} >= set(codes)


@pytest.mark.usefixtures("costly_hashes")
def test_16_right_passwords_at_once(begin: Begin) -> None:
    """Many concurrent right sign-ins to one account are not taken for guessing: none is refused."""
    plex = begin()
    assert 201 == sign_in_v2(plex.url, "tom", PASSWORD).status
    assert [201] * 16 == [each.status for each in at_once(16, lambda: sign_in_v2(plex.url, "tom", PASSWORD))]


@pytest.mark.usefixtures("costly_hashes")
def test_64_at_once_with_one_code(begin: Begin, clock: Clock) -> None:
    """S5, S12: of 64 concurrent sign-ins with one code exactly one succeeds."""
    clock.now += 3600
    plex = begin()
    code = code_at(clock.now)
    answers = at_once(64, lambda: sign_in_v2(plex.url, "vera", PASSWORD, verificationCode=code))
    refused = {each.json["errors"][0]["code"] for each in answers if each.status != 201}
    assert 1 == [each.status for each in answers].count(201)
    assert {1028, 1031, 1013} >= refused
    assert 1028 in refused, "nobody came close: the test shows nothing"


def test_whatever_gives_out_a_token_asks_first(clock: Clock) -> None:
    """S12: `check_not_locked` refuses while wrong passwords have locked the account, with the remaining time."""
    people = {"account": [account("mira_quill", id=10500123), account("tom", id=10500321)]}
    with Whole(people, clock=clock) as plex:

        def check(account_id: int) -> None:
            plex.run(sign_ins.check_not_locked(plex.instance, account_id))

        check(10500123)
        for _ in range(10):
            body = urlencode({"login": "mira@example.test", "password": "x"})
            assert 401 == plex.ask("POST", "/api/v2/users/signin", body=body, headers=FORM).status
        with pytest.raises(RateLimited) as refused:
            check(10500123)
        assert 15 * MINUTE == refused.value.retry_after
        check(10500321)
        clock.now += 15 * MINUTE
        check(10500123)


def test_no_login_that_was_typed_is_kept(begin: Begin, tmp_path: Path) -> None:
    """S2: people type passwords as logins: what was typed there is in none of the database's files."""
    plex = begin(f"sqlite:///{tmp_path / 'plex.db'}")
    sign_in_v2(plex.url, "my-secret-pass-phrase", "x")
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"my-secret" not in files
    assert b"login:" in files


def test_what_a_failing_database_refuses_is_no_guess() -> None:
    """Right codes and passwords that end in 503, because the database cannot write, lock no account."""
    failures = [StoreUnavailable("the disk is full")] * 20

    def failing(instance: Instance) -> None:
        right_link, sign_in = instance.store.pins.link, instance.store.sign_in

        async def link_or_fail(**link: Any) -> bool:
            if failures:
                raise failures.pop()
            return await right_link(**link)

        async def sign_in_or_fail(new: NewSignIn) -> bool:
            if failures:
                raise failures.pop()
            return await sign_in(new)

        instance.store.pins.link = link_or_fail  # type: ignore[method-assign]
        instance.store.sign_in = sign_in_or_fail  # type: ignore[method-assign]

    people = {"account": [{"username": "ana", "email": "ana@example.test", "password_hash": HASH, "token": "a" * 20}]}
    with Whole(people, change=failing) as plex:
        pin = plex.ask("POST", "/api/v2/pins").json
        target = f"/api/v2/pins/link?code={pin['code']}"
        assert [503] * 8 == [plex.ask("PUT", target, "a" * 20).status for _ in range(8)]
        body = urlencode({"login": "ana", "password": PASSWORD})
        found = [plex.ask("POST", "/api/v2/users/signin", body=body, headers=FORM).status for _ in range(13)]
        assert [*([503] * 12), 201] == found
        assert 204 == plex.ask("PUT", target, "a" * 20).status
