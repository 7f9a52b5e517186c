"""A program of processes that die while they start: it forks them, kills them, and writes what it found as JSON.

Run as `python -m tests.faults.dying TRIAL DIRECTORY`; the trials are the functions below. It has no threads of its own,
so that forks are harmless.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from ticketstub.local_plex.control.http_api import load_or_create_key
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.storage import sqlite_file
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.world.schema import World

ANA, BEN = "ana-0123456789abcdef", "ben-0123456789abcdef"
CALLS = {"open", "write", "fsync", "unlink", "rename", "replace", "ftruncate", "mkdir", "chmod"}


def world(name: str, token: str) -> World:
    account = {"username": name, "email": f"{name}@example.test", "token": token}
    server = {"name": name, "machine_identifier": name[0] * 40, "owner": name}
    return World.from_dict({"account": [account], "media_server": [server]})


def start(work: Callable[[], object]) -> int:
    """Fork a process that does the work and ends."""
    if pid := os.fork():
        return pid
    try:
        work()
    except BaseException as error:  # noqa: BLE001  # this process must not go on as its parent
        os.write(2, repr(error).encode())
        os._exit(1)
    os._exit(0)


def ended(pid: int) -> int:
    return os.waitpid(pid, 0)[1]


def dying_at(step: int, work: Callable[[], object]) -> None:
    """Do the work, and die before or after that call to the system or to SQLite, in whichever thread it is."""
    calls = 0

    def count(_frame: object, event: str, function: object) -> None:
        nonlocal calls
        if event in {"c_call", "c_return"} and _counts(function):
            if calls == step:
                os.kill(os.getpid(), signal.SIGKILL)
            calls += 1

    threading.setprofile(count)
    sys.setprofile(count)
    work()
    sys.setprofile(None)
    threading.setprofile(None)


def _counts(function: object) -> bool:
    name = getattr(function, "__name__", "")
    if isinstance(getattr(function, "__self__", None), sqlite3.Connection):
        return name in {"execute", "close"}
    return getattr(function, "__module__", "") == "posix" and name in CALLS


def key_file(folder: Path) -> dict[str, object]:
    """Kill the making of a database's key file."""
    return _killed_at_each_step(folder / "plex.db.key", lambda: InstanceKeys.load_or_create(folder / "plex.db"))


def control_key_file(folder: Path) -> dict[str, object]:
    """Kill the making of a control key's file."""
    return _killed_at_each_step(folder / "control.key", lambda: load_or_create_key(folder / "control.key"))


def _killed_at_each_step(key: Path, make: Callable[[], object]) -> dict[str, object]:
    """Kill the making of a key file at each of its calls to the system, until one lives."""
    found, steps, folder = Counter[str](), 0, key.parent
    while True:
        key.unlink(missing_ok=True)  # what a killed one left beside it stays, for the next one to find
        status = ended(start(partial(dying_at, steps, make)))
        found[str(key.stat().st_size) if key.exists() else "none"] += 1
        modes = {file.stat().st_mode & 0o777 for file in folder.iterdir()}
        if modes - {0o600}:
            found["open to others"] += 1
        if not os.WIFSIGNALED(status):
            left = sorted(file.name for file in folder.iterdir())
            return {"found": dict(found), "steps": steps, "last": status, "left": left}
        make()  # the next start has no trouble with what is left
        steps += 1


def serve(folder: Path | None, people: World, *, reset: bool, ready: Callable[[], object]) -> None:
    """Run a local Plex until it is ready, and `ready` decides what becomes of it."""

    async def run() -> None:
        stop = asyncio.Event()

        def go() -> None:
            ready()
            stop.set()

        await LocalPlex(people, db=f"sqlite:///{folder}/plex.db" if folder else None, reset=reset).serve(go, stop)

    asyncio.run(run())


def reset(folder: Path) -> dict[str, object]:
    """Kill a start with `reset` at each of its calls, until one lives; the old database was left by a kill, too."""
    old, place = folder / "old", folder / "place"
    old.mkdir()
    serve(None, world("eva", ANA), reset=False, ready=lambda: None)  # loads once what every start loads
    ended(start(lambda: serve(old, world("ana", ANA), reset=False, ready=lambda: os.kill(os.getpid(), signal.SIGKILL))))
    key, stride = (old / "plex.db.key").read_bytes(), int(sys.argv[3])
    found, steps = Counter[str](), 0
    found["logs"] += (old / "plex.db-wal").stat().st_size > 0
    while True:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(old, place)
        again = partial(serve, place, world("ben", BEN), reset=True, ready=lambda: None)
        status = ended(start(partial(dying_at, steps, again)))
        found[_holds(place / "plex.db") if (place / "plex.db.key").read_bytes() == key else "another key"] += 1
        if not os.WIFSIGNALED(status):
            left = sorted(file.name for file in place.iterdir())
            return {"found": dict(found), "steps": steps, "last": status, "left": left}
        steps += stride


def _holds(database: Path) -> str:
    """Say whose database it is, once it was opened as a start does: whole, and with the key that it was made under."""
    keys = InstanceKeys.load_or_create(database)
    sqlite_file.prepare_database(database, keys.id)
    with closing(sqlite3.connect(database)) as connection:
        digests = {digest for (digest,) in connection.execute("SELECT digest FROM token")}
    return {(True, False): "old", (False, True): "new"}.get(
        (keys.digest(ANA) in digests, keys.digest(BEN) in digests), "lost"
    )


TRIALS = {trial.__name__: trial for trial in (key_file, control_key_file, reset)}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(TRIALS[sys.argv[1]](Path(sys.argv[2]))))
