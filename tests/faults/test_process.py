"""Clocks that jump, little memory, few descriptors, a busy processor, and a stop under load."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Require
from tests.faults.conftest import BEN
from tests.faults.load import Ledger, assert_kept, clients, sign_in_and_out
from tests.faults.serving import (
    HANG,
    ROUNDS,
    Answer,
    Serving,
    ask,
    assert_consistent,
    new_address,
    serving,
    until,
)
from tests.local_plex.asking import Clock
from tests.local_plex.whole import HASH, PASSWORD
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.world.schema import World
from ticketstub.local_plex.world.verification_codes import generate_code
from ticketstub.tokens import Secret

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
EVA = {"login": "eva", "password": PASSWORD}


def fact(plex: Serving, name: str) -> int:
    """Return a number of /proc's status: threads, or kilobytes of memory."""
    found = re.search(rf"(?m)^{name}:\s+(\d+)", Path(f"/proc/{plex.pid}/status").read_text("ascii"))
    assert found
    return int(found[1])


def descriptors(plex: Serving) -> int:
    """Count the open descriptors of a process."""
    return len(os.listdir(f"/proc/{plex.pid}/fd"))  # noqa: PTH208  # no paths are needed


@pytest.mark.parametrize("jump", [-3600, 50 * 3600, 0])
def test_f_sq_11_a_clock_that_jumps(tmp_path: Path, jump: int) -> None:
    """F-SQ-11: over a clock set back, ahead or frozen, what ended stays so, a code is spent once, a lock-out holds.

    I5: set back or frozen, the account is still locked; I11: set ahead, an earlier PIN is over; so after a restart.
    """
    clock, database = Clock(), f"sqlite:///{tmp_path}/plex.db"
    accounts = [
        {"username": "ana", "email": "ana@example.test", "password_hash": HASH, "verification_secret": SECRET},
        {"username": "eva", "email": "eva@example.test", "password_hash": HASH},
    ]
    world = World.from_dict({"account": accounts})

    def sign_in(port: int, login: str, password: str) -> int:
        form = {"login": login, "password": password}
        answer = ask(port, "POST", "/api/v2/users/signin", form=form, address=new_address())
        assert answer is not None
        return answer.status

    code = generate_code(Secret(SECRET), clock.now)
    pin: Answer | None = None
    for jumped in (False, True, True):
        with LocalPlex(world, db=database, clock=clock).run_in_thread() as plex:
            port = int(plex.url.rpartition(":")[2])
            if not jumped:
                assert [401] * 10 == [sign_in(port, "eva", "wrong") for _ in range(10)]
                assert 201 == sign_in(port, "ana", PASSWORD + code)
                pin = ask(port, "POST", "/api/v2/pins")
                clock.now += jump
            assert 401 == sign_in(port, "ana", PASSWORD + code), "a code was spent twice"
            assert (201 if jump > 0 else 401) == sign_in(port, "eva", PASSWORD)
            assert pin is not None
            polled = ask(port, "GET", f"/api/v2/pins/{pin.json['id']}")
            assert polled is not None
            assert (404 if jump > 0 else 200) == polled.status


def test_f_sq_12_little_memory(folder: Path, require: Require) -> None:
    """F-SQ-12: 64 sign-ins at once of real cost need no more memory than the pool allows; those beyond it are 503."""
    tool = require("prlimit", "install util-linux")
    costly = '[[account]]\nusername = "zoe"\nemail = "zoe@example.test"\npassword = "paper-lantern-42"\n'
    with (folder / "world.toml").open("a", encoding="utf-8") as file:
        file.write(costly)
    limit = 1 << 30  # of addresses, not of memory: what is mapped and never touched counts
    with serving(folder, before=[tool, f"--as={limit}"]) as plex:
        base = fact(plex, "VmRSS"), fact(plex, "Threads"), descriptors(plex)
        form = {"login": "zoe", "password": PASSWORD}

        def sign_in(_number: int) -> int:
            answer = plex.ask("POST", "/api/v2/users/signin", form=form, address=new_address())
            assert answer is not None
            return answer.status

        with ThreadPoolExecutor(64) as pool:
            answers = list(pool.map(sign_in, range(96 * ROUNDS)))
        assert {201, 503} == set(answers)
        assert fact(plex, "VmHWM") < 150 * 1024
        until(lambda: descriptors(plex) <= base[2] + 2, "I12: descriptors are left open")
        assert fact(plex, "Threads") <= base[1] + (os.cpu_count() or 1) + 1
        assert 201 == sign_in(0)


def test_f_sq_13_stopped_under_load(folder: Path) -> None:
    """F-SQ-13: stopped under load, it exits with 0; each request is answered or had no effect (I1)."""
    ledger = Ledger()
    for _ in range(2 * ROUNDS):
        with serving(folder) as plex, clients(plex, ledger):
            until(lambda: ledger_of(plex) > 0, "nothing was written")
            assert 0 == plex.terminate()
        assert_consistent(folder)
        with serving(folder) as again:
            approved = [pin for pin in ledger.doubtful if _is_approved(again, pin["id"])]
            assert [] == approved, "an approval took effect and was not answered"
            assert_kept(ledger, again)
    assert ledger.alive


def ledger_of(plex: Serving) -> int:
    """Run one more action, and count it."""
    return sign_in_and_out(plex.port, Ledger(), leaves=True)


def _is_approved(plex: Serving, number: int) -> bool:
    answer = plex.ask("GET", f"/api/v2/pins/{number}", address=new_address())
    return answer is not None and answer.status == 200 and bool(answer.json["authToken"])


def test_f_sq_14_no_descriptors_left(folder: Path, require: Require) -> None:
    """F-SQ-14: with 64 descriptors and 200 connections, it neither ends nor stays deaf once these have left.

    I7: it goes on without a restart; I12: no descriptor is left open.
    """
    tool = require("prlimit", "install util-linux")
    with serving(folder, before=[tool, "--nofile=64"]) as plex:
        base, ledger = descriptors(plex), Ledger()
        assert sign_in_and_out(plex.port, ledger, leaves=False)
        idle = [socket.create_connection(("127.0.0.1", plex.port), HANG) for _ in range(200)]
        until(lambda: descriptors(plex) >= 60, "no power: it has descriptors left")
        for each in idle:
            each.close()
        until(lambda: sign_in_and_out(plex.port, Ledger(), leaves=True), "it stays deaf")
        until(lambda: descriptors(plex) <= base + 2, "descriptors are left open")
        assert_kept(ledger, plex)
        assert 0 == plex.terminate()
    assert_consistent(folder)


def test_f_sq_15_a_busy_processor(folder: Path, require: Require) -> None:
    """F-SQ-15: on one processor with a busy neighbour, right passwords are answered 201 or 503 and lock nobody out."""
    tool = require("taskset", "install util-linux")
    processor = str(min(os.sched_getaffinity(0)))
    busy = subprocess.Popen([tool, "-c", processor, sys.executable, "-c", "while True: pass"])
    try:
        with serving(folder, before=[tool, "-c", processor]) as plex:
            ledger, checks = Ledger(), list[int]()

            def sign_in(_number: int) -> int:
                answer = plex.ask("POST", "/api/v2/users/signin", form=EVA, address=new_address())
                checked = plex.ask("GET", "/api/v2/user", BEN)
                assert answer is not None
                assert checked is not None
                checks.append(checked.status)
                return answer.status

            with clients(plex, ledger, 1), ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(sign_in, range(16 * ROUNDS)))
            assert {200} == set(checks)
            assert {201} <= set(answers) <= {201, 503}
            assert ([], 0, 0) == (ledger.wrong, ledger.unanswered, ledger.locked)
            assert 201 == sign_in(0)
    finally:
        busy.kill()
        busy.wait()
