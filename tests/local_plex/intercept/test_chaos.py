"""Chaos through the proxy, as published clients see it: a response cut off inside is cut off for them, reproducibly."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Generator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.local_plex.intercept.conftest import PATIENCE
from ticketstub.local_plex.control.controller import Controller
from ticketstub.local_plex.control.faults import Chaos
from ticketstub.local_plex.intercept.interception import intercept_traffic
from ticketstub.local_plex.intercept.variables import ProgramSettings
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.world.schema import World

ASKED = {"X-Plex-Client-Identifier": "here", "X-Plex-Token": "Xk3mPz_9Q-vT7rLb2NfW"}
ALL = {"429", "503", "200", "cut off", "no answer"}


class Behind:
    """A local Plex on which every call fails, behind a proxy."""

    def __init__(self, way: ProgramSettings) -> None:
        self.proxy = urlsplit(way.proxy)
        self.trusting = ssl.create_default_context(cafile=way.authority)


@contextlib.contextmanager
def behind(chaos: Chaos | None) -> Generator[Behind]:
    with (
        LocalPlex(World.demo(), controller=Controller(chaos=chaos)).run_in_thread() as plex,
        intercept_traffic(plex, plex.enable_tls, {}, offline=True) as way,
    ):
        yield Behind(way)


def troubled(seed: int) -> Chaos:
    return Chaos(1.0, seed, longest=0.01)


def by_standard_library(there: Behind) -> str:
    connection = http.client.HTTPSConnection(
        there.proxy.hostname or "", there.proxy.port, timeout=PATIENCE, context=there.trusting
    )
    connection.set_tunnel("plex.tv", 443)
    try:
        connection.request("GET", "/api/v2/user", headers=ASKED)
        answer = connection.getresponse()
        answer.read()
    except http.client.IncompleteRead:
        return "cut off"
    except ConnectionError:  # RemoteDisconnected is one
        return "no answer"
    finally:
        connection.close()
    return str(answer.status)


def by_httpx(there: Behind) -> str:
    try:
        with httpx.Client(verify=there.trusting, proxy=there.proxy.geturl(), timeout=PATIENCE) as client:
            return str(client.get("https://plex.tv/api/v2/user", headers=ASKED).status_code)
    except httpx.RemoteProtocolError as error:
        return "cut off" if "without sending complete message body" in str(error) else "no answer"
    except httpx.ReadError:
        return "no answer"


@pytest.mark.parametrize("ask", [by_standard_library, pytest.param(by_httpx, marks=pytest.mark.long)])
def test_clients_of_others_see_each_trouble_the_same_with_the_same_seed(ask: Callable[[Behind], str]) -> None:
    """Refused, complete, cut off in the middle, and without a first byte: in the sequence of the seed."""
    runs: list[list[str]] = []
    for seed in (7, 7, 8):
        with behind(troubled(seed)) as there:
            runs.append([ask(there) for _ in range(25)])
    assert ALL == set(runs[0])
    assert runs[0] == runs[1] != runs[2]


def raw(there: Behind) -> ssl.SSLSocket:
    """Request an account with a client that distinguishes TLS closing messages from a bare end."""
    secret = b64encode(f"{there.proxy.username}:{there.proxy.password}".encode()).decode()
    connection = socket.create_connection((there.proxy.hostname, there.proxy.port), timeout=PATIENCE)
    connection.sendall(f"CONNECT plex.tv:443 HTTP/1.1\r\nProxy-Authorization: Basic {secret}\r\n\r\n".encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    tls = there.trusting.wrap_socket(connection, server_hostname="plex.tv", suppress_ragged_eofs=False)
    fields = "".join(f"{name}: {text}\r\n" for name, text in ASKED.items())
    tls.sendall(f"GET /api/v2/user HTTP/1.1\r\nHost: plex.tv\r\nConnection: close\r\n{fields}\r\n".encode())
    return tls


def test_no_byte_and_no_end_of_tls_before_the_first_byte() -> None:
    """If the server resets the connection, the client's TLS ends without a closing message, and no byte arrives."""
    firsts: list[bytes | None] = []
    with behind(troubled(7)) as there:
        for _ in range(25):
            with raw(there) as client:
                try:
                    firsts.append(client.recv(65536))
                except (ssl.SSLEOFError, ConnectionResetError):
                    firsts.append(None)
    assert None in firsts
    assert b"" not in firsts


def test_a_server_that_ends_properly_ends_tls_properly() -> None:
    """The counterpart: everything arrives, followed by TLS's closing message."""
    with behind(None) as there, raw(there) as client:
        came = b""
        while piece := client.recv(65536):
            came += piece
    assert came.startswith(b"HTTP/1.1 200 ")
    assert came.endswith(b"</user>")
