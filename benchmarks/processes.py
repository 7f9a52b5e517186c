"""Programs that a benchmark starts: workers that measure themselves on demand, servers, and wrk.

Rule: each is ended by its starter; all traffic stays on loopback.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.strangers.environments import python_environment

HERE = Path(__file__).parent
ACCOUNT = HERE / "account.json"
WORKERS = HERE / "workers"
PEER = "plexpy_0_36_3"
# Only a program's first start compiles it. That holds for all subjects, even if this shell forbids writing bytecode.
COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def peer_python() -> str:
    """Return the Python in which plex-api-client 0.36.3 is installed, making that environment if need be."""
    return python_environment(PEER, print)[0]


@contextmanager
def worker(script: str, *arguments: str, python: str = sys.executable) -> Generator[Worker]:
    """Start a worker: it does its work each time it reads a line, and writes how many seconds that took."""
    command = [python, str(WORKERS / script), *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Worker(process)
    finally:
        process.kill()
        process.wait()


class Worker:
    """A running worker."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def turn(self) -> float:
        """Let it do its work once and return the seconds it took."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


@contextmanager
def server(command: Sequence[str], port: int) -> Generator[str]:
    """Start a server and wait until its port answers; yields its address."""
    with server_process(command, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def server_process(command: Sequence[str], port: int) -> Generator[int]:
    """Start a server and wait until its port answers; yields its process id."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=COMPILED)
    try:
        wait_for(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def ready_process(command: Sequence[str]) -> Generator[tuple[int, float]]:
    """Start a local Plex and wait for its line `ready`; yields its process id and how many seconds that took."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=COMPILED)
    try:
        assert process.stdout
        assert any(line.startswith("ready") for line in process.stdout), "it ended before it was ready"
        yield process.pid, time.perf_counter() - start
    finally:
        process.terminate()
        process.communicate(timeout=10)


def read_memory(pid: int, field: str = "VmRSS") -> float:
    """Return a process's resident size in MiB; `VmHWM` is the largest that it had. Only Linux has it."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(f"{field}:"))) / 1024


def read_cpu_seconds(pid: int) -> float:
    """Return how much CPU time a process has used. Only Linux has it."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # in user and in system mode


def wait_for(port: int, seconds: float = 30.0) -> None:
    """Wait until something listens on a port of this machine."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.005)
    raise TimeoutError(f"nothing listens on port {port}")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def find_wrk() -> bool:
    """Return whether wrk is there; if not, say which rows that costs."""
    if shutil.which("wrk") is None:
        print("no rows for requests a second: they need wrk (your system's package of that name)")
    return shutil.which("wrk") is not None


def requests_per_second(
    url: str, headers: Sequence[str] = (), *, connections: int = 32, seconds: int = 3, script: Path | None = None
) -> float:
    """Load an address with wrk (one thread) and return the requests it answered a second.

    A script, in Lua, makes the requests.

    Raises:
        RuntimeError: an answer was not a success.
    """
    sent = [word for header in headers for word in ("-H", header)]
    if script:
        sent += ["-s", str(script)]
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *sent, url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    if "Non-2xx" in done.stdout or not (found := re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)):
        raise RuntimeError(f"{url} did not answer as it should:\n{done.stdout}")
    return float(found[1])


def serve(port: int, *arguments: str) -> list[str]:
    """The command of a local Plex with the demonstration world."""
    return [sys.executable, "-m", "ticketstub", "serve", "--demo", "--port", str(port), *arguments]
