"""C1: no redirect, of any kind, takes a credential anywhere else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import httpx2
import pytest

from tests.client.conftest import View
from tests.transports.hostile import Server
from ticketstub import AsyncPlex, Device, Plex, RedirectRefused
from ticketstub.errors import CrossOriginRedirect

CANARY = "cAnArY-7f3kQ2vTz8Lm1"
DEVICE = Device(client_identifier="demo-client-7c1f")
STATUSES = [301, 302, 303, 307, 308]


class Sink:
    """A server that must never hear anything; it answers so that a follower would succeed, and keeps every byte."""

    def __init__(self) -> None:
        self.heard = b""
        self._server = Server(self._behave)
        self._server.__enter__()
        self.port = self._server.port

    def _behave(self, _server: Server, sock: socket.socket) -> None:
        sock.settimeout(0.5)
        while piece := sock.recv(65536):
            self.heard += piece
            sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"pong":true}')

    def close(self) -> None:
        self._server.__exit__(None, None, None)

    @property
    def connections(self) -> int:
        return self._server.connections


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    one = Sink()
    yield one
    one.close()


@pytest.fixture(scope="module")
def moved() -> Iterator[Server]:
    """A server that redirects each request to where its path says: `/302/<address>`."""

    def behave(server: Server, sock: socket.socket) -> None:
        while came := server.read(sock):
            _, status, location = came.split(b" ")[1].split(b"?")[0].split(b"/", 2)
            to = bytes.fromhex(location.split(b"/")[0].decode()).decode()
            sock.sendall(f"HTTP/1.1 {status.decode()} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode())

    with Server(behave) as server:
        yield server


PLACES = {
    "another port": "http://127.0.0.1:{sink}/",
    "another host": "http://localhost:{sink}/",
    "without scheme": "//127.0.0.1:{sink}/",
    "https": "https://127.0.0.1:{sink}/",
    "user name": "http://127.0.0.1@127.0.0.1:{sink}/",
    "user name of the origin": "http://127.0.0.1:{here}@127.0.0.1:{sink}/",
    "back slash": "http://127.0.0.1:{sink}\\@127.0.0.1:{here}/",
    "IPv6": "http://[::ffff:127.0.0.1]:{sink}/",
    "a number": "http://2130706433:{sink}/",
}
WAYS: dict[str, dict[str, Any]] = {
    "token in the header": {"method": "GET"},
    "token in the query": {"method": "GET", "query": {"X-Plex-Token": CANARY}},
    "POST": {"method": "POST"},
    "token in the body": {"method": "POST", "body": f"password={CANARY}".encode()},
    "token in the query of a POST": {"method": "POST", "query": {"auth_token": CANARY}},
    "token in a cookie": {"method": "GET", "headers": {"Cookie": f"s={CANARY}"}},
    "PUT": {"method": "PUT", "body": CANARY.encode()},
}


FACADES = ["sync", "async", "httpx2", "httpx"]


@pytest.fixture(params=FACADES)
def attic(request: pytest.FixtureRequest, moved: Server) -> Iterator[Any]:
    """A client of the redirecting server, by each façade and by clients that would follow redirects themselves."""
    if request.param == "async":
        with asyncio.Runner() as runner, View(AsyncPlex(device=DEVICE).at(moved.url, token=CANARY), runner) as client:
            yield client
        return
    own = {"httpx2": httpx2.Client, "httpx": httpx.Client}.get(request.param)
    theirs: Any = own(follow_redirects=True) if own else None
    with Plex(device=DEVICE, transport=theirs).at(moved.url, token=CANARY) as client:
        yield client
    if theirs:
        theirs.close()


@pytest.mark.parametrize("status", STATUSES)
def test_c1_no_byte_elsewhere(attic: Any, status: int, moved: Server, sink: Sink) -> None:
    """Every redirect status × method × place of the credential × target is refused; the sink hears not one byte."""
    for place in PLACES.values():
        location = place.format(sink=sink.port, here=moved.port)
        path = f"/{status}/{location.encode().hex()}"
        for way in WAYS.values():
            with pytest.raises(RedirectRefused) as caught:
                attic.request(**{**way, "path": path})
            assert status == caught.value.status
            assert CANARY not in f"{caught.value}{caught.value!r}{caught.value.__cause__}{caught.value.__context__}"
    assert (0, b"") == (sink.connections, sink.heard)


@pytest.mark.parametrize("facade", ["sync", "async"])
def test_c1_sign_in_is_never_sent_again(facade: str, sink: Sink) -> None:
    """A password is sent once and only where it was meant to go, whatever the redirect."""
    for status in STATUSES:
        answer = f"HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:{sink.port}/\r\nContent-Length: 0\r\n\r\n"

        def behave(server: Server, sock: socket.socket, answer: bytes = answer.encode()) -> None:
            while server.read(sock):
                sock.sendall(answer)

        with Server(behave) as server, pytest.raises(CrossOriginRedirect):
            _signed_in(facade, server.url)
        assert 1 == sum(quote(CANARY).encode() in came for came in server.requests)
    assert (0, b"") == (sink.connections, sink.heard)


def _signed_in(facade: str, url: str) -> None:
    if facade == "async":
        asyncio.run(_sign_in(url))
        return
    with Plex(device=DEVICE, plex_tv=url) as plex:
        plex.authentication.post_users_sign_in_data(login="mira", password=CANARY)


async def _sign_in(url: str) -> None:
    async with AsyncPlex(device=DEVICE, plex_tv=url) as plex:
        await plex.authentication.post_users_sign_in_data(login="mira", password=CANARY)
