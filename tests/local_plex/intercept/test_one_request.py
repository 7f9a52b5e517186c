"""A plain HTTP connection carries only the one request that was routed, whatever follows it."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.local_plex.intercept.conftest import PATIENCE, Stage
from ticketstub.local_plex.intercept.proxy import UpstreamProxy
from ticketstub.local_plex.intercept.request import CHUNKED, BodyParser, HostPort, ProxyRefusal
from ticketstub.tokens import Secret

SECOND = (
    b"GET http://discover.provider.plex.tv/ HTTP/1.1\r\nHost: discover.provider.plex.tv\r\nX-Plex-Token: secret\r\n\r\n"
)


class Stubborn:
    """A server or proxy that keeps connections open, answers each with the same bytes, and records what it receives."""

    def __init__(self, answer: bytes) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = HostPort(*self.listener.getsockname()[:2])
        self.came = bytearray()
        self.ended = threading.Event()
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self.listener.accept()
            with connection:
                while piece := connection.recv(65536):
                    self.came += piece
                    if b"\r\n\r\n" in self.came and self._answer:
                        connection.sendall(self._answer)
                        self._answer = b""
        self.ended.set()

    def close(self) -> None:
        self.listener.close()


@pytest.fixture
def stubborn(stage: Stage) -> Stubborn:
    server = Stubborn(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok")
    stage.endings.callback(server.close)
    return server


def first(server: Stubborn, method: str = "GET", body: bytes = b"", *fields: str) -> bytes:
    head = [
        f"{method} http://{server.address}/a HTTP/1.1",
        f"Host: {server.address}",
        "Connection: keep-alive",
        *fields,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


BODIES = {
    "none": ("GET", b"", ()),
    "a length": ("POST", b"0123456789", ("Content-Length: 10",)),
    "chunks": ("POST", b"a;x=y\r\n0123456789\r\n0\r\nX: y\r\n\r\n", ("Transfer-Encoding: chunked",)),
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("how", ["pipelined", "in pieces", "after the answer"])
def test_no_second_request_passes(stage: Stage, stubborn: Stubborn, body: str, how: str) -> None:
    """A pipelined or later request is dropped; the first one arrives complete."""
    method, content, fields = BODIES[body]
    whole = first(stubborn, method, content, *fields)
    client = stage.client(stage.proxy())
    if how == "pipelined":
        client.say(whole + SECOND)
    elif how == "in pieces":
        for at in range(0, len(whole + SECOND), 7):
            client.say((whole + SECOND)[at : at + 7])
    else:
        client.say(whole)
        client.head()
        with contextlib.suppress(ConnectionError):
            client.say(SECOND)
    client.ends_its_half()
    said = client.rest()
    assert said.endswith(b"ok")
    assert said.count(b"HTTP/1.1 ") <= 1
    assert stubborn.ended.wait(60)
    assert bytes(stubborn.came).endswith(b"Connection: close\r\n\r\n" + content)
    assert b"discover" not in stubborn.came
    assert b"secret" not in stubborn.came
    assert [(str(stubborn.address), "passed on")] == stage.told(1)


@pytest.mark.parametrize("status", ["403 Forbidden", "407 Proxy Authentication Required", "301 Moved"])
@pytest.mark.parametrize("early", [True, False])
def test_a_refused_tunnel_carries_nothing(stage: Stage, status: str, early: bool) -> None:
    """If the upstream proxy refuses a tunnel, bytes for the tunnel do not become a request to that proxy."""
    further = Stubborn(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno".encode())
    stage.endings.callback(further.close)
    proxy = stage.proxy(upstream=UpstreamProxy(further.address, Secret("Basic dTpw")))
    client = stage.client(proxy)
    client.say(b"CONNECT media.example:80 HTTP/1.1\r\n\r\n" + (SECOND if early else b""))
    if not early:
        client.head()
        with contextlib.suppress(ConnectionError):
            client.say(SECOND)
    client.ends_its_half()
    assert client.rest().endswith(b"no")
    assert further.ended.wait(60)
    assert b"discover" not in further.came
    assert 1 == further.came.count(b"Proxy-Authorization: Basic dTpw")


def test_an_agreed_tunnel_carries_what_was_sent_early(stage: Stage) -> None:
    """After a 1xx and a 2xx response, in pieces, everything passes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = stage.proxy(upstream=UpstreamProxy(HostPort(*listener.getsockname()[:2]), None))
        client = stage.client(proxy)
        client.say(b"CONNECT media.example:443 HTTP/1.1\r\n\r\nearly")
        far, _ = listener.accept()
        far.settimeout(PATIENCE)
        with far:
            assert far.recv(65536).endswith(b"\r\n\r\n")
            for piece in (b"HTTP/1.1 102 Wait\r\n\r", b"\nHTTP/1.0 200", b" Yes\r\nX: y\r\n\r\n"):
                far.sendall(piece)
            assert b"early" == far.recv(65536)
            client.say(b"late")
            assert b"late" == far.recv(65536)
            far.sendall(b"down")
        assert client.rest().endswith(b"X: y\r\n\r\ndown")


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Length: 1", "Content-Length: 2"),
        ("Content-Length: 1", "Content-Length: 1"),
        ("Content-Length: +1",),
        ("Content-Length: 1, 1",),
        ("Content-Length:",),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: xchunked",),
    ],
)
def test_a_body_that_two_would_read_differently(stage: Stage, stubborn: Stubborn, fields: tuple[str, ...]) -> None:
    """It is refused with 400 before anything is forwarded."""
    client = stage.client(stage.proxy())
    client.say(first(stubborn, "POST", b"0\r\n\r\n" + SECOND, *fields))
    assert client.rest().startswith(b"HTTP/1.1 400 Bad Request: the length of the body is not clear")
    assert b"" == stubborn.came


@pytest.mark.parametrize("body", [b"x\r\n", b"-1\r\n", b"1\r\nabc\r\n", b"1\nab", b"0x1\r\na\r\n", b"1" * 5000])
def test_chunks_that_cannot_be_read(body: bytes) -> None:
    """They end the connection: the end of the body would be a guess."""
    with pytest.raises(ProxyRefusal):
        BodyParser(CHUNKED).feed(body)


@given(st.lists(st.binary(min_size=1, max_size=40)), st.binary(), st.data())
def test_a_body_in_chunks_ends_where_it_ends(chunks: list[bytes], behind: bytes, data: st.DataObject) -> None:
    """In whatever pieces it arrives, the body passes completely, and nothing after it does."""
    written = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    body, left, passed = BodyParser(CHUNKED), written + behind, b""
    while left:
        size = data.draw(st.integers(1, len(left)))
        passed += body.feed(left[:size])
        left = left[size:]
    assert written == passed
