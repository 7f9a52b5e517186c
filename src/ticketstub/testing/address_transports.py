"""The transports of a test's clients, if the world has addresses with a listener of their own.

Rule: those addresses are reached through sockets, with the local Plex's resolver and authority, because what a client
meets there happens to its connection. Everything else stays in process.
"""

from __future__ import annotations

from collections.abc import Iterable

from ticketstub.client.transports.aiohttp import AiohttpTransport
from ticketstub.client.transports.base import AsyncTransport, Transport
from ticketstub.client.transports.http1 import BranchTransport, StandardTransport
from ticketstub.messages import Request, Response, split_url


class AddressTransport(Transport):
    """Sends for `Plex`: through sockets to some ports, and in process to all others.

    Args:
        in_process: sends to the local Plex.
        sockets: sends to the addresses.
        ports: the ports of the addresses.
    """

    def __init__(self, in_process: Transport, sockets: StandardTransport, ports: Iterable[int]) -> None:
        self._in_process = in_process
        self._sockets = sockets
        self._ports = frozenset(ports)

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`."""
        transport = self._sockets if split_url(request.url)[0].port in self._ports else self._in_process
        return transport.send(request, deadline=deadline, connect_timeout=connect_timeout)

    def open_branch(self) -> AddressBranch:
        """Return a transport whose connections to addresses another thread can abort."""
        return AddressBranch(self._in_process, self._sockets.open_branch(), self._ports)

    def close(self) -> None:
        """Close every connection."""
        self._sockets.close()


class AddressBranch(AddressTransport):
    """A transport for one thread, whose connection to an address another thread can abort."""

    def __init__(self, in_process: Transport, sockets: BranchTransport, ports: Iterable[int]) -> None:
        super().__init__(in_process, sockets, ports)
        self.abort = sockets.abort


class AsyncAddressTransport(AsyncTransport):
    """Sends for `AsyncPlex`, like `AddressTransport`."""

    def __init__(self, in_process: AsyncTransport, sockets: AiohttpTransport, ports: Iterable[int]) -> None:
        self._in_process = in_process
        self._sockets = sockets
        self._ports = frozenset(ports)

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`."""
        transport = self._sockets if split_url(request.url)[0].port in self._ports else self._in_process
        return await transport.send(request, deadline=deadline, connect_timeout=connect_timeout)

    async def close(self) -> None:
        """Close every connection."""
        await self._sockets.close()
