"""The addresses of a local Plex: those it binds at start-up, and those it advertises.

Rule: every address is bound before it is advertised. The advertised address is the one that others can reach. It may
differ from the one that is bound: in a container, it is the container's address in its network.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from itertools import count, repeat
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ticketstub.local_plex.domain.media_servers import build_plex_direct_authority, derive_plex_direct_id
from ticketstub.tokens import Secret

if TYPE_CHECKING:
    from ticketstub.local_plex.addresses.listener import AddressListener
    from ticketstub.local_plex.storage.base import MediaServerRow


LOOPBACK_FOR_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not bound
"""The loopback address by which this machine reaches a server that is bound to all addresses."""


class TlsConfig(NamedTuple):
    """How a local Plex speaks TLS, on every port beside plain HTTP.

    Attributes:
        create_context: makes the TLS context for these host names; called once, before any port answers. Clients need
            to trust its second argument too: the authority of the world's addresses as PEM, or nothing.
        ports: additional ports for plex.tv; 0 selects a free one.
    """

    create_context: Callable[[Sequence[str], bytes], ssl.SSLContext]
    ports: tuple[int, ...] = (443, 80)


class ControlConfig(NamedTuple):
    """The key and the port of the control API; port 0 selects a free one."""

    key: Secret
    port: int = 0


class RunningMediaServer(msgspec.Struct, frozen=True, kw_only=True):
    """A media server of a running local Plex, and where it answers.

    `addresses` are those of its world's addresses that have a listener of their own, in the same order.
    """

    name: str
    machine_identifier: str
    host: str
    port: int
    addresses: tuple[AddressListener, ...] = ()

    @property
    def url(self) -> str:
        """Its base URL."""
        return build_base_url(self.host, self.port)

    @property
    def https_url(self) -> str:
        """Its base URL for HTTPS, if TLS is enabled: a name below plex.direct, for an IPv4 address."""
        digits = derive_plex_direct_id(self.machine_identifier)
        return f"https://{build_plex_direct_authority(digits, self.host, self.port)}"


class Listeners:
    """The addresses of one local Plex. Constructing it binds none.

    Args:
        host: the address to listen on.
        port: plex.tv's port; 0 selects a free one.
        more_ports: additional ports for plex.tv.
        advertise: the address of the media servers in lists. By default it is `host`, or the loopback address if `host`
            means all addresses.
        media_port: the port of the first media server without a port in the world; others get the next ports. By
            default they get free ones.
        control: the control API's key and port; `None` disables it.
    """

    def __init__(
        self,
        host: str,
        port: int,
        more_ports: tuple[int, ...],
        advertise: str | None,
        media_port: int | None,
        control: ControlConfig | None,
    ) -> None:
        self.host = host
        self.port: int = port
        """plex.tv's port; the actual one once it is bound, as for the ports below."""
        self.more_ports: tuple[int, ...] = more_ports
        """plex.tv's additional ports."""
        self.control = control
        """The control API's key and port."""
        self.media_servers: tuple[RunningMediaServer, ...] = ()
        """The media servers, once their ports are bound."""
        self.address_authority = b""
        """The authority of the world's addresses below plex.direct, as PEM; empty if there are none."""
        self._advertise = advertise
        self._media_port = media_port

    @property
    def url(self) -> str:
        """The base URL of plex.tv's API, once started."""
        return build_base_url(self.host, self.port)

    @property
    def control_url(self) -> str | None:
        """The base URL of the control API, once started; `None` if it is disabled."""
        return build_base_url(self.host, self.control.port) if self.control else None

    def media_server(self, name: str) -> RunningMediaServer:
        """Return a media server by its name or machine identifier; raises `LookupError` for an unknown one."""
        for server in self.media_servers:
            if name in {server.name, server.machine_identifier}:
                return server
        raise LookupError(f"no media server is called {name!r}")

    @property
    def addresses(self) -> tuple[AddressListener, ...]:
        """The addresses of all media servers that have a listener of their own."""
        return tuple(address for server in self.media_servers for address in server.addresses)

    def bind_plex_tv(self, sockets: contextlib.ExitStack) -> list[socket.socket]:
        """Bind plex.tv's ports; raises `ListenError`, as do the methods below."""
        ports = (self.port, *(port for port in self.more_ports if port == 0 or port != self.port))
        listeners = [self._listen(port, sockets) for port in ports]
        self.port, *extra_ports = [each.getsockname()[1] for each in listeners]
        self.more_ports = tuple(extra_ports)
        return listeners

    def bind_other_ports(self, rows: Sequence[MediaServerRow], sockets: contextlib.ExitStack) -> list[socket.socket]:
        """Bind the media servers' ports, fixed ones first so that no other server gets them, and the control API's."""
        from ticketstub.local_plex.http.server import ListenError  # loaded when needed

        free_ports, listeners = self._iter_free_ports(rows), dict[str, socket.socket]()
        for row in sorted(rows, key=lambda row: row.port is None):
            if row.port and row.port in {self.port, *self.more_ports}:
                raise ListenError(f"port {row.port} is {row.name}'s in the world: name another one for plex.tv's API")
            listeners[row.machine_identifier] = self._listen(row.port or next(free_ports), sockets)
        self.media_servers = tuple(
            RunningMediaServer(
                name=row.name,
                machine_identifier=row.machine_identifier,
                host=self._advertise or self.host,
                port=listeners[row.machine_identifier].getsockname()[1],
            )
            for row in rows
        )
        if self.control is None:
            return [*listeners.values()]
        listener = self._listen(self.control.port, sockets)
        self.control = self.control._replace(port=listener.getsockname()[1])
        return [*listeners.values(), listener]

    def _listen(self, port: int, sockets: contextlib.ExitStack) -> socket.socket:
        from ticketstub.local_plex.http.server import listen  # loaded when needed

        return sockets.enter_context(listen(self.host, port))

    def _iter_free_ports(self, rows: Sequence[MediaServerRow]) -> Iterator[int]:
        """Return the ports for the media servers that have none in the world."""
        control_port = self.control.port if self.control else 0
        taken = {self.port, *self.more_ports, control_port, *(row.port for row in rows)} - {0}
        ports = count(self._media_port) if self._media_port else repeat(0)
        return (port for port in ports if port not in taken)


def build_base_url(host: str, port: int) -> str:
    """Return the base URL of a host and port."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def find_private_address(host: str) -> str | None:
    """Return the private address of this machine, such as a container's, if `host` means all addresses."""
    if host != "0.0.0.0":  # noqa: S104  # compared, not bound
        return None
    address = ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):  # no route
        probe.connect(("192.0.2.1", 9))  # sends nothing, but selects the address that would be used
        address = str(probe.getsockname()[0])
    if not address:
        with contextlib.suppress(OSError):
            address = socket.gethostbyname(socket.gethostname())
    return address if address and ip_address(address).is_private else "127.0.0.1"
