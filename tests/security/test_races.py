"""S4, S5, S12: of many who use one thing at once, over handlers and store together, one wins or as many as the limit.

Rule: as a client sees it, on a database in a file. Each race is also run against a naive store and must find more
winners there. How the store's own verbs race, over several stores and 200 rounds, is in tests/local_plex/storage/.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.local_plex.asking import MIRA, SECRET, code_at
from tests.local_plex.family import IDS, TOKENS
from tests.local_plex.whole import FORM, PASSWORD, Change, Whole
from tests.security.stage import PHONE, device_jwt, household, with_key
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.storage.attempts import AttemptKind
from ticketstub.local_plex.storage.base import NewSignIn
from ticketstub.local_plex.storage.database import Transaction
from ticketstub.local_plex.storage.media_servers import ClaimRepository

MANY = 64
Counted = Counter[int]


def nonce(plex: Whole) -> Counted:
    """Exchange one proof, and so one nonce."""
    key = with_key(plex, "mira_quill", PHONE, f"key-{next(numbers)}")
    proof = {"jwt": device_jwt(plex, key, PHONE)}
    return raced(plex, "POST", "/api/v2/auth/token", client=PHONE, body=proof)


def verification_code(plex: Whole) -> Counted:
    """Sign in with one code, a new one each day: those that lose are wrong codes, of which few are looked at."""
    plex.clock.now += 24 * 3600
    code = code_at(plex.clock.now)
    form = f"login=coded&password={PASSWORD}&verificationCode={code}"
    return raced(plex, "POST", "/api/v2/users/signin", client="coded-pc", body=form, headers=FORM)


def claim(plex: Whole) -> Counted:
    """Exchange one claim token, each for another machine."""
    text = plex.ask("GET", "/api/claim/token.json", MIRA).json["token"]
    return Counter(
        answer.status
        for answer in plex.at_once(
            [plex.request("POST", f"/api/claim/exchange?token={text}", client=f"box-{n}") for n in range(MANY)]
        )
    )


def pin(plex: Whole) -> Counted:
    """Approve one PIN, as five people in turn: of each of them five tries may be under way at once."""
    code = plex.ask("POST", "/api/v2/pins?strong=true").json["code"]
    path = f"/api/v2/pins/link?code={code}"
    people = [TOKENS[name] for name in ("mira", "tom", "elsa", "vera", "nils")]
    answers = plex.at_once([plex.request("PUT", path, people[n % len(people)]) for n in range(MANY)])
    return Counter(answer.status for answer in answers)


def link_codes(plex: Whole) -> Counted:
    """Guess link codes; the next round comes once the limit is over."""
    plex.clock.now += 24 * 3600
    return raced(plex, "PUT", "/api/v2/pins/link?code=ZZZ9", MIRA)


def passcodes(plex: Whole) -> Counted:
    """Guess tom's passcode, likewise."""
    plex.clock.now += 24 * 3600
    return raced(plex, "POST", f"/api/v2/home/users/{IDS['tom']}/switch?pin=0000", MIRA)


def raced(plex: Whole, method: str, path: str, token: str | None = None, **more: Any) -> Counted:
    answers = plex.at_once([plex.request(method, path, token, **more) for _ in range(MANY)])
    return Counter(answer.status for answer in answers)


numbers = iter(range(10**6))


# The naive stores: each looks first, and writes what it decided when others have looked, too.


class Crowd:
    """Who has looked waits for so many others to have looked: a race that is lost by no chance."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._looked = 0
        self._enough = asyncio.Event()

    async def gathers(self) -> None:
        self._looked += 1
        if self._looked >= self._size:
            self._enough.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._enough.wait(), 60)


def naive_nonces(instance: Instance) -> None:
    keys, spent, crowd = instance.store.device_keys, set[bytes | None](), Crowd(2)
    grants = keys.add_jwt

    async def add_jwt(*, nonce_digest: bytes | None, **wanted: Any) -> bool:
        if nonce_digest in spent:
            return False
        await crowd.gathers()
        done = await grants(**wanted, nonce_digest=None)
        spent.add(nonce_digest)
        return done

    put(keys, add_jwt=add_jwt)


def naive_codes(instance: Instance) -> None:
    signs_in = instance.store.sign_in

    async def sign_in(wanted: NewSignIn) -> bool:
        return await signs_in(replace(wanted, verification_step=None))

    put(instance.store, sign_in=sign_in)


def naive_claims(instance: Instance) -> None:
    claims, spent, crowd = instance.store.claims, set[bytes](), Crowd(2)
    exchanges: Any = ClaimRepository.exchange

    async def exchange(**wanted: Any) -> Any:
        def once_more(transaction: Transaction) -> Any:
            transaction.execute("UPDATE claim SET spent_at = NULL WHERE digest = ?1", wanted["digest"])
            return exchanges.__wrapped__(claims, transaction, **wanted)

        if wanted["digest"] in spent:
            return False
        await crowd.gathers()
        done = await claims.run_in_transaction(once_more)
        spent.add(wanted["digest"])
        return done

    put(claims, exchange=exchange)


def naive_pins(instance: Instance) -> None:
    store: Any = instance.store
    crowd = Crowd(2)

    async def link(*, pin_id: int, account_id: int, sealed_token: bytes, now: int, **_more: Any) -> bool:
        found = await store.pins.find(pin_id, now)
        if found is None or found.account_id is not None:
            return False
        await crowd.gathers()

        def work(connection: sqlite3.Connection) -> bool:
            values = {"1": pin_id, "2": account_id, "3": now, "4": sealed_token}
            connection.execute(
                "UPDATE pin SET account_id = $2, linked_at = $3, sealed_token = $4 WHERE id = $1", values
            )
            return True

        return bool(await store._writer.run(work))

    put(store.pins, link=link)


def naive_counts(instance: Instance) -> None:
    tried, crowd = Counter[tuple[str, str]](), Crowd(6)

    async def reserve(kind: AttemptKind, subject: str, now: int) -> int | None:
        day = now // 86400
        if tried[kind, f"{subject} {day}"] >= 5:
            return 900
        await crowd.gathers()
        tried[kind, f"{subject} {day}"] += 1
        return None

    put(instance.store.attempts, reserve=reserve)


def no_counts(instance: Instance) -> None:
    """Passcodes of one user take turns, so looking first is no harm there; not counting is."""

    async def reserve(_kind: AttemptKind, _subject: str, _now: int) -> int | None:
        return None

    put(instance.store.attempts, reserve=reserve)


def put(place: object, **verbs: Any) -> None:
    for name, verb in verbs.items():
        assert hasattr(place, name)
        setattr(place, name, verb)


def coded() -> dict[str, Any]:
    """The household, and somebody who signs in with codes."""
    made = household()
    one = next(each for each in made["account"] if each["username"] == "nils")
    made["account"].append(
        {
            "username": "coded",
            "email": "coded@example.test",
            "verification_secret": SECRET,
            "password_hash": one["password_hash"],
        }
    )
    return made


# What is raced, how often, the status of who wins, how many do, what the others are told, and the naive store.
RACES: dict[str, tuple[Callable[[Whole], Counted], int, int, int, set[int], Change]] = {
    "nonce": (nonce, 8, 200, 1, {422}, naive_nonces),
    "verification code": (verification_code, 8, 201, 1, {401, 503}, naive_codes),
    "claim token": (claim, 6, 200, 1, {404}, naive_claims),
    "PIN": (pin, 8, 204, 1, {404, 429}, naive_pins),
    "link code attempts": (link_codes, 10, 404, 5, {429}, naive_counts),
    "passcode attempts": (passcodes, 8, 403, 5, {429, 503}, no_counts),
}


@pytest.mark.parametrize("name", RACES)
def test_of_many_at_once(tmp_path: Path, name: str) -> None:
    """64 at once, round after round: exactly one wins, or exactly as many as the limit allows are looked at."""
    race, rounds, won, most, others, _ = RACES[name]
    with Whole(coded(), db=f"sqlite:///{tmp_path / 'plex.db'}") as plex:
        for _ in range(rounds):
            found = race(plex)
            assert (most, MANY) == (found[won], found.total())
            assert {won, *others} >= found.keys()


@pytest.mark.parametrize("name", RACES)
def test_a_naive_store_is_noticed(tmp_path: Path, name: str) -> None:
    """Each race has power: a store that looks first and writes later lets more of them win."""
    race, _, won, most, _, change = RACES[name]
    with Whole(coded(), db=f"sqlite:///{tmp_path / 'plex.db'}", change=change) as plex:
        assert any(race(plex)[won] > most for _ in range(3))
