"""`ticketstub serve` as a process of its own, alone or below a program that injects faults, and what it is asked.

Rule: a client asks once and on a connection of its own; an answer that did not come is `None`, which is neither yes nor
no. Every wait is for a condition, with a bound that only a hang exceeds.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.cli.conftest import Process, environment

ROOT = Path(__file__).parents[2]
HANG = 60.0
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))
"""How many times the small number of rounds is run that a test has by default."""

_ADDRESSES = itertools.count(2)


class Answer(NamedTuple):
    """A response: its status, and its body if that is JSON."""

    status: int
    json: Any


class Serving:
    """A running local Plex."""

    def __init__(self, process: Process, url: str) -> None:
        self.process = process
        self.port = int(url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """The process that serves, also if another program started it."""
        children = Path(f"/proc/{self.process.popen.pid}/task/{self.process.popen.pid}/children").read_text("ascii")
        return int(children.split()[0]) if children.strip() else self.process.popen.pid

    def kill(self) -> None:
        """Kill it, as a power cut does, and wait for its end."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.popen.wait(HANG)

    def terminate(self) -> int:
        """Stop it, and return its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.process.popen.wait(HANG)

    def ask(self, method: str, target: str, token: str | None = None, **more: Any) -> Answer | None:
        """Send one request; return `None` without a response."""
        return ask(self.port, method, target, token, **more)


def ask(
    port: int,
    method: str,
    target: str,
    token: str | None = None,
    *,
    client: str = "fault-client",
    address: str = "127.0.0.1",
    form: Mapping[str, str] | None = None,
    seconds: float = HANG,
) -> Answer | None:
    """Send one request from an address of this machine; return `None` without a response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, seconds, source_address=(address, 0))
    headers = {"Accept": "application/json", "X-Plex-Client-Identifier": client}
    headers |= {"X-Plex-Token": token} if token else {}
    headers |= {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
    try:
        connection.request(method, target, urlencode(form or {}), headers)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return Answer(answer.status, json.loads(body) if body[:1] in {b"{", b"["} else None)


def new_address() -> str:
    """Return another address of this machine: what is counted by address is not what these tests are about."""
    number = next(_ADDRESSES)
    return f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@contextmanager
def serving(
    folder: Path, *options: str, before: Sequence[str] = (), program: Sequence[str] = ("-m", "ticketstub"), **more: Any
) -> Generator[Serving]:
    """Serve `world.toml` of a folder with its database, until the `with` is over.

    Args:
        folder: where both are.
        options: further ones of the command.
        before: the program that runs it, with its arguments.
        program: what Python runs.
        more: see `subprocess.Popen`.
    """
    process = begin(folder, *options, before=before, program=program, **more)
    try:
        process.wait_for("ready", HANG)
        yield Serving(process, process.address("plex.tv"))
    finally:
        end(process)


def begin(
    folder: Path, *options: str, before: Sequence[str] = (), program: Sequence[str] = ("-m", "ticketstub"), **more: Any
) -> Process:
    """Start it without waiting until it is ready."""
    common = ("--world", str(folder / "world.toml"), "--db", f"sqlite:///{folder}/plex.db", "--port", "0")
    return Process(
        subprocess.Popen(
            [*before, sys.executable, *program, "serve", *common, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(folder, PYTHONPATH=f"{ROOT / 'src'}{os.pathsep}{ROOT}"),
            text=True,
            encoding="utf-8",
            **more,
        )
    )


def end(process: Process) -> None:
    """Kill a process and its children."""
    if process.popen.poll() is None:
        children = Path(f"/proc/{process.popen.pid}/task/{process.popen.pid}/children")
        for child in children.read_text("ascii").split() if children.exists() else []:
            os.kill(int(child), signal.SIGKILL)
    process.clear_away()


def strace(tool: str, *inject: str, trace: str | None = None, log: Path | None = None) -> list[str]:
    """Return what injects faults into a process, from its first call on: `fdatasync:error=EIO:when=7+3`."""
    calls = trace or ",".join(sorted({each.partition(":")[0] for each in inject}))
    injected = [option for each in inject for option in ("-e", f"inject={each}")]
    return [tool, "-f", "-q", "-o", str(log or os.devnull), "-e", f"trace={calls}", *injected]


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def assert_consistent(folder: Path) -> None:
    """I8: the database is whole, and every reference leads somewhere; I3: each approved PIN has one token, others none.

    Nobody signed in but by a PIN; a token of the world has no device.
    """
    with closing(sqlite3.connect(folder / "plex.db")) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        assert [] == connection.execute("PRAGMA foreign_key_check").fetchall()
        (tokens,) = connection.execute(
            "SELECT count(*) FROM token WHERE device_id IS NOT NULL AND kind = 'account'"
        ).fetchone()
        (approved,) = connection.execute("SELECT count(*) FROM pin WHERE linked_at IS NOT NULL").fetchone()
        assert approved == tokens


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder: what must not change."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if re.match(r"plex\.db", file.name)}
