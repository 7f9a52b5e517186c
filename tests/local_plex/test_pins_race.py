"""S4 over HTTP: many accounts link one PIN at once, on connections of their own, with the database in a file.

The store's own race, with 64 clients, 200 rounds and the mutant, is in tests/local_plex/storage/test_pins.py.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from typing import Any

from tests.local_plex.asking import Clock, connect, get
from tests.local_plex.pin_asking import FORM, JSON, create, poll
from ticketstub.testing import local_plex

RACERS, ROUNDS = 64, 10


def token_of(number: int) -> str:
    return f"Racer-{number:02}-abcdefghijk"


def racers() -> dict[str, Any]:
    accounts = [
        {"username": f"racer{n}", "email": f"racer{n}@example.test", "token": token_of(n)} for n in range(RACERS)
    ]
    return {"account": accounts}


def test_of_64_that_link_at_once_one_wins(tmp_path: Path) -> None:
    """Exactly one of 64 gets 204 in each round, the others 404; the PIN's token is the winner's."""
    clock = Clock()
    database = f"sqlite:///{tmp_path}/plex.db"
    with local_plex(racers(), db=database, clock=clock) as plex, ThreadPoolExecutor(RACERS) as pool:
        connections = [connect(plex.url) for _ in range(RACERS)]
        gate, winners = Barrier(RACERS), set()

        def race(number: int, code: str) -> int:
            connection: HTTPConnection = connections[number]
            headers = JSON | FORM | {"X-Plex-Token": token_of(number)}
            gate.wait(20)
            connection.request("PUT", "/api/v2/pins/link", f"code={code}", headers)
            answered = connection.getresponse()
            answered.read()
            return answered.status

        for _ in range(ROUNDS):
            made = create(plex.url)
            statuses = list(pool.map(race, range(RACERS), [made["code"]] * RACERS))
            assert (1, RACERS - 1) == (statuses.count(204), statuses.count(404))
            token = poll(plex.url, made["id"]).json["authToken"]
            winner = get(plex.url, "/api/v2/user", token).json["username"]
            assert f"racer{statuses.index(204)}" == winner
            winners.add(winner)
            clock.now += 15 * 60  # the losers' attempts count as wrong codes: let them grow old
        for connection in connections:
            connection.close()
    assert len(winners) > 1, "always the same one won: the test shows nothing"
