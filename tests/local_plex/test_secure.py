"""A local Plex that speaks HTTPS and HTTP on each port."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ticketstub.local_plex.intercept.authority import IssuedCertificate, create_server_context, issue_certificate
from ticketstub.local_plex.listeners import TlsConfig
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.world.schema import World

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its usual event loop cannot look at sockets")

ATTIC = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"


class Stage:
    """A local Plex with TLS, and clients that trust its authority alone."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.folder = folder
        self.asked_for: list[tuple[str, ...]] = []
        self.issued: list[IssuedCertificate] = []
        self.plex = LocalPlex(World.demo(), tls=TlsConfig(self._context, (0,)), settings=settings)

    def _context(self, names: Sequence[str], _authorities: bytes) -> ssl.SSLContext:
        self.asked_for.append(tuple(names))
        self.issued.append(issue_certificate(names, datetime.now(UTC)))
        return create_server_context(self.issued[0], self.folder)

    def connect(self, port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout=60)

    def tls(self, port: int, name: str) -> ssl.SSLSocket:
        trusting = ssl.create_default_context(cadata=self.issued[0].authority.decode())
        return trusting.wrap_socket(self.connect(port), server_hostname=name)

    @property
    def port(self) -> int:
        return urlsplit(self.plex.url).port or 0


def asked(connection: socket.socket, path: str, host: str = "plex.tv", more: str = "") -> tuple[int, str]:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode())
    with HTTPResponse(connection) as answer, connection:
        answer.begin()
        return answer.status, answer.read().decode()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    with stage.plex.run_in_thread():
        yield stage


TOKEN = "X-Plex-Token: Xk3mPz_9Q-vT7rLb2NfW\r\nX-Plex-Client-Identifier: here\r\n"


def test_cookies_of_pages(stage: Stage) -> None:
    """S8: over TLS a page's cookie is Secure and named `__Host-…`; over plain http it is neither, and works."""

    def opened(connection: socket.socket, cookie: str = "") -> tuple[str, int]:
        more = f"Cookie: {cookie}\r\n" if cookie else ""
        connection.sendall(f"GET /sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n".encode())
        with HTTPResponse(connection) as answer, connection:
            answer.begin()
            return answer.headers.get("set-cookie", ""), answer.status

    (secure, _), (plain, _) = opened(stage.tls(stage.port, "plex.tv")), opened(stage.connect(stage.port))
    assert (True, True) == (secure.startswith("__Host-ticketstub-"), secure.endswith("; Secure"))
    assert (True, False) == (plain.startswith("ticketstub-"), "Secure" in plain)
    assert "; Path=/;" in secure
    assert "Domain" not in secure
    kept = secure.partition(";")[0], plain.partition(";")[0]
    assert ("", 200) == opened(stage.tls(stage.port, "plex.tv"), kept[0])
    assert ("", 200) == opened(stage.connect(stage.port), kept[1])
    assert opened(stage.tls(stage.port, "plex.tv"), kept[1])[0]  # what plain http could have planted does not count


def test_every_port_speaks_both(stage: Stage) -> None:
    """plex.tv's ports and a media server's answer http and https alike, the media server by the name that is listed."""
    for port in (stage.port, *stage.plex.more_ports):
        for connection in (stage.connect(port), stage.tls(port, "clients.plex.tv")):
            assert 200 == asked(connection, "/api/v2/ping", more=TOKEN)[0]
    attic = stage.plex.media_server("Attic")
    name = "127-0-0-1.68dff64cefbaedb2011a916d24f43b47.plex.direct"
    for connection in (stage.connect(attic.port), stage.tls(attic.port, name)):
        status, text = asked(connection, "/identity", name)
        assert (200, True) == (status, f'machineIdentifier="{ATTIC}"' in text)


def test_https_addresses_are_listed_for_who_asks(stage: Stage) -> None:
    """With includeHttps=1 the URL is HTTPS below plex.direct, otherwise plain HTTP, on the same port."""
    port = stage.plex.media_server("Attic").port
    for query, uri in (
        ("?includeHttps=1", f"https://127-0-0-1.68dff64cefbaedb2011a916d24f43b47.plex.direct:{port}"),
        ("", f"http://127.0.0.1:{port}"),
    ):
        text = asked(stage.connect(stage.port), f"/api/v2/resources{query}", more=TOKEN)[1]
        assert f'uri="{uri}"' in text


def test_one_certificate_has_every_name(stage: Stage) -> None:
    """It is made once, for plex.tv and what is below it, and for each media server's names."""
    digits = ["68dff64cefbaedb2011a916d24f43b47", "81e318029c980bc4d2d2f94b3b734494"]
    assert [("plex.tv", "*.plex.tv", *(f"*.{each}.plex.direct" for each in digits))] == stage.asked_for


def test_the_client_s_own_address_is_seen(stage: Stage) -> None:
    """There is no proxy in between: plex.tv sees the client's own address over HTTPS, too."""
    assert (200, "127.0.0.1") == asked(stage.tls(stage.port, "plex.tv"), "/:/ip")


def test_who_trusts_somebody_else_gets_nothing(stage: Stage) -> None:
    """A client that does not trust the authority disconnects, and the next one gets a reply."""
    with pytest.raises(ssl.SSLCertVerificationError), stage.connect(stage.port) as plain:
        ssl.create_default_context(
            cadata=issue_certificate(["plex.tv"], datetime.now(UTC)).authority.decode()
        ).wrap_socket(plain, server_hostname="plex.tv")
    assert 200 == asked(stage.tls(stage.port, "plex.tv"), "/:/ip")[0]


def closed(connection: socket.socket) -> bool:
    connection.settimeout(60)
    try:
        return connection.recv(1) in {b"", b"\x15"}  # or TLS's own way to say so
    except ConnectionError:
        return True


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x00\x10" + b"x" * 16])
def test_who_cannot_decide_is_let_go(tmp_path: Path, said: bytes) -> None:
    """A silent client and an incomplete or malformed handshake are closed within the time for a head."""
    stage = Stage(tmp_path, Settings(head_seconds=0.05))
    with stage.plex.run_in_thread(), stage.connect(stage.port) as client:
        client.sendall(said)
        began = time.monotonic()
        assert closed(client)
        assert 8 > time.monotonic() - began


def test_so_many_may_be_undecided(tmp_path: Path) -> None:
    """Beyond the limit, a further silent connection is closed at once, and active ones are accepted later."""
    stage = Stage(tmp_path, Settings(max_connections=2))
    with stage.plex.run_in_thread(), ExitStack() as clients:
        silent = [clients.enter_context(stage.connect(stage.port)) for _ in range(2)]
        time.sleep(0.02)
        assert closed(clients.enter_context(stage.connect(stage.port)))
        assert 200 == asked(silent[0], "/:/ip")[0]


def test_it_ends_beside_the_undecided(tmp_path: Path) -> None:
    """Silent clients and an incomplete handshake do not delay the end."""
    stage, began = Stage(tmp_path), time.monotonic()
    with ExitStack() as clients:
        with stage.plex.run_in_thread():
            for said in (b"", b"\x16\x03"):
                clients.enter_context(stage.connect(stage.port)).sendall(said)
            time.sleep(0.02)
            began = time.monotonic()
        assert 8 > time.monotonic() - began


def test_a_client_that_goes_away_early(stage: Stage) -> None:
    """A client that sends nothing and disconnects leaves nothing behind."""
    for _ in range(3):
        stage.connect(stage.port).close()
    assert 200 == asked(stage.connect(stage.port), "/:/ip")[0]
