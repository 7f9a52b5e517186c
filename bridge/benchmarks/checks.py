"""What a token check costs: userinfo over HTTP, and what it reads among few and many sessions.

Rule: the floor is bare Starlette on the same server sending the same bytes, in the same rounds. "One token" is asked
for again and again, so that the answers of the last second help; "each another" never gets one of those. wrk is slower
when it makes each request anew, so that the floor is measured in both ways.
"""

from __future__ import annotations

import http.client
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import update

from benchmarks.measure import Figure, Row, rounds
from benchmarks.processes import WORKERS, free_port, requests_per_second, server
from bridge.benchmarks.populate import make_token, populate
from bridge.benchmarks.serving import run_bridge, run_plex
from bridge_tests.bridges import make_config
from bridge_tests.processes import ServedBridge
from ticketstub_bridge.sealing import digest
from ticketstub_bridge.storage import Database, Store
from ticketstub_bridge.storage.migrate import migrate
from ticketstub_bridge.storage.tables import sessions

_SIZES = (1_000, 100_000, 1_000_000)
_ROUNDS = 7
_READS = 300
_SCRIPT = """
local number = 0
request = function()
  number = (number + {step}) % {count}
  return wrk.format("GET", nil, {{["Authorization"] = string.format("Bearer bench-token-%031d", number)}})
end
"""


def rows() -> Iterator[Row]:
    """Measure token checks."""
    yield from _store()
    if shutil.which("wrk") is None:
        print("no row for userinfo: it needs wrk (your system's package of that name)")
        return
    yield from _userinfo(100_000)


def _store() -> Iterator[Row]:
    with ExitStack() as stack:
        stores = {size: _open_store(stack, size) for size in _SIZES}
        checks: dict[str, Callable[[], float]] = {
            f"{size:,} sessions": _make_reading(
                lambda token, grants=store.grants: grants.find_access_tokens([digest(token)]), make_token, size
            )
            for size, store in reversed(stores.items())
        }
        yield _compare("an access token, read from SQLite", rounds(checks, _ROUNDS))
        for store in stores.values():  # reading a session that was not seen for a minute also notes that it was seen
            with store.database.write() as connection:
                connection.execute(update(sessions).values(seen_at=store.database.now()))
        finds: dict[str, Callable[[], float]] = {
            f"{size:,} sessions": _make_reading(store.sessions.find, lambda number: f"session {number}", size)
            for size, store in reversed(stores.items())
        }
        yield _compare("a session, read from SQLite", rounds(finds, _ROUNDS))


def _compare(what: str, figures: dict[str, Figure]) -> Row:
    most, fewest = (figures[f"{size:,} sessions"] for size in (_SIZES[-1], _SIZES[0]))
    verdict = f"{most.median / fewest.median:.2f} × by medians, {most.low / fewest.low:.2f} × by the fastest rounds"
    return Row(what, "µs", figures, "≤ 1.2 × that at 1,000", verdict)


def _open_store(stack: ExitStack, size: int) -> Store:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    config = make_config(folder)
    migrate(config.database)
    populate(folder / "bridge.db", size, "films")
    database = Database(config.database)
    stack.callback(database.close)
    return Store(database, config)


def _make_reading(find: Callable[[str], object], name: Callable[[int], str], size: int) -> Callable[[], float]:
    number = 0

    def read() -> float:
        nonlocal number
        secrets = [name((number + 7919 * step) % size) for step in range(_READS)]
        number += 7919 * _READS
        started = time.perf_counter()
        assert all(find(secret) for secret in secrets)
        return (time.perf_counter() - started) / _READS * 1e6

    return read


def _userinfo(size: int) -> Iterator[Row]:
    with run_plex() as plex, run_bridge(plex) as served, tempfile.TemporaryDirectory() as folder:
        populate(served.folder / "bridge.db", size, "films")
        headers = [f"Authorization: Bearer {make_token(size // 2)}"]
        recorded, script = Path(folder) / "answer.json", Path(folder) / "tokens.lua"
        recorded.write_text(json.dumps(_get_answer(served, headers[0])), "utf-8")
        script.write_text(_SCRIPT.format(step=7919, count=size), "utf-8")
        port = free_port()
        with server([sys.executable, str(WORKERS / "starlette_floor.py"), str(port), str(recorded)], port) as floor:
            figures = rounds(
                {
                    "one token": lambda: requests_per_second(f"{served.address}/userinfo", headers),
                    "each another": lambda: requests_per_second(f"{served.address}/userinfo", script=script),
                    "bare Starlette": lambda: requests_per_second(f"{floor}/api/v2/user", headers),
                    "bare Starlette, each another": lambda: requests_per_second(f"{floor}/api/v2/user", script=script),
                },
                _ROUNDS,
            )
    one = _compare_shares(figures["one token"], figures["bare Starlette"])
    each = _compare_shares(figures["each another"], figures["bare Starlette, each another"])
    verdict = f"one token {one}; each another {each}"
    yield Row(f"GET /userinfo among {size:,} sessions", "requests/s", figures, "≥ 50 % of bare Starlette", verdict)


def _compare_shares(ours: Figure, floor: Figure) -> str:
    return f"{ours.ratio(floor):.0%} by medians, {ours.high / floor.high:.0%} by the fastest rounds"


def _get_answer(served: ServedBridge, header: str) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=5)
    name, _, value = header.partition(": ")
    connection.request("GET", "/userinfo", headers={name: value})
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, response.status
    skipped = ("content-length", "date", "connection")
    return {"body": body.decode(), "headers": {k: v for k, v in response.getheaders() if k.lower() not in skipped}}
