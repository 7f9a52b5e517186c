"""Clients that are slow, half open, numerous or do not speak HTTP are bounded, and get a reason if possible."""

from __future__ import annotations

import socket
import ssl
import time
from urllib.parse import urlsplit

import pytest

from tests.local_plex.intercept.conftest import PATIENCE, Client, Stage
from ticketstub.local_plex.intercept.interception import intercept_traffic
from ticketstub.local_plex.intercept.proxy import ProxyLimits
from ticketstub.local_plex.intercept.request import HostPort
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.world.schema import World

CONNECT = b"CONNECT plex.tv:443 HTTP/1.1\r\n\r\n"


def test_a_slow_head(stage: Stage) -> None:
    """A request head that arrives byte by byte is cut off after its time limit."""
    client = stage.client(stage.proxy(limits=ProxyLimits(head_seconds=0.2)))
    began = time.monotonic()
    for each in b"CONNE":
        client.say(bytes([each]))
        time.sleep(0.02)
    assert client.rest().startswith(b"HTTP/1.1 408 Request Timeout: the head of the request did not come within 0.2 s")
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("text", [b"A" * 3000, b"GET http://plex.tv/ HTTP/1.1\r\nX: " + b"a" * 2000 + b"\r\n\r\n"])
def test_a_long_head(stage: Stage, text: bytes) -> None:
    """A request head beyond its size limit is refused, complete or not."""
    client = stage.client(stage.proxy(limits=ProxyLimits(head_bytes=1000)))
    client.say(text)
    assert client.rest().startswith(b"HTTP/1.1 431 Request Header Fields Too Large: the head of the request is too")


class Led:
    """A local Plex with intercepted programs, the events of their connections, and clients that trust no authority."""

    def __init__(self, stage: Stage, head_seconds: float = 10.0) -> None:
        enter = stage.endings.enter_context
        plex = LocalPlex(World.demo(), settings=Settings(head_seconds=head_seconds))
        self.plex = enter(plex.run_in_thread())
        self.way = enter(
            intercept_traffic(self.plex, self.plex.enable_tls, {}, offline=True, on_event=stage.events.append)
        )
        self.stage = stage

    def client(self, target: str) -> Client:
        client = Client(urlsplit(self.way.proxy).port or 0)
        self.stage.endings.callback(client.close)
        client.tunnel(target)
        return client


NO_TLS = "the TLS handshake failed: perhaps the program does not trust the run's authority"


def test_a_program_that_does_not_trust_the_run(stage: Stage) -> None:
    """The log says so, with the requested name: plex.tv's or a media server's."""
    led = Led(stage)
    attic = urlsplit(led.plex.media_server("Attic").https_url)
    for host, port in (("plex.tv", 443), (attic.hostname or "", attic.port)):
        client = led.client(f"{host}:{port}")
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(client.socket, server_hostname=host)
    stage.told(4)
    failed = [(event.target, event.reason) for event in stage.events if event.outcome == "failed"]
    assert [("plex.tv:443", NO_TLS), (attic.netloc, NO_TLS)] == failed


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x00" * 600])
def test_no_tls_in_the_tunnel(stage: Stage, garbage: bytes) -> None:
    """Bytes that are neither TLS nor HTTP end the connection."""
    client = Led(stage).client("plex.tv:443")
    client.say(garbage)
    client.rest()
    assert ("plex.tv:443", "taken") == stage.told(1)[0]


def test_silence_instead_of_tls(stage: Stage) -> None:
    """A client that opens a tunnel and sends nothing loses it."""
    assert b"" == Led(stage, head_seconds=0.2).client("plex.tv:443").rest()


def test_more_than_the_head_before_the_tunnel_is_there(stage: Stage) -> None:
    """Bytes sent before the tunnel is established come first in it."""
    client = stage.client(stage.proxy())
    client.say(b"CONNECT plex.tv:80 HTTP/1.1\r\n\r\nearly")
    assert client.rest().endswith(stage.plex_tv.reply)
    assert [b"early"] == stage.plex_tv.came


def test_a_silent_tunnel(stage: Stage) -> None:
    """If both sides are silent for too long, both connections end."""
    with socket.create_server(("127.0.0.1", 0)) as quiet:
        client = stage.client(stage.proxy(limits=ProxyLimits(idle_seconds=0.2)))
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
    """A client that has finished sending still gets the response; one that leaves ends the other side."""
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
    """A client that leaves at any point does not obstruct the next one."""
    proxy = stage.proxy(limits=ProxyLimits(connections=5))
    for text in (b"", b"CONN", CONNECT, CONNECT + b"x", b"GET http://plex.tv/ HTTP/1.1\r\n\r\n") * 4:
        client = stage.client(proxy)
        client.say(text)
        client.close()
    deadline = time.monotonic() + PATIENCE
    while not stage.client(proxy).tunnel("plex.tv:443").startswith(b"HTTP/1.1 200"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_thousand_connections(stage: Stage) -> None:
    """Clients beyond the limit are refused with the reason, and the others are served."""
    proxy = stage.proxy(limits=ProxyLimits(connections=100))
    silent = [stage.client(proxy) for _ in range(100)]
    refused = [stage.client(proxy) for _ in range(150)]
    said = {client.rest().partition(b"\r\n")[0] for client in refused}
    assert {b"HTTP/1.1 503 Service Unavailable: there are too many connections at once"} == said
    assert b"HTTP/1.1 200 Connection established\r\n\r\n" == silent[0].tunnel("plex.tv:443")


def test_tls_that_drips(stage: Stage) -> None:
    """A TLS handshake that arrives byte by byte ends after its time limit."""
    outgoing = ssl.MemoryBIO()
    hello = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="plex.tv")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    client = Led(stage, head_seconds=1.0).client("plex.tv:443")  # in which the first byte must have come
    with pytest.raises(ConnectionError):  # all of it would take longer than that
        _drip(client, outgoing.read())
    assert [("plex.tv:443", "taken"), ("plex.tv:443", "failed")] == stage.told(2)


def _drip(client: Client, text: bytes) -> None:
    for each in text:
        client.say(bytes([each]))
        time.sleep(0.02)


def test_who_never_reads_is_let_go(stage: Stage) -> None:
    """A client that does not read an endless response blocks neither the proxy nor the server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = stage.client(stage.proxy(limits=ProxyLimits(idle_seconds=0.2)))
        client.tunnel(f"127.0.0.1:{listener.getsockname()[1]}")
        far, _ = listener.accept()
        far.settimeout(PATIENCE)
        with far, pytest.raises(ConnectionError):
            _pour(far)


def _pour(connection: socket.socket) -> None:
    for _ in range(1000):
        connection.sendall(bytes(1_000_000))


def test_a_second_request_behind_the_first(stage: Stage) -> None:
    """On a plain HTTP connection only the first request is answered: another might be for a different host."""
    second = b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\nX-Plex-Token: not-for-us\r\n\r\n"
    with LocalPlex(World()).run_in_thread() as plex:
        own = urlsplit(plex.url)
        stage.plex_tv.address = HostPort(own.hostname or "", own.port or 0)
        proxy = stage.proxy()
        together, after = stage.client(proxy), stage.client(proxy)
        together.say(b"GET http://plex.tv/api/v2/user HTTP/1.1\r\nHost: plex.tv\r\n\r\n" + second)
        assert 1 == together.rest().count(b"HTTP/1.1 401 ")
        after.say(b"GET http://plex.tv/api/v2/user HTTP/1.1\r\nHost: plex.tv\r\n\r\n")
        answer = after.head()
        after.say(second)
        answer += after.rest()
        assert 1 == answer.count(b"HTTP/1.1 ")
    assert {("plex.tv:80", "taken")} == set(stage.told(2))
