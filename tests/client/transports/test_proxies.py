"""Proxies from the environment: https goes through a tunnel, plain http and loopback never."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.client.transports import hostile
from tests.client.transports.conftest import CANARY, SHORT, Authority, Sender, assert_no_canary, request, unreached
from tests.tables import every
from ticketstub.client.transports.dial import find_proxy
from ticketstub.dns import ResolvedAddress
from ticketstub.errors import MalformedReply, TimedOut, Unreachable
from ticketstub.messages import Origin

Make = Callable[..., Sender]
PLEX = Origin("https", "plex.example.test", 443)


def loopback(_host: str, port: int) -> list[ResolvedAddress]:
    return [ResolvedAddress(socket.AF_INET, "127.0.0.1", port)]


def through(port: int, user: str = "") -> dict[str, object]:
    """Return the arguments that lead one of our transports through a loopback proxy; names resolve only there."""
    environ = {"HTTPS_PROXY": f"http://{user}127.0.0.1:{port}", "HTTP_PROXY": f"http://127.0.0.1:{port}"}
    return {"find_proxy": partial(find_proxy, environ=environ)}


def test_https_goes_through_a_tunnel(own: str, make_sender: Make, authority: Authority) -> None:
    """The proxy opens a tunnel for its own credentials, and cannot read the request."""
    with hostile.Server(hostile.answer(hostile.OK), authority.serving("plex.example.test")) as plex:
        behave = partial(hostile.tunnel, target=("127.0.0.1", plex.port))
        with hostile.Server(behave) as proxy:
            sender = make_sender(own, authority.trusting(), **through(proxy.port, "me:p%40ss@"))
            for _ in range(2):
                assert b"ok" == sender.send(request("https://plex.example.test")).body
            asked = proxy.requests
    assert [True] == [message.startswith(b"CONNECT plex.example.test:443 HTTP/1.1\r\n") for message in asked]
    assert b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in asked[0]
    assert CANARY.encode() not in asked[0]
    assert 2 == len(plex.requests)
    assert not any(b"proxy" in message.lower() for message in plex.requests)


@pytest.mark.parametrize("status", [b"403 Forbidden", b"407 Proxy Authentication Required", b"502 Bad Gateway"])
def test_refused_tunnel(own: str, status: bytes, make_sender: Make) -> None:
    """A proxy's refusal is the reason, nothing was sent, and no message has its credentials."""
    with hostile.Server(hostile.answer_and_close(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")) as proxy:
        sender = make_sender(own, **through(proxy.port, f"me:{CANARY}@"))
        error = unreached(sender, request("https://plex.example.test"))
    assert (Unreachable, False) == (type(error), error.sent)
    assert "the proxy" in error.message
    assert ("user name and password" in str(error)) is status.startswith(b"407")


def test_silent_proxy(own: str, make_sender: Make) -> None:
    """A proxy that never answers is abandoned at the connect timeout."""
    with hostile.Server(hostile.silent) as proxy:
        sender = make_sender(own, **through(proxy.port))
        error = unreached(sender, request("https://plex.example.test"), connect=SHORT)
    assert (TimedOut, False) == (type(error), error.sent)


def test_proxy_that_speaks_something_else(make_sender: Make) -> None:
    """A proxy whose answer is not HTTP, or has extra bytes, opened no tunnel."""
    for answer in (b"SSH-2.0-OpenSSH\r\n", hostile.OK):
        with hostile.Server(hostile.answer_and_close(answer)) as proxy:
            error = unreached(make_sender("standard", **through(proxy.port)), request("https://plex.example.test"))
        assert (Unreachable, False) == (type(error), error.sent)
        assert error.message.endswith(f"the proxy 127.0.0.1:{proxy.port} does not speak HTTP")


def _flood(server: hostile.Server, sock: socket.socket) -> None:
    server.read(sock)
    server.drip(sock, b"HTTP/1.1 100 Continue\r\n\r\n", 0.001)


def _drip(server: hostile.Server, sock: socket.socket) -> None:
    server.read(sock)
    for byte in b"HTTP/1.1 200 Connection established":
        if not server.stopped.wait(1.0):
            sock.sendall(bytes([byte]))


PROXIES: dict[str, hostile.Behaviour] = {
    "garbage": hostile.answer_and_close(bytes(range(256)) * 4),
    "a banner": hostile.answer_and_close(b"220 mail.example ESMTP\r\n"),
    "an early close": hostile.answer_and_close(b""),
    "half a status line": hostile.answer_and_close(b"HTTP/1.1 20"),
    "half a head": hostile.answer_and_close(b"HTTP/1.1 200 OK\r\nVia: x"),
    "one byte a second": _drip,
    "1xx without end": _flood,
    "a wrong length": hostile.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000000\r\n\r\nabc"),
    "a length of words": hostile.answer(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc"),
    "a head without end": hostile.dripping_head,
    "a reset": hostile.reset_after_request,
    "a tunnel to garbage": hostile.answer(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(range(256))),
}


@pytest.mark.parametrize("behave", PROXIES.values(), ids=PROXIES)
def test_f_cl_2_hostile_proxy(own: str, behave: hostile.Behaviour, make_sender: Make) -> None:
    """Whatever a hostile proxy does, the error has a class of ours, arrives in time, and the token was not sent."""
    with hostile.Server(behave) as proxy:
        sender = make_sender(own, **through(proxy.port))
        begun = time.monotonic()
        with pytest.raises((Unreachable, MalformedReply)) as caught:
            sender.send(request("https://plex.example.test"), timeout=0.2)
        assert time.monotonic() - begun < 30  # the slowest of them goes on for longer
        assert_no_canary(caught.value)
        assert all(CANARY.encode() not in came for came in proxy.requests)


def test_unreachable_proxy(own: str, make_sender: Make) -> None:
    """If the proxy is down, the error names the proxy."""
    port = hostile.closed_port()
    error = unreached(make_sender(own, **through(port, f"me:{CANARY}@")), request("https://plex.example.test"))
    assert (False, f"127.0.0.1:{port} cannot be reached: connection refused") == (error.sent, error.message)


def test_http_and_loopback_go_directly(own: str, make_sender: Make, authority: Authority) -> None:
    """Plain http and loopback never go through a proxy, which could read the token."""
    with (
        hostile.Server(hostile.silent) as proxy,
        hostile.Server(hostile.answer(hostile.OK)) as plain,
        hostile.Server(hostile.answer(hostile.OK), authority.serving("127.0.0.1", "localhost")) as secure,
    ):
        sender = make_sender(own, authority.trusting(), resolver=loopback, **through(proxy.port))
        for url in (f"http://plex.example.test:{plain.port}", secure.url, f"https://localhost:{secure.port}"):
            assert b"ok" == sender.send(request(url)).body
        assert 0 == proxy.connections


@every(
    ("environ", "expected"),
    [
        ({}, None),
        ({"https_proxy": "http://low:1"}, "low:1"),
        ({"HTTPS_PROXY": "http://up:1", "ALL_PROXY": "http://all:2"}, "up:1"),
        ({"ALL_PROXY": "all:2"}, "all:2"),
        ({"HTTP_PROXY": "http://plain:1"}, None),
        ({"https_proxy": "http://low:1", "no_proxy": "*"}, None),
        ({"https_proxy": "http://low:1", "NO_PROXY": "a.test, example.test"}, None),
        ({"https_proxy": "http://low:1", "NO_PROXY": ".EXAMPLE.test"}, None),
        ({"https_proxy": "http://low:1", "NO_PROXY": "*.example.test:443"}, None),
        ({"https_proxy": "http://low:1", "NO_PROXY": "example.test:8443"}, "low:1"),
        ({"https_proxy": "http://low:1", "NO_PROXY": "ample.test,10.0.0.0/8"}, "low:1"),
        ({"https_proxy": "http://[::1]:8080"}, "[::1]:8080"),
    ],
)
def test_which_proxy(environ: dict[str, str], expected: str | None) -> None:
    """HTTPS_PROXY overrides ALL_PROXY, lower case overrides upper case, and NO_PROXY makes exceptions."""
    proxy = find_proxy(PLEX, environ)
    assert expected == (None if proxy is None else str(proxy.origin))


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_never(host: str) -> None:
    """No spelling of a loopback address goes through a proxy."""
    assert find_proxy(Origin("https", host, 443), {"HTTPS_PROXY": "http://p:1"}) is None


def test_addresses_in_a_network() -> None:
    """NO_PROXY may name a network, an address, or one with a port."""
    for exception in ("192.168.0.0/16", "192.168.1.9", "192.168.1.9:32400"):
        assert find_proxy(Origin("https", "192.168.1.9", 32400), {"HTTPS_PROXY": "p:1", "NO_PROXY": exception}) is None
    assert find_proxy(Origin("https", "fd00::9", 443), {"HTTPS_PROXY": "p:1", "NO_PROXY": "[fd00::9]:443"}) is None


@pytest.mark.parametrize("url", [f"socks5://me:{CANARY}@p:1", f"http://me:{CANARY}@p:x", f"https://me:{CANARY}@p"])
def test_proxy_that_cannot_be_used(url: str) -> None:
    """A proxy of another kind is an error, never silently bypassed; the message does not show its address."""
    with pytest.raises(Unreachable) as caught:
        find_proxy(PLEX, {"ALL_PROXY": url})
    assert_no_canary(caught.value)
    assert caught.value.sent is False


def test_credentials_do_not_print() -> None:
    """No repr shows a proxy's credentials."""
    assert CANARY not in repr(find_proxy(PLEX, {"HTTPS_PROXY": f"http://{CANARY}:{CANARY}@p:1"}))
