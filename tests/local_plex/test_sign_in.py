"""Signing in with a password: what is revealed to whom, what it costs, and what each code is good for."""

import json
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.local_plex.asking import MIRA, PASSWORDS, SECRET, START, Answered, Clock, ask, code_at, get, sign_in
from tests.local_plex.conftest import Start
from tests.local_plex.counting import verifications
from tests.tables import every
from ticketstub.testing import LocalPlexController, local_plex

PATH = "/api/v2/users/signin"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "X-Plex-Client-Identifier": "demo-client-7c1f"}


def code_of(answer: Answered) -> tuple[int, int]:
    return answer.status, answer.json["errors"][0]["code"]


def refused(code: int, status: int = 401) -> tuple[int, int]:
    return status, code


def test_sign_in(plex: LocalPlexController) -> None:
    """A right password returns 201 and the account with a new token, with subscriptions and trials; the token works."""
    answer = sign_in(plex.url, "tom", PASSWORDS["tom"])
    assert (201, "tom", [], []) == (
        answer.status,
        answer.json["username"],
        answer.json["pastSubscriptions"],
        answer.json["trials"],
    )
    token = answer.json["authToken"]
    assert 20 == len(token)
    assert "tom" == get(plex.url, "/api/v2/user", token).json["username"]


def test_sign_in_in_xml(plex: LocalPlexController) -> None:
    """XML is the default here too, and the suffix of the path decides."""
    form = urlencode({"login": "tom", "password": PASSWORDS["tom"]})
    answer = ask(plex.url, "POST", PATH, FORM, form)
    assert (201, "user", "tom") == (answer.status, answer.xml.tag, answer.xml.get("username"))
    assert 20 == len(answer.xml.get("authToken"))
    assert 201 == ask(plex.url, "POST", f"{PATH}.json", FORM, form).status


@pytest.mark.parametrize("login", ["tom", "TOM", " tom ", "tom@example.test", "Tom@Example.Test"])
def test_any_spelling_of_a_login(plex: LocalPlexController, login: str) -> None:
    """User name and e-mail address sign in, however they are capitalised."""
    assert 201 == sign_in(plex.url, login, PASSWORDS["tom"]).status


WRONG = [
    ("an unknown login", "nobody", "x", {}, 1001),
    ("a wrong password", "tom", "x", {}, 1001),
    ("an empty password", "tom", "", {}, 1001),
    ("an account without password", "silent", "x", {}, 1001),
    ("a disabled account", "gone", "was-here-once-1", {}, 1001),
    ("a user name where only the e-mail address is taken", "elsa", PASSWORDS["elsa"], {}, 1030),
    ("the same with a wrong password", "elsa", "x", {}, 1001),
    ("no code", "vera", PASSWORDS["vera"], {}, 1029),
    ("no code and a wrong password", "vera", "x", {}, 1001),
    ("a wrong code", "vera", PASSWORDS["vera"], {"verificationCode": "000000"}, 1028),
    ("a wrong code and a wrong password", "vera", "x", {"verificationCode": "000000"}, 1001),
    ("no code but letters", "vera", PASSWORDS["vera"], {"verificationCode": "letters"}, 1028),
    ("six digits behind the password", "vera", PASSWORDS["vera"] + "000000", {}, 1028),
    ("six digits behind a wrong password", "vera", "x000000", {}, 1001),
]


@pytest.mark.parametrize(("login", "password", "fields", "code"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_refused_sign_ins_cost_one_verification(
    plex: LocalPlexController, login: str, password: str, fields: Any, code: int
) -> None:
    """S3: any error costs one argon2 verification, and only a client with the password learns what is wrong."""
    before = verifications(plex)
    answer = sign_in(plex.url, login, password, **fields)
    assert (refused(code), 1) == (code_of(answer), verifications(plex) - before)


def test_good_sign_ins_cost_one_verification(plex: LocalPlexController, clock: Clock) -> None:
    """S3: a good sign-in costs one verification too, with a code of its own, behind the password, or without."""
    clock.now += 3600
    sign_ins: list[tuple[str, str, Any]] = [
        ("tom", PASSWORDS["tom"], {}),
        ("elsa@example.test", PASSWORDS["elsa"], {}),
        ("vera", PASSWORDS["vera"], {"verificationCode": code_at(clock.now - 30)}),
        ("vera", PASSWORDS["vera"] + code_at(clock.now), {}),
        ("digits", PASSWORDS["digits"], {}),
    ]
    for login, password, fields in sign_ins:
        before = verifications(plex)
        assert (201, 1) == (
            sign_in(plex.url, login, password, **fields).status,
            verifications(plex) - before,
        )


def test_unknown_and_known_logins_look_alike(plex: LocalPlexController) -> None:
    """S3: an unknown login and a wrong password have the same body and the same header fields."""
    unknown, known = sign_in(plex.url, "nobody", "x"), sign_in(plex.url, "tom", "x")
    assert (unknown.body, unknown.headers.keys()) == (known.body, known.headers.keys())


def test_a_code_works_once(plex: LocalPlexController, clock: Clock) -> None:
    """S5: a used code and an older one are refused (1028), also with the clock set back; the next one works."""
    clock.now += 3600

    def attempt(moment: float) -> Answered:
        return sign_in(plex.url, "vera", PASSWORDS["vera"], verificationCode=code_at(moment))

    assert 201 == attempt(clock.now).status
    assert refused(1028) == code_of(attempt(clock.now))
    assert refused(1028) == code_of(attempt(clock.now - 30))
    clock.now -= 60
    assert refused(1028) == code_of(attempt(clock.now + 30))
    clock.now += 120
    assert 201 == attempt(clock.now).status
    assert refused(1028) == code_of(attempt(clock.now - 120))


@pytest.mark.usefixtures("costly_hashes")
def test_one_code_signs_in_once_however_many_try(start: Start, clock: Clock) -> None:
    """S5: of 32 sign-ins at once with one code exactly one succeeds; the rest are refused or told to come back."""
    clock.now += 3600
    plex = start(clock=clock)
    code, gate = code_at(clock.now), Barrier(32)

    def attempt(_number: int) -> Answered:
        gate.wait(60)
        return sign_in(plex.url, "vera", PASSWORDS["vera"], verificationCode=code)

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(attempt, range(32)))
    statuses = [answer.status for answer in answers]
    assert 1 == statuses.count(201)
    others = [answer for answer in answers if answer.status != 201]
    assert {refused(1028), refused(1031), refused(1013, 503)} >= {code_of(answer) for answer in others}
    assert statuses.count(401) > 0, "nobody came close: the test shows nothing"
    assert {"1"} == {answer.headers["retry-after"] for answer in others if answer.status == 503} | {"1"}


@pytest.mark.parametrize("text", ["true", "True", "1"])
def test_remembered_tokens_end_after_14_days(start: Start, text: str) -> None:
    """With `rememberMe` the token ends after 14 days and says so; without it never ends, and still names a time."""
    clock = Clock()
    plex = start(clock=clock)
    remembered = sign_in(plex.url, "tom", PASSWORDS["tom"], rememberMe=text).json
    kept = sign_in(plex.url, "tom", PASSWORDS["tom"], rememberMe="false").json
    end = START + 14 * 24 * 3600
    assert end == remembered["rememberExpiresAt"]
    assert end == kept["rememberExpiresAt"]
    assert 1_552_593_531 + 14 * 24 * 3600 == get(plex.url, "/api/v2/user", kept["authToken"]).json["rememberExpiresAt"]
    assert end == get(plex.url, "/api/v2/user", remembered["authToken"]).json["rememberExpiresAt"]
    clock.now = end - 1
    assert 200 == get(plex.url, "/api/v2/user", remembered["authToken"]).status
    clock.now = end
    assert 401 == get(plex.url, "/api/v2/user", remembered["authToken"]).status
    clock.now = end * 2
    assert 200 == get(plex.url, "/api/v2/user", kept["authToken"]).status


BODIES = [
    ("application/x-www-form-urlencoded", "login=tom&password=rainy-harbour-17", 201),
    ("application/x-www-form-urlencoded; charset=UTF-8", "login=tom&password=rainy-harbour-17&rememberMe=1", 201),
    ("application/json", '{"login": "tom", "password": "rainy-harbour-17", "rememberMe": true}', 201),
    ("application/json", '{"login": "tom", "password": "rainy-harbour-17", "verificationCode": null}', 201),
    ("application/json", '{"login": "tom"', 400),
    ("application/json", '["tom"]', 400),
    ("application/json", '""', 400),
    ("application/json", '{"login": {"a": 1}, "password": ["x"]}', 400),
    ("application/json", '{"login": "\\ud800", "password": "\\ud800"}', (400, 401)),
    ("text/plain", "login=tom&password=rainy-harbour-17", 400),
    ("multipart/form-data; boundary=x", "--x--", 400),
    ("application/x-www-form-urlencoded", "", 400),
    ("application/x-www-form-urlencoded", "login=tom", 400),
    ("application/x-www-form-urlencoded", "password=x", 400),
    ("application/x-www-form-urlencoded", "login=&password=x", 400),
    ("application/x-www-form-urlencoded", "login=tom&password=%zz", 400),
    ("application/x-www-form-urlencoded", "login=tom&password=%ff", 400),
    ("application/x-www-form-urlencoded", "login=tom&password=x&rememberMe=banana", 400),
    ("application/x-www-form-urlencoded", "login=tom&password=" + "x" * 1025, 400),
    ("application/x-www-form-urlencoded", "login=tom&password=" + "%C3%A9" * 513, 400),
    ("application/x-www-form-urlencoded", "login=tom&password=" + "x" * 1024, 401),
    ("application/x-www-form-urlencoded", "login=" + "y" * 8000 + "&password=x", 401),
    ("application/x-www-form-urlencoded", "&".join(f"f{n}=1" for n in range(150)), 400),
]


@every(("kind", "body", "status"), BODIES)
def test_bodies(plex: LocalPlexController, kind: str, body: str, status: int | tuple[int, ...]) -> None:
    """A form and a JSON object are accepted; anything else, malformed or too long, is 400 with code 1004."""
    before = verifications(plex)
    answer = ask(plex.url, "POST", PATH, {**FORM, "Accept": "application/json", "Content-Type": kind}, body)
    assert answer.status in (status if isinstance(status, tuple) else (status,)), answer.body
    if answer.status == 400:
        assert (1004, 0) == (code_of(answer)[1], verifications(plex) - before)


def test_login_and_password_are_read_from_the_body_alone(plex: LocalPlexController) -> None:
    """A password in the query, which would end up in logs, is ignored."""
    answer = ask(plex.url, "POST", f"{PATH}?login=tom&password=rainy-harbour-17", FORM, "")
    assert 400 == answer.status


@pytest.mark.usefixtures("costly_hashes")
def test_too_many_sign_ins_are_told_to_come_back(start: Start) -> None:
    """If there is too much to hash, the reply is 503 with `Retry-After: 1`, and token checks continue."""
    plex, gate = start(), Barrier(24)

    def attempt(_number: int) -> Answered:
        gate.wait(60)
        return sign_in(plex.url, "tom", "x")

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(attempt, range(24)))
    busy = [answer for answer in answers if answer.status == 503]
    assert {(503, 1013)} == {code_of(answer) for answer in busy}
    assert {"1"} == {answer.headers["retry-after"] for answer in busy}
    assert 200 == get(plex.url, "/api/v2/user", MIRA).status


def test_the_device_is_noted(start: Start, tmp_path: Path) -> None:
    """A client's description is stored with its token, one row per account and client identifier."""
    plex = start(db=f"sqlite:///{tmp_path}/plex.db")
    said = {
        "X-Plex-Product": "Demo App",
        "X-Plex-Version": "1.2.0",
        "X-Plex-Platform": "Linux",
        "X-Plex-Device": "Linux",
        "X-Plex-Device-Name": "Werkst\u00e4tte".encode().decode("latin-1"),
    }
    for version in ("1.2.0", "1.3.0"):
        sign_in(plex.url, "tom", PASSWORDS["tom"], {**said, "X-Plex-Version": version})
    with sqlite3.connect(tmp_path / "plex.db") as database:
        columns = "client_identifier, product, version, platform, device, name"
        rows = database.execute(f"SELECT {columns} FROM device WHERE product <> 'Plex Media Server'")  # noqa: S608  # constant
        assert [("demo-client-7c1f", "Demo App", "1.3.0", "Linux", "Linux", "Werkst\u00e4tte")] == rows.fetchall()


def test_no_secret_is_logged_or_stored(start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """S1, S2: neither password, code, verification secret nor token is in a log record or in the database's files."""
    clock = Clock()
    caplog.set_level(logging.DEBUG)
    seen: list[tuple[Any, ...]] = []
    plex = start(db=f"sqlite:///{tmp_path}/plex.db", clock=clock, on_answer=lambda *facts: seen.append(facts))
    code = code_at(clock.now)
    token = sign_in(plex.url, "vera", PASSWORDS["vera"], verificationCode=code).json["authToken"]
    sign_in(plex.url, "vera", PASSWORDS["vera"], {"Content-Type": "application/json"})
    get(plex.url, f"/api/v2/user?X-Plex-Token={token}")
    get(plex.url, f"/{token}?X-Plex-Token={token}", token)
    get(plex.media_server("Attic").url, f"/{token}", token)
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    logs = (caplog.text + json.dumps(seen)).encode()
    for secret in (token, PASSWORDS["vera"], SECRET, MIRA, PASSWORDS["mira_quill"]):
        assert secret.encode() not in files
        assert secret.encode() not in logs
    assert code.encode() not in logs
    assert ["POST", "/api/v2/users/signin", 201] == list(seen[0])[:3]


def test_a_world_s_own_hash_is_kept(start: Start, tmp_path: Path) -> None:
    """A plain argon2id hash in a world is verified and stored unchanged."""
    from argon2 import PasswordHasher

    from tests.local_plex.asking import world

    bare = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("bare-words-9")
    given = world()
    given["account"].append({"username": "bare", "email": "bare@example.test", "password_hash": bare})
    with local_plex(given, db=f"sqlite:///{tmp_path}/plex.db") as plex:
        assert 201 == sign_in(plex.url, "bare", "bare-words-9").status
        with sqlite3.connect(tmp_path / "plex.db") as database:
            hashes = [row[0] for row in database.execute("SELECT password_hash FROM account ORDER BY rowid")]
        assert bare in hashes
