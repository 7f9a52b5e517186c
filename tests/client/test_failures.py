"""Failures over real sockets, through both façades: the right error, in time."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.client.conftest import TOKEN, Make, reply
from tests.client.scripts import NEVER, SOON, Serve, start
from tests.client.transports.hostile import BlackHole, Server, closed_port, dripping_body, silent
from tests.samples.reading import sample
from tests.tables import every
from ticketstub import (
    Forbidden,
    MalformedReply,
    PlexError,
    RateLimited,
    Refusal,
    Retry,
    ServerError,
    TimedOut,
    TooManyFailures,
    Unauthorized,
    Unreachable,
    VerificationCodeRequired,
    WrongVerificationCode,
)

REFUSALS: dict[str, tuple[bytes, type[Refusal]]] = {
    "wrong password": (reply(sample("error_1001.json"), 401), Unauthorized),
    "code needed, in XML": (reply(sample("error_1029.xml"), 401), VerificationCodeRequired),
    "wrong code": (reply(b'{"errors":[{"code":1028,"message":"x","status":401}]}', 401), WrongVerificationCode),
    "too many failures": (reply(b'{"errors":[{"code":1031,"message":"x"}]}', 401), TooManyFailures),
    "422": (reply(sample("error_invalid_token.xml"), 422), Unauthorized),
    "403 page": (reply(b"<html></html>", 403), Forbidden),
    "outage": (reply(b"", 404), ServerError),
    "500": (reply(b"<html></html>", 500), ServerError),
    "429": (reply(b"", 429, Retry_After="3600"), RateLimited),
}


@pytest.mark.parametrize(("answer", "kind"), REFUSALS.values(), ids=REFUSALS)
def test_refusals(make: Make, serve: Serve, answer: bytes, kind: type[Refusal]) -> None:
    """A refused sign-in raises the matching error and is sent once, whatever `retry` says."""
    server = start(serve, "/api/v2/users/signin", answer)
    client = make(plex_tv=server.url, retry=Retry(attempts=5, backoff=0.0, statuses=frozenset({401, 403, 429, 500})))
    with pytest.raises(kind) as caught:
        client.authentication.post_users_sign_in_data(login="mira", password="hunter2")
    assert (kind, 1) == (type(caught.value), len(server.came))


MALFORMED = {
    "web page": reply(b"<!DOCTYPE html><html>Sign in to the hotel</html>"),
    "empty": reply(b""),
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{",
    "cut-off JSON": reply(b'{"id":1'),
    "too large": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
    "another's answer": reply(b'{"pong":true}'),
    "204": reply(b"", 204),
    "300": reply(b"", 300),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "bomb": reply(b"\x1f\x8b\x08\x00", Content_Encoding="gzip"),
}


@every("answer", MALFORMED)
def test_malformed(make: Make, answer: bytes) -> None:
    """A reply that the call cannot read is a MalformedReply, at once, which repeats none of it."""

    def behave(server: Server, sock: Any) -> None:
        server.read(sock)
        sock.sendall(answer)

    with Server(behave) as server:
        client = make(plex_tv=server.url, retry=NEVER, timeout=60.0)
        begun = time.monotonic()
        with pytest.raises(MalformedReply) as caught:
            client.authentication.get_token_details()
        assert time.monotonic() - begun < 30
    assert "hotel" not in str(caught.value)


def test_unreachable_is_no_refusal(make: Make) -> None:
    """A port without a listener is Unreachable, is retried, and is never a refusal."""
    waits: list[float] = []
    client = make(
        plex_tv=f"http://127.0.0.1:{closed_port()}", retry=SOON, on_retry=lambda _error, wait: waits.append(wait)
    )
    with pytest.raises(PlexError) as caught:
        client.ping()
    assert (Unreachable, None, [0.01, 0.02]) == (type(caught.value), caught.value.status, waits)


@pytest.mark.parametrize("behave", [silent, dripping_body], ids=["silent", "dripping"])
def test_time_is_bounded(make: Make, behave: Any) -> None:
    """Whatever a server does, a call raises TimedOut at its time limit, retries included."""
    with Server(behave) as server:
        client = make(plex_tv=server.url)
        begun = time.monotonic()
        with pytest.raises(TimedOut):
            client.ping(timeout=0.1)
        assert 0.08 < time.monotonic() - begun < 30


def test_deadline_over_several_calls(make: Make, serve: Serve) -> None:
    """`deadline` bounds several calls together."""
    server = start(serve, "/api/v2/ping", reply(sample("ping.json")))
    client = make(plex_tv=server.url)
    client.ping(deadline=time.monotonic() + 60.0)
    deadline = time.monotonic() + 0.1
    with Server(silent) as other, pytest.raises(TimedOut):
        client.ping(deadline=deadline, base_url=other.url, token=TOKEN)
    assert deadline - 0.05 < time.monotonic()
    assert time.monotonic() - deadline < 30
    with pytest.raises(TimedOut):
        client.ping(deadline=deadline)
    assert 1 == len(server.came)


def test_connect_timeout(make: Make) -> None:
    """Connecting has its own, shorter limit; a POST that was never sent is retried within the call's."""
    waits: list[float] = []
    with BlackHole() as hole:
        client = make(
            plex_tv=f"http://127.0.0.1:{hole.port}",
            connect_timeout=0.1,
            timeout=60.0,
            retry=Retry(attempts=2, backoff=0.01),
            on_retry=lambda _error, wait: waits.append(wait),
        )
        begun = time.monotonic()
        with pytest.raises(TimedOut):
            client.authentication.post_users_sign_in_data(login="a", password="b")
    assert time.monotonic() - begun < 30
    assert [0.01] == waits


def test_tried_again_over_the_wire(make: Make, serve: Serve) -> None:
    """A GET is retried after 429 and 503; the second wait is the one that Plex requests."""
    busy = [reply(b"", 429), reply(b"", 503, Retry_After="0"), reply(sample("ping.json"))]
    server = start(serve, "/api/v2/ping", *busy)
    waits: list[float] = []
    make(plex_tv=server.url, retry=SOON, on_retry=lambda _error, wait: waits.append(wait)).ping()
    assert ([0.01, 0.0], 3) == (waits, len(server.came))
