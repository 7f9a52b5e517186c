"""What the local Plex costs: its start, its memory, and token checks as tokens, connections and the world grow.

Rule: the floor is bare Starlette on the same server sending the same bytes, in the same rounds. Clients use one token,
unless the row says that each request has another one. A busy machine disturbs the requests a second, so the share by
the servers' CPU time for each request is given, too. Without wrk, there are no rows for token checks.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.measure import Curve, Figure, Plan, Result, Row
from benchmarks.processes import (
    WORKERS,
    find_wrk,
    free_port,
    read_cpu_seconds,
    read_memory,
    ready_process,
    requests_per_second,
    serve,
    server_process,
    wait_for,
)

_ROUNDS = 5
_LOAD_ROUNDS = 15  # of one second each: short turns share a busy machine more evenly
_TOKEN = "Xk3mPz_9Q-vT7rLb2NfW"
_FLOOR = "bare Starlette"
_ANOTHER = "ours, each request with another token"
_SCRIPT = """
local tokens, number = {}, 0
for line in io.lines("TOKENS") do tokens[#tokens + 1] = line end
request = function()
    number = number % #tokens + 1
    wrk.headers["X-Plex-Token"] = tokens[number]
    return wrk.format()
end
"""


def rows(plan: Plan) -> Iterator[Result]:
    """Measure the local Plex."""
    yield from _worlds(plan)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "plex.db"
        if find_wrk():
            yield _tokens(plan, database)
            yield _xml(plan, database)
            yield _connections(plan, database)
        yield _memory(plan, Path(folder))


def _worlds(plan: Plan) -> Iterator[Curve]:
    """Measure the start with worlds of so many accounts, and the memory once it has started."""
    sizes = plan.choose_sizes(1, 10, 100, 1000)
    times: list[Figure] = []
    cpu: list[Figure] = []
    memory: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            world = Path(folder) / f"{size}.toml"
            accounts = (
                f'[[account]]\nusername = "user{number}"\nemail = "user{number}@example.test"\n'
                f'password = "password-{number}"\n'
                for number in range(size)
            )
            world.write_text("\n".join(accounts), "utf-8")
            used: list[tuple[float, float]] = []

            def run(world: Path, used: list[tuple[float, float]]) -> float:
                with ready_process(_serve_world(world)) as (pid, seconds):
                    used.append((read_cpu_seconds(pid), read_memory(pid)))
                    return seconds

            times.append(plan.rounds({"ours": partial(run, world, used)}, _ROUNDS)["ours"])
            cpu.append(Figure(tuple(seconds for seconds, _ in used)))
            memory.append(Figure(tuple(mebibytes for _, mebibytes in used)))
    yield Curve(
        "world-start",
        "serve to ready",
        "s",
        "accounts in the world",
        sizes,
        {"ours": times},
        "with few: ≤ 0.3 s",
        [f"{each.median:.2f} s ({used.median:.2f} s of CPU time)" for each, used in zip(times, cpu, strict=True)],
    )
    yield Curve(
        "world-memory",
        "memory of an idle local Plex",
        "MiB",
        "accounts in the world",
        sizes,
        {"ours": memory},
        "with few: ≤ 60 MiB",
        [f"{each.median:.0f} MiB" for each in memory],
    )


def _serve_world(world: Path) -> list[str]:
    return [sys.executable, "-m", "ticketstub", "serve", "--world", str(world), "--port", "0"]


def _tokens(plan: Plan, database: Path) -> Curve:
    sizes = plan.choose_sizes(1000, 100_000, 1_000_000)
    figures: dict[str, list[Figure]] = {"ours": [], _FLOOR: [], _ANOTHER: []}
    script = database.with_suffix(".lua")
    script.write_text(_SCRIPT.replace("TOKENS", str(database.with_suffix(".tokens"))), "utf-8")
    verdict: list[str] = []
    for before, size in zip((0, *sizes), sizes, strict=False):
        command = [sys.executable, str(WORKERS / "populate.py"), str(database), str(size - before)]
        subprocess.run(command, check=True)
        found, shares = _compare(plan, database, "application/json", 32, script)
        for who, figure in found.items():
            figures[who].append(figure)
        verdict.append(f"{shares['ours']}; each request with another token: {shares[_ANOTHER]}")
    reach = "of bare Starlette: ≥ 75 % at 100,000, ≥ 70 % at 1,000,000"
    return Curve("tokens", "GET /api/v2/user", "requests/s", "tokens", sizes, figures, reach, verdict)


def _xml(plan: Plan, database: Path) -> Row:
    figures, shares = _compare(plan, database, "application/xml", 32)
    return Row("GET /api/v2/user, XML", "requests/s", figures, "(reported)", shares["ours"])


def _connections(plan: Plan, database: Path) -> Curve:
    sizes = plan.choose_sizes(1, 10, 50, 200, 500)
    figures: dict[str, list[Figure]] = {"ours": [], _FLOOR: []}
    verdict: list[str] = []
    for size in sizes:
        found, shares = _compare(plan, database, "application/json", size)
        for who, figure in found.items():
            figures[who].append(figure)
        verdict.append(shares["ours"])
    return Curve("clients", "GET /api/v2/user", "requests/s", "clients at once", sizes, figures, "(reported)", verdict)


def _memory(plan: Plan, folder: Path) -> Row:
    recorded = folder / "empty.json"
    recorded.write_text('{"body": "{}", "headers": {}}', "utf-8")
    floor = partial(_serve_floor, recorded)
    subjects = {"ours": partial(_measure_memory, serve), _FLOOR: partial(_measure_memory, floor)}
    figures = plan.rounds(subjects, _ROUNDS)
    verdict = f"{figures['ours'].median:.0f} MiB"
    return Row("memory of an idle local Plex, demonstration world", "MiB", figures, "≤ 60 MiB", verdict)


def _measure_memory(make_command: Callable[[int], list[str]]) -> float:
    port = free_port()
    with server_process(make_command(port), port) as pid:
        wait_for(port)
        _fetch_answer(port, "application/json")
        return read_memory(pid)


def _serve_floor(recorded: Path, port: int) -> list[str]:
    return [sys.executable, str(WORKERS / "starlette_floor.py"), str(port), str(recorded)]


class _Load:
    """Loads a server with token checks for a second, and returns the requests it answered a second.

    `cpu` grows by the CPU time that each request took.
    """

    def __init__(self, port: int, pid: int, media_type: str, connections: int, script: Path | None = None) -> None:
        self.cpu: list[float] = []
        self._pid = pid
        headers = [f"X-Plex-Token: {_TOKEN}", "X-Plex-Client-Identifier: bench", f"Accept: {media_type}"]
        url = f"http://127.0.0.1:{port}/api/v2/user"
        self._run = partial(requests_per_second, url, headers, connections=connections, seconds=1, script=script)

    def __call__(self) -> float:
        before = read_cpu_seconds(self._pid)
        requests = self._run()
        self.cpu.append((read_cpu_seconds(self._pid) - before) / requests)
        return requests


def _compare(
    plan: Plan, database: Path, media_type: str, connections: int, script: Path | None = None
) -> tuple[dict[str, Figure], dict[str, str]]:
    """Load the database's local Plex and bare Starlette in turn; with a script, also the former with its requests.

    Returns the figures, and for each subject of ours its share of bare Starlette's requests, in words.
    """
    port, floor_port, recorded = free_port(), free_port(), database.with_name("answer.json")
    with server_process(serve(port, "--db", f"sqlite:///{database}"), port) as pid:
        recorded.write_text(json.dumps(_fetch_answer(port, media_type)), "utf-8")
        with server_process(_serve_floor(recorded, floor_port), floor_port) as floor_pid:
            floor = _Load(floor_port, floor_pid, media_type, connections)
            ours = {"ours": _Load(port, pid, media_type, connections)}
            if script:
                ours[_ANOTHER] = _Load(port, pid, media_type, connections, script)
            figures = plan.rounds({"ours": ours["ours"], _FLOOR: floor, **ours}, _LOAD_ROUNDS)
    return figures, {
        who: f"{figures[who].ratio(figures[_FLOOR]):.0%} ({Figure(tuple(floor.cpu)).ratio(Figure(tuple(load.cpu))):.0%}"
        " by CPU time)"
        for who, load in ours.items()
    }


def _fetch_answer(port: int, media_type: str) -> dict[str, object]:
    """Return what a server answers, so that the floor can send the same."""
    wait_for(port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)  # it checks a large database first
    sent = {"X-Plex-Token": _TOKEN, "X-Plex-Client-Identifier": "bench", "Accept": media_type}
    connection.request("GET", "/api/v2/user", headers=sent)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, response.status
    skipped: Sequence[str] = ("content-length", "date", "connection")
    headers = {field: value for field, value in response.getheaders() if field.lower() not in skipped}
    return {"body": body.decode(), "headers": headers}
