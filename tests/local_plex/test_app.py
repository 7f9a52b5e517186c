"""The application by itself: what happens when something inside goes wrong, or the client goes away."""

import asyncio
import logging
import sqlite3
from typing import Any

import pytest

from ticketstub.local_plex.domain.passwords import Overloaded
from ticketstub.local_plex.http.application import App
from ticketstub.local_plex.http.request import IncomingRequest, Message, Scope
from ticketstub.local_plex.http.response import PLEX_TV_HEADERS, OutgoingResponse
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.storage.base import StoreUnavailable
from ticketstub.protocol import error_bodies
from ticketstub.protocol.codec import Format
from ticketstub.refusals import Refusal

CANARY = "cAnArY-7f3kQ2vTz8Lm1"


class Failing:
    """A site on which every request fails in the same way."""

    default_format = Format.JSON
    has_trace_headers = True
    busy_errors: tuple[type[Exception], ...] = (StoreUnavailable, Overloaded)

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    async def answer(self, asked: IncomingRequest) -> OutgoingResponse:
        raise self.failure

    def write_refusal(self, refusal: Refusal, request: IncomingRequest) -> OutgoingResponse:
        return OutgoingResponse(
            refusal.status or 0,
            PLEX_TV_HEADERS[request.response_format],
            error_bodies.write_refusal(refusal, request.response_format),
        )


def scope(method: str = "GET", path: str = "/", **headers: str) -> Scope:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": f"X-Plex-Token={CANARY}".encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "http_version": "1.1",
    }


def exchange(app: App, asked: Scope, *messages: Message) -> list[Any]:
    """Run one request through the application and return what it sends."""
    sent: list[Any] = []
    waiting = list(messages)

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(asked, receive, send))
    return sent


def status_and_body(sent: list[Any]) -> tuple[int, bytes]:
    return sent[0]["status"], sent[1]["body"]


def test_a_mistake_of_ours_is_500_and_its_log_holds_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """S1: an internal error is 500 with code 1007; the log says what failed and where, without the message."""
    app = App(Failing(RuntimeError(f"failed for {CANARY}")), {}, Settings())
    sent = exchange(app, scope())
    body = b'{"errors":[{"code":1007,"message":"Internal Server Error. Something went wrong on our end","status":500}]}'
    assert (500, body) == status_and_body(sent)
    assert "RuntimeError at " in caplog.text
    assert "test_app.py" in caplog.text
    assert CANARY not in caplog.text + str(sent)


@pytest.mark.parametrize("failure", [StoreUnavailable("locked"), Overloaded()])
def test_what_passes_is_503(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """An overloaded database or password pool is 503 with `Retry-After: 1`, and is not logged as an error."""
    sent = exchange(App(Failing(failure), {}, Settings()), scope())
    body = b'{"errors":[{"code":1013,"message":"The server cannot handle the request","status":503}]}'
    assert (503, body) == status_and_body(sent)
    assert (b"retry-after", b"1") in sent[0]["headers"]
    assert "" == caplog.text


def test_a_client_that_goes_away_is_no_event(caplog: pytest.LogCaptureFixture) -> None:
    """A client that disconnects before its body is complete gets no reply and leaves no log record."""
    caplog.set_level(logging.DEBUG, "ticketstub")
    asked = scope("POST", content_length="10")
    piece: Message = {"type": "http.request", "body": b"a=", "more_body": True}
    sent = exchange(App(Failing(RuntimeError()), {}, Settings()), asked, piece, {"type": "http.disconnect"})
    assert [] == sent
    assert [] == [record for record in caplog.records if record.name.startswith("ticketstub")]


def test_what_is_told_of_each_answer() -> None:
    """S1: the log of replies has method, route, status, milliseconds and request id, but no path and no query."""
    told: list[tuple[str, str, int, float, str]] = []
    app = App(Failing(Refusal(status=404)), {}, Settings(), lambda *facts: told.append(facts))
    sent = exchange(app, scope("HEAD", f"/{CANARY}"))
    method, route, status, milliseconds, request_id = told[0]
    assert ("HEAD", "-", 404, True) == (method, route, status, 0 < milliseconds < 1000)
    assert (b"x-request-id", request_id.encode()) in sent[0]["headers"]


def test_each_answer_has_an_id_of_its_own() -> None:
    """No two answers share a request id, of one local Plex or of two."""
    first, second = (App(Failing(sqlite3.Error()), {}, Settings()) for _ in range(2))
    ids = [dict(exchange(app, scope())[0]["headers"])[b"x-request-id"] for app in (first, first, second)]
    assert 3 == len(set(ids))


def test_other_protocols_are_left_alone() -> None:
    """WebSocket and lifespan scopes get no reply."""
    assert [] == exchange(App(Failing(RuntimeError()), {}, Settings()), {"type": "lifespan"})
