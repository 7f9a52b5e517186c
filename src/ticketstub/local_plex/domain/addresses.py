"""Where the media servers of this local Plex are listed.

Rule: a media server is listed where it answers, once as a local and once as a remote address, unless its world names
other addresses (the default is ours: clients skip the local addresses of a server that somebody else shares). Where
there is TLS, by the proxy of a run or by a local Plex that is given certificates, who asks for https is told the name
below plex.direct for the same address, as from Plex itself. An address that the world writes out is listed as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ticketstub.models import Connection

if TYPE_CHECKING:
    from ticketstub.local_plex.world.schema import WorldAddress


class ServerAddress(NamedTuple):
    """An address of a media server. `uri` is set where the world writes it out."""

    host: str
    port: int
    local: bool
    relay: bool = False
    uri: str | None = None


def build_addresses(
    host: str, port: int, world_addresses: Iterable[WorldAddress] | None = None
) -> tuple[ServerAddress, ...]:
    """Return the addresses of a media server.

    Args:
        host: where it answers.
        port: likewise.
        world_addresses: what its world names; `None` for the two of the default.
    """
    if world_addresses is None:
        return ServerAddress(host, port, local=True), ServerAddress(host, port, local=False)
    return tuple(_build_address(host, port, each) for each in world_addresses)


def _build_address(host: str, port: int, world_address: WorldAddress) -> ServerAddress:
    if world_address.uri is None:
        return ServerAddress(
            world_address.host or host, world_address.port or port, world_address.local, world_address.relay
        )
    parts = urlsplit(world_address.uri)
    default_port = 443 if parts.scheme == "https" else 80
    return ServerAddress(
        parts.hostname or "", parts.port or default_port, world_address.local, world_address.relay, world_address.uri
    )


def build_connections(
    addresses: Iterable[ServerAddress],
    machine_identifier: str,
    *,
    https: bool = False,
    relay: bool = False,
    ipv6: bool = True,
) -> tuple[Connection, ...]:
    """Return addresses of a media server as answers have them.

    Args:
        addresses: the addresses that it has.
        machine_identifier: its identifier.
        https: whether they are to be https addresses; those of IPv6 have none.
        relay: whether relays are among them.
        ipv6: whether addresses of IPv6 are.
    """
    selected = (each for each in addresses if (relay or not each.relay) and (ipv6 or ":" not in each.host))
    return tuple(_build_connection(each, machine_identifier, https=https) for each in selected)


def _build_connection(address: ServerAddress, machine_identifier: str, *, https: bool) -> Connection:
    host, port = address.host, address.port
    if address.uri is not None:
        uri = address.uri
    elif https and ":" not in host:
        uri = f"https://{build_plex_direct_authority(derive_plex_direct_id(machine_identifier), host, port)}"
    else:
        uri = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return Connection(
        protocol=uri.partition(":")[0],
        address=host,
        port=port,
        uri=uri,
        local=address.local,
        relay=address.relay,
        ipv6=":" in host,
    )


def find_public_connection(connections: Iterable[Connection]) -> Connection | None:
    """Return the address by which a media server is known outside its network; else the first that it has."""
    direct = [each for each in connections if not each.relay]
    return next((each for each in direct if not each.local), direct[0] if direct else None)


def derive_plex_direct_id(machine_identifier: str) -> str:
    """Return the 32 digits of a media server's names below plex.direct: always the same, and not its identifier."""
    return sha256(f"plex.direct {machine_identifier}".encode()).hexdigest()[:32]


def build_plex_direct_authority(plex_direct_id: str, host: str, port: int) -> str:
    """Return the name below plex.direct, and the port, that stand for an IPv4 address of a media server (observed)."""
    return f"{host.replace('.', '-')}.{plex_direct_id}.plex.direct:{port}"


def list_certificate_names(plex_direct_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the names, with wildcards, of a certificate for plex.tv and the media servers of these digits."""
    return ("plex.tv", "*.plex.tv", *(f"*.{each}.plex.direct" for each in plex_direct_ids))
