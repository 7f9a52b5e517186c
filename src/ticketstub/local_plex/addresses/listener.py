"""The listener of one address of a media server, and what it received.

Rule: an address is bound when it is constructed, and refuses connections until `open`. Its port stays bound while it
runs, whatever its behaviour, so that it is the same address all along. What clients send is recorded as they sent it,
below TLS, and never shown: a representation has counts only. Everything here but reading what was recorded happens on
the local Plex's event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from ticketstub.local_plex.addresses import responses
from ticketstub.local_plex.domain.media_servers import build_plex_direct_authority
from ticketstub.local_plex.http.connections import BACKLOG
from ticketstub.local_plex.http.server import TLS_HANDSHAKE, ConnectionAcceptor, bind, fill_backlog
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.world.addresses import DEFAULT_DELAYS, Behaviour, CertificateKind, DnsKind, WorldAddress
from ticketstub.local_plex.world.reading import WorldReader
from ticketstub.tokens import Token

MAX_RECORDED_BYTES = 64 * 1024
"""How much of what an address receives is recorded."""
READ_BYTES = 16 * 1024
HANDSHAKE_SECONDS = 10.0
"""How long a client has for its first byte, and then for the TLS handshake."""

_TOKEN = re.compile(rb"(?i)x-plex-token(?:[ \t]*:[ \t]*|=)([!-%'-~]+)")


class AddressTarget(NamedTuple):
    """The media server of an address.

    Attributes:
        name: its name.
        machine_identifier: its machine identifier.
        version: its version.
        plex_direct_id: the digits of its names below plex.direct.
        host: the host at which the local Plex itself answers for it.
        port: the port at which it does.
        https_required: whether it takes secure connections only, at addresses with TLS.
    """

    name: str
    machine_identifier: str
    version: str
    plex_direct_id: str
    host: str
    port: int
    https_required: bool = False


CreateContext = Callable[[str, CertificateKind], ssl.SSLContext]
"""Returns a server context for the plex.direct names of these digits, with a certificate of this kind."""


class AddressListener:
    """An address of a media server that has a listener of its own.

    Args:
        address: how the world describes it.
        target: its media server.
        listen_host: the address to listen on.
        host: the address at which clients reach it; by default the same.
        create_context: makes its TLS context.
        sleep: waits for a number of seconds.

    Raises:
        ListenError: it cannot be bound.
    """

    def __init__(
        self,
        address: WorldAddress,
        target: AddressTarget,
        *,
        listen_host: str,
        host: str = "",
        create_context: CreateContext,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._address = self._address_at_start = address
        self._target = target
        self._listen_host = listen_host
        self.host = host or listen_host
        """The address at which clients reach it."""
        self._create_context = create_context
        self._sleep = sleep
        self._socket = bind(listen_host, address.port or 0)
        self.port: int = self._socket.getsockname()[1]
        """Its port."""
        self._acceptor: ConnectionAcceptor | None = None
        self._fillers: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0
        self._received = bytearray()
        self.impostor: AddressListener | None = None
        """With `dns = "lies"`, where the name leads: a listener with a login page and a self-signed certificate."""
        self._open_impostor()

    @property
    def media_server(self) -> str:
        """The name of its media server."""
        return self._target.name

    @property
    def url(self) -> str:
        """Its base URL: by its name below plex.direct with `plex_direct`, else by its address."""
        if self._address.plex_direct:
            return f"https://{self.authority}"
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    @property
    def authority(self) -> str:
        """Its name below plex.direct, with the port."""
        return build_plex_direct_authority(self._target.plex_direct_id, self.host, self.port)

    @property
    def behaviour(self) -> Behaviour:
        """What a client meets here."""
        return self._address.behaviour or "answers"

    @property
    def certificate(self) -> CertificateKind | None:
        """Its certificate; `None` if it does not speak TLS."""
        return (self._address.certificate or "valid") if self._address.plex_direct else None

    @property
    def dns(self) -> DnsKind:
        """How its name is resolved."""
        return self._address.dns or "answers"

    @property
    def delay(self) -> float:
        """The delay of its behaviour, in seconds."""
        default = DEFAULT_DELAYS.get(self.behaviour, 0.0)
        return default if self._address.delay is None else self._address.delay

    @property
    def connections(self) -> int:
        """How many connections it accepted. A dead or refusing address accepts none."""
        return self._connections

    @property
    def received(self) -> bytes:
        """What clients sent, in the order of arrival; the first 64 KiB. Of TLS, it is what was encrypted."""
        return bytes(self._received)

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens that clients sent in the header field or the parameter `X-Plex-Token`."""
        return tuple(Token.from_wire(text.decode("ascii")) for text in _TOKEN.findall(self.received))

    def open(self) -> None:
        """Start to behave as described."""
        if self.impostor is not None:
            self.impostor.open()
        if self.behaviour == "dead":
            self._fillers = fill_backlog(self._socket)
        elif self.behaviour != "refusing":
            self._listen()

    def _listen(self) -> None:
        delay = self.delay if self.behaviour == "slow_tls" else 0.0
        acceptor = _DelayedAcceptor(
            self._create_protocol, delay, self._sleep, https_required=self._target.https_required
        )
        if self.certificate is not None:
            acceptor.ssl_context = self._create_context(self._target.plex_direct_id, self.certificate)
        self._socket.listen(BACKLOG)
        acceptor.add_listener(self._socket)
        self._acceptor = acceptor

    async def close(self) -> None:
        """Cut its connections and release its port."""
        if self.impostor is not None:
            await self.impostor.close()
        if self._acceptor is not None:
            self._acceptor.close()
        self._acceptor = None
        await self._cut_connections()
        self.release()

    def release(self) -> None:
        """Release its port, if it was never opened."""
        if self.impostor is not None:
            self.impostor.release()
        for each in (self._socket, *self._fillers):
            each.close()
        self._fillers = []

    async def change(self, **changes: object) -> None:
        """Change keys of the address, and cut its connections; a delay ends with its behaviour.

        Args:
            changes: `behaviour`, `delay`, `certificate` and `dns`, as in a world.

        Raises:
            ValueError: a value is invalid, or does not fit the address.
        """
        current = {name: value for name, value in msgspec.structs.asdict(self._address).items() if value is not None}
        if "behaviour" in changes:
            current.pop("delay", None)
        reading = WorldReader()
        address = reading.read(WorldAddress, {**current, **changes}, self.url)
        if address is None:
            raise ValueError("; ".join(reading.faults))
        await self._apply(address)

    async def restore(self) -> None:
        """Restore the behaviour at the start, and forget what was recorded."""
        if self._address != self._address_at_start:
            await self._apply(self._address_at_start)
        await self._cut_connections()
        self._connections = 0
        self._received.clear()
        if self.impostor is not None:
            await self.impostor.restore()

    async def _apply(self, address: WorldAddress) -> None:
        await self.close()
        await asyncio.sleep(0)  # the connections are closed before the port is bound again
        self._socket = bind(self._listen_host, self.port)
        self._address = address
        self.impostor = None
        self._open_impostor()
        self.open()

    async def _cut_connections(self) -> None:
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _open_impostor(self) -> None:
        """Bind the listener to which a lying resolver leads."""
        if self.dns == "lies":
            impostor = WorldAddress(behaviour="login_page", plex_direct=True, certificate="self_signed")
            self.impostor = AddressListener(
                impostor,
                self._target,
                listen_host=self._listen_host,
                host=self.host,
                create_context=self._create_context,
            )

    def _create_protocol(self) -> asyncio.Protocol:
        self._connections += 1
        return asyncio.StreamReaderProtocol(StreamReader(), self._handle)

    async def _handle(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection until it ends."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # for the type checker: this is a coroutine
        self._tasks.add(task)
        try:
            if self.behaviour in {"answers", "slow", "slow_tls"}:
                await self._relay(reader, writer)
            else:
                await self._answer(reader, writer)
            writer.close()
        except (OSError, EOFError, RuntimeError):  # the client left (uvloop: RuntimeError), or the server is down
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer one request without the media server."""
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MAX_RECORDED_BYTES:
            head += await self._read(reader)
        if self.behaviour == "dripping":
            await self._drip(writer)
        elif self.behaviour == "other_server":
            writer.write(responses.write_other_server(head, self._target.machine_identifier, self._target.version))
        elif self.behaviour == "redirect":
            writer.write(responses.write_redirect(head, self._build_base_url(writer)))
        else:
            writer.write(responses.write_login_page())
        await writer.drain()

    async def _drip(self, writer: StreamWriter) -> None:
        position = 0
        while True:
            writer.write(responses.DRIPPED_RESPONSE[position : position + 1] or b" ")
            await writer.drain()
            position += 1
            await self._sleep(self.delay)

    def _build_base_url(self, writer: StreamWriter) -> str:
        """Return the base URL by which a client of this connection came."""
        is_tls = writer.get_extra_info("ssl_object") is not None
        return self.url if is_tls else self.url.replace(f"https://{self.authority}", f"http://{self.host}:{self.port}")

    async def _relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Let the media server answer."""
        server_reader, server_writer = await asyncio.open_connection(self._target.host, self._target.port)
        requests = asyncio.ensure_future(self._copy_requests(reader, server_writer))
        try:
            while data := await server_reader.read(READ_BYTES):
                writer.write(data)
                await writer.drain()
        finally:
            server_writer.transport.abort()  # first: at the end of the loop, the wait may be cancelled, too
            requests.cancel()
            await asyncio.gather(requests, return_exceptions=True)

    async def _copy_requests(self, reader: StreamReader, server_writer: StreamWriter) -> None:
        try:
            while True:
                data = await self._read(reader)
                if self.behaviour == "slow":
                    await self._sleep(self.delay)
                server_writer.write(data)
                await server_writer.drain()
        except (OSError, EOFError):
            with contextlib.suppress(OSError, RuntimeError):
                server_writer.write_eof()

    async def _read(self, reader: StreamReader) -> bytes:
        """Read what a client sends, and record it; raises `EOFError` at the end."""
        data = await reader.read(READ_BYTES)
        if not data:
            raise EOFError
        self._received += data[: MAX_RECORDED_BYTES - len(self._received)]
        return data

    def __repr__(self) -> str:
        return f"<AddressListener {self.url}: {self.behaviour}, {self.connections} connections>"


class _DelayedAcceptor(ConnectionAcceptor):
    """Accepts connections, leaves a client's first byte unanswered for a while, and can insist on TLS.

    Args:
        protocol: makes the protocol of an accepted connection.
        delay: how many seconds pass between the client's first byte and the TLS handshake.
        sleep: waits for a number of seconds.
        https_required: whether to close connections without TLS, if there is a TLS context.
    """

    def __init__(
        self,
        protocol: Callable[[], asyncio.Protocol],
        delay: float,
        sleep: Callable[[float], Awaitable[object]],
        *,
        https_required: bool,
    ) -> None:
        super().__init__(protocol, timeout=HANDSHAKE_SECONDS + delay, max_pending=Settings().max_connections)
        self._delay = delay
        self._sleep = sleep
        self._https_required = https_required

    async def _peek_first_byte(self, client: socket.socket) -> bytes:
        first = await super()._peek_first_byte(client)
        if self._https_required and first != TLS_HANDSHAKE:
            raise ConnectionAbortedError
        if self._delay:
            await self._sleep(self._delay)
        return first
