"""A proxy on loopback, the servers behind it, and clients that write raw bytes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ticketstub.local_plex.http.server import run_in_thread
from ticketstub.local_plex.intercept.authority import IssuedCertificate, create_server_context, issue_certificate
from ticketstub.local_plex.intercept.peers import ClientAuthenticator
from ticketstub.local_plex.intercept.proxy import ConnectionEvent, ProxyLimits, ProxyServer, UpstreamProxy
from ticketstub.local_plex.intercept.request import HostPort, HostTable

DIGITS = "5d0c3a9be17f42d8a6b4c2e0f19d7385"
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _no_cleaner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Use the test's folder for a run's files, so that no extra process has to remove them."""
    monkeypatch.setattr(
        "ticketstub.local_plex.intercept.interception.create_run_folder",
        lambda _environ: contextlib.nullcontext(tmp_path),
    )


class Backend:
    """A server of one connection after the other: keeps what came, answers each with the same bytes and closes.

    It speaks TLS, too, where it has a certificate.
    """

    def __init__(self, reply: bytes, context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = HostPort(*self.listener.getsockname()[:2])
        self.reply = reply
        self.came: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with contextlib.suppress(OSError), self._in_tls(connection) as connection:
                    self.came.append(connection.recv(65536))
                    if self.came[-1]:
                        connection.sendall(self.reply)

    def _in_tls(self, connection: socket.socket) -> socket.socket:
        connection.settimeout(PATIENCE)
        if self.context is None or connection.recv(1, socket.MSG_PEEK) != b"\x16":
            return connection
        return self.context.wrap_socket(connection, server_side=True)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(PATIENCE)


class Client:
    """A connection to the proxy."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)

    def say(self, text: bytes) -> None:
        self.socket.sendall(text)

    def head(self) -> bytes:
        """Read up to an empty line."""
        came = b""
        while not came.endswith(b"\r\n\r\n"):
            piece = self.socket.recv(1)
            if not piece:
                break
            came += piece
        return came

    def rest(self) -> bytes:
        """Read to the end of the connection, orderly or not."""
        pieces: list[bytes] = []
        with contextlib.suppress(ConnectionError):
            while piece := self.socket.recv(65536):
                pieces.append(piece)
        return b"".join(pieces)

    def ends_its_half(self) -> None:
        """Shut down the sending side."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def tunnel(self, target: str) -> bytes:
        self.say(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        return self.head()

    def tls(self, name: str, issued: IssuedCertificate) -> None:
        """Start TLS, trusting the run's authority alone."""
        context = ssl.create_default_context(cadata=issued.authority.decode())
        self.socket = context.wrap_socket(self.socket, server_hostname=name)

    def close(self) -> None:
        self.socket.close()


class Stage:
    """A proxy, the two servers of its run, its events, and its clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plex_tv = Backend(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplex.tv")
        self.attic = Backend(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nAttic")
        self.attic_name = f"127-0-0-1.{DIGITS}.plex.direct"
        self.issued = issue_certificate(self.hosts().certificate_names, datetime.now(UTC))
        self.plex_tv.context = self.attic.context = create_server_context(self.issued, folder)
        self.events: list[ConnectionEvent] = []
        self.endings = contextlib.ExitStack()
        self.endings.callback(self.plex_tv.end)
        self.endings.callback(self.attic.end)

    def hosts(self, *, offline: bool = False) -> HostTable:
        return HostTable(self.plex_tv.address, {DIGITS: self.attic.address}, offline=offline)

    def proxy(
        self,
        *,
        offline: bool = False,
        limits: ProxyLimits | None = None,
        upstream: UpstreamProxy | None = None,
        callers: ClientAuthenticator | None = None,
    ) -> ProxyServer:
        hosts, on_event = self.hosts(offline=offline), self.events.append
        proxy = ProxyServer(hosts, limits=limits, upstream=upstream, on_event=on_event, authenticator=callers)
        self.endings.enter_context(run_in_thread(proxy.serve, "proxy"))
        return proxy

    def client(self, proxy: ProxyServer) -> Client:
        client = Client(int(proxy.url.rpartition(":")[2]))
        self.endings.callback(client.close)
        return client

    def told(self, count: int) -> list[tuple[str, str]]:
        """Return the targets and outcomes of the events, once there are so many."""
        deadline = time.monotonic() + PATIENCE
        while len(self.events) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        return [(event.target, event.outcome) for event in self.events]

    def backend(self, reply: bytes) -> Backend:
        backend = Backend(reply)
        self.endings.callback(backend.end)
        return backend


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    with stage.endings:
        yield stage


@pytest.fixture
def connect(stage: Stage) -> Callable[[], Client]:
    """Connect to a proxy with the usual limits."""
    proxy = stage.proxy()
    return lambda: stage.client(proxy)
