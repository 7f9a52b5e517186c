"""The addresses of media servers by the proxy of a run, and their authority in the files that its programs trust."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.local_plex.intercept.conftest import Client
from tests.local_plex.small import small
from ticketstub.local_plex.http.server import run_in_thread
from ticketstub.local_plex.intercept.authority import create_server_context, issue_certificate
from ticketstub.local_plex.intercept.interception import build_host_table, create_run_context
from ticketstub.local_plex.intercept.proxy import ConnectionEvent, ProxyServer
from ticketstub.local_plex.intercept.variables import AUTHORITY_FILE
from ticketstub.local_plex.listeners import TlsConfig
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.world.schema import World

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its usual event loop cannot look at sockets")

WORLD = World.from_dict(
    small(
        address=[
            {"plex_direct": True},
            {"plex_direct": True, "behaviour": "refusing"},
            {"plex_direct": True, "dns": "fails"},
            {"plex_direct": True, "dns": "private"},
            {"plex_direct": True, "dns": "lies"},
        ]
    )
)
ANSWERS, REFUSING, FAILS, PRIVATE, LIES = range(5)


class Run:
    """A running local Plex, its proxy, and what a program of the run trusts."""

    def __init__(self, plex: LocalPlex, folder: Path) -> None:
        self.plex = plex
        self.events: list[ConnectionEvent] = []
        hosts = build_host_table(plex, offline=True)
        create_run_context(hosts.certificate_names, plex.address_authority, folder=folder, environ={}, exclusive=True)
        self.trusted = ssl.create_default_context(cafile=str(folder / AUTHORITY_FILE))
        self.proxy = ProxyServer(hosts, on_event=self.events.append)

    def open_tunnel(self, which: int) -> tuple[Client, bytes]:
        client = Client(int(self.proxy.url.rpartition(":")[2]))
        return client, client.tunnel(self.plex.addresses[which].authority)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with LocalPlex(WORLD).run_in_thread() as plex:
        run = Run(plex, tmp_path_factory.mktemp("run"))
        with run_in_thread(run.proxy.serve, "proxy"):
            yield run


def test_a_name_leads_to_its_address_and_the_run_s_files_vouch_for_it(run: Run) -> None:
    """A program that trusts the run's authority file reaches an address by its name, over TLS."""
    client, head = run.open_tunnel(ANSWERS)
    with closing(client):
        assert b" 200 " in head
        name = run.plex.addresses[ANSWERS].authority.partition(":")[0]
        client.socket = run.trusted.wrap_socket(client.socket, server_hostname=name)
        client.say(b"GET /identity HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.head().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("which", "reason"), [(FAILS, b"it has no address"), (PRIVATE, b"192.168.255.254")])
def test_a_name_without_a_usable_address_is_refused(run: Run, which: int, reason: bytes) -> None:
    """The proxy says why, connects to nobody, and the address sees no connection."""
    client, head = run.open_tunnel(which)
    with closing(client):
        assert (True, True) == (head.startswith(b"HTTP/1.1 502 "), reason in head)
    assert 0 == run.plex.addresses[which].connections


def test_an_address_that_refuses_is_refused_by_the_proxy(run: Run) -> None:
    """A tunnel is established once the address is connected to."""
    client, head = run.open_tunnel(REFUSING)
    with closing(client):
        assert head.startswith(b"HTTP/1.1 502 ")


def test_a_lying_answer_leads_to_the_impostor(run: Run) -> None:
    """The tunnel is established, and ends with a certificate for which nobody vouches."""
    client, head = run.open_tunnel(LIES)
    address = run.plex.addresses[LIES]
    assert address.impostor is not None
    with closing(client):
        assert b" 200 " in head
        with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
            run.trusted.wrap_socket(client.socket, server_hostname=address.authority.partition(":")[0])
    assert (0, 1) == (address.connections, address.impostor.connections)


def test_a_server_with_tls_hands_out_the_authority_of_its_addresses(tmp_path: Path) -> None:
    """`serve --tls` gets it at the start, to write it beside its own."""
    handed_out: list[bytes] = []

    def create_context(names: Sequence[str], other_authorities: bytes) -> ssl.SSLContext:
        handed_out.append(other_authorities)
        return create_server_context(issue_certificate(names, datetime.now(UTC)), tmp_path)

    with LocalPlex(WORLD, tls=TlsConfig(create_context, (0,))).run_in_thread() as plex:
        assert [plex.address_authority] == handed_out
        assert b"BEGIN CERTIFICATE" in plex.address_authority
