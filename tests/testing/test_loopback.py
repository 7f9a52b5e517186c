"""The in-process transports behave like the others in what they send, return, limit and raise."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest

from tests.local_plex.asking import MIRA, world
from ticketstub import Device, Err, Plex, Retry, ServerError, TimedOut, Unreachable
from ticketstub.calls import GetTokenDetails
from ticketstub.client.transports.in_process import AsyncInProcessTransport, InProcessApp, InProcessTransport
from ticketstub.errors import MalformedReply
from ticketstub.messages import MAX_BODY_SIZE, Request, Response
from ticketstub.testing import LocalPlexController, local_plex

HERE = "http://127.0.0.1:1"
SOON = 60.0
MOMENTS = (0.05, 1.0, 10.0)
"""After which a call is given up; the later ones are for a machine too busy to begin it before."""


@pytest.fixture(scope="module")
def stage() -> Iterator[LocalPlexController]:
    described = world()
    for account in described["account"]:
        account.pop("password", None)
    with local_plex(described) as plex:
        yield plex


@pytest.fixture(name="loop")
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def transport(app: Any, loop: asyncio.AbstractEventLoop) -> InProcessTransport:
    return InProcessTransport(InProcessApp(app, loop, lambda _host, port: "answers" if port == 1 else "refused"))


def send(sender: InProcessTransport, url: str = HERE, *, within: float = SOON, **request: Any) -> Response:
    made = Request("call", request.get("method", "GET"), url, request.get("headers", {}), request.get("body", b""))
    return sender.send(made, deadline=time.monotonic() + within, connect_timeout=within)


class Replying:
    """An application that answers with these messages, and records its requests."""

    def __init__(self, *messages: MutableMapping[str, object]) -> None:
        self._messages = messages
        self.scope: MutableMapping[str, Any] = {}
        self.body: object = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        self.body = (await receive())["body"]
        for message in self._messages:
            await send(message)


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> MutableMapping[str, object]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content: bytes, *, more: bool = False) -> MutableMapping[str, object]:
    return {"type": "http.response.body", "body": content, "more_body": more}


def test_a_request_arrives_as_over_a_socket(loop: asyncio.AbstractEventLoop) -> None:
    """Target, lower-case header fields, Host, length and body arrive; the whole reply returns."""
    app = Replying(start(201, (b"X-Some", b"caf\xc3\xa9"), (b"x-some", b"last")), body(b"a", more=True), body(b"b"))
    answer = send(
        transport(app, loop), f"{HERE}/a%20b?c=%26d", method="POST", headers={"X-Plex-Token": "t"}, body=b"login=x"
    )
    assert (201, {"x-some": "last"}, b"ab") == (answer.status, answer.headers, answer.body)
    assert ("/a b", b"/a%20b", b"c=%26d") == (app.scope["path"], app.scope["raw_path"], app.scope["query_string"])
    expected = [(b"host", b"127.0.0.1:1"), (b"x-plex-token", b"t"), (b"content-length", b"7")]
    assert expected == app.scope["headers"]
    assert (b"login=x", ("127.0.0.1", 1)) == (app.body, app.scope["server"])


def test_what_goes_wrong_is_told_as_by_every_transport(loop: asyncio.AbstractEventLoop) -> None:
    """No response is Unreachable, half a response or too much of one MalformedReply, and a closed port unsent."""
    with pytest.raises(Unreachable) as nothing:
        send(transport(Replying(), loop))
    assert nothing.value.sent
    with pytest.raises(MalformedReply):
        send(transport(Replying(start(), body(b"half", more=True)), loop))
    with pytest.raises(MalformedReply):
        send(transport(Replying(start(), body(b"x" * (MAX_BODY_SIZE + 1))), loop))
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:2 cannot be reached: connection refused") as closed:
        send(transport(Replying(), loop), "http://127.0.0.1:2/secret?X-Plex-Token=t")
    assert not closed.value.sent
    with pytest.raises(ValueError, match="line break"):
        send(transport(Replying(), loop), headers={"X-Plex-Token": "a\r\nb"})


def test_a_deadline_is_kept(loop: asyncio.AbstractEventLoop) -> None:
    """A late response is TimedOut at the deadline, and its work is cancelled; after the deadline nothing is sent."""
    begun, ended = threading.Event(), threading.Event()

    async def never(_scope: Any, _receive: Any, _send: Any) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    for moment in MOMENTS:
        began = time.monotonic()
        with pytest.raises(TimedOut) as late:
            send(transport(never, loop), within=moment)
        assert (True, True) == (late.value.sent, time.monotonic() - began < moment + 30)
        if begun.is_set():
            break
    assert ended.wait(SOON)
    with pytest.raises(TimedOut) as over:
        send(transport(never, loop), within=-1)
    assert not over.value.sent


async def test_an_async_deadline_is_kept_and_a_cancel_passes_on(loop: asyncio.AbstractEventLoop) -> None:
    """As the sync one; cancelling the task ends the exchange, and is not mistaken for a stopped server."""
    begun, ended = asyncio.Event(), asyncio.Event()
    here = asyncio.get_running_loop()

    async def never(_scope: Any, _receive: Any, _send: Any) -> None:
        here.call_soon_threadsafe(begun.set)
        try:
            await asyncio.sleep(60)
        finally:
            here.call_soon_threadsafe(ended.set)

    sender = AsyncInProcessTransport(InProcessApp(never, loop, lambda _host, _port: "answers"))
    request = Request("call", "GET", HERE, {})
    for moment in MOMENTS:
        with pytest.raises(TimedOut):
            await sender.send(request, deadline=time.monotonic() + moment, connect_timeout=1)
        if begun.is_set():
            break
    await asyncio.wait_for(ended.wait(), SOON)
    begun.clear()
    ended.clear()
    task = asyncio.create_task(sender.send(request, deadline=time.monotonic() + 60, connect_timeout=1))
    await asyncio.wait_for(begun.wait(), SOON)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), SOON)


def test_a_stopped_local_plex_is_unreachable() -> None:
    """After it has stopped, a client of either façade learns that nothing was sent."""
    with local_plex({"account": []}) as plex:
        client = plex.client(signed_in=False, retry=Retry(attempts=1))
        other = plex.async_client(signed_in=False, retry=Retry(attempts=1))
    for outcome in (
        client.attempt(GetTokenDetails(), token="t" * 20),
        asyncio.run(other.attempt(GetTokenDetails(), token="t" * 20)),
    ):
        assert isinstance(outcome, Err)
        assert isinstance(outcome.error, Unreachable)
        assert not outcome.error.sent


def test_a_local_plex_that_stops_in_the_middle_ends_the_call() -> None:
    """A call in progress when the local Plex stops does not wait for its deadline: it gets a 503, or no response."""
    got: list[object] = []
    with local_plex({"account": []}) as plex:
        client = plex.client(signed_in=False, retry=Retry(attempts=1))
        thread = threading.Thread(target=lambda: got.append(client.attempt(GetTokenDetails(), token="t" * 20)))
        plex.delay("GET /api/v2/user", 60)
        thread.start()
        deadline = time.monotonic() + SOON
        while not _waits(plex):
            assert time.monotonic() < deadline
            time.sleep(0.005)
    thread.join(SOON)
    (outcome,) = got
    assert isinstance(outcome, Err)
    assert isinstance(outcome.error, Unreachable | ServerError)


def _waits(plex: LocalPlexController) -> bool:
    """Say whether the delay rule was used up."""
    return len(plex.controller.delay_rules) < 1


def test_it_answers_as_over_sockets(stage: LocalPlexController) -> None:
    """Status, header fields and body are those over HTTP, except those that differ with each response."""
    answers = []
    for client in (stage.client(signed_in=False), Plex(plex_tv=stage.url, device=_DEVICE)):
        with client.with_options(token=MIRA, device=_DEVICE) as asking:
            outcome = asking.attempt(GetTokenDetails())
        assert outcome.response is not None
        fields = {name: value for name, value in outcome.response.headers.items() if name not in _OWN}
        answers.append((outcome.response.status, fields, outcome.response.body))
    assert answers[0] == answers[1]
    assert "local" == answers[0][1]["x-ticketstub"]


def test_other_places_are_not_reached(stage: LocalPlexController) -> None:
    """Only the local Plex's own addresses are reachable; everything else is a closed port."""
    outcome = stage.client(signed_in=False, plex_tv="http://127.0.0.1:9", retry=Retry(attempts=1)).attempt(
        GetTokenDetails(), token="t" * 20
    )
    assert isinstance(outcome, Err)
    assert isinstance(outcome.error, Unreachable)
    assert (
        "mira_quill"
        == stage.client(plex_tv=stage.url.replace("127.0.0.1", "localhost")).authentication.get_token_details().username
    )


_OWN = {"date", "x-request-id", "x-runtime"}
_DEVICE = Device(client_identifier="the-same")
