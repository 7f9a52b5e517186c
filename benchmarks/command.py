"""What the command costs, as whole processes: help, and who is signed in, by a file and by a keyring.

Rule: the floor is a bare interpreter. The keyring is one of workers/, which keeps its passwords in a file: a desktop's
own takes longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks.measure import Figure, Plan, Row
from benchmarks.processes import COMPILED, WORKERS, free_port, serve, server

_TOKEN = "Xk3mPz_9Q-vT7rLb2NfW"
_COMMAND = [sys.executable, "-m", "ticketstub"]
_FLOOR = "bare interpreter"
_ROUNDS = 15


def rows(plan: Plan) -> Iterator[Row]:
    """Measure the command."""
    yield _measure(plan, "ticketstub --help", [*_COMMAND, "--help"], COMPILED)
    port = free_port()
    with server(serve(port), port) as url:
        for where in ("file", "keyring"):
            with tempfile.TemporaryDirectory() as home:
                environment = _make_environment(home, url)
                login = [*_COMMAND, "login", "--password", "--login", "tom", "--storage", where]
                subprocess.run(
                    login, env=environment, input="rainy-harbour-17\n", text=True, check=True, capture_output=True
                )
                whoami = [*_COMMAND, "whoami", "--profile", "default"]
                reach = "≤ 200 ms" if where == "file" else "(reported)"
                yield _measure(plan, f"ticketstub whoami, stored in a {where}", whoami, environment, reach)


def _measure(
    plan: Plan, what: str, command: Sequence[str], environment: dict[str, str], reach: str = "(reported)"
) -> Row:
    used: list[float] = []
    subjects = {
        "ours": partial(_run, command, environment, used),
        _FLOOR: partial(_run, [sys.executable, "-c", "pass"], COMPILED, []),
    }
    figures = plan.rounds(subjects, _ROUNDS)
    figures["ours, processor time"] = Figure(tuple(used[-len(figures["ours"].rounds) :]))
    verdict = f"{figures['ours'].median:.0f} ms, {figures['ours'].ratio(figures[_FLOOR]):.1f} × a bare interpreter"
    return Row(what, "ms", figures, reach, verdict)


def _run(command: Sequence[str], environment: dict[str, str], used: list[float]) -> float:
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    taken, after = time.perf_counter() - start, os.times()
    used.append((after.children_user - before.children_user + after.children_system - before.children_system) * 1000)
    return taken * 1000


def _make_environment(home: str, url: str) -> dict[str, str]:
    folders = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA", "APPDATA"), home)
    paths = os.pathsep.join(filter(None, [str(WORKERS), COMPILED.get("PYTHONPATH")]))
    keyring = {"PYTHON_KEYRING_BACKEND": "file_keyring.FileKeyring", "PYTHONPATH": paths}
    return COMPILED | folders | keyring | {"TICKETSTUB_PLEX_TV": url}
