"""C4: https: bad certificates are refused with the reason, and nothing is sent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import pytest

from tests.client.transports import hostile
from tests.client.transports.conftest import NAMES, SHORT, Authority, Sender, failure_of, request, unreached
from ticketstub.client.transports.dial import create_default_ssl_context
from ticketstub.errors import TimedOut, Unreachable
from ticketstub.messages import Request

Make = Callable[..., Sender]


@pytest.mark.parametrize("name", NAMES)
def test_good_certificate(name: str, make_sender: Make, authority: Authority) -> None:
    """With a valid certificate https works and the connection is reused."""
    with hostile.Server(hostile.answer(hostile.OK), authority.serving("127.0.0.1")) as server:
        sender = make_sender(name, authority.trusting())
        for _ in range(2):
            assert b"ok" == sender.send(request(server.url)).body
        assert 1 == server.connections


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("wrong host", "is not valid for this host"),
        ("expired", "has expired"),
        ("stranger", "is not signed by an authority that this computer trusts"),
    ],
)
def test_bad_certificate(name: str, fault: str, reason: str, make_sender: Make, authority: Authority) -> None:
    """An invalid certificate is the reason of the error, and nothing is sent."""
    host = "127.0.0.2" if fault == "wrong host" else "127.0.0.1"
    context = authority.serving(host, expired=fault == "expired", trusted=fault != "stranger")
    with hostile.Server(hostile.answer(hostile.OK), context) as server:
        error = unreached(make_sender(name, authority.trusting()), request(server.url))
        assert (Unreachable, False) == (type(error), error.sent)
        assert error.message.endswith(f"its certificate {reason}")
    assert [] == server.requests


def test_wrong_host_by_name(own: str, make_sender: Make, authority: Authority) -> None:
    """A certificate for another name is refused, whatever the name resolves to."""
    with hostile.Server(hostile.answer(hostile.OK), authority.serving("other.example.test")) as server:
        sender = make_sender(own, authority.trusting(), resolver=lambda _host, port: [_loopback(port)])
        error = failure_of(sender, request(f"https://plex.example.test:{server.port}"))
        assert error.message.endswith("its certificate is not valid for this host")
        sender.send(request(f"https://other.example.test:{server.port}"))


@pytest.mark.parametrize("name", NAMES)
def test_plain_http_behind_https(name: str, make_sender: Make, authority: Authority) -> None:
    """A port without TLS is unreachable by https, with a hint."""

    def behave(_server: hostile.Server, sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with hostile.Server(behave) as server:
        sender = make_sender(name, authority.trusting())
        error = unreached(sender, request(f"https://127.0.0.1:{server.port}"))
        assert (Unreachable, False) == (type(error), error.sent)
        assert error.message.endswith("TLS could not be agreed on")


def test_silent_handshake(own: str, make_sender: Make, authority: Authority) -> None:
    """A server that never answers the TLS handshake is abandoned at the connect timeout."""

    def behave(server: hostile.Server, _sock: socket.socket) -> None:
        server.stopped.wait(2)

    with hostile.Server(behave) as server:
        sender = make_sender(own, authority.trusting())
        error = unreached(sender, request(f"https://127.0.0.1:{server.port}"), connect=SHORT)
        assert (TimedOut, False) == (type(error), error.sent)


def test_default_context_checks() -> None:
    """The default context checks names and certificates, and requires TLS 1.2."""
    context = create_default_ssl_context()
    assert (True, ssl.CERT_REQUIRED) == (context.check_hostname, context.verify_mode)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def _loopback(port: int):
    from ticketstub.dns import ResolvedAddress

    return ResolvedAddress(socket.AF_INET, "127.0.0.1", port)


@pytest.mark.parametrize("name", NAMES)
def test_connections_belong_to_the_name_that_was_checked(name: str, make_sender: Make, authority: Authority) -> None:
    """A connection to an IP address is reused for no other name than the one that its certificate was checked for."""
    with hostile.Server(hostile.answer(hostile.OK), authority.serving("one.example.test")) as server:
        sender = make_sender(name, authority.trusting())
        one, two = (
            Request("t", "GET", f"https://{host}.example.test:{server.port}/", {}, address="127.0.0.1")
            for host in ("one", "two")
        )
        assert b"ok" == sender.send(one).body
        error = unreached(sender, two)
        assert ("certificate_name", False) == (error.reason, error.sent)
        assert b"ok" == sender.send(one).body
    assert 2 == len(server.requests)
