"""What a local Plex costs a test suite: set-up, a reset between tests, a call without sockets, the plugin unused.

Rule: nothing is patched, and imports are paid before anything is measured; the floor of a set-up is a bare server
of the standard library, and that of a call the same one over a socket, in the same rounds.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median

from benchmarks.measure import Plan, Row
from ticketstub import Plex
from ticketstub.testing import DEVICE, LocalPlexController, local_plex

_CALLS = 200
_RESETS = 20


def rows(plan: Plan) -> Iterator[Row]:
    """Measure the fixtures."""
    yield _set_up(plan)
    with local_plex() as plex:
        yield _reset(plan, plex)
        yield _call(plan, plex)
    yield _unused(plan)


def _set_up(plan: Plan) -> Row:
    cpu: list[float] = []

    def ours() -> float:
        start, used = time.perf_counter(), time.process_time()
        with local_plex():
            cpu.append((time.process_time() - used) * 1e3)
            return (time.perf_counter() - start) * 1e3

    def floor() -> float:
        start = time.perf_counter()
        with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as bare:
            thread = threading.Thread(target=partial(bare.serve_forever, 0.01))
            thread.start()
            with socket.create_connection(("127.0.0.1", bare.server_port)):
                taken = (time.perf_counter() - start) * 1e3
            bare.shutdown()
            thread.join()
            return taken

    figures = plan.rounds({"ours": ours, "http.server": floor}, 21)
    verdict = f"{figures['ours'].median:.0f} ms ({median(cpu):.0f} ms of CPU time)"
    return Row("local_plex set up", "ms", figures, "≤ 20 ms", verdict)


def _reset(plan: Plan, plex: LocalPlexController) -> Row:
    def run() -> float:
        taken = 0.0
        for _ in range(_RESETS):
            plex.client(signed_in=False).pins.create()
            plex.token_for()
            start = time.perf_counter()
            plex.reset()
            taken += time.perf_counter() - start
        return taken / _RESETS * 1e3

    figures = plan.rounds({"ours": run})
    return Row("local_plex reset", "ms", figures, "≤ 3 ms", f"{figures['ours'].median:.1f} ms")


def _call(plan: Plan, plex: LocalPlexController) -> Row:
    token = plex.token_for()
    with plex.client() as inside, Plex(plex_tv=plex.url, token=token, device=DEVICE) as outside:
        figures = plan.rounds({"no socket": lambda: _each(inside), "loopback": lambda: _each(outside)})
    ratio = figures["no socket"].ratio(figures["loopback"])
    return Row("get_token_details in process", "µs", figures, "(reported)", f"{ratio:.2f} × over a socket")


def _each(plex: Plex) -> float:
    start = time.perf_counter()
    for _ in range(_CALLS):
        plex.authentication.get_token_details()
    return (time.perf_counter() - start) / _CALLS * 1e6


def _unused(plan: Plan) -> Row:
    program = (
        "import pytest, time; start = time.perf_counter(); import ticketstub.testing.plugin; "
        "print((time.perf_counter() - start) * 1e3)"
    )

    def run() -> float:
        return float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout)

    figures = plan.rounds({"ours": run})
    return Row("plugin loaded, fixtures unused", "ms", figures, "(reported)", f"{figures['ours'].median:.1f} ms")
