"""C1: no redirect of any kind takes a credential to another origin."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import httpx
import httpx2
import pytest

from tests.client.conftest import View
from tests.client.transports.conftest import Authority
from tests.client.transports.hostile import Server
from tests.tables import paired
from ticketstub import AsyncPlex, CrossOriginRedirect, Device, MalformedReply, Plex, PlexError, RedirectRefused
from ticketstub.client.transports.aiohttp import AiohttpTransport
from ticketstub.client.transports.http1 import StandardTransport

CANARY = "cAnArY-7f3kQ2vTz8Lm1"
DEVICE = Device(client_identifier="demo-client-7c1f")
STATUSES = [301, 302, 303, 307, 308]


class Sink:
    """A server that must receive nothing. It answers so that a follower would succeed, and records every byte."""

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
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def moved() -> Iterator[Server]:
    """A server that redirects each request to the target in its path: `/302/<URL>`."""

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
HOSTILE = {
    "back slash and user name": "http://127.0.0.1:{here}\\@127.0.0.1:{sink}/",
    "back slash after the slash": "/\\127.0.0.1:{sink}/",
    "two back slashes": "\\\\127.0.0.1:{sink}/",
    "back slashes after the scheme": "http:\\\\127.0.0.1:{sink}/",
    "tab in the host": "http://127.0.\t0.1:{sink}/",
    "tab before the host": "/\t/127.0.0.1:{sink}/",
    "capitals": "HtTp://127.0.0.1:{sink}/",
    "without slashes": "http:127.0.0.1:{sink}",
    "https without slashes": "https:127.0.0.1:{sink}",
    "one slash": "http:/127.0.0.1:{sink}/",
    "three slashes": "///127.0.0.1:{sink}/",
    "percent-encoded host": "http://%3127.0.0.1:{sink}/",
    "percent-encoded at": "http://127.0.0.1:{here}%40127.0.0.1:{sink}/",
    "full-width digits": "http://\uff11\uff12\uff17.0.0.1:{sink}/",
    "ideographic full stops": "http://127\u30020\u30020\u30021:{sink}/",
    "full-width at": "http://127.0.0.1:{here}\uff20127.0.0.1:{sink}/",
    "port 0": "http://127.0.0.1:0/",
    "port out of range": "http://127.0.0.1:70000/",
    "two ports": "http://127.0.0.1:{here}:{sink}/",
    "number sign in front": "http://127.0.0.1:{sink}#@127.0.0.1:{here}/",
    "question mark in front": "http://127.0.0.1:{sink}?@127.0.0.1:{here}/",
    "mailto": "mailto:mira@127.0.0.1:{sink}",
    "an app's scheme": "myapp:callback",
    "an app's scheme with slashes": "myapp://127.0.0.1:{sink}/",
    "javascript": "javascript:location='http://127.0.0.1:{sink}'",
    "data": "data:text/html,<img src=http://127.0.0.1:{sink}>",
    "file": "file://127.0.0.1:{sink}/etc/passwd",
    "empty": "",
    "overlong": "http://127.0.0.1:{sink}/" + 7_000 * "a",
    "overlong host": "http://" + 3_000 * "a." + "localhost:{sink}/",
}
"""What URL parsers disagree about, and what is no address."""
WAYS: dict[str, dict[str, Any]] = {
    "token in the header": {"method": "GET"},
    "token in the query": {"method": "GET", "query": {"X-Plex-Token": CANARY}},
    "POST": {"method": "POST"},
    "token in the body": {"method": "POST", "body": f"password={CANARY}".encode()},
    "token in the query of a POST": {"method": "POST", "query": {"auth_token": CANARY}},
    "token in a cookie": {"method": "GET", "headers": {"Cookie": f"s={CANARY}"}},
    "PUT": {"method": "PUT", "body": CANARY.encode()},
}


FACADES = ["sync", "async", "httpx2", "httpx", "async httpx2", "async httpx", "aiohttp session"]
_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # an empty one is made at once, the default is slow


@contextmanager
def client_of(name: str, url: str, context: ssl.SSLContext = _CONTEXT) -> Generator[Any]:
    """Make a media server's client, by each façade and by HTTP clients that would follow redirects themselves."""
    options = {"follow_redirects": True, "verify": context}
    if name in ("sync", "httpx2", "httpx"):
        sync: dict[str, Callable[..., Any]] = {"httpx2": httpx2.Client, "httpx": httpx.Client}
        theirs = sync[name](**options) if name in sync else StandardTransport(ssl_context=context)
        with Plex(device=DEVICE, transport=theirs).at(url, token=CANARY) as client:
            yield client
        theirs.close()
        return
    with asyncio.Runner() as runner:
        mine = runner.run(_async_client(name, options))
        with View(AsyncPlex(device=DEVICE, transport=mine).at(url, token=CANARY), runner) as client:
            yield client
        if close := getattr(mine, "aclose", None) or (mine.close if name == "aiohttp session" else None):
            runner.run(close())


async def _async_client(name: str, options: dict[str, Any]) -> Any:
    if name == "aiohttp session":
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=options["verify"]))
    known: dict[str, Callable[..., Any]] = {"async httpx2": httpx2.AsyncClient, "async httpx": httpx.AsyncClient}
    return known[name](**options) if name in known else AiohttpTransport(ssl_context=options["verify"])


@pytest.fixture(params=FACADES)
def facade(request: pytest.FixtureRequest) -> str:
    """Each façade and each kind of client in turn, by name."""
    return request.param


@pytest.fixture
def attic(facade: str, moved: Server) -> Iterator[Any]:
    """A client of the redirecting server."""
    with client_of(facade, moved.url) as client:
        yield client


def refused(attic: Any, way: dict[str, Any], path: str) -> PlexError:
    """Send, and expect one of our redirect errors, without a secret in anything that it could show."""
    with pytest.raises(PlexError, match="redirect") as caught:
        attic.request(**{**way, "path": path})
    assert CANARY not in f"{caught.value}{caught.value!r}{caught.value.__cause__}{caught.value.__context__}"
    return caught.value


@pytest.mark.parametrize(("facade", "status"), paired(FACADES, STATUSES))
def test_c1_no_byte_elsewhere(attic: Any, status: int, moved: Server, sink: Sink) -> None:
    """Every redirect status × method × place of the credential × target is refused; the sink receives no byte."""
    for place in PLACES.values():
        location = place.format(sink=sink.port, here=moved.port)
        path = f"/{status}/{location.encode().hex()}"
        for way in WAYS.values():
            error = refused(attic, way, path)
            assert isinstance(error, RedirectRefused)
            assert status == error.status
    assert (0, b"") == (sink.connections, sink.heard)


@pytest.mark.parametrize(("facade", "status"), paired(FACADES, STATUSES))
def test_c1_hostile_locations(attic: Any, status: int, moved: Server, sink: Sink) -> None:
    """Each client refuses a location that URL parsers read differently or that is not a URL."""
    for name, hostile in HOSTILE.items():
        location = hostile.format(sink=sink.port, here=moved.port)
        path = f"/{status}/{location.encode().hex()}"
        for way in ("token in the header", "token in the body"):
            error = refused(attic, WAYS[way], path)
            # httpx itself fails at some locations, so that our own check does not see them.
            assert isinstance(error, RedirectRefused | MalformedReply), name
    assert (0, b"") == (sink.connections, sink.heard)


@pytest.mark.parametrize("way", ["token in the header", "POST"])
def test_c1_from_https_to_http(facade: str, way: str, sink: Sink, authority: Authority) -> None:
    """A redirect from https to http on the same host is refused, whatever the status and the client."""

    def behave(server: Server, sock: socket.socket) -> None:
        while came := server.read(sock):
            status = came.split(b" ")[1].strip(b"/")
            moved_to = b"Location: http://127.0.0.1:%d/\r\n" % sink.port
            sock.sendall(b"HTTP/1.1 " + status + b" Moved\r\n" + moved_to + b"Content-Length: 0\r\n\r\n")

    with (
        Server(behave, authority.serving("127.0.0.1")) as server,
        client_of(facade, server.url, authority.trusting()) as client,
    ):
        for status in STATUSES:
            assert isinstance(refused(client, WAYS[way], f"/{status}"), CrossOriginRedirect)
    assert (0, b"") == (sink.connections, sink.heard)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_c1_sign_in_is_never_sent_again(kind: str, sink: Sink) -> None:
    """A password is sent once, and only to its own origin, whatever the redirect."""
    for status in STATUSES:
        answer = f"HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:{sink.port}/\r\nContent-Length: 0\r\n\r\n"

        def behave(server: Server, sock: socket.socket, answer: bytes = answer.encode()) -> None:
            while server.read(sock):
                sock.sendall(answer)

        with Server(behave) as server, pytest.raises(CrossOriginRedirect):
            _signed_in(kind, server.url)
        assert 1 == sum(quote(CANARY).encode() in came for came in server.requests)
    assert (0, b"") == (sink.connections, sink.heard)


def _signed_in(kind: str, url: str) -> None:
    if kind == "async":
        asyncio.run(_sign_in(url))
        return
    with Plex(device=DEVICE, plex_tv=url) as plex:
        plex.authentication.post_users_sign_in_data(login="mira", password=CANARY)


async def _sign_in(url: str) -> None:
    async with AsyncPlex(device=DEVICE, plex_tv=url) as plex:
        await plex.authentication.post_users_sign_in_data(login="mira", password=CANARY)
