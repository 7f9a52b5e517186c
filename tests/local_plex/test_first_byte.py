"""TLS or not, told by the first byte, on the standard library's own event loop, which Windows has too."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from ticketstub.local_plex.http.server import ConnectionAcceptor
from ticketstub.local_plex.intercept.authority import create_server_context, issue_certificate

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pytest's event loop there cannot look at sockets")


class Echo(asyncio.Protocol):
    """Echoes what it receives, and whether it came over TLS."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        secure = self.transport.get_extra_info("ssl_object") is not None
        self.transport.write((b"tls " if secure else b"plain ") + data)


class Busy(socket.socket):
    """A listening socket for which the system has no free file descriptor at first."""

    times = 2

    def accept(self) -> tuple[socket.socket, object]:
        if self.times:
            self.times -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


class Stage:
    def __init__(self, folder: Path, listener: socket.socket) -> None:
        issued = issue_certificate(["plex.tv"], datetime.now(UTC))
        self.trusting = ssl.create_default_context(cadata=issued.authority.decode())
        self.keeper = ConnectionAcceptor(Echo, timeout=5, max_pending=5, retry_seconds=0.01)
        self.keeper.ssl_context = create_server_context(issued, folder)
        self.failures: list[int] = []
        self.keeper.on_tls_failure = self.failures.append
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0)
        self.port = listener.getsockname()[1]
        self.keeper.add_listener(listener)

    async def says(self, text: bytes, *, tls: bool = False) -> bytes:
        context, name = (self.trusting, "plex.tv") if tls else (None, None)
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=name)
            with closing(writer):
                writer.write(text)
                return await reader.read(100)


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path, socket.socket())
    yield stage
    stage.keeper.close()


async def test_both_are_let_in(stage: Stage) -> None:
    """The first bytes arrive complete, with and without TLS."""
    assert b"plain GET /" == await stage.says(b"GET /")
    assert b"tls GET /" == await stage.says(b"GET /", tls=True)


async def test_when_no_file_is_left_it_waits(tmp_path: Path) -> None:
    """It retries after a while, and then accepts the waiting clients."""
    listener = Busy()
    stage = Stage(tmp_path, listener)
    assert b"plain hello" == await stage.says(b"hello")
    assert 0 == listener.times
    stage.keeper.close()


async def test_after_the_end_nobody_is_let_in(stage: Stage) -> None:
    """Closing it closes its listening sockets."""
    stage.keeper.close()
    with pytest.raises(ConnectionRefusedError):
        await stage.says(b"hello")


@pytest.mark.parametrize("said", [b"", b"\x16"], ids=["silent", "in a handshake"])
async def test_whoever_is_undecided_at_a_port_goes_with_it(stage: Stage, said: bytes) -> None:
    """A silent connection and one in its handshake are closed with their port."""
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        with closing(writer):
            writer.write(said)
            await asyncio.sleep(0.02)
            stage.keeper.close(stage.port)
            with suppress(ConnectionResetError):
                assert b"" == await reader.read()


async def test_without_a_certificate_nobody_is_looked_at(stage: Stage) -> None:
    """Without a context every client is accepted at once; with one, it speaks TLS."""
    context, stage.keeper.ssl_context = stage.keeper.ssl_context, None
    assert b"plain \x16" == await stage.says(b"\x16")
    stage.keeper.ssl_context = context
    assert b"tls GET /" == await stage.says(b"GET /", tls=True)


async def test_a_failure_is_told_with_its_port(stage: Stage) -> None:
    """A failed handshake is reported: another authority, or no TLS after the first byte. Plain HTTP is not."""
    stage.trusting = ssl.create_default_context(
        cadata=issue_certificate(["plex.tv"], datetime.now(UTC)).authority.decode()
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        await stage.says(b"GET /", tls=True)
    with suppress(ConnectionResetError):
        await stage.says(b"\x16 is no handshake" * 9)
    await stage.says(b"GET /")
    async with asyncio.timeout(60):
        while len(stage.failures) < 2:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.005)
    assert [stage.port] * 2 == stage.failures
