"""The retry configuration of the pages: each of its settings, and its equivalent here."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest

from tests.client.conftest import Script, reply
from tests.client.scripts import Serve, start
from tests.client.transports.hostile import closed_port
from tests.samples.reading import sample
from tests.sdk_pages.ledger import Row, operations, operations_of, shows
from tests.sdk_pages.stage import Stage, ask
from ticketstub import RateLimited, Retry, ServerError, Unreachable

GOOD = {
    "transient": reply(sample("transient_token.json")),
    "source": reply(sample("source_object.json")),
    "details": reply(sample("account.json")),
    "sign-in": reply(sample("sign_in.json"), 201),
}
HARMLESS = {"source", "details"}
BUSY = reply(b"", 503)
SOON = Retry(attempts=4, backoff=0.002)


def scripted(serve: Serve, operation: str, *answers: bytes) -> Script:
    """Start a server that gives an operation these answers and then success."""
    return start(serve, operations()[operation].request.partition(" ")[2], *answers, GOOD[operation])


@shows
def test_tried_again(stage: Stage, row: Row, serve: Serve) -> None:
    """A safe call is retried as configured for the call or the client; any other is sent once."""
    for operation in [row.operation] if row.operation else operations_of(row.page):
        for client_wide in (True, False):
            script = scripted(serve, operation, BUSY, BUSY)
            client = stage.scripted(script, **({"retry": SOON} if client_wide else {}))
            options: dict[str, Any] = {} if client_wide else {"retry": SOON}
            if operation in HARMLESS:
                assert ask(client, operation, **options)
                assert 3 == len(script.came)
            else:
                with pytest.raises(ServerError):
                    ask(client, operation, **options)
                assert 1 == len(script.came)


@shows
def test_never_again(stage: Stage, row: Row, serve: Serve) -> None:
    """With one attempt a call is sent once, and its refusal is raised."""
    script = scripted(serve, "details", BUSY)
    with pytest.raises(ServerError):
        ask(stage.scripted(script), "details", retry=Retry(attempts=1))
    assert 1 == len(script.came)


@shows
def test_backoff(stage: Stage, row: Row, serve: Serve) -> None:
    """The first wait is the configured one, and each further one is twice as long."""
    waits: list[float] = []
    script = scripted(serve, "details", BUSY, BUSY, BUSY)
    client = stage.scripted(script, on_retry=lambda _error, wait: waits.append(wait))
    begun = time.monotonic()
    ask(client, "details", retry=SOON)
    assert sum(waits) <= time.monotonic() - begun
    assert SOON.backoff == waits[0]
    assert [2.0, 2.0] == [after / before for before, after in pairwise(waits)]


@shows
def test_time_bounds_the_tries(stage: Stage, row: Row, serve: Serve) -> None:
    """A wait beyond the call's time limit is not begun: the refusal is raised at once and says how long."""
    script = scripted(serve, "details", reply(b"", 429, Retry_After="3600"))
    for options in ({"timeout": 60.0}, {"deadline": time.monotonic() + 60.0}):
        script.answers["/api/v2/user"] = [reply(b"", 429, Retry_After="3600"), GOOD["details"]]
        begun, came = time.monotonic(), len(script.came)
        with pytest.raises(RateLimited) as caught:
            ask(stage.scripted(script), "details", retry=Retry(attempts=100), **options)
        assert (3600.0, 1) == (caught.value.retry_after, len(script.came) - came)
        assert time.monotonic() - begun < 30


@shows
def test_connection_errors(stage: Stage, row: Row) -> None:
    """Without a listener, a call is tried as often as configured, and never past its time limit."""
    waits: list[float] = []
    nowhere = f"http://127.0.0.1:{closed_port()}"
    client = stage.client(plex_tv=nowhere, on_retry=lambda _error, wait: waits.append(wait))
    for operation in ("details", "sign-in"):  # not a byte of the sign-in had left, so it may be repeated
        with pytest.raises(Unreachable):
            ask(client, operation, retry=Retry(attempts=3, backoff=0.004))
    assert [0.004, 0.008] * 2 == waits


@shows
def test_statuses(stage: Stage, row: Row, serve: Serve) -> None:
    """Only the configured statuses are retried."""
    named = Retry(attempts=2, backoff=0.01, statuses=frozenset({429, 599}))
    for status, sent in ((429, 2), (599, 2)):
        script = scripted(serve, "details", reply(b"", status))
        assert ask(stage.scripted(script), "details", retry=named)
        assert sent == len(script.came)
    script = scripted(serve, "details", BUSY)
    with pytest.raises(ServerError):
        ask(stage.scripted(script), "details", retry=named)
    assert 1 == len(script.came)
