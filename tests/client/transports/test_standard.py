"""The sync transport: its pool, threads, forks, and closing."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from tests.client.transports import hostile
from tests.client.transports.conftest import SHORT, TIMEOUT, failure_of, request, unreached
from ticketstub.client.transports.http1 import ConnectionPool, StandardTransport
from ticketstub.dns import ResolvedAddress
from ticketstub.errors import TimedOut, Unreachable


def send(transport: StandardTransport, url: str):
    return transport.send(request(url), deadline=time.monotonic() + TIMEOUT, connect_timeout=TIMEOUT)


@pytest.fixture
def transport():
    made = StandardTransport()
    yield made
    made.close()


def test_threads_share_one_transport(transport: StandardTransport) -> None:
    """Many threads share one transport; each gets its own response, and no two share a connection."""

    def behave(server: hostile.Server, sock: socket.socket) -> None:
        while message := server.read(sock):
            name = message.split(b"X-Name: ")[1].split(b"\r\n")[0]
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))

    def ask(name: str) -> bool:
        message = request(server.url, headers={"X-Name": name})
        answer = transport.send(message, deadline=time.monotonic() + 60, connect_timeout=60)
        return answer.body == name.encode()

    with hostile.Server(behave) as server, ThreadPoolExecutor(8) as threads:
        assert [True] * 200 == list(threads.map(ask, map(str, range(200))))
        assert server.connections <= 8


def test_fork(transport: StandardTransport) -> None:
    """A forked child opens its own connection, and the parent's stays usable."""
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        send(transport, server.url)
        if (child := os.fork()) == 0:
            try:
                os._exit(0 if send(transport, server.url).body == b"ok" else 1)
            finally:
                os._exit(2)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        send(transport, server.url)
        assert 2 == server.connections


def test_last_used_first(transport: StandardTransport) -> None:
    """Idle connections are stored for each origin."""
    with hostile.Server(hostile.answer(hostile.OK)) as one, hostile.Server(hostile.answer(hostile.OK)) as other:
        for server in (one, other, one, other):
            send(transport, server.url)
        assert (1, 1) == (one.connections, other.connections)


def test_idle_connections_are_few(transport: StandardTransport) -> None:
    """A full pool closes the connection that has been idle longest."""
    transport._pool = ConnectionPool(max_size=1)
    with hostile.Server(hostile.answer(hostile.OK)) as one, hostile.Server(hostile.answer(hostile.OK)) as other:
        send(transport, one.url)
        send(transport, other.url)
        assert one.ended.wait(60)
        assert not other.ended.is_set()


def test_old_connections_are_dropped(transport: StandardTransport) -> None:
    """A connection that has been idle too long is not used again."""
    transport._pool = ConnectionPool(max_idle=0.0)
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        send(transport, server.url)
        send(transport, server.url)
        assert 2 == server.connections
        assert server.ended.wait(60)


def test_close(transport: StandardTransport) -> None:
    """Closing closes the idle connections."""
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        send(transport, server.url)
        transport.close()
        assert server.ended.wait(60)


def test_failed_exchange_closes_its_connection(make_sender) -> None:
    """A failed exchange closes its connection, and the server notices."""
    with hostile.Server(hostile.silent) as server:
        failure_of(make_sender("standard"), request(server.url), timeout=SHORT)
        assert server.ended.wait(60)


def test_dead_first_address(make_sender) -> None:
    """An address that does not answer uses only its share of the time; the next one gets the rest."""
    with hostile.Server(hostile.answer(hostile.OK)) as server, hostile.BlackHole() as hole:
        addresses = [ResolvedAddress(socket.AF_INET, "127.0.0.1", port) for port in (hole.port, server.port)]
        sender = make_sender("standard", resolver=lambda *_: addresses)
        assert b"ok" == sender.send(request("http://plex.example.test"), connect=0.3).body


def test_no_address_answers(make_sender) -> None:
    """If no address answers, the error has the first one's reason."""
    addresses = [ResolvedAddress(socket.AF_INET, "127.0.0.1", hostile.closed_port()) for _ in range(2)]
    sender = make_sender("standard", resolver=lambda *_: addresses)
    error = failure_of(sender, request("http://plex.example.test"))
    assert "plex.example.test:80 cannot be reached: connection refused" == error.message


def test_bytes_on_an_idle_connection(make_sender) -> None:
    """Bytes that arrive on an idle connection are never read as a response."""
    answered, came = threading.Semaphore(0), threading.Semaphore(0)

    def behave(server: hostile.Server, sock: socket.socket) -> None:
        server.read(sock)
        sock.sendall(hostile.OK)
        answered.acquire(timeout=60)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        came.release()
        server.read(sock)

    with hostile.Server(behave) as server:
        sender = make_sender("standard")
        for _ in range(2):
            assert b"ok" == sender.send(request(server.url)).body
            answered.release()
            assert came.acquire(timeout=60)
        assert 2 == server.connections


def test_request_that_is_not_taken(make_sender) -> None:
    """A request that the other side does not read fails at the deadline with `sent=True`."""

    def behave(server: hostile.Server, _sock: socket.socket) -> None:
        server.stopped.wait(2)

    with hostile.Server(behave) as server:
        large = request(server.url, "POST", body=b"a" * 32 * hostile.MEBIBYTE)
        error = unreached(make_sender("standard"), large, timeout=3 * SHORT)  # 32 MiB are copied first
    assert (TimedOut, True) == (type(error), error.sent)


def test_endless_deadline(transport: StandardTransport) -> None:
    """An infinite deadline works."""
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        assert 200 == transport.send(request(server.url), deadline=float("inf"), connect_timeout=float("inf")).status


@pytest.mark.parametrize("name", ["standard", "aiohttp"])
class TestNames:
    """Name look-up, in both of our own transports."""

    def test_stalled(self, name: str, make_sender) -> None:
        """A stalled resolver is abandoned at the connect timeout; nothing was sent."""
        released = Event()
        sender = make_sender(name, resolver=lambda *_: released.wait(60) and [])
        error = unreached(sender, request("http://plex.example.test"), connect=SHORT)
        released.set()
        assert (TimedOut, False) == (type(error), error.sent)

    def test_unknown(self, name: str, make_sender) -> None:
        """An unknown name is reported, with a hint."""

        def resolver(*_: object) -> list[ResolvedAddress]:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")

        error = unreached(make_sender(name, resolver=resolver), request("http://plex.example.test"))
        assert (Unreachable, False) == (type(error), error.sent)
        assert "plex.example.test:80 cannot be reached: the name could not be looked up" == error.message
        assert error.hint

    def test_without_address(self, name: str, make_sender) -> None:
        """A name without an address counts as unknown."""
        error = failure_of(make_sender(name, resolver=lambda *_: []), request("http://plex.example.test"))
        assert "plex.example.test:80 cannot be reached: the name could not be looked up" == error.message

    def test_leads_anywhere(self, name: str, make_sender) -> None:
        """The name is in the Host header, and its address is connected to."""
        with hostile.Server(hostile.answer(hostile.OK)) as server:
            resolver = lambda _host, port: [ResolvedAddress(socket.AF_INET, "127.0.0.1", port)]  # noqa: E731  # one line is enough
            make_sender(name, resolver=resolver).send(request(f"http://plex.example.test:{server.port}"))
            assert f"\r\nHost: plex.example.test:{server.port}\r\n".encode() in server.requests[0]

    def test_digits_need_no_resolver(self, name: str, make_sender) -> None:
        """A numeric address needs no resolver."""
        with hostile.Server(hostile.answer(hostile.OK)) as server:
            make_sender(name, resolver=lambda *_: 1 / 0).send(request(server.url))
