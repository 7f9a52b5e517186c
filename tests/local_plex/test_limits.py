"""What is too long, too slow, broken or in the way; spoken over raw sockets, because no client library sends it."""

import asyncio
import contextlib
import re
import signal
import socket
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.local_plex.asking import MIRA, ask, get, world
from tests.local_plex.conftest import Start
from ticketstub.local_plex.http.connections import MAX_QUEUED_REQUESTS, HttpConnection
from ticketstub.local_plex.http.server import HttpServer, listen
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.world.schema import World
from ticketstub.testing import LocalPlexController, local_plex

HASTY = Settings(head_seconds=0.3, body_seconds=0.3, keep_alive_seconds=1, media_server_keep_alive_seconds=1)
SIGN_IN = (
    "POST /api/v2/users/signin HTTP/1.1\r\nHost: x\r\nX-Plex-Client-Identifier: x\r\nAccept: application/json\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\n"
)


@contextlib.contextmanager
def raw(url: str) -> Generator[socket.socket, None, None]:
    """Open a socket."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        yield connection


def all_of(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


def talk(url: str, *pieces: str | bytes) -> bytes:
    """Send pieces and read all that comes until the other side closes."""
    with raw(url) as connection:
        for piece in pieces:
            connection.sendall(piece if isinstance(piece, bytes) else piece.encode())
        return all_of(connection)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_long_head(plex: LocalPlexController, attic: str) -> None:
    """A head of more than 16 KiB is 431 in the requested format; a media server replies with a page."""
    long = {"X-Plex-Product": "x" * 16 * 1024}
    assert 431 == get(plex.url, "/api/v2/user", MIRA, **long).json["errors"][0]["status"]
    assert 431 == ask(plex.url, "GET", "/api/v2/user", long).status
    assert 431 == get(plex.url, "/api/v2/user?a=" + "x" * 16 * 1024, MIRA).status
    assert (431, "text/html") == (
        get(attic, "/", MIRA, **long).status,
        get(attic, "/", MIRA, **long).headers["content-type"],
    )
    assert 200 == get(plex.url, "/api/v2/user", MIRA, **{"X-Plex-Product": "x" * 15 * 1024}).status


def test_an_endless_head(plex: LocalPlexController) -> None:
    """A head that never ends is 431 as soon as it is too long, and is not kept in memory."""
    with raw(plex.url) as connection:
        connection.sendall(b"GET /api/v2/user HTTP/1.1\r\n")
        time.sleep(0.05)
        with contextlib.suppress(ConnectionError):
            for number in range(40):
                connection.sendall(b"X-Field-%d: " % number + b"x" * 1000 + b"\r\n")
        assert 431 == status_of(all_of(connection))


def test_a_long_body(plex: LocalPlexController, attic: str) -> None:
    """A body of more than 16 KiB is 413: at once if it is declared, else once it is received."""
    declared = talk(plex.url, SIGN_IN + "Content-Length: 104857600\r\n\r\n")
    assert 413 == status_of(declared)  # to wait for it would be 408
    assert b'"status":413' in declared
    assert b"connection: close" in declared
    chunk = b"%x\r\n%s\r\n" % (17 * 1024, b"x" * 17 * 1024)
    assert 413 == status_of(talk(plex.url, SIGN_IN + "Transfer-Encoding: chunked\r\n\r\n", chunk))
    assert 413 == status_of(talk(attic, "POST /security/token HTTP/1.1\r\nHost: x\r\nContent-Length: 16385\r\n\r\n"))


def test_a_body_in_pieces(plex: LocalPlexController) -> None:
    """A body may come in pieces, chunked or not."""
    body = "login=tom&password=rainy-harbour-17"
    whole = talk(plex.url, SIGN_IN + f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n", body[:10], body[10:])
    assert 201 == status_of(whole)
    chunks = "".join(f"{len(piece):x}\r\n{piece}\r\n" for piece in (body[:5], body[5:])) + "0\r\n\r\n"
    assert 201 == status_of(talk(plex.url, SIGN_IN + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n", chunks))


def test_slow_clients(start: Start) -> None:
    """A missing body or head is 408, and a silent connection is closed without a reply."""
    plex = start(settings=HASTY)
    began = time.perf_counter()
    sent = (SIGN_IN + "Content-Length: 30\r\n\r\nlogin=tom", "GET /api/v2/user HTTP/1.1\r\nX-Plex-", "", "\r\n")
    with ThreadPoolExecutor() as pool:
        slow_body, slow_head, *silent = pool.map(partial(talk, plex.url), sent)
    assert (408, True) == (status_of(slow_body), b'"status":408' in slow_body)
    assert 408 == status_of(slow_head)
    assert [b"", b""] == silent
    assert time.perf_counter() - began < 30


def test_an_idle_connection_is_closed(start: Start) -> None:
    """A connection is kept for the announced time after a reply, on media servers as on plex.tv."""
    plex = start(settings=HASTY)
    began = time.perf_counter()

    def closed_after(url: str) -> float:
        talk(url, "GET /identity HTTP/1.1\r\nHost: x\r\n\r\n")
        return time.perf_counter() - began

    with ThreadPoolExecutor() as pool:
        for seconds in pool.map(closed_after, [plex.url, plex.media_server("Attic").url]):
            assert 0.8 < seconds < 30


def test_a_body_that_is_not_wanted(plex: LocalPlexController) -> None:
    """A GET with a body gets a reply, and the connection ends: the rest of it is not a request."""
    smuggled = "GET /api/v2/ping HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = talk(
        plex.url,
        f"GET /api/v2/user HTTP/1.1\r\nHost: x\r\nX-Plex-Token: {MIRA}\r\nContent-Length: {len(smuggled)}\r\n\r\n",
        smuggled,
    )
    assert (200, 1) == (status_of(answer), answer.count(b"HTTP/1.1 "))
    assert b"connection: close" in answer


BROKEN = [
    "GARBAGE\r\n\r\n",
    "GET /api/v2/user HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "GET /api/v2/user HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET /api/v2/user HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n",
    "GET /api/v2/user HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n",
    "GET /api/v2/user HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "GET /\u00e9 HTTP/1.1\r\nHost: x\r\n\r\n",
]


@pytest.mark.parametrize("request_", BROKEN)
def test_broken_requests(plex: LocalPlexController, request_: str) -> None:
    """S13: a malformed request is 400 and the connection ends; even then the reply names the local Plex."""
    answer = talk(plex.url, request_)
    assert (400, True) == (status_of(answer), b"x-ticketstub: local" in answer)


def test_odd_requests_that_are_fine(plex: LocalPlexController) -> None:
    """S13: two Hosts, an absolute target and forwarded fields change nothing in the reply."""
    for target, more in (
        ("/api/v2/user", "Host: a\r\nHost: b"),
        ("http://evil.example/api/v2/user", "Host: x"),
        ("/api/v2/user", "Host: x\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: e"),
        ("/api/v2/user", "Host: x\r\nX_Plex_Token: nothing"),
    ):
        head = f"GET {target} HTTP/1.1\r\n{more}\r\nX-Plex-Token: {MIRA}\r\nConnection: close\r\n\r\n"
        answer = talk(plex.url, head)
        assert (200, False) == (status_of(answer), b"evil" in answer)


@pytest.mark.parametrize("name", ["Upgrade", "upgrade", "UPGRADE"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_an_offer_of_another_protocol(plex: LocalPlexController, pieces: int, name: str) -> None:
    """An offer of HTTP/2, which Java's HTTP library sends with every request, is ignored, and no body is lost."""
    form = b"login=nobody&password=\r\nupgrade: not+this"
    head = (
        f"POST /api/v2/users/signin HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n{name}: h2c\r\n"
        "HTTP2-Settings: AAEAAEAA\r\nX-Plex-Client-Identifier: a\r\nAccept: application/json\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
    ).encode()
    again = b"GET /api/v2/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with raw(plex.url) as connection:
        for piece in [head + form, again] if pieces == 1 else [head, form, again]:
            connection.sendall(piece)
            time.sleep(0.05)
        answers = all_of(connection)
    assert b'"code":1001' in answers
    assert 2 == answers.count(b"HTTP/1.1 401")


def test_old_clients(plex: LocalPlexController, attic: str) -> None:
    """HTTP/1.0 gets a reply, and its connection is closed without a promise to keep it."""
    for url, path in ((plex.url, "/api/v2/user"), (attic, "/identity")):
        answer = talk(url, f"GET {path} HTTP/1.0\r\nX-Plex-Token: {MIRA}\r\n\r\n").lower()
        assert (200, 1, False) == (status_of(answer), answer.count(b"connection: close"), b"keep-alive" in answer)


PING = b"GET /api/v2/ping HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n"


def test_the_heads_of_several_requests_are_counted_apart(plex: LocalPlexController) -> None:
    """Twelve pipelined requests of 2 KiB each get replies, even if the last one comes in two pieces."""
    request_ = PING + b"X-Plex-Product: %s\r\n\r\n" % (b"x" * 2000)
    requests = request_ * 11 + PING + b"Connection: close\r\n\r\n"
    with raw(plex.url) as connection:
        connection.sendall(requests[:-30])
        received = connection.recv(65536)  # what came first is parsed by now
        connection.sendall(requests[-30:])
        assert 12 == (received + all_of(connection)).count(b"HTTP/1.1 401 ")


def test_as_many_requests_as_may_wait(plex: LocalPlexController) -> None:
    """One request in progress and 16 queued ones all get replies, in order."""
    paths = [f"/api/v2/pins/{number}" for number in range(16)]
    fields = "Host: x\r\nAccept: application/json\r\nX-Plex-Client-Identifier: x\r\n\r\n"
    asked = [f"GET {path} HTTP/1.1\r\n{fields}".encode() for path in paths]
    answer = talk(plex.url, b"".join(asked) + PING + b"Connection: close\r\n\r\n")
    assert [b"404"] * 16 + [b"401"] == re.findall(rb"HTTP/1\.1 (\d{3})", answer)


@pytest.mark.parametrize("reads", [True, False])
def test_s14_too_many_requests_at_once(plex: LocalPlexController, reads: bool) -> None:
    """Connections that send 250 KB of requests without waiting are closed, while others get replies."""
    flood = (PING + b"\r\n") * 4000
    with contextlib.ExitStack() as open_:
        connections = [open_.enter_context(raw(plex.url)) for _ in range(50)]
        for each in connections:
            with contextlib.suppress(ConnectionError):
                each.sendall(flood)
            if reads:
                assert all_of(each).count(b"HTTP/1.1 ") <= 1 + MAX_QUEUED_REQUESTS
            assert 200 == get(plex.url, "/api/v2/user", MIRA).status
        for each in connections:
            assert all_of(each).count(b"HTTP/1.1 ") <= 1 + MAX_QUEUED_REQUESTS  # and it ends


class Large:
    """An application whose reply is larger than the system's buffer for a client that does not read."""

    size = 32 * 1024 * 1024

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", str(self.size).encode()), (b"connection", b"close")],
            }
        )
        await send({"type": "http.response.body", "body": bytes(self.size)})


async def serving(settings: Settings, open_: contextlib.AsyncExitStack) -> tuple[HttpServer, str]:
    """Serve the large answer until the stack ends."""
    server, listener = HttpServer(Large(), settings, {}), listen("127.0.0.1", 0)
    server.open_port(listener)
    open_.push_async_callback(server.close)
    return server, f"http://127.0.0.1:{listener.getsockname()[1]}"


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.005)


async def test_s14_a_client_that_reads_nothing() -> None:
    """A client that reads nothing is dropped, and its reply is freed."""
    async with contextlib.AsyncExitStack() as open_:
        server, url = await serving(Settings(unread_seconds=0.1), open_)
        connections = [open_.enter_context(raw(url)) for _ in range(3)]
        for each in connections:
            await asyncio.to_thread(each.sendall, PING + b"\r\n")
        await until(lambda: server.state.total_requests == 3)
        await until(lambda: not server.state.connections)
        for each in connections:
            assert len(await asyncio.to_thread(all_of, each)) < Large.size


async def test_a_client_that_reads_slowly_gets_everything() -> None:
    """Only a client that reads nothing for as long as the settings say is dropped, not a slow one."""
    async with contextlib.AsyncExitStack() as open_:
        server, url = await serving(Settings(unread_seconds=3600), open_)
        connection = open_.enter_context(raw(url))
        await asyncio.to_thread(connection.sendall, PING + b"\r\n")
        await until(lambda: server.state.total_requests == 1)
        (served,) = server.state.connections
        assert isinstance(served, HttpConnection)
        left, received = served.transport.get_write_buffer_size(), 0
        while left:  # at each look of the server, some of it was read since the last one
            while served.transport.get_write_buffer_size() == left:
                received += len(await asyncio.to_thread(connection.recv, 1 << 20))
            left = served.transport.get_write_buffer_size()
            served.drop_if_stalled()
        assert Large.size < received + len(await asyncio.to_thread(all_of, connection))


def stalled(plex: LocalPlexController, open_: contextlib.ExitStack) -> list[socket.socket]:
    """Open every kind of connection that keeps a server waiting."""
    url, attic = plex.url, plex.media_server("Attic").url
    sockets = [open_.enter_context(raw(url)) for _ in range(6)] + [open_.enter_context(raw(attic))]
    _idle, half_head, half_body, kept, pipelined, half_closed, kept_there = sockets
    half_head.sendall(b"GET /api/v2/user HTTP/1.1\r\nX-Plex")
    half_body.sendall(SIGN_IN.encode() + b"Content-Length: 30\r\n\r\nlogin=tom")
    for each in (kept, half_closed):
        each.sendall(b"GET /api/v2/ping HTTP/1.1\r\nHost: x\r\n\r\n")
        each.recv(65536)
    kept_there.sendall(b"GET /identity HTTP/1.1\r\nHost: x\r\n\r\n")
    kept_there.recv(65536)
    pipelined.sendall(SIGN_IN.encode() + b"Content-Length: 30\r\n\r\nlogin=tom" * 3)
    half_closed.shutdown(socket.SHUT_WR)
    return sockets


def test_it_stops_whatever_clients_do() -> None:
    """Stopping does not wait for idle, half-open or stalled connections; all are closed."""
    with contextlib.ExitStack() as open_:
        with local_plex(world()) as plex:
            sockets = stalled(plex, open_)
            time.sleep(0.1)
            began = time.perf_counter()
        assert time.perf_counter() - began < 8
        for each in sockets:
            all_of(each)  # ends, for the other side is closed
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((urlsplit(plex.url).hostname, urlsplit(plex.url).port), timeout=1)


def test_it_stops_within_the_event_loop_of_a_command() -> None:
    """`serve` returns when told to stop; nothing is raised and no signal handler is left behind."""

    def handlers() -> tuple[object, object]:
        return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    async def run() -> float:
        before, stop, ready = handlers(), asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(LocalPlex(World.from_dict(world())).serve(ready.set, stop))
        await ready.wait()
        assert before == handlers()
        stop.set()
        began = time.perf_counter()
        await serving
        assert before == handlers()
        return time.perf_counter() - began

    assert asyncio.run(run()) < 8
