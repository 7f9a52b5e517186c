"""Clients of the proxy that are slow, half open, many, or do not speak HTTP: each is bounded, and told if it can be."""

from __future__ import annotations

import socket
import time

import pytest

from tests.server.proxy.conftest import PATIENCE, Stage
from ticketstub.server.proxy.passage import Limits

CONNECT = b"CONNECT plex.tv:443 HTTP/1.1\r\n\r\n"


def test_a_slow_head(stage: Stage) -> None:
    """A head that drips is cut off at its time, however steadily it comes."""
    client = stage.client(stage.proxy(limits=Limits(head_seconds=0.2)))
    began = time.monotonic()
    for each in b"CONNE":
        client.say(bytes([each]))
        time.sleep(0.02)
    assert client.rest().startswith(b"HTTP/1.1 408 Request Timeout: the head of the request did not come within 0.2 s")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("text", [b"A" * 3000, b"GET http://plex.tv/ HTTP/1.1\r\nX: " + b"a" * 2000 + b"\r\n\r\n"])
def test_a_long_head(stage: Stage, text: bytes) -> None:
    """A head is no longer than it may be, whether it ends or not."""
    client = stage.client(stage.proxy(limits=Limits(head_bytes=1000)))
    client.say(text)
    assert client.rest().startswith(b"HTTP/1.1 431 Request Header Fields Too Large: the head of the request is too")


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x00" * 600]
)
def test_no_tls_in_the_tunnel(stage: Stage, garbage: bytes) -> None:
    """What is not TLS ends the connection, and the journal says so."""
    client = stage.client(stage.proxy())
    client.tunnel("plex.tv:443")
    client.say(garbage)
    client.rest()
    assert [("plex.tv:443", "failed")] == stage.told(1)


def test_silence_instead_of_tls(stage: Stage) -> None:
    """A client that takes the tunnel and says nothing does not keep it."""
    client = stage.client(stage.proxy(limits=Limits(handshake_seconds=0.2)))
    client.tunnel("plex.tv:443")
    assert b"" == client.rest()
    assert [("plex.tv:443", "failed")] == stage.told(1)


def test_more_than_the_head_before_the_tunnel_is_there(stage: Stage) -> None:
    """Bytes that were sent ahead of the tunnel are not mixed into TLS."""
    client = stage.client(stage.proxy())
    client.say(CONNECT + b"early")
    assert client.rest().startswith(b"HTTP/1.1 400 Bad Request: TLS begins once the tunnel is there")


def test_a_silent_tunnel(stage: Stage) -> None:
    """Where neither side says anything for long, both connections end."""
    with socket.create_server(("127.0.0.1", 0)) as quiet:
        client = stage.client(stage.proxy(limits=Limits(idle_seconds=0.2)))
        client.tunnel(f"127.0.0.1:{quiet.getsockname()[1]}")
        far, _ = quiet.accept()
        far.settimeout(PATIENCE)
        assert b"" == client.rest()
        with far:
            assert b"" == _last(far)


def _last(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1)
    except ConnectionResetError:
        return b""


def test_half_closed(stage: Stage) -> None:
    """A client that has said all still gets the answer; one that leaves takes the other side along."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        proxy = stage.proxy()
        client = stage.client(proxy)
        client.tunnel(f"127.0.0.1:{other.getsockname()[1]}")
        far, _ = other.accept()
        far.settimeout(PATIENCE)
        client.say(b"all of it")
        client.socket.shutdown(socket.SHUT_WR)
        with far:
            assert b"all of it" == far.recv(100)
            assert b"" == far.recv(100)
            far.sendall(b"the answer")
        assert b"the answer" == client.rest()
        leaving = stage.client(proxy)
        leaving.tunnel(f"127.0.0.1:{other.getsockname()[1]}")
        far, _ = other.accept()
        far.settimeout(PATIENCE)
        leaving.close()
        with far:
            assert b"" == _last(far)


def test_clients_that_leave_at_once(stage: Stage) -> None:
    """Whoever leaves in the middle of anything leaves nothing behind that is in the way of the next."""
    proxy = stage.proxy(limits=Limits(connections=5))
    for text in (b"", b"CONN", CONNECT, CONNECT + b"x", b"GET http://plex.tv/ HTTP/1.1\r\n\r\n") * 4:
        client = stage.client(proxy)
        client.say(text)
        client.close()
    deadline = time.monotonic() + PATIENCE
    while not stage.client(proxy).tunnel("plex.tv:443").startswith(b"HTTP/1.1 200"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_thousand_connections(stage: Stage) -> None:
    """More clients than it takes at once are told so, and the others are served."""
    proxy = stage.proxy(limits=Limits(connections=100))
    silent = [stage.client(proxy) for _ in range(100)]
    refused = [stage.client(proxy) for _ in range(150)]
    said = {client.rest().partition(b"\r\n")[0] for client in refused}
    assert {b"HTTP/1.1 503 Service Unavailable: there are too many connections at once"} == said
    assert b"HTTP/1.1 200 Connection established\r\n\r\n" == silent[0].tunnel("plex.tv:443")
