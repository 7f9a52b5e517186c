"""Password checks: one argon2 verification each, in a pool that says no early."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest
from argon2 import PasswordHasher, Type

from ticketstub.server.keys import Keys
from ticketstub.server.passwords import LONGEST, Passwords, hash_fault
from ticketstub.server.pool import Overloaded, Pool
from ticketstub.server.verification import matching_step
from ticketstub.token import Secret

pytestmark = pytest.mark.usefixtures("costly_hashes")
RIGHT, WRONG = Secret("paper-lantern-42"), Secret("paper-lantern-43")
BARE = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(RIGHT.reveal(), salt=b"0123456789abcdef")


@pytest.fixture(name="passwords")
def _passwords():
    passwords = Passwords(Keys(b"s" * 32), workers=1)
    yield passwords
    passwords.close()


async def test_hash_and_verify(passwords):
    """A stored hash accepts its password only, and names the key it was peppered with."""
    stored = await passwords.hash(RIGHT, "127.0.0.1")
    assert await passwords.verify(stored, RIGHT, "127.0.0.1")
    assert not await passwords.verify(stored, WRONG, "127.0.0.1")
    assert stored.startswith(f"pepper:{Keys(b's' * 32).id}:$argon2id$v=19$m=19456,t=2,p=1$")
    assert not passwords.needs_rehash(stored)


async def test_the_pepper_matters(passwords):
    """Without the instance's key a hash matches nothing, not even as a bare one."""
    stored = await passwords.hash(RIGHT, "127.0.0.1")
    stranger = Passwords(Keys(b"t" * 32))
    assert not stranger.verify_now(stored, RIGHT)
    assert not passwords.verify_now(stored.rpartition(":")[2], RIGHT)


def test_a_bare_hash_of_a_world(passwords):
    """A world's `password_hash` is verified as it is, and wants to be hashed anew."""
    assert passwords.verify_now(BARE, RIGHT)
    assert not passwords.verify_now(BARE, WRONG)
    assert passwords.needs_rehash(BARE)


class Counting:
    """A hasher that notes what it verifies."""

    def __init__(self, hasher):
        self.hasher = hasher
        self.verified = []

    def verify(self, phc, password):
        self.verified.append(phc)
        return self.hasher.verify(phc, password)


@pytest.mark.parametrize(
    "stored",
    [None, "", "nonsense", BARE, "pepper:00000000:" + BARE, BARE.replace("m=64", "m=999999"), BARE[:-3] + "AAA"],
)
@pytest.mark.parametrize("typed", [RIGHT, Secret(""), Secret("x" * (LONGEST + 1)), Secret("\ud800")])
async def test_exactly_one_verification(passwords, stored, typed):
    """S3: each check costs one argon2 verification, whatever is stored and whatever was typed."""
    passwords._hasher = counting = Counting(passwords._hasher)
    answer = await passwords.verify(stored, typed, "127.0.0.1")
    (phc,) = counting.verified
    assert hash_fault(phc) is None
    assert 1 == passwords.verifications
    assert answer == (stored == BARE and typed == RIGHT)


def test_the_dummy_costs_what_a_real_one_does(passwords):
    """S3: where there is no account, the parameters verified are those that passwords are hashed with now."""
    assert passwords.hash_now(RIGHT).split(":")[2].split("$")[:4] == passwords._dummy.split("$")[:4]
    assert hash_fault(passwords._dummy) is None


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
    """S14: a foreign hash cannot take all memory or time; the reason does not repeat it."""
    changed = BARE.replace(*change)
    fault = str(hash_fault(changed))
    assert reason in fault
    assert BARE.split("$")[-1] not in fault


def test_other_kinds_of_argon2_are_refused():
    """Only argon2id is taken."""
    assert hash_fault(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1, type=Type.D).hash("x"))


class Gate:
    """Work that ends when it is told to."""

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
    """S14: one runs, 16 wait, and the next is refused while they still do."""
    gate, pool = Gate(), Pool(1)
    tasks = [asyncio.create_task(pool.run(gate, f"10.0.0.{number}")) for number in range(17)]
    await _begun(gate)
    with pytest.raises(Overloaded) as caught:
        await pool.run(gate, "10.0.1.1")
    assert 1 == caught.value.retry_after
    gate.end.set()
    assert list(range(1, 18)) == sorted(await asyncio.gather(*tasks))
    pool.close()


async def test_one_address_has_its_share():
    """S14: an address with four jobs gets no fifth; another address is served."""
    gate, pool = Gate(), Pool(1)
    tasks = [asyncio.create_task(pool.run(gate, "10.0.0.1")) for _ in range(4)]
    await _begun(gate)
    with pytest.raises(Overloaded):
        await pool.run(gate, "10.0.0.1")
    tasks.append(asyncio.create_task(pool.run(gate, "10.0.0.2")))
    gate.end.set()
    assert 5 == len(await asyncio.gather(*tasks))
    pool.close()


async def test_the_permit_belongs_to_the_job():
    """A client that goes away frees no slot while its job runs, and a job that waits is dropped unrun."""
    gate, pool = Gate(), Pool(1, 1)
    running = asyncio.create_task(pool.run(gate, "10.0.0.1"))
    await _begun(gate)
    waiting = asyncio.create_task(pool.run(gate, "10.0.0.2"))
    await asyncio.sleep(0)
    running.cancel()
    waiting.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    with pytest.raises(Overloaded):
        await pool.run(gate, "10.0.0.3")
    gate.end.set()
    pool.close()
    await asyncio.to_thread(pool._threads[0].join, 60)
    assert 1 == gate.runs
    assert 0 == pool._held.total()


async def test_what_waited_too_long_is_dropped():
    """A job older than a minute is not begun any more."""
    now = [0.0]
    gate, pool = Gate(), Pool(1, clock=lambda: now[0])
    running = asyncio.create_task(pool.run(gate, "10.0.0.1"))
    await _begun(gate)
    waiting = asyncio.create_task(pool.run(gate, "10.0.0.2"))
    await asyncio.sleep(0)
    now[0] = 60.1
    gate.end.set()
    assert 1 == await running
    with pytest.raises(Overloaded):
        await waiting
    assert 1 == gate.runs
    pool.close()


async def test_a_slow_machine_drops_no_sign_in():
    """A sign-in that waited half a minute on a slow or busy machine is still hashed: only the queue has a bound."""
    now = [0.0]
    gate, pool = Gate(), Pool(1, clock=lambda: now[0])
    tasks = [asyncio.create_task(pool.run(gate, f"10.0.0.{number}")) for number in range(8)]
    await _begun(gate)
    now[0] = 30.0
    gate.end.set()
    assert list(range(1, 9)) == sorted(await asyncio.gather(*tasks))
    pool.close()


async def test_closing_drops_what_waits():
    """A closed pool finishes what runs, drops what waits and takes nothing more."""
    gate, pool = Gate(), Pool(1)
    running = asyncio.create_task(pool.run(gate, "10.0.0.1"))
    await _begun(gate)
    waiting = asyncio.create_task(pool.run(gate, "10.0.0.2"))
    await asyncio.sleep(0)
    pool.close()
    gate.end.set()
    assert 1 == await running
    with pytest.raises(Overloaded):
        await waiting
    with pytest.raises(Overloaded):
        await pool.run(gate, "10.0.0.3")


async def test_errors_reach_whoever_waits():
    """An exception of the work is raised where it was asked for, and the worker lives on."""
    pool = Pool(1)
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 / 0, "10.0.0.1")
    assert 1 == await pool.run(lambda: 1, "10.0.0.1")
    pool.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux threads have a niceness")
async def test_workers_step_back():
    """A worker's niceness is 5: the event loop wins, and a busy machine does not starve sign-ins."""
    pool = Pool(1)
    niceness = await pool.run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), "10.0.0.1")
    assert max(5, os.getpriority(os.PRIO_PROCESS, 0)) == niceness
    pool.close()


def test_one_worker_on_two_cores(monkeypatch):
    """One core is left to the event loop, and there is always a worker."""
    for cores, workers in ((1, 1), (2, 1), (8, 7), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert workers == Pool()._workers


RFC_6238 = Secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")


@pytest.mark.parametrize(
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
    """S5: a code tells the step it belongs to, which the store then spends."""
    assert step == matching_step(RFC_6238, Secret(code), now)
