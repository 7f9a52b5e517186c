"""What the local Plex costs: a token looked up among 100,000 over HTTP, and its start.

Rule: the floor is bare Starlette on the same server sending the same bytes, in the same rounds.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure, Row, rounds
from benchmarks.processes import WORKERS, free_port, requests_per_second, serve, server, wait_for

_TOKENS = 100_000
_ROUNDS = 5
_TOKEN = "Xk3mPz_9Q-vT7rLb2NfW"
_TYPES = {"JSON": "application/json", "XML": "application/xml"}


def rows() -> Iterator[Row]:
    """Measure the local Plex."""
    yield _start()
    if shutil.which("wrk") is None:
        print("no row for GET /api/v2/user: it needs wrk (your system's package of that name)")
        return
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "plex.db"
        subprocess.run([sys.executable, str(WORKERS / "populate.py"), str(database), str(_TOKENS)], check=True)
        for name, media_type in _TYPES.items():
            yield _token_check(name, media_type, database)


def _start() -> Row:
    def run() -> float:
        port = free_port()
        start = time.perf_counter()
        with server(serve(port), port):
            _answer(port, "application/json")
            return time.perf_counter() - start

    figures = rounds({"ours": run}, _ROUNDS)
    return Row("serve --demo to first answer", "s", figures, "≤ 1.0 s", f"{figures['ours'].median:.2f} s")


def _token_check(name: str, media_type: str, database: Path) -> Row:
    port, floor_port = free_port(), free_port()
    headers = [f"X-Plex-Token: {_TOKEN}", "X-Plex-Client-Identifier: bench", f"Accept: {media_type}"]
    with server(serve(port, "--db", f"sqlite:///{database}"), port) as url, tempfile.TemporaryDirectory() as folder:
        recorded = Path(folder) / "answer.json"
        recorded.write_text(json.dumps(_answer(port, media_type)), "utf-8")
        floor = [sys.executable, str(WORKERS / "starlette_floor.py"), str(floor_port), str(recorded)]
        with server(floor, floor_port) as floor_url:
            subjects = {
                "ours": lambda: requests_per_second(f"{url}/api/v2/user", headers),
                "bare Starlette": lambda: requests_per_second(f"{floor_url}/api/v2/user", headers),
            }
            figures: dict[str, Figure] = rounds(subjects, _ROUNDS)
    share = figures["ours"].median / figures["bare Starlette"].median
    what = f"GET /api/v2/user among {_TOKENS:,} tokens, {name}"
    return Row(what, "requests/s", figures, "≥ 45 % of bare Starlette", f"{share:.0%}")


def _answer(port: int, media_type: str) -> dict[str, object]:
    """Return what the local Plex answers, so that the floor can send the same."""
    wait_for(port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    sent = {"X-Plex-Token": _TOKEN, "X-Plex-Client-Identifier": "bench", "Accept": media_type}
    connection.request("GET", "/api/v2/user", headers=sent)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, response.status
    skipped = ("content-length", "date", "connection")
    headers = {field: value for field, value in response.getheaders() if field.lower() not in skipped}
    return {"body": body.decode(), "headers": headers}
