"""Switching to another user of the Home: whose token is returned, what it needs, and what ends it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.local_plex.asking import ATTIC, MIRA, TOM_ON_ATTIC, Answered, Clock, ask, get
from tests.local_plex.conftest import Start
from tests.local_plex.counting import verifications
from tests.local_plex.family import BOS, IDS, JSON, TOKENS, TOMS, UUIDS, XML, call, family, refused, switch, user
from tests.local_plex.whole import Whole
from ticketstub.local_plex.settings import Settings
from ticketstub.testing import LocalPlexController, local_plex

QUICK = Settings(switches_per_second=100_000)
DEAD = "Dead_token_012345678"


@pytest.fixture(name="url", scope="module")
def _url() -> Iterator[str]:
    """A local Plex with the family, for tests that lock nobody and change nothing."""
    with local_plex(family(), settings=QUICK) as plex:
        yield plex.url


@pytest.mark.parametrize("key", [UUIDS["pip"], str(IDS["pip"])])
def test_a_switch(url: str, key: str) -> None:
    """By uuid or numeric id: 201, the user's account, and a new opaque token that works as theirs."""
    answer = call(url, "POST", f"/api/v2/home/users/{key}/switch")
    assert (201, "Pip", IDS["pip"], True) == (
        answer.status,
        answer.json["title"],
        answer.json["id"],
        answer.json["restricted"],
    )
    token = answer.json["authToken"]
    assert 20 == len(token)
    assert token not in TOKENS.values()
    assert IDS["pip"] == user(url, token)["id"]
    assert IDS["mira"] == user(url, "mira")["id"]


PIP_ON_ATTIC = "Pa4-pip_on_the_attic"


def shared_with_pip(**more: object) -> dict[str, Any]:
    """Describe the family, with a share of Attic for Pip."""
    described = family()
    described["media_server"][0]["share"].append({"managed": "pip", "token": PIP_ON_ATTIC} | more)
    return described


def test_a_managed_user_has_a_share(start: Start) -> None:
    """After a switch, the managed user's resources include the server, with a token that it accepts."""
    plex = start(world=shared_with_pip(), settings=QUICK)
    token = switch(plex.url, "pip").json["authToken"]
    (attic,) = get(plex.url, "/api/v2/resources", token).json
    told = (attic["name"], attic["accessToken"], attic["owned"], attic["home"], attic["ownerId"])
    assert ("Attic", PIP_ON_ATTIC, False, True, IDS["mira"]) == told
    url = plex.media_server("Attic").url
    headers = [{"X-Plex-Token": each} for each in (PIP_ON_ATTIC, token)]
    assert [200, 401] == [ask(url, "GET", "/", each).status for each in headers]
    assert 403 == ask(url, "GET", "/accounts", headers[0]).status
    assert [] == get(plex.url, "/api/v2/resources", switch(plex.url, "bo", BOS).json["authToken"]).json
    listed = get(plex.url, f"/api/servers/{ATTIC}/shared_servers", MIRA)
    assert f'username="Pip" email="" userID="{IDS["pip"]}" accessToken="{PIP_ON_ATTIC}"'.encode() in listed.body


def test_a_share_without_token_of_a_managed_user(start: Start, tmp_path: Path) -> None:
    """A token that the world omits is random, and the same at the next start of a database."""
    described = shared_with_pip()
    del described["media_server"][0]["share"][-1]["token"]
    tokens = []
    for _start in range(2):
        with local_plex(described, db=f"sqlite:///{tmp_path}/local.db") as plex:
            (attic,) = get(plex.url, "/api/v2/resources", TOKENS["pip"]).json
            tokens.append(attic["accessToken"])
            assert 200 == ask(plex.media_server("Attic").url, "GET", "/", {"X-Plex-Token": tokens[-1]}).status
    assert (2, 20) == (tokens.count(tokens[0]), len(tokens[0]))


def test_a_removed_managed_user_loses_the_share(start: Start) -> None:
    """Once the administrator removes a managed user, the token of its share is dead on the media server."""
    plex = start(world=shared_with_pip(), settings=QUICK)
    url = plex.media_server("Attic").url
    assert 200 == ask(url, "GET", "/", {"X-Plex-Token": PIP_ON_ATTIC}).status
    assert 200 == call(plex.url, "DELETE", f"/api/home/users/{IDS['pip']}").status
    assert 401 == ask(url, "GET", "/", {"X-Plex-Token": PIP_ON_ATTIC}).status


def test_a_switch_in_xml(url: str) -> None:
    """XML is the default: `<user authToken="…" title="…">`."""
    answer = ask(url, "POST", f"/api/v2/home/users/{IDS['pip']}/switch", {**XML, "X-Plex-Token": MIRA})
    assert (201, "user") == (answer.status, answer.xml.tag)
    assert {"title": "Pip", "restricted": "1", "home": "1"}.items() <= answer.xml.attrib.items()
    assert IDS["pip"] == user(url, answer.xml.get("authToken"))["id"]


def legacy(url: str, to: str, query: str = "", body: str | None = None, who: str = "mira") -> Answered:
    form = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
    headers = {**JSON, **form, "X-Plex-Token": TOKENS[who]}
    return ask(url, "POST", f"/api/home/users/{IDS[to]}/switch{query}", headers, body)


def test_a_legacy_switch(url: str) -> None:
    """In the older call the token is `authenticationToken` on the root, always in XML."""
    for answer in (legacy(url, "tom", "?pin=4711"), legacy(url, "tom", body="pin=4711"), legacy(url, "pip")):
        assert (201, "application/xml; charset=utf-8") == (answer.status, answer.headers["content-type"])
        token = answer.xml.get("authenticationToken")
        assert answer.xml.get("id") == str(user(url, token)["id"])
        assert token == answer.xml.findtext("authentication-token")


def test_the_token_is_the_devices(url: str) -> None:
    """The token belongs to a row of the user's devices, for the client that asked, and ends with it."""
    own = {"X-Plex-Client-Identifier": "tablet-1", "X-Plex-Device-Name": "Tablet"}
    token = call(url, "POST", f"/api/v2/home/users/{IDS['tom']}/switch?pin={TOMS}", **own).json["authToken"]
    devices = get(url, "/devices.json", token).json["MediaContainer"]["Device"]
    (row,) = [each for each in devices if each["clientIdentifier"] == "tablet-1"]
    assert "Tablet" == row["name"]
    assert token == row["token"]
    assert ask(url, "DELETE", f"/devices/{row['id']}.xml", {"X-Plex-Token": TOKENS["tom"]}).status in {200, 204}
    assert 401 == call(url, "GET", "/api/v2/user", token).status
    assert 200 == call(url, "GET", "/api/v2/user").status


def test_it_dies_with_its_own_sign_out(url: str) -> None:
    """A sign-out ends the switched token, neither the caller's nor an earlier one of the same user; and likewise."""
    first, second = (switch(url, "pip").json["authToken"] for _ in range(2))
    assert 204 == call(url, "DELETE", "/api/v2/users/signout", first).status
    assert [401, 200, 200, 200] == [
        call(url, "GET", "/api/v2/user", token).status for token in (first, second, "mira", "pip")
    ]


def test_what_the_other_reaches(url: str) -> None:
    """With the switched token `/resources` has the other's own server tokens, never the caller's."""
    token = switch(url, "tom", TOMS).json["authToken"]
    listed = call(url, "GET", "/api/v2/resources", token).json
    found = {each["name"]: (each["accessToken"], each["home"]) for each in listed if each["provides"] == "server"}
    assert {"Toms": (token, False), "Attic": (TOM_ON_ATTIC, True)} == found


WRONG: dict[str, tuple[str, str | None]] = {
    "none": ("tom", None),
    "an empty one": ("tom", ""),
    "a wrong one": ("tom", "4712"),
    "five digits": ("tom", "47110"),
    "three digits": ("tom", "471"),
    "with a space": ("tom", "4711%20"),
    "other digits": ("tom", "%D9%A4%D9%A7%D9%A1%D9%A1"),
    "somebody else's": ("tom", BOS),
    "a managed user's": ("bo", None),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_protected_user(url: str, case: str) -> None:
    """Without the correct passcode it is 403 with code 1041 on v2, and 403 without a code on the older API."""
    who, passcode = WRONG[case]
    answer = switch(url, who, passcode)
    assert (
        403,
        b'{"errors":[{"code":1041,"message":"A valid PIN is required to perform this action","status":403}]}',
    ) == (answer.status, answer.body)
    answer = legacy(url, who, "" if passcode is None else f"?pin={passcode}")
    assert (403, "A valid PIN is required to perform this action") == (answer.status, answer.xml.findtext("error"))
    assert 201 == switch(url, who, {"tom": TOMS, "bo": BOS}[who]).status


def test_without_a_passcode_where_that_passes(start: Start) -> None:
    """`switch_without_passcode = "allow"`: a missing one passes, a wrong one never, nor any of limited users."""
    url = start({"switch_without_passcode": "allow"}, world=family(), settings=QUICK).url
    assert [201, 201] == [switch(url, "tom").status, legacy(url, "tom").status]
    assert (403, 1041) == refused(switch(url, "tom", "4712"))
    assert [(403, 1041)] * 2 == [refused(switch(url, "tom", who=who)) for who in ("pip", "elsa")]
    assert [201, 201] == [switch(url, "tom", TOMS, who=who).status for who in ("pip", "elsa")]


def test_who_is_not_there(url: str) -> None:
    """S21: a user of another Home, of none, or an unknown one is 404 with code 1002, and nothing is created."""
    for key in (IDS["vera"], IDS["nils"], 999, UUIDS["pip"].upper(), "%20", "10500456x"):
        assert (404, 1002) == refused(call(url, "POST", f"/api/v2/home/users/{key}/switch?pin=4711"))
    assert (404, 1002) == refused(switch(url, "mira", who="nils"))
    assert (404, 1002) == refused(switch(url, "pip", who="vera"))
    assert [] == get(url, "/devices.json", TOKENS["vera"]).json["MediaContainer"]["Device"]


def test_who_asks(url: str) -> None:
    """It needs a client identifier (1000) and an account's own living token (1001): no share's, no server's."""
    path = f"/api/v2/home/users/{IDS['pip']}/switch"
    nobody = {"Accept": "application/json", "X-Plex-Token": MIRA}
    assert (400, 1000) == refused(ask(url, "POST", path, nobody))
    assert 400 == ask(url, "POST", f"/api/home/users/{IDS['pip']}/switch", nobody).status
    for token in (DEAD, TOM_ON_ATTIC, "", "claim-Xk3mPz_9Q-vT7rLb2NfW"):
        assert (401, 1001) == refused(call(url, "POST", path, token))


def test_to_oneself(url: str) -> None:
    """A user may switch to itself, with its own passcode; also alone."""
    assert [201, 403, 201, 201] == [
        switch(url, "mira").status,
        switch(url, "tom", who="tom").status,
        switch(url, "tom", TOMS, who="tom").status,
        switch(url, "nils", who="nils").status,
    ]


@pytest.mark.parametrize("who", ["mira", "tom", "elsa", "pip", "bo"])
def test_everybody_may_switch_to_everybody(url: str, who: str) -> None:
    """S22: members, guests and managed users can switch alike, with a protected user's passcode, never without it."""
    for to, passcode in {"mira": None, "tom": TOMS, "elsa": None, "pip": None, "bo": BOS}.items():
        answer = switch(url, to, passcode, who)
        assert (201, IDS[to]) == (answer.status, answer.json["id"])
        if passcode:
            assert (403, 1041) == refused(switch(url, to, None, who))


def test_an_administrator_with_a_passcode_is_closed(start: Start) -> None:
    """S22: once the administrator has a passcode, nobody switches to them without it, by any route."""
    url = start(world=family(), settings=QUICK).url
    assert 200 == call(url, "PUT", f"/api/home/users/{IDS['mira']}?pin=1357").status
    as_tom = switch(url, "tom", TOMS, "pip").json["authToken"]
    for token in ("pip", as_tom, "elsa"):
        assert (403, 1041) == refused(switch(url, "mira", None, token))
    assert 201 == switch(url, "mira", "1357", as_tom).status


@pytest.fixture(name="timed")
def _timed(start: Start) -> tuple[LocalPlexController, Clock]:
    clock = Clock()
    return start(world=family(), settings=QUICK, clock=clock), clock


def test_what_a_switch_costs(timed: tuple[LocalPlexController, Clock]) -> None:
    """A checked passcode costs one argon2 verification, and nothing else does."""
    plex, _ = timed
    for passcode, expected in ((TOMS, 1), ("0000", 1), (None, 0), ("471", 0)):
        before = verifications(plex)
        switch(plex.url, "tom", passcode)
        assert expected == verifications(plex) - before
    before = verifications(plex)
    assert 201 == switch(plex.url, "pip", "0000").status
    assert 0 == verifications(plex) - before


def test_guesses_are_few(timed: tuple[LocalPlexController, Clock]) -> None:
    """S12: after five wrong passcodes in 15 minutes it is 429 with code 1003, whatever is sent and whoever asks."""
    plex, clock = timed
    assert 0 == verifications(plex)
    assert [(403, 1041)] * 5 == [refused(switch(plex.url, "tom", f"000{n}")) for n in range(5)]
    for who in ("mira", "pip", "elsa"):
        assert (429, 1003) == refused(switch(plex.url, "tom", TOMS, who))
    assert 429 == legacy(plex.url, "tom", "?pin=4711").status
    assert 5 == verifications(plex)
    assert [201, 201] == [switch(plex.url, who, code).status for who, code in (("bo", BOS), ("pip", None))]
    clock.now += 15 * 60
    assert 201 == switch(plex.url, "tom", TOMS).status


def test_guesses_are_shared_by_all_ways(timed: tuple[LocalPlexController, Clock]) -> None:
    """S12: a switch, the older switch and a change of the passcode count together, by the account, not its name."""
    plex, _ = timed
    assert 0 == verifications(plex)
    path = f"/api/home/users/{IDS['tom']}?pin=9999&currentPin=0000"
    assert 403 == switch(plex.url, "tom", "0000").status
    assert 403 == call(plex.url, "POST", f"/api/v2/home/users/{UUIDS['tom']}/switch?pin=0001").status
    assert 403 == legacy(plex.url, "tom", "?pin=0002").status
    assert [401, 401] == [call(plex.url, "PUT", path, "tom").status for _ in range(2)]
    assert (429, 1003) == refused(call(plex.url, "PUT", path, "tom"))
    assert (429, 1003) == refused(switch(plex.url, "tom", TOMS))
    assert 5 == verifications(plex)


def test_a_right_one_forgets_the_wrong_ones(timed: tuple[LocalPlexController, Clock]) -> None:
    """Four wrong passcodes and a right one, repeated, are not limited."""
    plex, _ = timed
    for _ in range(3):
        tried = ("0", "0000", "0001", "0002", "0003", TOMS)
        assert [403, 403, 403, 403, 403, 201] == [switch(plex.url, "tom", passcode).status for passcode in tried]


def at_once(many: int, work: Callable[[int], int]) -> list[int]:
    barrier = Barrier(many)

    def one(number: int) -> int:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(many) as pool:
        return list(pool.map(one, range(many)))


@pytest.mark.usefixtures("costly_hashes")
@pytest.mark.parametrize("where", ["memory", "file"])
def test_of_many_guesses_at_once_exactly_five_are_looked_at(start: Start, tmp_path: Path, where: str) -> None:
    """S12: of 64 simultaneous wrong passcodes five are verified, and no right one is afterwards."""
    db = None if where == "memory" else f"sqlite:///{tmp_path / 'plex.db'}"
    plex = start(world=family(), settings=QUICK, clock=Clock(), db=db)
    assert 0 == verifications(plex)
    statuses = at_once(64, lambda number: switch(plex.url, "tom", f"{5000 + number}").status)
    assert (5, 5) == (verifications(plex), statuses.count(403))
    assert {403, 429, 503} >= set(statuses)
    assert (429, 1003) == refused(switch(plex.url, "tom", TOMS))


@pytest.mark.usefixtures("costly_hashes")
def test_many_right_ones_at_once_are_no_guessing(start: Start) -> None:
    """Eight simultaneous right passcodes all switch."""
    plex = start(world=family(), settings=QUICK, clock=Clock())
    assert [201] * 8 == at_once(8, lambda _number: switch(plex.url, "tom", TOMS).status)


def test_a_burst_of_switches() -> None:
    """Observed: about ten switches a second are refused with 429, for the caller only."""
    with Whole(family(), settings=Settings()) as plex:

        def switch_to_pip(who: str) -> Answered:
            return plex.ask("POST", f"/api/v2/home/users/{IDS['pip']}/switch", TOKENS[who])

        answers = [switch_to_pip("mira") for _ in range(16)]
        assert [201] * 10 + [429] * 6 == [answer.status for answer in answers]
        assert (429, 1003) == refused(answers[-1])
        assert 201 == switch_to_pip("tom").status
        plex.ticks.now += 1
        assert 201 == switch_to_pip("mira").status


@pytest.mark.usefixtures("costly_hashes")
def test_no_token_in_clear_and_no_passcode_is_kept(start: Start, tmp_path: Path) -> None:
    """S2: the database holds neither the switched token nor the digits, and a passcode as argon2id."""
    url = start(world=family(), db=f"sqlite:///{tmp_path / 'plex.db'}").url
    token = switch(url, "tom", TOMS).json["authToken"]
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert token.encode() not in raw
    with sqlite3.connect(tmp_path / "plex.db") as connection:
        hashes = [row[0] for row in connection.execute("SELECT hash FROM passcode")]
    connection.close()
    assert 2 == len(hashes)
    assert all(text.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for text in hashes)


def test_it_survives_a_restart(tmp_path: Path) -> None:
    """A switched token, a changed passcode and a removed member survive a restart, whatever the world says."""

    def begun() -> AbstractContextManager[LocalPlexController]:
        return local_plex(family(), db=f"sqlite:///{tmp_path / 'plex.db'}")

    with begun() as plex:
        token = switch(plex.url, "pip").json["authToken"]
        assert 200 == call(plex.url, "PUT", f"/api/home/users/{IDS['tom']}?pin=8642&currentPin=4711", "tom").status
        assert [200, 200] == [call(plex.url, "DELETE", f"/api/home/users/{IDS[who]}").status for who in ("elsa", "bo")]
    with begun() as plex:
        assert IDS["pip"] == user(plex.url, token)["id"]
        assert [403, 201] == [switch(plex.url, "tom", passcode).status for passcode in (TOMS, "8642")]
        users = call(plex.url, "GET", "/api/v2/home/users").json["users"]
        assert [IDS[who] for who in ("mira", "tom", "pip")] == [each["id"] for each in users]
        assert 401 == call(plex.url, "GET", "/api/v2/user", "bo").status
        assert user(plex.url, "elsa")["home"] is False
