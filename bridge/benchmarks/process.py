"""What a bridge's process costs: from its start until it is ready, and its memory while nothing happens.

Rule: the floor of the start is a process that imports the bridge and ends.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure, Row, rounds
from bridge.benchmarks.serving import run_plex
from bridge_tests.processes import ServedBridge

_ROUNDS = 7


# Only the first start compiles the bridge, even if this shell forbids writing bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def rows() -> Iterator[Row]:
    """Measure the process."""
    with run_plex() as plex, tempfile.TemporaryDirectory() as folder:
        served = ServedBridge(plex, Path(folder) / "bridge")
        memory: list[float] = []
        processor: list[float] = []

        def start() -> float:
            started = time.perf_counter()
            served.start(wait=False)
            _wait_until_ready(served.port)
            seconds = time.perf_counter() - started
            processor.append(_read_processor_seconds(served.pid))
            time.sleep(1)
            memory.append(served.measure_memory())
            served.kill()
            return seconds

        def load() -> float:
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import ticketstub_bridge.serving"], check=True)
            return time.perf_counter() - started

        figures = rounds({"ours": start, "only its imports": load}, _ROUNDS)
    median, low = figures["ours"].median, figures["ours"].low
    verdict = f"{median:.2f} s, the fastest {low:.2f} s; of the processor {min(processor):.2f} s"
    yield Row("start to ready", "s", figures, "aim: 2 s", verdict)
    memory.sort()
    figure = Figure(tuple(memory))
    yield Row("idle memory", "MiB", {"ours": figure}, "≤ 120 MiB", f"{figure.median:.0f} MiB")


def _wait_until_ready(port: int) -> None:
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.01)
        finally:
            connection.close()


def _read_processor_seconds(pid: int) -> float:
    """Return the processor's time that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
