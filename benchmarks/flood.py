"""What token checks take, and how much memory the local Plex uses, while other connections flood it with requests.

Rule: the floor is the same token check on the same server without the flood.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from statistics import quantiles

from benchmarks.measure import Figure, Plan, Row
from benchmarks.processes import WORKERS, free_port, read_memory, serve, server_process

_TOKEN = "Xk3mPz_9Q-vT7rLb2NfW"
_FLOODS = {
    "50 connections send 250 KB of requests": ("50", "read"),
    "200 connections send as much and read nothing": ("200", "unread"),
}
_BEFORE = {
    "50 connections send 250 KB of requests": "p99 8,433 ms, 404 MB",
    "200 connections send as much and read nothing": "a check took up to 29,582 ms, 1,374 MB",
}
"""What it was before the requests that wait on a connection were bounded, on two busy cores."""
_CHECKS = 1000
_WARM = 50


def rows(plan: Plan) -> Iterator[Row]:
    """Measure each flood; memory is read from /proc, so only where there is one."""
    for what, arguments in _FLOODS.items():
        port = free_port()
        with server_process(serve(port), port) as pid:
            count = 10 if plan.is_quick else _CHECKS
            alone = _checks(port, count)
            with _flood(port, arguments):
                flooded = _checks(port, count)
                memory = read_memory(pid, "VmHWM")
        figures = {"flooded": Figure(tuple(flooded)), "quiet": Figure(tuple(alone))}
        verdict = f"p99 {_p99(flooded):.1f} ms (quiet {_p99(alone):.1f} ms), {memory:.0f} MB; before: {_BEFORE[what]}"
        yield Row(f"a token check while {what}", "ms", figures, "p99 ≤ 50 ms, < 200 MB", verdict)


@contextmanager
def _flood(port: int, arguments: Sequence[str]) -> Generator[None]:
    process = subprocess.Popen([sys.executable, str(WORKERS / "flood.py"), str(port), *arguments])
    try:
        time.sleep(1.0)  # until all have connected
        yield
    finally:
        process.kill()
        process.wait()


def _checks(port: int, count: int) -> list[float]:
    """Check a token so many times, each on a connection of its own, and return the milliseconds of each."""
    taken = [_check(port) for _ in range(_WARM + count)]
    return taken[_WARM:]


def _check(port: int) -> float:
    start = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        sent = {"X-Plex-Token": _TOKEN, "X-Plex-Client-Identifier": "bench", "Accept": "application/json"}
        connection.request("GET", "/api/v2/user", headers=sent)
        response = connection.getresponse()
        response.read()
        assert response.status == 200, response.status
    finally:
        connection.close()
    return (time.perf_counter() - start) * 1000


def _p99(taken: list[float]) -> float:
    return quantiles(taken, n=100)[98]
