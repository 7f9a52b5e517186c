"""Setting, changing and removing passcodes: whose, by whom, and what is valid."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.examples import examples
from tests.local_plex.asking import Answered, ask
from tests.local_plex.conftest import Start
from tests.local_plex.family import BOS, IDS, TOKENS, TOMS, call, family, refused, switch, user
from ticketstub.local_plex.settings import Settings
from ticketstub.testing import LocalPlexController, local_plex

QUICK = Settings(switches_per_second=100_000)


@pytest.fixture(name="url")
def _url(start: Start) -> str:
    """A local Plex with the family."""
    return start(world=family(), settings=QUICK).url


def put(url: str, who: str, query: str, of: str | None = None) -> Answered:
    """Change a passcode as its owner does."""
    return call(url, "PUT", f"/api/home/users/{IDS[of or who]}?{query}", who)


def managed(url: str, who: str, query: str, of: str = "bo") -> Answered:
    """Change a managed user's passcode as the administrator does."""
    return call(url, "POST", f"/api/v2/home/users/restricted/{IDS[of]}?{query}", who)


def test_ones_own_passcode(url: str) -> None:
    """Set it, change it with the current one, remove it with an empty one; each counts from its acknowledgement on."""
    assert (200, b"") == (put(url, "mira", "pin=1234").status, put(url, "elsa", "pin=5678").body)
    assert user(url, "mira")["protected"] is True
    assert [403, 403, 201] == [switch(url, "mira", code, "tom").status for code in (None, "4321", "1234")]
    assert 200 == put(url, "mira", "pin=4321&currentPin=1234").status
    assert [403, 201] == [switch(url, "mira", code, "tom").status for code in ("1234", "4321")]
    assert 200 == put(url, "mira", "pin=&currentPin=4321").status
    assert (False, False) == (user(url, "mira")["protected"], "pin" in user(url, "mira"))
    assert 201 == switch(url, "mira", None, "tom").status


def test_the_list_changes_with_it(url: str) -> None:
    """The Home's list and the account agree at once on whether there is a passcode."""
    put(url, "mira", "pin=1234")
    managed(url, "mira", "removePin=1")
    users = call(url, "GET", "/api/v2/home/users", "elsa").json["users"]
    assert {"mira_quill": True, "Tom & <Co>": True, "elsa": False, "Pip": False, "Bo": False} == {
        each["title"]: each["protected"] for each in users
    }


def test_it_may_come_in_a_form(url: str) -> None:
    """Both may be in a form instead of the query."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Plex-Token": TOKENS["tom"]}
    path = f"/api/home/users/{IDS['tom']}"
    assert 200 == ask(url, "PUT", path, headers, f"pin=1357&currentPin={TOMS}").status
    assert 201 == switch(url, "tom", "1357").status


CURRENT = {
    "missing": "",
    "empty": "&currentPin=",
    "wrong": "&currentPin=0000",
    "no passcode": "&currentPin=47",
    "another's": f"&currentPin={BOS}",
}


@pytest.mark.parametrize("case", CURRENT)
@pytest.mark.parametrize("pin", ["1357", ""])
def test_without_the_current_one(url: str, case: str, pin: str) -> None:
    """Without the current one it is 401 with code 1001, but not the text of a dead token; nothing changes."""
    answer = put(url, "tom", f"pin={pin}{CURRENT[case]}")
    assert (401, 1001) == refused(answer)
    assert b"User could not be authenticated" not in answer.body
    assert 201 == switch(url, "tom", TOMS).status


def test_without_the_current_one_otherwise(start: Start) -> None:
    """`wrong_current_passcode = 403`: 403 with code 1041."""
    url = start({"wrong_current_passcode": 403}, world=family()).url
    assert [(403, 1041)] * 2 == [refused(put(url, "tom", f"pin=1357{given}")) for given in ("", "&currentPin=0000")]
    assert 200 == put(url, "tom", f"pin=1357&currentPin={TOMS}").status


def test_a_managed_users_passcode(url: str) -> None:
    """The administrator sets and removes it without the current one, and resets wrong attempts with it."""
    assert [403] * 5 + [429] == [switch(url, "bo", "0000").status for _ in range(6)]
    assert (200, b"") == (managed(url, "mira", "pin=1111").status, managed(url, "mira", "pin=2222", "pip").body)
    assert [403, 201] == [switch(url, "bo", code).status for code in (BOS, "1111")]
    assert [403, 201] == [switch(url, "pip", code).status for code in (None, "2222")]
    assert 200 == managed(url, "mira", "removePin=1", "pip").status
    assert 201 == switch(url, "pip").status


def test_what_it_must_say(url: str) -> None:
    """Neither or both of `pin` and `removePin`, and no `pin` at all for one's own, are 400 with code 1004."""
    for query in ("", "removePin=0", "pin=1111&removePin=1", "removePin=perhaps"):
        assert (400, 1004) == refused(managed(url, "mira", query))
    assert (400, 1004) == refused(put(url, "mira", "currentPin=1234"))
    assert 201 == switch(url, "bo", BOS).status


@pytest.fixture(scope="module")
def lasting() -> Iterator[LocalPlexController]:
    """A local Plex in which nothing changes."""
    with local_plex(family(), settings=QUICK) as running:
        yield running


ASCII = set("0123456789")


@examples(60)
@given(
    text=st.one_of(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=6),
        st.text(st.characters(categories=("Nd", "No", "Zs")), min_size=4, max_size=4),
    )
)
@example("12345")
@example("123")
@example(" 1234")
@example("1234\n")
@example("12 4")
@example("\u0661\u0662\u0663\u0664")  # Arabic digits
@example("\uff11\uff12\uff13\uff14")  # full-width ones
@example("12\u00b34")
@example("+123")
@example("1e10")
@example("12\x004")
def test_what_is_no_passcode(lasting: LocalPlexController, text: str) -> None:
    """Anything but four ASCII digits is refused with code 1038, in both calls, and switches to nobody."""
    assume(text and not (len(text) == 4 and set(text) <= ASCII))
    sent = quote(text, safe="")
    assert (400, 1038) == refused(put(lasting.url, "mira", f"pin={sent}"))
    assert (400, 1038) == refused(managed(lasting.url, "mira", f"pin={sent}"))
    assert (403, 1041) == refused(switch(lasting.url, "bo", sent))
    assert user(lasting.url, "mira")["protected"] is False


@pytest.mark.usefixtures("costly_hashes")
def test_of_many_changes_at_once_one_wins(url: str) -> None:
    """Of eight simultaneous changes with the current passcode, one is stored, and the others are refused."""
    codes = [f"60{number:02}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda code: put(url, "tom", f"pin={code}&currentPin={TOMS}").status, codes))
    assert 1 == statuses.count(200)
    assert {200, 401, 409, 429} >= set(statuses)
