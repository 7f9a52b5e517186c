"""The two kinds of process these tests start: `ticketstub serve`, and a stranger's program that talks to it.

Rule: everything is bounded. A process that does not answer in time fails its test and is ended; none outlives the run.
"""

import json
import os
import queue
import re
import socket
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from typing import Any

from tests.local_plex.asking import code_at
from tests.strangers import asked

HERE = Path(__file__).parent
WORLD = HERE / "world.toml"
STARTS_WITHIN = 20.0
ANSWERS_WITHIN = 30.0
ENDS_WITHIN = 60.0
"""Seconds; the last is what `ticketstub serve` promises."""

Outcome = dict[str, Any]  # whatever JSON a stranger's program prints


class Lines:
    """A process whose standard output is read line by line, with a time limit."""

    def __init__(self, command: list[str], *, environment: dict[str, str], folder: Path) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=folder,
            text=True,
            encoding="utf-8",
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.complaints: list[str] = []
        self._readers = [threading.Thread(target=each, daemon=True) for each in (self._read, self._read_complaints)]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _read_complaints(self) -> None:
        self.complaints.extend(self.process.stderr or ())

    def next_line(self, seconds: float) -> str:
        """Return the next line of standard output, or fail with what the process said on standard error."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"nothing came in {seconds} s; {self._said()}") from None
        if line is None:
            self._readers[1].join(ENDS_WITHIN)
            raise AssertionError(f"the process ended; {self._said()}")
        return line

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self, *, politely: bool) -> int:
        """End the process (at once unless `politely`: SIGTERM) and return its exit status."""
        (self.process.terminate if politely else self.process.kill)()
        try:
            return self.process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still running {ENDS_WITHIN} s after SIGTERM; {self._said()}") from None
        finally:
            for reader in self._readers:
                reader.join(ENDS_WITHIN)
            for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
                if stream:
                    stream.close()

    def _said(self) -> str:
        return f"on standard error: {''.join(self.complaints)[-2000:] or 'nothing'}"


class LocalPlex:
    """`ticketstub serve` with the strangers' world and `more` lines of one, on free ports, in memory."""

    def __init__(self, folder: Path, more: str = "") -> None:
        world = tomllib.loads(WORLD.read_text("utf-8"))
        self.accounts = {account["username"]: account for account in world["account"]}
        self.sources = {server["name"]: server["source"] for server in world["media_server"]}
        self.shares = {server["name"]: server.get("share", []) for server in world["media_server"]}
        port, *ports = _free_ports(1 + len(world["media_server"]))
        self.plex_tv = f"http://127.0.0.1:{port}"
        names = [server["name"] for server in world["media_server"]]
        self.servers = {name: f"http://127.0.0.1:{own}" for name, own in zip(names, ports, strict=True)}
        file = folder / "world.toml"
        replacements = iter(ports)
        text = re.sub(r"(?m)^port = \d+$", lambda _: f"port = {next(replacements)}", WORLD.read_text("utf-8"))
        file.write_text(f"{text}\n{more}", "utf-8")
        command = [sys.executable, "-m", "ticketstub", "serve", "--world", str(file), "--port", str(port)]
        self._process = Lines(command, environment=_environment(ours=True), folder=folder)
        try:
            while not self._process.next_line(STARTS_WITHIN).startswith("ready"):
                pass
        except AssertionError:
            self._process.end(politely=False)
            raise

    def code_of(self, username: str) -> str:
        """The verification code that this account's device would show now."""
        return code_at(time.time(), self.accounts[username]["verification_secret"])

    def end(self) -> int:
        return self._process.end(politely=True)


class Stranger:
    """A stranger's program, kept running: one request a line, one outcome a line."""

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        self.name = name
        self._process = Lines(command, environment=_environment(ours=False), folder=folder)

    def ask(self, call: str, **arguments: object) -> Outcome:
        asked.note(self.name, call, "pointed", arguments)
        self._process.say(json.dumps({"call": call, **arguments}))
        return json.loads(self._process.next_line(ANSWERS_WITHIN))

    def end(self) -> None:
        self._process.end(politely=False)


def _environment(*, ours: bool) -> dict[str, str]:
    """This process's environment without proxies; only our own programs see our packages."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    kept.pop("PYTHONPATH", None)
    if ours:
        kept["PYTHONPATH"] = str(HERE.parents[1] / "src")
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
