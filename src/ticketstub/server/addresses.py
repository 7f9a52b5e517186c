"""Where a media server of this local Plex answers.

Rule: one address each, by plain http (ours). Where there is TLS, by the proxy of a run or by a local Plex that is given
certificates, who asks for https is told the name below plex.direct for the same address, as from Plex itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from ticketstub.records import Connection
from ticketstub.server.instance import Instance


def connection(instance: Instance, machine_identifier: str, *, https: bool = False) -> Connection | None:
    """Return the address of a media server; `None` for a machine that is none of this local Plex.

    Args:
        instance: the local Plex.
        machine_identifier: the media server's.
        https: whether it is to be an https address; IPv6 addresses have none.
    """
    found = instance.addresses.get(machine_identifier)
    if found is None:
        return None
    host, port = found
    protocol, shown = "http", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if https and ":" not in host:
        protocol, shown = "https", plex_direct_name(plex_direct_digits(machine_identifier), host, port)
    uri = f"{protocol}://{shown}"
    return Connection(protocol=protocol, address=host, port=port, uri=uri, local=True, relay=False, ipv6=":" in host)


def plex_direct_digits(machine_identifier: str) -> str:
    """Return the 32 digits of a media server's names below plex.direct: always the same, and not its identifier."""
    return sha256(f"plex.direct {machine_identifier}".encode()).hexdigest()[:32]


def plex_direct_name(digits: str, host: str, port: int) -> str:
    """Return the name below plex.direct, and the port, that stand for an IPv4 address of a media server (observed)."""
    return f"{host.replace('.', '-')}.{digits}.plex.direct:{port}"


def certified_names(digits: Iterable[str]) -> tuple[str, ...]:
    """Return the names, with wildcards, of a certificate for plex.tv and the media servers of these digits."""
    return ("plex.tv", "*.plex.tv", *(f"*.{each}.plex.direct" for each in digits))
