"""Chaos seen through the proxy, by clients of others: what is cut off inside is cut off for them, reproducibly."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.server.proxy.conftest import PATIENCE, Stage
from ticketstub.server.chaos import Chaos
from ticketstub.server.control.hand import Hand
from ticketstub.server.local_plex import LocalPlex
from ticketstub.server.proxy.authority import issue_for_run, server_context
from ticketstub.server.proxy.hosts import Address, Hosts
from ticketstub.server.proxy.proxy import Proxy
from ticketstub.server.world import World

ASKED = {"X-Plex-Client-Identifier": "here", "X-Plex-Token": "Xk3mPz_9Q-vT7rLb2NfW"}
ALL = {"429", "503", "200", "cut off", "no answer"}


class Behind:
    """A local Plex of which every call goes wrong, behind a proxy."""

    def __init__(self, plex: LocalPlex, proxy: Proxy, authority: bytes) -> None:
        self.plex = plex
        self.proxy = urlsplit(proxy.url)
        self.trusting = ssl.create_default_context(cadata=authority.decode())


@contextlib.contextmanager
def behind(folder: Path, seed: int) -> Generator[Behind]:
    hand = Hand(chaos=Chaos(1.0, seed, longest=0.01))
    with LocalPlex(World.demo(), hand=hand).running() as plex:
        own = urlsplit(plex.url)
        hosts = Hosts(Address(own.hostname or "", own.port or 0), {}, offline=True)
        issued = issue_for_run(hosts.names(), datetime.now(UTC))
        with Proxy(hosts, server_context(issued, folder)).running() as proxy:
            yield Behind(plex, proxy, issued.authority)


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


@pytest.mark.parametrize("ask", [by_standard_library, by_httpx])
def test_clients_of_others_see_each_trouble_the_same_with_the_same_seed(
    tmp_path: Path, ask: Callable[[Behind], str]
) -> None:
    """Refused, whole, cut off in the middle, and without a first byte: in a sequence that is the seed's."""
    runs: list[list[str]] = []
    for seed in (7, 7, 8):
        with behind(tmp_path, seed) as there:
            runs.append([ask(there) for _ in range(25)])
    assert ALL == set(runs[0])
    assert runs[0] == runs[1] != runs[2]


def test_no_byte_and_no_end_of_tls_before_the_first_byte(stage: Stage) -> None:
    """Where the server resets the connection, the client's TLS ends without a farewell, and no byte comes."""
    with socket.create_server(("127.0.0.1", 0)) as failing:
        stage.plex_tv.address = Address(*failing.getsockname()[:2])
        client = stage.client(stage.proxy())
        client.tunnel("plex.tv:443")
        trusting = ssl.create_default_context(cadata=stage.issued.authority.decode())
        client.socket = trusting.wrap_socket(client.socket, server_hostname="plex.tv", suppress_ragged_eofs=False)
        client.say(b"GET / HTTP/1.1\r\n\r\n")
        far, _ = failing.accept()
        far.settimeout(PATIENCE)
        far.recv(100)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        far.close()
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
            client.socket.recv(1)


def test_a_server_that_ends_properly_ends_tls_properly(stage: Stage) -> None:
    """The other case: what was sent arrives, and the end is told to be one."""
    client = stage.client(stage.proxy())
    client.tunnel("plex.tv:443")
    trusting = ssl.create_default_context(cadata=stage.issued.authority.decode())
    client.socket = trusting.wrap_socket(client.socket, server_hostname="plex.tv", suppress_ragged_eofs=False)
    client.say(b"GET / HTTP/1.1\r\n\r\n")
    assert client.rest().endswith(b"plex.tv")
