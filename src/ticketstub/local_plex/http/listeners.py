"""Where a local Plex answers: the addresses that it takes when it starts, and that others are told.

Rule: every address is taken before anything is said about it. What is told is what others reach, which may be another
address than the one that is listened on: in a container, its own in the containers' network.
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
    from ticketstub.local_plex.storage.base import MediaServerRow


LOOPBACK_FOR_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # told apart, not listened on
"""Where this machine itself reaches what listens on all its addresses."""


class TlsConfig(NamedTuple):
    """How a local Plex answers https too, on every port beside plain http.

    Attributes:
        context: makes what TLS is spoken with, for these names of hosts; called once, before anything answers.
        ports: more ports of plex.tv's; 0 takes a free one.
    """

    create_context: Callable[[Sequence[str]], ssl.SSLContext]
    ports: tuple[int, ...] = (443, 80)


class ControlConfig(NamedTuple):
    """Where the control API is to answer: its key, and a port; 0 takes a free one."""

    key: Secret
    port: int = 0


class RunningMediaServer(msgspec.Struct, frozen=True, kw_only=True):
    """A media server of a running local Plex, and where it answers."""

    name: str
    machine_identifier: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """Its base address."""
        return build_base_url(self.host, self.port)

    @property
    def https_url(self) -> str:
        """Its base address by https, where that is answered: the name below plex.direct, for an IPv4 address."""
        plex_direct_id = derive_plex_direct_id(self.machine_identifier)
        return f"https://{build_plex_direct_authority(plex_direct_id, self.host, self.port)}"


class Listeners:
    """The addresses of one local Plex. Constructing it takes none.

    Args:
        host: the address to listen on.
        port: plex.tv's port; 0 takes a free one.
        more_ports: more ports of plex.tv's.
        advertise: the address that media servers are listed at; left out, it is `host`, and for all addresses of this
            machine its loopback one.
        media_port: the port of the first media server whose port the world leaves open, the next ones after it; left
            out, they take free ones.
        control: the control API, if it is asked for.
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
        """plex.tv's port; once taken, the true one, as below."""
        self.more_ports: tuple[int, ...] = more_ports
        """plex.tv's further ports."""
        self.control = control
        """The control API's key and port."""
        self.media_servers: tuple[RunningMediaServer, ...] = ()
        """The media servers, once taken."""
        self._advertise = advertise
        self._media_port = media_port

    @property
    def url(self) -> str:
        """The base address of plex.tv's API, once started."""
        return build_base_url(self.host, self.port)

    @property
    def control_url(self) -> str | None:
        """The base address of the control API, once started; `None` where it is not asked for."""
        return build_base_url(self.host, self.control.port) if self.control else None

    @property
    def advertised_host(self) -> str:
        """The address that media servers are listed at."""
        return self._advertise or LOOPBACK_FOR_WILDCARD.get(self.host, self.host)

    def media_server(self, name: str) -> RunningMediaServer:
        """Return a media server by its name or machine identifier; raises `LookupError` where there is none."""
        for server in self.media_servers:
            if name in {server.name, server.machine_identifier}:
                return server
        raise LookupError(f"no media server is called {name!r}")

    def bind_plex_tv(self, sockets: contextlib.ExitStack) -> list[socket.socket]:
        """Take plex.tv's ports; raises `ListenError`, as below."""
        ports = (self.port, *(port for port in self.more_ports if port == 0 or port != self.port))
        listeners = [self._listen(port, sockets) for port in ports]
        self.port, *extra_ports = [each.getsockname()[1] for each in listeners]
        self.more_ports = tuple(extra_ports)
        return listeners

    def bind_other_ports(self, rows: Sequence[MediaServerRow], sockets: contextlib.ExitStack) -> list[socket.socket]:
        """Take each media server's port, the named ones first so that no other is in their way, and control's."""
        from ticketstub.local_plex.http.server import ListenError  # loaded only to be run

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
        from ticketstub.local_plex.http.server import listen  # likewise

        return sockets.enter_context(listen(self.host, port))

    def _iter_free_ports(self, rows: Sequence[MediaServerRow]) -> Iterator[int]:
        """Yield a port for each media server that has none in the world."""
        taken = {self.port, *self.more_ports, self.control.port if self.control else 0, *(row.port for row in rows)} - {
            0
        }
        for port in count(self._media_port) if self._media_port else repeat(0):
            if port not in taken:
                yield port


def build_base_url(host: str, port: int) -> str:
    """Return the base address of what answers at a host's port."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def find_private_address(host: str) -> str | None:
    """Return this machine's private address in its network, as a container has one, where `host` is all of them."""
    if host != "0.0.0.0":  # noqa: S104  # told apart, not listened on
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: it only tells which of its addresses would be used
            address = str(probe.getsockname()[0])
        except OSError:  # a network that leads nowhere
            address = ""
    if not address:
        with contextlib.suppress(OSError):
            address = socket.gethostbyname(socket.gethostname())
    return address if address and ip_address(address).is_private else "127.0.0.1"
