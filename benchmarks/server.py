"""What the local Plex costs: its start, its memory, and token checks as tokens, connections and the world grow.

Rule: the floor is bare Starlette on the same server sending the same bytes, in the same rounds. Without wrk, there are
no rows for token checks.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.measure import Curve, Figure, Plan, Result, Row
from benchmarks.processes import (
    WORKERS,
    find_wrk,
    free_port,
    read_memory,
    ready_process,
    requests_per_second,
    serve,
    server,
    server_process,
    wait_for,
)

_ROUNDS = 5
_TOKEN = "Xk3mPz_9Q-vT7rLb2NfW"
_FLOOR = "bare Starlette"


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
            used: list[float] = []

            def run(world: Path, used: list[float]) -> float:
                with ready_process(_serve_world(world)) as (pid, seconds):
                    used.append(read_memory(pid))
                    return seconds

            times.append(plan.rounds({"ours": partial(run, world, used)}, _ROUNDS)["ours"])
            memory.append(Figure(tuple(used)))
    yield Curve(
        "world-start",
        "serve to ready",
        "s",
        "accounts in the world",
        sizes,
        {"ours": times},
        "with few: ≤ 0.3 s",
        [f"{each.median:.2f} s" for each in times],
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
    figures: dict[str, list[Figure]] = {"ours": [], _FLOOR: []}
    for before, size in zip((0, *sizes), sizes, strict=False):
        command = [sys.executable, str(WORKERS / "populate.py"), str(database), str(size - before)]
        subprocess.run(command, check=True)
        for who, figure in _compare(plan, database, "application/json", 32).items():
            figures[who].append(figure)
    verdict = [f"{mine.ratio(floor):.0%}" for mine, floor in zip(*figures.values(), strict=True)]
    reach = "of bare Starlette: ≥ 75 % at 100,000, ≥ 70 % at 1,000,000"
    return Curve("tokens", "GET /api/v2/user", "requests/s", "tokens", sizes, figures, reach, verdict)


def _xml(plan: Plan, database: Path) -> Row:
    figures = _compare(plan, database, "application/xml", 32)
    share = figures["ours"].ratio(figures[_FLOOR])
    return Row("GET /api/v2/user, XML", "requests/s", figures, "(reported)", f"{share:.0%}")


def _connections(plan: Plan, database: Path) -> Curve:
    sizes = plan.choose_sizes(1, 10, 50, 200, 500)
    figures: dict[str, list[Figure]] = {"ours": [], _FLOOR: []}
    for size in sizes:
        for who, figure in _compare(plan, database, "application/json", size).items():
            figures[who].append(figure)
    verdict = [f"{mine.ratio(floor):.0%}" for mine, floor in zip(*figures.values(), strict=True)]
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


def _compare(plan: Plan, database: Path, media_type: str, connections: int) -> dict[str, Figure]:
    headers = [f"X-Plex-Token: {_TOKEN}", "X-Plex-Client-Identifier: bench", f"Accept: {media_type}"]
    with _serve_both(database, media_type) as urls:
        subjects = {
            who: partial(requests_per_second, f"{url}/api/v2/user", headers, connections=connections)
            for who, url in urls.items()
        }
        return plan.rounds(subjects, _ROUNDS)


@contextmanager
def _serve_both(database: Path, media_type: str) -> Generator[dict[str, str]]:
    """Serve the database, and by bare Starlette the same bytes; yields the address of each."""
    port, floor_port, recorded = free_port(), free_port(), database.with_name("answer.json")
    with server(serve(port, "--db", f"sqlite:///{database}"), port) as url:
        recorded.write_text(json.dumps(_fetch_answer(port, media_type)), "utf-8")
        with server(_serve_floor(recorded, floor_port), floor_port) as floor_url:
            yield {"ours": url, _FLOOR: floor_url}


def _fetch_answer(port: int, media_type: str) -> dict[str, object]:
    """Return what a server answers, so that the floor can send the same."""
    wait_for(port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    sent = {"X-Plex-Token": _TOKEN, "X-Plex-Client-Identifier": "bench", "Accept": media_type}
    connection.request("GET", "/api/v2/user", headers=sent)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, response.status
    skipped: Sequence[str] = ("content-length", "date", "connection")
    headers = {field: value for field, value in response.getheaders() if field.lower() not in skipped}
    return {"body": body.decode(), "headers": headers}
