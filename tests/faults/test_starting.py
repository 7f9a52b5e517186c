"""Starts that fail, are killed, or meet another local Plex: no database is lost or used twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import environment
from tests.faults.conftest import ANA, PEOPLE, WORLD
from tests.faults.serving import HANG, ROUNDS, assert_consistent, begin, end, files_of, serving, strace
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.storage import sqlite_file
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.storage.sqlite_file import DatabaseInUse
from ticketstub.local_plex.world.schema import World

ROOT = Path(__file__).parents[2]


def trial(name: str, folder: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.dying", name, str(folder), *arguments],
        cwd=ROOT,
        env=environment(folder) | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=HANG * ROUNDS,
        check=False,
    )
    assert "" == done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(folder: Path, *options: str) -> str:
    """Start a local Plex that must be refused, and return its output."""
    process = begin(folder, *options)
    try:
        assert 1 == process.popen.wait(HANG)
        assert process.popen.stderr is not None
        return process.popen.stderr.read()
    finally:
        end(process)


@pytest.mark.parametrize(
    ("made", "name", "whole"), [("key_file", "plex.db.key", "32"), ("control_key_file", "control.key", "44")]
)
def test_a_key_file_killed_at_each_step(tmp_path: Path, made: str, name: str, whole: str) -> None:
    """Killed at any of its system calls, the making of a key file leaves the whole file or none, for nobody to read."""
    found = trial(made, tmp_path)
    assert ({"none", whole}, 0, [name]) == (set(found["found"]), found["last"], found["left"])
    assert found["found"]["none"] > 5
    assert found["found"][whole] > 3


def test_a_reset_killed_at_each_step(tmp_path: Path) -> None:
    """Killed at any of its calls, a start with `reset` leaves the old database or the new one, with its key."""
    found = trial("reset", tmp_path, str(max(1, 8 // ROUNDS)))
    assert {"logs": 1} == {kind: count for kind, count in found["found"].items() if kind not in {"old", "new"}}
    assert (0, ["plex.db", "plex.db.key", "plex.db.lock"]) == (found["last"], found["left"])
    assert found["found"]["old"] > 5
    assert found["found"]["new"] > 3


def test_a_second_one_on_the_same_database(folder: Path) -> None:
    """While one runs, neither `serve` nor `serve --reset` nor LocalPlex uses its database: each names its pid.

    Every byte stays as it is, and the first one goes on.
    """
    with serving(folder) as first:
        assert 204 == first.ask("DELETE", "/api/v2/users/signout", ANA).status  # type: ignore[union-attr]
        before = files_of(folder)
        for _ in range(2 * ROUNDS):
            for options in ((), ("--reset",)):
                said = refused(folder, *options)
                assert f"plex.db is in use by process {first.pid}: " in said, said
        for reset in (False, True):
            local = LocalPlex(World.parse(PEOPLE + WORLD), db=f"sqlite:///{folder}/plex.db", reset=reset)
            with pytest.raises(DatabaseInUse, match=str(first.pid)), local.run_in_thread():
                pass
        assert before == files_of(folder)
        assert 401 == first.ask("GET", "/api/v2/user", ANA).status  # type: ignore[union-attr]


def test_other_names_of_the_same_database(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name, a link to the file and a link to its folder name the same database."""
    (folder / "more").mkdir()
    (folder / "more" / "linked.db").symlink_to(folder / "plex.db")
    (folder / "here").symlink_to(folder)
    monkeypatch.chdir(folder / "more")
    with LocalPlex(World.parse(PEOPLE + WORLD), db=f"sqlite:///{folder}/plex.db").run_in_thread():
        for name in ("../plex.db", "linked.db", f"{folder}/here/plex.db"):
            with pytest.raises(DatabaseInUse), LocalPlex(World(), db=f"sqlite:///{name}", reset=True).run_in_thread():
                pass
    with LocalPlex(World(), db="sqlite:///linked.db").run_in_thread():
        pass
    assert ["linked.db"] == [file.name for file in (folder / "more").iterdir()]


def test_one_that_was_killed_holds_nothing(folder: Path) -> None:
    """After a kill, the next start can use the database at once, whatever the lock file says."""
    with serving(folder) as first:
        first.kill()
    assert str(first.process.popen.pid) in (folder / "plex.db.lock").read_text("utf-8")
    with serving(folder) as second:
        assert 200 == second.ask("GET", "/api/v2/user", ANA).status  # type: ignore[union-attr]


@pytest.mark.parametrize("wrong", ["plex.tv's port", "a media server's port", "the control port", "the world", "key"])
def test_a_reset_that_cannot_start(folder: Path, wrong: str) -> None:
    """`--reset` deletes nothing if a port is taken, the world is faulty or the key file is damaged."""
    with serving(folder) as first:
        assert 0 == first.terminate()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        control = ("--control", str(folder / "control.key"), "--control-port", port)
        options = {"plex.tv's port": ("--port", port), "the control port": control}.get(wrong, ())
        if wrong == "a media server's port":
            (folder / "world.toml").write_text(f"{PEOPLE}{WORLD}port = {port}\n", "utf-8")
        if wrong == "the world":
            (folder / "world.toml").write_text(f'{PEOPLE}{WORLD}colour = "red"\n', "utf-8")
        if wrong == "key":
            (folder / "plex.db.key").write_bytes(b"")
        before = files_of(folder)
        process = begin(folder, "--reset", *options)
        try:
            assert process.popen.wait(HANG) in {1, 2}
        finally:
            end(process)
        assert before | {"plex.db.lock": b""} == files_of(folder) | {"plex.db.lock": b""}


def test_kills_in_mid_start(folder: Path) -> None:
    """Killed at random moments of a start, with and without `--reset`, a database is whole and its key fits."""
    chance = random.Random(7)
    with serving(folder):
        pass
    key = (folder / "plex.db.key").read_bytes()
    for number in range(8 * ROUNDS):
        process = begin(folder, *(["--reset"] if number % 2 else []))
        time.sleep(chance.uniform(0.1, 0.6))  # no condition to wait for: any moment is meant
        process.popen.send_signal(signal.SIGKILL)
        process.popen.wait(HANG)
        end(process)
        assert key == (folder / "plex.db.key").read_bytes()
        assert_consistent(folder)
    with serving(folder) as last:
        assert 200 == last.ask("GET", "/api/v2/user", ANA).status  # type: ignore[union-attr]


KILLED_AT = {
    "fdatasync": (1, 4, 2, 6, 3, 5, 7),
    "pwrite64": (2, 40, 1, 10, 20, 60, 80),
    "rename": (1,),
    "unlink": (1, 2),
}


@pytest.mark.parametrize("call", KILLED_AT)
def test_kills_at_system_calls_of_a_reset(folder: Path, tracer: str, call: str) -> None:
    """Killed by the kernel's account at its n-th sync, write, rename or deletion, `--reset` loses no database."""
    with serving(folder) as first:
        first.kill()
    old = folder / "old"
    old.mkdir()
    for file in folder.glob("plex.db*"):
        shutil.copy(file, old)
    ready, numbers = 0, KILLED_AT[call][: 2 * ROUNDS]
    for number in numbers:
        for file in old.iterdir():
            shutil.copy(file, folder)
        process = begin(folder, "--reset", before=strace(tracer, f"{call}:signal=KILL:when={number}"))
        with contextlib.suppress(AssertionError):  # it ended before
            process.wait_for("ready", HANG)
            ready += 1
        end(process)
        assert (old / "plex.db.key").read_bytes() == (folder / "plex.db.key").read_bytes()
        assert_consistent(folder)
        sqlite_file.prepare_database(folder / "plex.db", InstanceKeys.load_or_create(folder / "plex.db").id)
    assert 0 == ready, "no power: it outlived what was to kill it"
