"""TLS before a plain port: for programs that come by themselves, because the names lead here.

Rule: it knows nothing of what is inside, and has the proxy's limits. Each of its ports leads to one address.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from ticketstub.server.proxy.hosts import Address
from ticketstub.server.proxy.legs import Pair
from ticketstub.server.proxy.names import dial
from ticketstub.server.proxy.passage import Limits


class Door(NamedTuple):
    """A port of the front: where it listens, where it leads to, and whether TLS ends there."""

    at: Address
    leads_to: Address
    tls: bool


class Front:
    """The doors of one run. Constructing one opens none.

    Args:
        doors: all of them.
        context: what TLS is ended with.
        limits: the bounds.
    """

    def __init__(self, doors: Sequence[Door], context: ssl.SSLContext, limits: Limits | None = None) -> None:
        self._doors = doors
        self._context = context
        self._limits = limits or Limits()
        self._tasks: set[asyncio.Task[None]] = set()

    def running(self) -> AbstractContextManager[None]:
        """Run in a thread of its own for as long as the `with` lasts; raises `ListenError`."""
        from ticketstub.server.listening import running  # loaded only to be run

        return running(self.serve, "ticketstub-front")

    async def serve(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Run until `stop` is set; `ready` is called once every door is open. Raises `ListenError`."""
        with contextlib.ExitStack() as open_doors:
            for door in self._doors:
                await self._open(door, open_doors.enter_context(_listening(door.at)), open_doors)
            ready()
            await stop.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _open(self, door: Door, listener: socket.socket, open_doors: contextlib.ExitStack) -> None:
        from ticketstub.server.connections import BACKLOG  # loaded only to be run

        loop, seconds = asyncio.get_running_loop(), self._limits.handshake_seconds
        server = await loop.create_server(
            lambda: _Comer(lambda comer: self._begin(comer, door)),
            sock=listener,
            ssl=self._context if door.tls else None,
            ssl_handshake_timeout=seconds if door.tls else None,
            backlog=BACKLOG,
        )
        open_doors.callback(server.close)

    def _begin(self, comer: _Comer, door: Door) -> None:
        if len(self._tasks) >= self._limits.connections:
            comer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._lead(comer, door.leads_to))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead(self, comer: _Comer, address: Address) -> None:
        pair, transport = Pair(self._limits.idle_seconds), comer.transport
        try:
            await dial(address, lambda: pair.far, self._limits.dial_seconds)
            if transport.is_closing():
                return
            transport.set_protocol(pair.near)
            pair.near.join(transport)
            pair.far.write(bytes(comer.came))
            transport.resume_reading()
            await pair.over
        except OSError:
            transport.abort()
        finally:
            pair.abort()


class _Comer(asyncio.Protocol):
    """A connection until the other side is there; it reads nothing more than what comes at once."""

    transport: asyncio.Transport

    def __init__(self, begins: Callable[[_Comer], None]) -> None:
        self._begins = begins
        self.came = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # what streams have
        """Begin; see asyncio.Protocol, as below."""
        self.transport = transport
        self._begins(self)

    def data_received(self, data: bytes) -> None:
        """Keep it for the other side."""
        self.came += data
        self.transport.pause_reading()


@contextlib.contextmanager
def _listening(address: Address) -> Generator[socket.socket, None, None]:
    from ticketstub.server.listening import listen  # loaded only to be run

    with contextlib.closing(listen(address.host, address.port)) as listener:
        yield listener
