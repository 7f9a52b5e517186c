"""The proxy of a run: leads connections for Plex's hosts to the local Plex, passes the others on, or refuses them.

Rule: everything is bounded: connections, the size and time of a head, silence. What is for Plex's hosts goes to the
local Plex as it came, its TLS and its Host field too. A client hears of the other side before anything is joined: a
tunnel that is there, or a sentence that says why none is. Nothing is piled up: who cannot send stops who would bring
more. The journal names hosts and never what was sent to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Generator
from http import HTTPStatus
from typing import Literal, NamedTuple

import msgspec

from ticketstub.dns import alook_up, is_loopback
from ticketstub.local_plex.intercept.hosts import Address, Destination, Hosts, Refused
from ticketstub.local_plex.intercept.peers import Callers
from ticketstub.local_plex.intercept.request_head import Body, Head, read_head, read_proof
from ticketstub.tokens import Secret

_END = b"\r\n\r\n"
_LAST = b"Connection: close"  # of one request each: the next may be for somebody else
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")
_PIECE = 65536
_HALF_CLOSED = 30.0
_LINGERS = 2.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the proxy; times are seconds, all values are ours.

    Attributes:
        connections: how many clients at once (503 beyond).
        head_bytes: the longest head of a request to the proxy (431 beyond).
        head_seconds: how long it may take (408 beyond).
        dial_seconds: how long connecting may take (504 beyond).
        idle_seconds: how long a connection may be silent.
    """

    connections: int = 1000
    head_bytes: int = 16 * 1024
    head_seconds: float = 10.0
    dial_seconds: float = 15.0
    idle_seconds: float = 900.0


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a connection.

    Attributes:
        target: where it was to go, HOST:PORT; empty where that was not to be read.
        outcome: `taken` by this run, `passed on` to somebody else, `refused`, or `failed` on the way.
        reason: why it was refused or failed.
    """

    target: str
    outcome: Literal["taken", "passed on", "refused", "failed"]
    reason: str = ""


class Upstream(NamedTuple):
    """The proxy by which this machine itself reaches the world, and what proves to it who asks."""

    address: Address
    authorization: Secret | None


class Proxy:
    """A proxy on loopback. Constructing one starts nothing.

    Args:
        hosts: says which host is whose.
        limits: the bounds.
        upstream: the proxy by which everything else is reached, loopback excepted.
        on_event: told what became of each connection.
        callers: tells the programs of this user from others.
    """

    def __init__(
        self,
        hosts: Hosts,
        *,
        limits: Limits | None = None,
        upstream: Upstream | None = None,
        on_event: Callable[[Event], None] | None = None,
        callers: Callers | None = None,
    ) -> None:
        self._hosts = hosts
        self._limits = limits or Limits()
        self._upstream = upstream
        self._on_event = on_event
        self._callers = callers or Callers()
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._served = 0

    @property
    def url(self) -> str:
        """Its address, once started, with the secret by which programs prove that they are this user's."""
        return f"http://{self._callers.userinfo}@127.0.0.1:{self._port}"

    async def serve(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Run until `stop` is set; `ready` is called once it listens. Raises `ListenError`."""
        from ticketstub.local_plex.http.connections import BACKLOG  # loaded only to be run
        from ticketstub.local_plex.http.server import listen  # likewise

        with contextlib.closing(listen("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
            limit = self._limits.head_bytes
            server = await asyncio.start_server(self._begin, sock=listener, limit=limit, backlog=BACKLOG)
            ready()
            await stop.wait()
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextlib.contextmanager
    def running(self) -> Generator[Proxy, None, None]:
        """Run in a thread of its own for as long as the `with` lasts."""
        from ticketstub.local_plex.http.server import running  # loaded only to be run

        with running(self.serve, "ticketstub-proxy"):
            yield self

    def _begin(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._see_through(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_through(self, reader: StreamReader, writer: StreamWriter) -> None:
        """See one client through, from its head to its end."""
        try:
            await self._serve(reader, writer)
        except Refused as refused:
            await _refuse(reader, writer, refused)
        except (OSError, EOFError):  # it left, or took nothing of what it was sent
            pass
        finally:
            writer.transport.abort()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        target, self._served = "", self._served + 1
        try:
            head = await self._head(reader, writer)
            target = str(head.target)
            await self._pass(reader, writer, head, self._hosts.decide(head.target))
        except Refused as refused:
            if not refused.is_usual:
                self._tell(target, "refused", refused.reason)
            raise
        finally:
            self._served -= 1

    async def _head(self, reader: StreamReader, writer: StreamWriter) -> Head:
        """Read the head of a client's request; raises `Refused`, for one of another user's whatever it is."""
        if self._served > self._limits.connections:
            raise Refused(503, "there are too many connections at once")
        seconds, refused, raw = self._limits.head_seconds, None, b""
        try:
            async with asyncio.timeout(seconds):
                raw = await reader.readuntil(_END)
        except TimeoutError:
            refused = Refused(408, f"the head of the request did not come within {seconds:g} s")
        except asyncio.LimitOverrunError:
            refused = Refused(431, "the head of the request is too long")
        self._callers.check(writer.transport, read_proof(raw))
        if refused:
            raise refused
        return read_head(raw)

    async def _pass(self, reader: StreamReader, writer: StreamWriter, head: Head, destination: Destination) -> None:
        """Join a client to where it wants to go."""
        if destination.tls and not head.tunnel:
            raise Refused(400, f"{head.target} is for https, which takes CONNECT")
        is_further = not destination.is_plex and not is_loopback(destination.address.host)
        upstream = self._upstream if is_further else None
        far_reader, far_writer = await self._dial(head.target, upstream.address if upstream else destination.address)
        try:
            host, port, *_ = far_writer.get_extra_info("peername") or ("", 0)
            if port == self._port and is_loopback(host):
                raise Refused(508, f"{head.target} is this proxy itself")
            body = None if head.tunnel else Body(head.length)
            if upstream:
                secret = upstream.authorization
                proof = [b"Proxy-Authorization: " + secret.reveal().encode("ascii")] if secret else []
                far_writer.write(head.written(head.asked, *proof, *([] if head.tunnel else [_LAST])))
            elif head.tunnel:
                writer.write(_ESTABLISHED)
            else:
                far_writer.write(head.written(head.path, _LAST))
            self._tell(str(head.target), "taken" if destination.is_plex else "passed on")
            if head.tunnel and upstream and not await self._is_agreed(far_reader, writer):
                body = Body(0)  # what comes would be a request of its own there
            pair = _Pair((reader, writer), (far_reader, far_writer), self._limits.idle_seconds, body)
            await pair.run()
        finally:
            far_writer.transport.abort()

    async def _dial(self, target: Address, address: Address) -> tuple[StreamReader, StreamWriter]:
        """Connect to the first of a host's addresses that answers; each has its share of the time."""
        seconds, failure = self._limits.dial_seconds, OSError("it has no address")
        try:
            async with asyncio.timeout(seconds):
                found = list(dict.fromkeys(each.ip for each in await alook_up(address.host, address.port)))
                for ip in found:
                    try:
                        async with asyncio.timeout(seconds / len(found)):
                            far = await asyncio.open_connection(ip, address.port, limit=_PIECE)
                    except OSError as error:
                        failure = error
                    else:
                        return far
        except OSError as error:
            failure = error
        if isinstance(failure, TimeoutError):
            raise Refused(504, f"{target} did not answer in time")
        raise Refused(502, f"{target} cannot be reached: {failure.strerror or failure}")

    async def _is_agreed(self, far_reader: StreamReader, writer: StreamWriter) -> bool:
        """Pass on what a further proxy answers to CONNECT, and tell whether the tunnel is there."""
        async with asyncio.timeout(self._limits.idle_seconds):
            while True:
                lines = [await far_reader.readline()]
                while lines[-1].strip() and len(lines) < 1000:
                    lines.append(await far_reader.readline())
                writer.write(b"".join(lines))
                status = _STATUS.match(lines[0])
                if status is None or not status[1].startswith(b"1"):
                    return status is not None and status[1].startswith(b"2")

    def _tell(self, target: str, outcome: Literal["taken", "passed on", "refused"], reason: str = "") -> None:
        if self._on_event is not None:
            self._on_event(Event(target=target, outcome=outcome, reason=reason))


class _Pair:
    """A client's connection (near) and one to where it wants to go (far): what comes on the one goes out on the other.

    They end together, within a bounded time, also where one side is silent, half closed or reads nothing.

    Args:
        near: the client's.
        far: the other one.
        idle: ends them where nothing came for so many seconds.
        body: what of the client's bytes passes; `None`: all of them.
    """

    def __init__(
        self,
        near: tuple[StreamReader, StreamWriter],
        far: tuple[StreamReader, StreamWriter],
        idle: float,
        body: Body | None,
    ) -> None:
        self._near_reader, self._near_writer = near
        self._far_reader, self._far_writer = far
        self._idle = idle
        self._body = body
        self._clock = asyncio.timeout(idle)
        self._is_heard = False

    async def run(self) -> None:
        """Pass on until both sides have said all, or one of them fails."""
        try:
            async with self._clock, asyncio.TaskGroup() as both:
                both.create_task(self._up())
                both.create_task(self._down())
        except* (OSError, Refused):
            pass
        else:
            for writer in (self._near_writer, self._far_writer):
                writer.close()
            async with asyncio.timeout(_LINGERS):
                await self._near_writer.wait_closed()
                await self._far_writer.wait_closed()

    async def _up(self) -> None:
        while data := await self._near_reader.read(_PIECE):
            passed = data if self._body is None else self._body.take(data)
            if passed:
                await self._send(self._far_writer, passed)
            if len(passed) < len(data):  # behind the one request that was decided on: that goes nowhere
                self._half_close()
                if self._is_heard:  # by a server that does not close by itself, as it was asked to
                    break
        self._half_close(self._far_writer)

    async def _down(self) -> None:
        while data := await self._far_reader.read(_PIECE):
            self._is_heard = True
            await self._send(self._near_writer, data)
        self._half_close(self._near_writer)

    async def _send(self, writer: StreamWriter, data: bytes) -> None:
        self._stir()
        writer.write(data)
        await writer.drain()

    def _stir(self) -> None:
        self._clock.reschedule(asyncio.get_running_loop().time() + self._idle)

    def _half_close(self, writer: StreamWriter | None = None) -> None:
        """Say that nothing more comes; what is left has less time than a whole pair has."""
        self._idle = min(self._idle, _HALF_CLOSED)
        self._stir()
        if writer is not None and not writer.is_closing():
            writer.write_eof()


async def _refuse(reader: StreamReader, writer: StreamWriter, refused: Refused) -> None:
    """Answer with the reason, and let that arrive: what still comes is read and thrown away, for a moment.

    The reason is the status line's phrase too: of an answer to CONNECT, many clients show nothing else.
    """
    body = f"ticketstub run: {refused.reason}\n"
    head = f"HTTP/1.1 {refused.status} {HTTPStatus(refused.status).phrase}: {refused.reason}\r\n"
    fields = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\nX-Ticketstub: local\r\n"
    if refused.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        fields += 'Proxy-Authenticate: Basic realm="ticketstub run"\r\n'
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_LINGERS):
            writer.write(f"{head}{fields}Connection: close\r\n\r\n{body}".encode("ascii", "replace"))
            writer.write_eof()
            while await reader.read(_PIECE):
                pass
