"""The proxy on loopback: what it leads to the local Plex, forwards and refuses, byte for byte."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable

import pytest

from tests.local_plex.intercept.conftest import Client, Stage
from ticketstub.local_plex.intercept.proxy import ConnectionEvent, UpstreamProxy
from ticketstub.tokens import Secret

Connect = Callable[[], Client]
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
ASKING = b"GET /api/v2/user HTTP/1.1\r\nHost: plex.tv\r\nX-Plex-Token: a-secret-token\r\n\r\n"


@pytest.mark.parametrize("name", ["plex.tv", "clients.plex.tv", "app.plex.tv"])
def test_plex_tv_is_answered_by_the_local_plex(stage: Stage, connect: Connect, name: str) -> None:
    """TLS has a certificate for that name, and the bytes inside reach the local Plex unchanged."""
    client = connect()
    assert ESTABLISHED == client.tunnel(f"{name}:443")
    client.tls(name, stage.issued)
    client.say(ASKING)
    assert stage.plex_tv.reply == client.rest()
    assert [ASKING] == stage.plex_tv.came
    assert [ConnectionEvent(target=f"{name}:443", outcome="taken")] == stage.events


def test_a_media_server_by_its_name_below_plex_direct(stage: Stage, connect: Connect) -> None:
    client = connect()
    assert ESTABLISHED == client.tunnel(f"{stage.attic_name}:{stage.attic.address.port}")
    client.tls(stage.attic_name, stage.issued)
    client.say(ASKING)
    assert stage.attic.reply == client.rest()
    assert ([ASKING], []) == (stage.attic.came, stage.plex_tv.came)


def test_tls_is_1_2_at_least_and_http_1_1(stage: Stage, connect: Connect) -> None:
    """A client that also offers HTTP/2 is told to use HTTP/1.1."""
    client = connect()
    client.tunnel("plex.tv:443")
    context = ssl.create_default_context(cadata=stage.issued.authority.decode())
    context.set_alpn_protocols(["h2", "http/1.1"])
    client.socket = tls = context.wrap_socket(client.socket, server_hostname="plex.tv")
    assert ("http/1.1", "TLSv1.3") == (tls.selected_alpn_protocol(), tls.version())


def test_a_plain_request_for_plex_tv(stage: Stage, connect: Connect) -> None:
    """A program that uses plain HTTP is answered, too, with or without a tunnel."""
    plain, tunnelled = connect(), connect()
    plain.say(b"GET http://plex.tv/api/v2/ping HTTP/1.1\r\nHost: plex.tv\r\n\r\n")
    assert stage.plex_tv.reply == plain.rest()
    assert ESTABLISHED == tunnelled.tunnel("plex.tv:80")
    tunnelled.say(ASKING)
    assert stage.plex_tv.reply == tunnelled.rest()
    assert [b"GET /api/v2/ping HTTP/1.1\r\nHost: plex.tv\r\nConnection: close\r\n\r\n", ASKING] == stage.plex_tv.came


def test_other_hosts_are_passed_on_untouched(stage: Stage, connect: Connect) -> None:
    """A tunnel to another host carries bytes unchanged, both ways."""
    other = stage.backend(b"\x00\xffwhatever")
    client = connect()
    assert ESTABLISHED == client.tunnel(f"localhost:{other.address.port}")
    client.say(b"\x16\x03\x01not for us")
    assert other.reply == client.rest()
    assert [b"\x16\x03\x01not for us"] == other.came
    assert "passed on" == stage.events[0].outcome


@pytest.mark.parametrize(
    ("asked", "status", "reason"),
    [
        (
            "CONNECT metadata.provider.plex.tv:443",
            502,
            "metadata.provider.plex.tv:443 is one of Plex's hosts that a local Plex does not answer for",
        ),
        ("CONNECT example.com:443", 403, "example.com:443 is not Plex's, and this run is offline (--offline)"),
        ("GET http://example.com/", 403, "example.com:80 is not Plex's, and this run is offline (--offline)"),
        ("GET /", 403, "this is a proxy: it takes CONNECT, and http:// addresses in full"),
        ("GET http://plex.tv:443/", 400, "plex.tv:443 is for https, which takes CONNECT"),
    ],
)
def test_a_refusal_says_why_where_clients_show_it(stage: Stage, asked: str, status: int, reason: str) -> None:
    """The reason is in the status line, the body and the log."""
    client = stage.client(stage.proxy(offline=True))
    client.say(f"{asked} HTTP/1.1\r\n\r\n".encode())
    said = client.rest().decode()
    assert said.startswith(f"HTTP/1.1 {status} ")
    assert said.partition("\r\n")[0].endswith(f": {reason}")
    assert said.endswith(f"\r\n\r\nticketstub run: {reason}\n")
    assert [("refused", reason)] == [(event.outcome, event.reason) for event in stage.events]


def test_what_cannot_be_reached_is_a_bad_gateway(stage: Stage, connect: Connect) -> None:
    """If nothing listens or the name is unknown, it is 502 with the system's reason."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client, other = connect(), connect()
    assert client.tunnel(f"127.0.0.1:{port}").startswith(b"HTTP/1.1 502 Bad Gateway: 127.0.0.1:")
    assert other.tunnel("nobody.invalid:443").startswith(b"HTTP/1.1 502 Bad Gateway: nobody.invalid:443 cannot be")


def test_it_does_not_go_round_in_circles(stage: Stage) -> None:
    """A request to the proxy itself, by any name, is refused."""
    proxy = stage.proxy()
    port = proxy.url.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):  # noqa: S104  # asked for, not listened on
        client = stage.client(proxy)
        assert client.tunnel(f"{host}:{port}").startswith(b"HTTP/1.1 508 Loop Detected: ")


def test_a_further_proxy(stage: Stage) -> None:
    """If the machine uses a proxy, other hosts are reached through it with its credentials; Plex's hosts are not."""
    further = stage.backend(b"HTTP/1.1 200 yes\r\n\r\nand its bytes")
    proxy = stage.proxy(upstream=UpstreamProxy(further.address, Secret("Basic dTpw")))
    client = stage.client(proxy)
    client.say(b"CONNECT media.example:443 HTTP/1.1\r\nHost: media.example:443\r\n\r\n")
    assert further.reply == client.rest()
    expected = (
        b"CONNECT media.example:443 HTTP/1.1\r\nHost: media.example:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
    )
    assert [expected] == further.came
    own, local = stage.client(proxy), stage.backend(b"local")
    own.tunnel("plex.tv:443")
    own.tls("plex.tv", stage.issued)
    own.say(ASKING)
    assert stage.plex_tv.reply == own.rest()
    direct = stage.client(proxy)
    direct.tunnel(f"127.0.0.1:{local.address.port}")
    direct.say(b"x")
    assert b"local" == direct.rest()
    assert 1 == len(further.came)


def test_no_secret_is_in_the_journal(stage: Stage, connect: Connect) -> None:
    """The log has no queries, header fields, paths or parts of a bad request."""
    for text in (
        b"GET http://plex.tv/a-secret-token?t=a-secret-token HTTP/1.1\r\nX-Plex-Token: a-secret-token\r\n\r\n",
        b"CONNECT a-secret-token@plex.tv:443 HTTP/1.1\r\n\r\n",
        b"CONNECT plex.tv:443 HTTP/1.1\r\nProxy-Authorization: a-secret-token\r\n\r\nrest",
        b"a-secret-token\r\n\r\n",
    ):
        client = connect()
        client.say(text)
        assert b"a-secret-token" not in client.rest()
    assert 4 == len(stage.events)
    assert "a-secret-token" not in repr(stage.events)


def test_who_does_not_read_stops_who_sends(stage: Stage) -> None:
    """Backpressure: for a client that does not read, the server can send only what fits into buffers."""
    sent = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def pour() -> None:
            nonlocal sent
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(0.5)
                try:
                    while sent < 200_000_000:
                        sent += connection.send(bytes(1_000_000))
                except OSError:
                    pass

        thread = threading.Thread(target=pour, daemon=True)
        thread.start()
        client = stage.client(stage.proxy())
        client.tunnel(f"127.0.0.1:{listener.getsockname()[1]}")
        thread.join(20)
        assert 0 < sent < 50_000_000
        client.close()


def test_it_ends_with_connections_open(stage: Stage) -> None:
    """Whatever clients do, the proxy stops at once, and they see the end of their connections."""
    proxy = stage.proxy()
    silent, tunnelled = stage.client(proxy), stage.client(proxy)
    tunnelled.tunnel("plex.tv:443")
    began = time.monotonic()
    stage.endings.pop_all().close()
    assert time.monotonic() - began < 30
    assert not [thread for thread in threading.enumerate() if thread.name == "ticketstub-proxy"]
    assert silent.socket.fileno() == -1
