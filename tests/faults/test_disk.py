"""Crashes and failing disks: acknowledged writes are kept, and failed writes are not acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Require
from tests.faults.conftest import ANA, APPROVERS, BEN
from tests.faults.load import Ledger, assert_kept, clients, sign_in_and_out
from tests.faults.serving import (
    HANG,
    ROUNDS,
    Answer,
    Serving,
    ask,
    assert_consistent,
    begin,
    end,
    new_address,
    serving,
    strace,
    until,
)
from tests.local_plex.whole import PASSWORD
from ticketstub.local_plex.storage import sqlite_file
from ticketstub.local_plex.storage.database import ThreadWriter

NORMAL = ("-m", "tests.faults.defective", "normal")
"""The command with `synchronous=NORMAL`, which acknowledges writes before they are on the disk."""


def wrong_password(plex: Serving) -> bool:
    """Sign in as eva with a wrong password; return whether there was a response."""
    answer = plex.ask("POST", "/api/v2/users/signin", form={"login": "eva", "password": "wrong"}, address=new_address())
    return answer is not None and answer.status == 401


def test_f_sq_1_kill_9_loop(folder: Path) -> None:
    """F-SQ-1: over kills at random moments under load, I1 to I5, I8 and I10 hold.

    No answered write is lost, nothing that ended is back, no PIN is approved twice, the ten wrong passwords of an
    account are ten over all rounds, the database is whole, and transient tokens end with the process.
    """
    chance, ledger, failures, promised = random.Random(1), Ledger(), 0, 0
    transient = ""
    for _ in range(3 * ROUNDS):
        with serving(folder) as plex:
            attic = int(plex.process.address("Attic").rpartition(":")[2])
            if transient:
                again = ask(attic, "GET", "/security/token?type=delegation&scope=all", transient)
                assert again is not None
                assert 401 == again.status, "I10: a transient token outlived its process"
            assert_kept(ledger, plex)
            made = ask(attic, "GET", "/security/token?type=delegation&scope=all", ANA)
            assert made is not None
            transient = made.json["MediaContainer"]["token"]
            failures += failures < 10 and wrong_password(plex)
            failures += failures < 10 and wrong_password(plex)
            with clients(plex, ledger):
                time.sleep(chance.uniform(0.05, 0.5))  # no condition to wait for: any moment is meant
                plex.kill()
        promised += ledger.promised
        assert_consistent(folder)
    with serving(folder) as plex:
        assert_kept(ledger, plex)
        while failures < 10:
            failures += wrong_password(plex)
        right = {"login": "eva", "password": PASSWORD}
        locked = plex.ask("POST", "/api/v2/users/signin", form=right, address=new_address())
        assert locked is not None
        assert 401 == locked.status, "I5: a kill took failures back"
    assert promised > 20 * ROUNDS, "no power: hardly anything was written"


@pytest.mark.parametrize(("call", "moment"), [("fdatasync", 14), ("pwrite64", 50), ("write", 45)])
def test_f_sq_2_a_crash_at_each_sync_and_write(folder: Path, tracer: str, call: str, moment: int) -> None:
    """F-SQ-2: after a kill at the k-th sync, log write or response, I1, I3 and I8 hold."""
    ledger, rounds, number = Ledger(), 0, moment
    with serving(folder):
        pass
    while rounds < ROUNDS:  # a round counts where something was promised before the kill
        before = strace(tracer, f"{call}:signal=KILL:when={number}")
        promised = ledger.promised
        with serving(folder, before=before) as plex, clients(plex, ledger, 2):
            plex.process.popen.wait(HANG)
        rounds += ledger.promised > promised
        number += 3
        assert number < moment + 300, "no power: nothing was written before"
        assert_consistent(folder)
        with serving(folder) as again:
            assert_kept(ledger, again)


SYNCED = re.compile(r"(?:fdatasync|fsync)\(|<\.\.\. (?:fdatasync|fsync) resumed")


def unsynced(log: Path) -> tuple[int, int]:
    """Count the writes that a trace has the answers of, and those of them that no sync came before."""
    writes, without, synced, open_ = 0, 0, False, False
    for line in log.read_text("utf-8", "replace").splitlines():
        if re.search(r' read\(\d+, "(?:POST /api/v2/pins|PUT /api/v2/pins/link|DELETE )', line):
            open_, synced = True, False
        elif SYNCED.search(line) and "unfinished" not in line:
            synced = True
        elif open_ and (answered := re.search(r' write\(\d+, "HTTP/1\.1 (\d)', line)):
            writes, without, open_ = writes + (answered[1] == "2"), without + (answered[1] == "2" and not synced), False
    return writes, without


@pytest.mark.parametrize("defective", [False, True])
def test_f_sq_3_answers_come_after_the_sync(folder: Path, tracer: str, defective: bool) -> None:
    """F-SQ-3: between a write's request and its 2xx there is a sync to the disk; `synchronous=NORMAL` would be seen."""
    log = folder / "trace"
    before = strace(tracer, trace="fdatasync,fsync,read,write", log=log)
    with serving(folder, before=before, program=NORMAL if defective else ("-m", "ticketstub")) as plex:
        ledger = Ledger()
        for _ in range(4 * ROUNDS):
            assert sign_in_and_out(plex.port, ledger, leaves=True)
        assert 0 == plex.terminate()
    writes, without = unsynced(log)
    assert 3 * 4 * ROUNDS == writes, "no power: the trace does not have the answers"
    assert (without > 0) is defective


def test_f_sq_4_a_sync_that_fails(folder: Path, tracer: str) -> None:
    """F-SQ-4, I6: if a sync fails with EIO, the write is 503 and not acknowledged, and later writes are kept."""
    ledger = Ledger()
    with serving(folder):
        pass
    with serving(folder, before=strace(tracer, "fdatasync:error=EIO:when=7+5")) as plex:
        with clients(plex, ledger, 4):
            for approver in APPROVERS[8 : 8 + 2 * ROUNDS]:
                for _ in range(5):
                    sign_in_and_out(plex.port, ledger, leaves=True, approver=approver)
        assert ([], 0) == (ledger.wrong, ledger.unanswered)
        assert ledger.refused > 3, "no power: no sync failed"
        assert ledger.promised > 3, "nothing is written any more"
        plex.kill()
    assert_consistent(folder)
    with serving(folder) as again:
        assert_kept(ledger, again)


def test_f_sq_5_a_full_disk(folder: Path, require: Require) -> None:
    """F-SQ-5: on a full disk writes are answered 503 and reads go on; with room again it goes on by itself (I7).

    The log of answers is on the same disk: that it cannot be written stops nothing.
    """
    shell = require("unshare", "install util-linux")
    disk = folder / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=3m tmpfs "{disk}" && cp "{folder}/world.toml" "{disk}" && exec "$@" > "{disk}/log"'
    allowed = subprocess.run(
        [shell, "-rm", "sh", "-c", f'mount -t tmpfs tmpfs "{disk}"'], check=False, capture_output=True
    )
    if allowed.returncode:
        pytest.skip("no mount namespaces for this user")
    process = begin(disk, "--log", before=[shell, "-rm", "sh", "-c", mount, "sh"], cwd=folder)
    try:
        _on_a_full_disk(process.popen.pid, disk)
    finally:
        end(process)


def _on_a_full_disk(pid: int, disk: Path) -> None:
    """Fill the disk of a process that serves there, ask it, and free the disk."""
    seen = Path(f"/proc/{pid}/root{disk}")
    until(lambda: (seen / "log").exists() and "ready" in (seen / "log").read_text("utf-8"), "it is not ready")
    port = int(re.findall(r"plex\.tv +http://127\.0\.0\.1:(\d+)", (seen / "log").read_text("utf-8"))[0])
    ledger = Ledger()
    for _ in range(5):
        sign_in_and_out(port, ledger, leaves=False)
    with contextlib.suppress(OSError), (seen / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"x" * 4096):
            pass
    while not ledger.refused:  # the log may have room in the pages that it has
        sign_in_and_out(port, ledger, leaves=True)
    for _ in range(20):
        sign_in_and_out(port, ledger, leaves=True)
        for token in ledger.alive:
            answer = ask(port, "GET", "/api/v2/user", token)
            assert answer is not None
            assert 200 == answer.status
    assert ledger.refused > 10
    (seen / "filler").unlink()
    promised = ledger.promised
    until(lambda: sign_in_and_out(port, ledger, leaves=True), "it does not go on")
    assert ledger.promised > promised
    assert ([], 0) == (ledger.wrong, ledger.unanswered)
    with closing(sqlite3.connect(seen / "plex.db")) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()


def test_f_sq_6_no_room_for_the_log(folder: Path, tracer: str) -> None:
    """F-SQ-6: where every write to the disk fails with ENOSPC from some moment on, reads go on; no secret is said."""
    ledger = Ledger()
    with serving(folder):
        pass
    with serving(folder, "--log", before=strace(tracer, "pwrite64:error=ENOSPC:when=150+")) as plex:
        until(lambda: not sign_in_and_out(plex.port, ledger, leaves=False), "no write fails")
        for _ in range(10):
            sign_in_and_out(plex.port, ledger, leaves=True)
            answer = plex.ask("GET", "/api/v2/user", ANA)
            assert answer is not None
            assert 200 == answer.status
        assert ledger.refused > 10
        assert ledger.unanswered == 0
        plex.kill()
        with contextlib.suppress(AssertionError):  # to its end
            plex.process.wait_for("never said", HANG)
        assert plex.process.popen.stderr is not None
        said = "\n".join([*plex.process.lines, plex.process.popen.stderr.read()])
    assert " 503 " in said
    for secret in (ANA, BEN, PASSWORD, *ledger.alive):
        assert secret not in said
    with serving(folder) as again:
        assert_kept(ledger, again)


def test_f_sq_7_a_slow_disk(folder: Path, tracer: str) -> None:
    """F-SQ-7: during a slow sync, reads are answered without waiting, and no thread is left over (I12)."""
    with serving(folder):
        pass
    with serving(folder, before=strace(tracer, "fdatasync:delay_enter=1500ms:when=4+")) as plex:
        assert sign_in_and_out(plex.port, Ledger(), leaves=True)
        threads, answers = threads_of(plex), list[Answer | None]()

        def write() -> None:
            answers.append(plex.ask("POST", "/api/v2/pins", address=new_address()))

        writing = threading.Thread(target=write)
        writing.start()
        reads = 0
        while writing.is_alive():
            answer = plex.ask("GET", "/api/v2/user", ANA)
            assert answer is not None
            assert 200 == answer.status
            reads += 1
        assert [201] == [answer and answer.status for answer in answers]
        assert reads > 5, "reads wait for the disk"
        assert threads == threads_of(plex)


def threads_of(plex: Serving) -> int:
    """Return the number of threads of a process."""
    return len(list(Path(f"/proc/{plex.pid}/task").iterdir()))


async def test_f_sq_10_forced_checkpoints(tmp_path: Path) -> None:
    """F-SQ-10: while another connection truncates the log over and over, many writers lose nothing (I8).

    SQLite before 3.51.3 could, with two connections that checkpoint: ours never checkpoints but by the one that writes.
    """
    path = tmp_path / "plex.db"
    sqlite_file.prepare_database(path)
    writer = ThreadWriter(lambda: sqlite_file.open_writer(path, None))
    over, truncated = threading.Event(), [0]

    def truncate() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            while not over.is_set():
                busy, *_ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                truncated[0] += not busy

    async def write(first: int) -> int:
        done = 0
        while done < 200 * ROUNDS or (truncated[0] <= 3 and time.monotonic() < hangs):
            number = first + done
            statement = "INSERT INTO attempt (kind, subject, tally) VALUES ('x', $1, $2)"
            values = {"1": str(number), "2": b"x" * 300}
            done += await writer.run(lambda connection: connection.execute(statement, values).rowcount)  # noqa: B023
        return done

    thread = threading.Thread(target=truncate)
    thread.start()
    hangs = time.monotonic() + HANG
    try:
        done = sum(await asyncio.gather(*(write(10**6 * number) for number in range(8))))
    finally:
        over.set()
        thread.join(HANG)
        writer.close()
    assert truncated[0] > 3, "no power: the log was hardly ever truncated"
    with closing(sqlite3.connect(path)) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        assert done >= 8 * 200 * ROUNDS
        assert (done,) == connection.execute("SELECT count(*) FROM attempt").fetchone()
    with closing(sqlite_file.open_reader(path)) as reader:
        assert (0,) == reader.execute("PRAGMA wal_autocheckpoint").fetchone()
