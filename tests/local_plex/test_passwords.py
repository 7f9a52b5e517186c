"""Password checks: one argon2 verification each, in a bounded pool."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest
from argon2 import PasswordHasher, Type

from tests.tables import every
from ticketstub.local_plex.domain.passwords import KeyedLock, Overloaded, PasswordChecker
from ticketstub.local_plex.world.values import MAX_PASSWORD_BYTES, find_hash_fault
from ticketstub.local_plex.world.verification_codes import find_matching_step
from ticketstub.tokens import Secret

pytestmark = pytest.mark.usefixtures("costly_hashes")
RIGHT, WRONG = Secret("paper-lantern-42"), Secret("paper-lantern-43")
BARE = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(RIGHT.reveal(), salt=b"0123456789abcdef")


@pytest.fixture(name="passwords")
def _passwords():
    passwords = PasswordChecker(workers=1)
    yield passwords
    passwords.close()


async def test_hash_and_verify(passwords):
    """A stored hash accepts only its password."""
    stored = await passwords.hash(RIGHT)
    assert await passwords.verify(stored, RIGHT)
    assert not await passwords.verify(stored, WRONG)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_hash_of_a_world(passwords):
    """A world's `password_hash` is verified as it is."""
    assert passwords.verify_blocking(BARE, RIGHT)
    assert not passwords.verify_blocking(BARE, WRONG)


def test_a_password_of_a_world():
    """In memory a world's password is remembered under a name that reveals nothing; in a file it is hashed."""
    passwords = PasswordChecker(workers=1, remember=True)
    names = [passwords.hash_or_remember(RIGHT) for _ in range(2)]
    assert 2 == len(set(names))
    assert not any(RIGHT.reveal() in name or name.startswith("$argon2id$") for name in names)
    assert [True, False] == [passwords.verify_blocking(names[0], typed) for typed in (RIGHT, WRONG)]
    assert not PasswordChecker(workers=1, remember=True).verify_blocking(names[0], RIGHT)
    assert PasswordChecker(workers=1).hash_or_remember(RIGHT).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


class Counting:
    """A hasher that records what it verifies."""

    def __init__(self, hasher):
        self.hasher = hasher
        self.verified = []

    def verify(self, phc, password):
        self.verified.append(phc)
        return self.hasher.verify(phc, password)


@pytest.mark.parametrize(
    "stored",
    [None, "", "nonsense", BARE, "remembered:" + "0" * 32, BARE.replace("m=64", "m=999999"), BARE[:-3] + "AAA"],
)
@pytest.mark.parametrize("typed", [RIGHT, Secret(""), Secret("x" * (MAX_PASSWORD_BYTES + 1)), Secret("\ud800")])
async def test_exactly_one_verification(passwords, stored, typed):
    """S3: each check costs one argon2 verification, whatever is stored and whatever was typed."""
    passwords._hasher = counting = Counting(passwords._hasher)
    answer = await passwords.verify(stored, typed)
    (phc,) = counting.verified
    assert find_hash_fault(phc) is None
    assert answer == (stored == BARE and typed == RIGHT)


def test_the_dummy_costs_what_a_real_one_does(passwords):
    """S3: for an unknown account, the verified hash has the same parameters as new hashes."""
    assert passwords.hash_blocking(RIGHT).split("$")[:4] == passwords._dummy.split("$")[:4]
    assert find_hash_fault(passwords._dummy) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("m=64", "m=262145"), "costs too much"),
        (("t=1", "t=21"), "costs too much"),
        (("p=1", "p=5"), "costs too much"),
        (("m=64", "m=7"), "does not allow"),
        (("argon2id", "argon2i"), "must be an argon2id hash"),
        (("v=19", "v=16"), "must be an argon2id hash"),
    ],
)
def test_costly_hashes_are_refused(change, reason):
    """S14: a foreign hash cannot use up memory or time, and the reason does not repeat it."""
    changed = BARE.replace(*change)
    fault = str(find_hash_fault(changed))
    assert reason in fault
    assert BARE.split("$")[-1] not in fault


def test_other_kinds_of_argon2_are_refused():
    """Only argon2id is accepted."""
    assert find_hash_fault(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1, type=Type.D).hash("x"))


class Gate:
    """Work that ends on demand."""

    def __init__(self):
        self.began = threading.Semaphore(0)
        self.end = threading.Event()
        self.runs = 0

    def __call__(self):
        self.runs += 1
        self.began.release()
        assert self.end.wait(60)
        return self.runs


async def _begun(gate):
    assert await asyncio.to_thread(gate.began.acquire, timeout=60)


async def test_overload_is_told_at_once():
    """S14: one job runs, 16 wait, and the next one is refused."""
    gate, pool = Gate(), PasswordChecker(1)
    tasks = [asyncio.create_task(pool._run_in_pool(gate)) for _ in range(17)]
    await _begun(gate)
    with pytest.raises(Overloaded):
        await pool._run_in_pool(gate)
    gate.end.set()
    assert list(range(1, 18)) == sorted(await asyncio.gather(*tasks))
    pool.close()


async def test_the_permit_belongs_to_the_job():
    """A client that disconnects frees no slot while its job runs, and a waiting job is dropped."""
    gate, pool = Gate(), PasswordChecker(1, 1)
    running = asyncio.create_task(pool._run_in_pool(gate))
    await _begun(gate)
    waiting = asyncio.create_task(pool._run_in_pool(gate))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await pool._run_in_pool(gate)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    with pytest.raises(Overloaded):
        await pool._run_in_pool(gate)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    gate.end.set()
    assert 2 == await pool._run_in_pool(gate)
    pool.close()
    await asyncio.to_thread(pool._pool.shutdown)
    assert 2 == pool._permits._value


async def test_closing_drops_what_waits():
    """A closed pool finishes running jobs, drops waiting ones and accepts no more."""
    gate, pool = Gate(), PasswordChecker(1)
    running = asyncio.create_task(pool._run_in_pool(gate))
    await _begun(gate)
    waiting = asyncio.create_task(pool._run_in_pool(gate))
    await asyncio.sleep(0)
    pool.close()
    gate.end.set()
    assert 1 == await running
    with pytest.raises(Overloaded):
        await waiting
    with pytest.raises(Overloaded):
        await pool._run_in_pool(gate)


async def test_errors_reach_whoever_waits():
    """An exception of a job is raised in its caller, and the worker continues."""
    pool = PasswordChecker(1)
    with pytest.raises(ZeroDivisionError):
        await pool._run_in_pool(lambda: 1 / 0)
    assert 1 == await pool._run_in_pool(lambda: 1)
    pool.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux threads have a niceness")
async def test_workers_step_back():
    """A worker has niceness 5: the event loop comes first, and a busy machine does not starve sign-ins."""
    pool = PasswordChecker(1)
    niceness = await pool._run_in_pool(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    assert max(5, os.getpriority(os.PRIO_PROCESS, 0)) == niceness
    pool.close()


def test_one_worker_on_two_cores(monkeypatch):
    """One core is left to the event loop, and there is at least one worker."""
    for cores, workers in ((1, 1), (2, 1), (8, 7), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert workers == PasswordChecker()._pool._max_workers


async def test_one_after_the_other_for_each_subject() -> None:
    """Holders of one key take turns in the order in which they came; other keys do not wait."""
    turns, seen, gate = KeyedLock(), list[str](), asyncio.Event()

    async def take(subject: str, name: str) -> None:
        async with turns.hold(subject):
            seen.append(name)
            if subject == "a":
                await gate.wait()
            seen.append(name)

    tasks = [asyncio.create_task(take(*each)) for each in (("a", "1"), ("a", "2"), ("b", "3"))]
    for _ in range(5):
        await asyncio.sleep(0)
    assert ["1", "3", "3"] == seen
    gate.set()
    await asyncio.gather(*tasks)
    assert ["1", "3", "3", "1", "2", "2"] == seen
    assert {} == turns._locks


async def test_too_many_are_told_at_once() -> None:
    """Beyond one holder and two waiters everybody is refused, and a waiter that gives up makes room."""
    turns, gate = KeyedLock(max_waiting=2), asyncio.Event()

    async def take() -> None:
        async with turns.hold("a"):
            await gate.wait()

    tasks = [asyncio.create_task(take()) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await take()
    tasks[1].cancel()
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(take()))
    gate.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [None, asyncio.CancelledError, None, None] == [type(each) if each else None for each in done]
    assert {} == turns._locks


async def test_a_failure_ends_a_turn() -> None:
    """An error of one holder lets the next one continue."""
    turns = KeyedLock()
    with pytest.raises(ZeroDivisionError):
        async with turns.hold("a"):
            raise ZeroDivisionError
    async with turns.hold("a"):
        assert ["a"] == list(turns._locks)
    assert {} == turns._locks


RFC_6238 = Secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")


@every(
    ("now", "code", "step"),
    [
        # RFC 6238, appendix B (SHA-1), the last six digits.
        (59, "287082", 1),
        (1111111109, "081804", 37037036),
        (20000000000, "353130", 666666666),
        # One step of clock difference either way, and no more.
        (89, "287082", 1),
        (90, "287082", None),
        (0, "287082", 1),
        # Six ASCII digits, and nothing else.
        (59, " 287082", None),
        (59, "28708", None),
        (59, "0287082", None),
        (59, "٢٨٧٠٨٢", None),
        (59, "94287082", None),
        (59, "", None),
    ],
)
def test_matching_step(now, code, step):
    """S5: a code gives its time step, which the store then uses up."""
    assert step == find_matching_step(RFC_6238, Secret(code), now)
