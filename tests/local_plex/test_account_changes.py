"""Creating accounts and changing passwords: what is refused, all at once, and what a change ends."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest
from argon2 import PasswordHasher

from tests.local_plex.asking import SECRET, Answered, Clock, ask, code_at, get, sign_in
from tests.local_plex.counting import verifications
from tests.tables import every
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.world.schema import World
from ticketstub.testing import LocalPlexController, local_plex

PASSWORD, NEW = "paper-lantern-42", "another-lantern-43"
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
MIRA, TOM_ON_ATTIC, MIRA_ON_TOMS = "Xk3mPz_9Q-vT7rLb2NfW", "Qw7-Zr2_LmN8tYb4HsKd", "Mt2_wQ9-kLs5XbVe0RzA"
WORLD = World.from_dict(
    {
        "account": [
            {"username": "mira_quill", "email": "mira@example.test", "password_hash": HASH, "token": MIRA},
            {"username": "tom", "email": "tom@example.test", "password_hash": HASH},
            {
                "username": "vera",
                "email": "vera@example.test",
                "password_hash": HASH,
                "verification_secret": SECRET,
                "token": "Ve7-copper_kettle_88",
            },
            {"username": "silent", "email": "silent@example.test", "token": "Si1-ent_ent_ent_ent_"},
        ],
        "media_server": [
            {"name": "Attic", "owner": "mira_quill", "share": [{"account": "tom", "token": TOM_ON_ATTIC}]},
            {"name": "Toms", "owner": "tom", "share": [{"account": "mira_quill", "token": MIRA_ON_TOMS}]},
        ],
    }
)
HEADERS = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "application/json",
    "X-Plex-Client-Identifier": "demo-client-7c1f",
}


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="begin")
def _begin(clock: Clock) -> Iterator[Any]:
    """Start a local Plex; it ends with the test, or with the next one that is started on a file."""
    with ExitStack() as running:

        def begin(**options: Any) -> LocalPlexController:
            if options.get("db"):
                running.close()
            return running.enter_context(local_plex(WORLD, clock=clock, **options))

        yield begin


@pytest.fixture(name="plex")
def _plex(begin: Any) -> LocalPlexController:
    running: LocalPlexController = begin()
    return running


def create(url: str, email: str, username: str, password: str, **more: str) -> Answered:
    fields = {"email": email, "username": username, "password": password, **more}
    return ask(url, "POST", "/api/v2/users", HEADERS, urlencode(fields))


def change(url: str, token: str | None, current: str = PASSWORD, new: str = NEW, **more: str) -> Answered:
    fields = {"currentPassword": current, "password": new, **more}
    given = HEADERS | ({"X-Plex-Token": token} if token else {})
    return ask(url, "POST", "/api/v2/users/password", given, urlencode(fields))


def told(answer: Answered) -> list[tuple[int, str | None]]:
    return [(each["code"], each.get("field")) for each in answer.json["errors"]]


def alive(url: str, *tokens: str) -> list[bool]:
    return [get(url, "/api/v2/user", token).status == 200 for token in tokens]


@pytest.mark.parametrize("kept", ["memory", "file"])
def test_a_new_account(begin: Any, tmp_path: Path, kept: str) -> None:
    """201 with the account and a working token; both names sign in, and a database in a file keeps it."""
    db = f"sqlite:///{tmp_path / 'plex.db'}" if kept == "file" else None
    plex = begin(db=db)
    answer = create(plex.url, "Nora@example.test", "Nora", PASSWORD)
    account = answer.json
    assert (201, "Nora", "Nora@example.test", True, False, 1_795_000_000) == (
        answer.status,
        account["username"],
        account["email"],
        account["hasPassword"],
        account["confirmed"],
        account["joinedAt"],
    )
    assert account["id"] == get(plex.url, "/api/v2/user", account["authToken"]).json["id"]
    other = begin(db=db) if db else plex
    for login in ("nora", "NORA@example.test"):
        assert account["uuid"] == sign_in(other.url, login, PASSWORD).json["uuid"]


FAULTS: list[tuple[str, str, str, dict[str, str], list[tuple[int, str]]]] = [
    ("", "", "", {}, [(1010, "email"), (1010, "username"), (1010, "password")]),
    ("nobody", "nora", PASSWORD, {}, [(1035, "email")]),
    ("a b@example.test", "nora", PASSWORD, {}, [(1035, "email")]),
    ("nora@example.test", "no\x07ra", PASSWORD, {}, [(1037, "username")]),
    ("nora@example.test", " nora", PASSWORD, {}, [(1037, "username")]),
    ("nora@example.test", "n" * 101, PASSWORD, {}, [(1047, "username")]),
    ("nora@example.test", "another@example.test", PASSWORD, {}, [(1036, "username")]),
    ("nora@example.test", "nora", "seven77", {}, [(1032, "password")]),
    ("nora@example.test", "nora", "12345678", {}, [(1033, "password")]),
    ("nora@example.test", "nora", "abababababab", {}, [(1033, "password")]),
    ("nora@example.test", "nora-nora", "NORA-nora", {}, [(1034, "password")]),
    ("nora@example.test", "nora", "nora@example.test", {}, [(1034, "password")]),
    ("nora@example.test", "nora", PASSWORD, {"passwordConfirmation": "else"}, [(1039, "password")]),
    ("mira@example.test", "nora", PASSWORD, {}, [(1011, "email")]),
    ("nora@example.test", "\uff4dIRA_quill", PASSWORD, {}, [(1048, "username")]),
    ("TOM@example.test", "Tom", PASSWORD, {}, [(1048, "username"), (1011, "email")]),
    ("tom", "x" * 200, "short", {}, [(1035, "email"), (1047, "username"), (1032, "password")]),
]


@pytest.fixture(name="shared", scope="module")
def _shared() -> Iterator[LocalPlexController]:
    """A local Plex in which nothing is created."""
    with local_plex(WORLD, clock=Clock()) as running:
        yield running


@every(("email", "username", "password", "more", "faults"), FAULTS)
def test_what_a_new_account_must_not_be(
    shared: LocalPlexController,
    email: str,
    username: str,
    password: str,
    more: dict[str, str],
    faults: list[tuple[int, str]],
) -> None:
    """422 with all invalid fields at once, each with its code and name; nothing is created."""
    answer = create(shared.url, email, username, password, **more)
    assert (422, faults) == (answer.status, told(answer))


def test_the_form_of_faults(shared: LocalPlexController) -> None:
    """The members are code, message, field and status, in XML as attributes."""
    answer = create(shared.url, "mira@example.test", "nora", PASSWORD)
    assert (
        b'{"errors":[{"code":1011,"message":"The value provided for the field has already been taken",'
        b'"field":"email","status":422}]}'
    ) == answer.body
    body = urlencode({"email": "mira@example.test", "username": "nora", "password": PASSWORD})
    in_xml = ask(shared.url, "POST", "/api/v2/users", {**HEADERS, "Accept": "*/*"}, body)
    assert (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<errors><error code="1011" message="The value provided for the '
        b'field has already been taken" field="email" status="422"/></errors>'
    ) == in_xml.body


def test_accounts_may_not_be_made(begin: Any) -> None:
    """403 if the settings forbid it; 400 without a client identifier."""
    answer = create(begin(settings=Settings(allow_account_creation=False)).url, "nora@example.test", "nora", PASSWORD)
    assert (403, [(1043, None)]) == (answer.status, told(answer))


@pytest.mark.usefixtures("costly_hashes")
def test_one_name_is_given_once(plex: LocalPlexController) -> None:
    """Of eight simultaneous requests for one name, exactly one succeeds."""
    gate = Barrier(8)

    def attempt(number: int) -> int:
        gate.wait(60)
        return create(plex.url, f"nora{number}@example.test", "Nora", PASSWORD).status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(attempt, range(8)))
    assert (1, {201, 422}) == (statuses.count(201), set(statuses))


def test_a_changed_password(plex: LocalPlexController) -> None:
    """200 with the account; the new password signs in, the old one does not, and tokens survive (observed)."""
    token = sign_in(plex.url, "mira_quill", PASSWORD).json["authToken"]
    answer = change(plex.url, token)
    assert (200, "mira_quill", token) == (answer.status, answer.json["username"], answer.json["authToken"])
    assert [201, 401] == [sign_in(plex.url, "mira_quill", each).status for each in (NEW, PASSWORD)]
    assert [True, True] == alive(plex.url, token, MIRA)


@pytest.mark.parametrize("kept", ["memory", "file"])
def test_a_change_that_signs_everybody_out(begin: Any, tmp_path: Path, kept: str) -> None:
    """S6, 14.3: it ends all tokens, the media servers' and the caller's too; shares stay; a new token is returned."""
    plex = begin(db=f"sqlite:///{tmp_path / 'plex.db'}" if kept == "file" else None)
    token = sign_in(plex.url, "mira_quill", PASSWORD).json["authToken"]
    tom = sign_in(plex.url, "tom", PASSWORD).json["authToken"]
    found: Any = ask(plex.url, "GET", "/devices.xml", {"X-Plex-Token": token}).xml
    (server,) = [each.get("token") for each in found if each.get("name") == "Attic"]
    pin = pin_linked_by(plex.url, token)
    assert [True] * 3 == alive(plex.url, token, MIRA, server)
    answer = change(plex.url, token, removeOtherTokens="true")
    fresh = answer.json["authToken"]
    assert 200 == answer.status
    assert [False, False, False, True, True] == alive(plex.url, token, MIRA, server, fresh, tom)
    assert 404 == get(plex.url, f"/api/v2/pins/{pin}", **{"X-Plex-Client-Identifier": "pin-client"}).status
    attic, toms = plex.media_server("Attic").url, plex.media_server("Toms").url
    statuses = [get(attic, "/", MIRA).status, get(attic, "/", fresh).status, get(attic, "/", TOM_ON_ATTIC).status]
    assert [401, 200, 200, 200] == [*statuses, get(toms, "/", MIRA_ON_TOMS).status]
    assert 201 == sign_in(plex.url, "mira_quill", NEW).status


def pin_linked_by(url: str, token: str) -> int:
    named = HEADERS | {"X-Plex-Client-Identifier": "pin-client"}
    pin = ask(url, "POST", "/api/v2/pins", named).json
    linked = ask(url, "PUT", "/api/v2/pins/link", HEADERS | {"X-Plex-Token": token}, f"code={pin['code']}")
    assert 204 == linked.status
    number: int = pin["id"]
    return number


def test_who_may_not_change_it(plex: LocalPlexController) -> None:
    """A wrong password is 403 with code 1040, also for an account without one; a dead or a server's token is 401."""
    silent = "Si1-ent_ent_ent_ent_"
    answers = [change(plex.url, MIRA, "x"), change(plex.url, MIRA, ""), change(plex.url, silent, "x")]
    assert [(403, [(1040, None)])] * 3 == [(each.status, told(each)) for each in answers]
    assert [401, 401] == [change(plex.url, each).status for each in (None, TOM_ON_ATTIC)]
    assert 400 == change(plex.url, MIRA, removeOtherTokens="banana").status
    assert 400 == change(plex.url, MIRA, new="x" * 1025).status
    assert 201 == sign_in(plex.url, "mira_quill", PASSWORD).status


@pytest.mark.parametrize(
    ("new", "more", "codes"),
    [
        ("", {}, [1010]),
        ("short", {}, [1032]),
        ("mira_QUILL", {}, [1034]),
        (NEW, {"passwordConfirmation": "else"}, [1039]),
        ("11111111", {"passwordConfirmation": ""}, [1033, 1039]),
    ],
)
def test_what_a_new_password_must_not_be(
    shared: LocalPlexController, new: str, more: dict[str, str], codes: list[int]
) -> None:
    """A new password has the same rules as a new account's; an invalid one costs no verification."""
    before = verifications(shared)
    answer = change(shared.url, MIRA, new=new, **more)
    assert (422, [(code, "password") for code in codes]) == (answer.status, told(answer))
    assert before == verifications(shared)


def test_a_code_is_wanted_for_a_change_too(plex: LocalPlexController, clock: Clock) -> None:
    """If a sign-in needs a code, so does the change (403, code 1045), and each code works once."""
    clock.now += 3600
    vera = "Ve7-copper_kettle_88"
    code = code_at(clock.now)
    wrong = [change(plex.url, vera), change(plex.url, vera, verificationCode="000000")]
    assert [(403, [(1045, None)])] * 2 == [(each.status, told(each)) for each in wrong]
    assert 200 == change(plex.url, vera, verificationCode=code).status
    assert [(1045, None)] == told(change(plex.url, vera, NEW, PASSWORD, verificationCode=code))


def test_changes_are_guesses_too(plex: LocalPlexController, clock: Clock) -> None:
    """S12: wrong passwords here and at the sign-in count together; a locked account is 429 here, not 401."""
    for _ in range(5):
        assert 403 == change(plex.url, MIRA, "x").status
        assert 401 == sign_in(plex.url, "mira_quill", "x").status
    assert (429, [(1003, None)]) == ((found := change(plex.url, MIRA)).status, told(found))
    assert 1031 == json.loads(sign_in(plex.url, "mira@example.test", PASSWORD).body)["errors"][0]["code"]
    clock.now += 15 * 60
    assert 200 == change(plex.url, MIRA).status


@pytest.mark.usefixtures("costly_hashes")
def test_no_sign_in_slips_through_a_change(plex: LocalPlexController) -> None:
    """S6: no token of a sign-in with the old password survives a simultaneous change that ends all tokens."""
    token = sign_in(plex.url, "tom", PASSWORD).json["authToken"]
    gate = Barrier(9)

    def attempt(number: int) -> tuple[str, Answered]:
        gate.wait(60)
        if number == 4:
            return "change", change(plex.url, token, removeOtherTokens="1")
        return "sign-in", sign_in(plex.url, "tom", PASSWORD, {"X-Plex-Client-Identifier": f"racer-{number}"})

    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(attempt, range(9)))
    (fresh,) = [each.json["authToken"] for kind, each in answers if kind == "change"]
    given = [each.json["authToken"] for kind, each in answers if kind == "sign-in" and each.status == 201]
    assert [True] == alive(plex.url, fresh)
    assert not any(alive(plex.url, *given))
