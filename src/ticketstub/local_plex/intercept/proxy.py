"""The proxy of a run: it leads connections for Plex's hosts to the local Plex, and forwards or refuses the others.

Rule: the number of connections, the size and time of a request head, and silence are limited. Bytes for Plex's
hosts reach the local Plex unchanged, including TLS and the Host field. A client learns the outcome before anything is
forwarded: an established tunnel, or a sentence that says why there is none. Backpressure: a blocked writer pauses the
other side's reader. The log has hosts, and never what was sent to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from http import HTTPStatus
from typing import Literal, NamedTuple

import msgspec

from ticketstub.dns import alook_up, is_loopback
from ticketstub.local_plex.intercept.peers import ClientAuthenticator
from ticketstub.local_plex.intercept.request import (
    BodyParser,
    Destination,
    HostPort,
    HostTable,
    ProxyRefusal,
    RequestHead,
    parse_head,
    read_proxy_credentials,
)
from ticketstub.tokens import Secret

_CONNECTION_CLOSE = b"Connection: close"  # one request each: the next may be for another host
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")
_READ_BYTES = 65536
_HALF_CLOSED_SECONDS = 30.0
_LINGER_SECONDS = 2.0


class ProxyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of the proxy.

    Attributes:
        connections: concurrent connections (503 beyond).
        head_bytes: the size of a request head in bytes (431 beyond).
        head_seconds: the time for a request head (408 beyond).
        dial_seconds: the time for connecting (504 beyond).
        idle_seconds: the time that a connection may be silent.
    """

    connections: int = 1000
    head_bytes: int = 16 * 1024
    head_seconds: float = 10.0
    dial_seconds: float = 15.0
    idle_seconds: float = 900.0


class ConnectionEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a connection.

    Attributes:
        target: the requested HOST:PORT; empty if it could not be read.
        outcome: `taken` to the local Plex, `passed on` to another host, `refused`, or `failed` on the way.
        reason: why it was refused or failed.
    """

    target: str
    outcome: Literal["taken", "passed on", "refused", "failed"]
    reason: str = ""


class UpstreamProxy(NamedTuple):
    """The proxy by which this machine reaches the network, and the value of its `Proxy-Authorization`."""

    address: HostPort
    authorization: Secret | None


class ProxyServer:
    """A proxy on loopback. Constructing one starts nothing.

    Args:
        hosts: the hosts of the run.
        limits: the limits.
        upstream: the proxy to use for all hosts but Plex's and loopback.
        on_event: called with the outcome of each connection.
        authenticator: recognises this user's programs.
    """

    def __init__(
        self,
        hosts: HostTable,
        *,
        limits: ProxyLimits | None = None,
        upstream: UpstreamProxy | None = None,
        on_event: Callable[[ConnectionEvent], None] = lambda _event: None,
        authenticator: ClientAuthenticator | None = None,
    ) -> None:
        self._hosts = hosts
        self._limits = limits or ProxyLimits()
        self._upstream = upstream
        self._on_event = on_event
        self._authenticator = authenticator or ClientAuthenticator()
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Its URL, once started, with the secret by which programs prove that they are this user's."""
        return f"http://{self._authenticator.userinfo}@127.0.0.1:{self._port}"

    async def serve(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Run until `stop` is set; call `ready` once it listens. Raises `ListenError`."""
        from ticketstub.local_plex.http.connections import BACKLOG  # loaded when needed
        from ticketstub.local_plex.http.server import listen  # loaded when needed

        with contextlib.closing(listen("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
            limit = self._limits.head_bytes
            server = await asyncio.start_server(self._accept, sock=listener, limit=limit, backlog=BACKLOG)
            ready()
            await stop.wait()
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._handle_connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle_connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one client, from its request head to the end of the connection."""
        target = ""
        try:
            head = await self._read_head(reader, writer)
            target = str(head.target)
            await self._forward(reader, writer, head, self._hosts.route(head.target))
        except ProxyRefusal as error:
            if not error.is_expected:
                self._on_event(ConnectionEvent(target=target, outcome="refused", reason=str(error)))
            await _send_error(reader, writer, error)
        except (OSError, EOFError):  # the client left, or read nothing
            pass
        finally:
            writer.transport.abort()

    async def _read_head(self, reader: StreamReader, writer: StreamWriter) -> RequestHead:
        """Read a request head and authenticate its client, even if the head is faulty; raises `ProxyRefusal`."""
        if len(self._tasks) > self._limits.connections:
            raise ProxyRefusal(503, "there are too many connections at once")
        seconds, error, raw = self._limits.head_seconds, None, b""
        try:
            async with asyncio.timeout(seconds):
                raw = await reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            error = ProxyRefusal(408, f"the head of the request did not come within {seconds:g} s")
        except asyncio.LimitOverrunError:
            error = ProxyRefusal(431, "the head of the request is too long")
        self._authenticator.authenticate(writer.transport, read_proxy_credentials(raw))
        if error:
            raise error
        return parse_head(raw)

    async def _forward(
        self, reader: StreamReader, writer: StreamWriter, head: RequestHead, destination: Destination
    ) -> None:
        """Connect a client to its destination and relay until the end."""
        if destination.is_https and not head.is_tunnel:
            raise ProxyRefusal(400, f"{head.target} is for https, which takes CONNECT")
        is_external = not destination.is_plex and not is_loopback(destination.address.host)
        upstream = self._upstream if is_external else None
        server_reader, server_writer = await self._dial(
            head.target, upstream.address if upstream else destination.address
        )
        try:
            host, port, *_ = server_writer.get_extra_info("peername") or ("", 0)
            if port == self._port and is_loopback(host):
                raise ProxyRefusal(508, f"{head.target} is this proxy itself")
            body = None if head.is_tunnel else BodyParser(head.length)
            if upstream:
                secret = upstream.authorization
                credentials = [b"Proxy-Authorization: " + secret.reveal().encode("ascii")] if secret else []
                server_writer.write(
                    head.encode(head.raw_target, *credentials, *([] if head.is_tunnel else [_CONNECTION_CLOSE]))
                )
            elif head.is_tunnel:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                server_writer.write(head.encode(head.path, _CONNECTION_CLOSE))
            self._on_event(
                ConnectionEvent(target=str(head.target), outcome="taken" if destination.is_plex else "passed on")
            )
            if head.is_tunnel and upstream and not await self._relay_connect_response(server_reader, writer):
                body = BodyParser(0)  # further bytes would be a request to the upstream proxy
            await _Relay((reader, writer), (server_reader, server_writer), self._limits.idle_seconds, body).run()
        finally:
            server_writer.transport.abort()

    async def _dial(self, target: HostPort, address: HostPort) -> tuple[StreamReader, StreamWriter]:
        """Connect to the first of a host's addresses that answers; each gets an equal share of the time."""
        seconds, failure = self._limits.dial_seconds, OSError("it has no address")
        try:
            async with asyncio.timeout(seconds):
                addresses = list(dict.fromkeys(each.ip for each in await alook_up(address.host, address.port)))
                for ip in addresses:
                    try:
                        async with asyncio.timeout(seconds / len(addresses)):
                            return await asyncio.open_connection(ip, address.port, limit=_READ_BYTES)
                    except OSError as error:
                        failure = error
        except OSError as error:
            failure = error
        if isinstance(failure, TimeoutError):
            raise ProxyRefusal(504, f"{target} did not answer in time")
        raise ProxyRefusal(502, f"{target} cannot be reached: {failure.strerror or failure}")

    async def _relay_connect_response(self, server_reader: StreamReader, writer: StreamWriter) -> bool:
        """Relay the upstream proxy's response to CONNECT; return whether the tunnel is established."""
        async with asyncio.timeout(self._limits.idle_seconds):
            while True:
                lines = [await server_reader.readline()]
                while lines[-1].strip() and len(lines) < 1000:
                    lines.append(await server_reader.readline())
                writer.write(b"".join(lines))
                status = _STATUS_LINE.match(lines[0])
                if status is None or not status[1].startswith(b"1"):
                    return status is not None and status[1].startswith(b"2")


class _Relay:
    """Relays between a client's connection and a server's.

    Both end together and within a bounded time, also if one side is silent, half closed or does not read.

    Args:
        client: the client's streams.
        server: the server's streams.
        idle_seconds: ends both if nothing arrives for this long.
        body: finds the end of the client's request, after which nothing is forwarded; `None` forwards everything.
    """

    def __init__(
        self,
        client: tuple[StreamReader, StreamWriter],
        server: tuple[StreamReader, StreamWriter],
        idle_seconds: float,
        body: BodyParser | None,
    ) -> None:
        self._client_reader, self._client_writer = client
        self._server_reader, self._server_writer = server
        self._idle_seconds = idle_seconds
        self._body = body
        self._timeout = asyncio.timeout(idle_seconds)
        self._has_response = False

    async def run(self) -> None:
        """Relay until both sides have ended, or one of them fails."""
        try:
            async with self._timeout, asyncio.TaskGroup() as both:
                both.create_task(self._copy_to_server())
                both.create_task(self._copy_to_client())
        except* (OSError, ProxyRefusal):
            pass
        else:
            for writer in (self._client_writer, self._server_writer):
                writer.close()
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._client_writer.wait_closed()
                await self._server_writer.wait_closed()

    async def _copy_to_server(self) -> None:
        while data := await self._client_reader.read(_READ_BYTES):
            passed = data if self._body is None else self._body.feed(data)
            if passed:
                await self._send(self._server_writer, passed)
            if len(passed) < len(data):  # bytes after the one request are dropped
                self._half_close()
                if self._has_response:  # a server that did not close, though it was asked to
                    break
        self._half_close(self._server_writer)

    async def _copy_to_client(self) -> None:
        while data := await self._server_reader.read(_READ_BYTES):
            self._has_response = True
            await self._send(self._client_writer, data)
        self._half_close(self._client_writer)

    async def _send(self, writer: StreamWriter, data: bytes) -> None:
        self._restart_timeout()
        if writer.is_closing():  # uvloop raises a RuntimeError for a write to a closed connection
            raise ConnectionResetError
        writer.write(data)
        await writer.drain()

    def _restart_timeout(self) -> None:
        self._timeout.reschedule(asyncio.get_running_loop().time() + self._idle_seconds)

    def _half_close(self, writer: StreamWriter | None = None) -> None:
        """Shorten the time for silence, and tell a writer's peer that nothing more comes."""
        self._idle_seconds = min(self._idle_seconds, _HALF_CLOSED_SECONDS)
        self._restart_timeout()
        if writer is not None and not writer.is_closing():
            writer.write_eof()


async def _send_error(reader: StreamReader, writer: StreamWriter, error: ProxyRefusal) -> None:
    """Send the reason, and drain the client for a moment so that it arrives.

    The status line has the reason too: of a response to CONNECT, many clients show nothing else.
    """
    body = f"ticketstub run: {error}\n"
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}: {error}\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\nX-Ticketstub: local\r\n"
    )
    if error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        head += 'Proxy-Authenticate: Basic realm="ticketstub run"\r\n'
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_LINGER_SECONDS):
            writer.write(f"{head}Connection: close\r\n\r\n{body}".encode("ascii", "replace"))
            writer.write_eof()
            while await reader.read(_READ_BYTES):
                pass
