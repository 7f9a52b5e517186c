"""A program that forks processes, kills them, and writes what it found as JSON.

Run it as `python -m tests.credentials.dying TRIAL DIRECTORY`; the trials are the functions below. It has no threads, so
forking is safe.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from ticketstub.credentials import Credential, FileStore
from ticketstub.errors import CredentialsError
from ticketstub.tokens import Token

PLEX_TV = "https://plex.tv"
replace = msgspec.structs.replace


def start(work: Callable[[], object]) -> int:
    """Fork a process that does the work and exits."""
    if pid := os.fork():
        return pid
    try:
        work()
    except BaseException:  # noqa: BLE001  # whatever happens, this process must not continue as its parent
        os._exit(1)
    os._exit(0)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def wait_for(pid: int) -> int:
    return os.waitpid(pid, 0)[1]


def make_next(kept: Credential) -> Credential:
    """Return the credential with its count increased by one and a token made of one character that follows from it."""
    count = (kept.account_id or 0) + 1
    return replace(kept, account_id=count, token=Token.from_wire(chr(65 + count % 26) * 540))


def is_consistent(kept: Credential | None) -> bool:
    """Return whether a credential was saved by one writer and is not a mixture of two."""
    return kept is not None and kept.token == make_next(replace(kept, account_id=(kept.account_id or 0) - 1)).token


def save_first(store: FileStore) -> Credential:
    kept = store.save(make_next(Credential(issuer=PLEX_TV, account_id=0)), replacing=None)
    assert kept
    return kept


def each_step(directory: Path) -> dict[str, object]:
    """Kill a save before and after each of its system calls, one after the other, until a save survives."""
    store = FileStore(directory)
    kept, outcomes, steps = save_first(store), {"old": 0, "new": 0, "torn": 0}, 0
    while True:
        pid = start(lambda old=kept, step=steps: _save_until(store, old, step))  # type: ignore[misc]  # mypy cannot infer it
        status = wait_for(pid)
        found = store.load(PLEX_TV)
        if not os.WIFSIGNALED(status):
            return {"outcomes": outcomes, "steps": steps, "last": status, "saved": found != kept}
        outcomes["torn" if found is None or not is_consistent(found) else "old" if found == kept else "new"] += 1
        with store.lock(PLEX_TV, timeout=0):  # the killed process left the lock free
            kept = found or kept
        steps += 1


def _save_until(store: FileStore, kept: Credential, step: int) -> None:
    calls = 0

    def count(_frame: object, event: str, function: object) -> None:
        nonlocal calls
        if event in {"c_call", "c_return"} and getattr(function, "__module__", "") in {"posix", "fcntl"}:
            if calls == step:
                kill(os.getpid())
            calls += 1

    with store.lock(PLEX_TV):
        sys.setprofile(count)
        saved = store.save(make_next(kept), replacing=kept)
        sys.setprofile(None)
    assert saved


def any_time(directory: Path) -> dict[str, object]:
    """Kill a process that saves in a loop, at 100 random moments."""
    store, chance = FileStore(directory), random.Random(4)
    counts = [save_first(store).account_id or 0]

    def save_forever(said: int) -> None:
        while True:
            kept = store.load(PLEX_TV)
            assert kept
            store.save(make_next(kept), replacing=kept)
            os.write(said, b".")

    torn = 0
    for _ in range(100):
        heard, said = os.pipe()
        pid = start(partial(save_forever, said))
        os.read(heard, 1)  # at least one credential is saved
        time.sleep(chance.uniform(0, 0.008))
        kill(pid)
        wait_for(pid)
        os.close(heard)
        os.close(said)
        found = store.load(PLEX_TV)
        torn += not is_consistent(found)
        counts.append((found.account_id if found else None) or -1)
    return {"torn": torn, "backward": counts != sorted(counts), "saved": counts[-1]}


def renewals(directory: Path) -> dict[str, object]:
    """Run 8 processes that each renew 50 times under the lock, and kill and replace 24 of them."""
    store, chance = FileStore(directory / "kept"), random.Random(11)
    save_first(store)
    journal = os.open(directory / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    alive = {start(lambda: _renew(store, journal, 50)) for _ in range(8)}
    killed, worst, seen, torn, deadline = set[int](), 0, 0, 0, time.monotonic() + 60
    while alive and time.monotonic() < deadline:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            alive.discard(pid)
            worst = max(worst, 0 if os.WIFSIGNALED(status) else status)
        found = store.load(PLEX_TV)
        torn += not is_consistent(found) or (found is not None and (found.account_id or 0) < seen)
        seen = (found.account_id if found else None) or seen
        if len(killed) < 24 and seen > 5 * len(killed) and alive:
            victim = chance.choice(sorted(alive))
            killed.add(victim)
            kill(victim)
            alive.add(start(lambda: _renew(store, journal, 50)))
        time.sleep(0.002)
    events = [line.split() for line in (directory / "journal").read_text().splitlines()]
    return {"torn": torn, "failed": worst, "left": len(alive), "killed": len(killed)} | _judge(events, killed, seen)


def _renew(store: FileStore, journal: int, times: int) -> None:
    me = os.getpid()
    for _ in range(times):
        with store.lock(PLEX_TV):
            os.write(journal, f"in {me} 0\n".encode())
            kept = store.load(PLEX_TV)
            assert kept
            saved = store.save(make_next(kept), replacing=kept)
            assert saved, "another process saved while this one held the lock"
            os.write(journal, f"saved {me} {saved.account_id}\nout {me} 0\n".encode())


def _judge(events: list[list[str]], killed: set[int], last: int) -> dict[str, object]:
    """Replay the journal: no two processes hold the lock at once, and no number is saved twice."""
    inside: int | None = None
    overlaps, numbers = 0, list[int]()
    for what, who, number in events:
        if what == "in":
            overlaps += inside is not None and inside not in killed
            inside = int(who)
        else:
            overlaps += inside != int(who)
            inside = None if what == "out" else inside
        if what == "saved":
            numbers.append(int(number))
    again = len(numbers) - len(set(numbers))
    return {
        "overlaps": overlaps,
        "again": again,
        "sorted": numbers == sorted(numbers),
        "enough": last > len(numbers) >= 400,
    }


def orphans(directory: Path) -> dict[str, object]:
    """Kill a lock holder that has forked, and check whether its surviving child still holds the lock."""
    store = FileStore(directory)
    save_first(store)
    waiting, go = os.pipe()

    def hold() -> None:
        with store.lock(PLEX_TV):
            start(lambda: os.read(waiting, 1))
            os.write(said, b".")
            time.sleep(30)

    heard, said = os.pipe()
    holder = start(hold)
    os.read(heard, 1)
    with contextlib.suppress(CredentialsError), store.lock(PLEX_TV, timeout=0.05):
        return {"held": False}
    kill(holder)
    wait_for(holder)
    try:
        with store.lock(PLEX_TV, timeout=1):
            return {"held": True, "free": True}
    finally:
        os.write(go, b".")


def full(directory: Path) -> dict[str, object]:
    """Save where no file may exceed 100 bytes, as on a full disk."""
    store = FileStore(directory)
    kept = save_first(store)

    def save() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            store.save(make_next(kept), replacing=kept)
        except CredentialsError as error:
            os._exit(7 if "cannot be written: File too large" in str(error) else 8)

    status = os.waitstatus_to_exitcode(wait_for(start(save)))
    return {
        "status": status,
        "kept": store.load(PLEX_TV) == kept,
        "drafts": len([*directory.glob(".*.draft")]),
    }


TRIALS = {trial.__name__: trial for trial in (each_step, any_time, renewals, orphans, full)}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(TRIALS[sys.argv[1]](Path(sys.argv[2]))))
