"""Names below plex.direct, as the resolver of a local Plex answers for them.

Rule: a name leads to the address that is written in it, as Plex's own servers answer, unless the world says otherwise
for that address. No other name is looked up, so that nothing leaves this machine.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ticketstub.dns import ResolvedAddress, is_loopback, parse_plex_direct

if TYPE_CHECKING:
    from ticketstub.local_plex.addresses.listener import AddressListener

PRIVATE_ANSWER = "192.168.255.254"
"""The address that a router puts in place of one that its rebinding protection removes."""


def find_listener(listeners: Iterable[AddressListener], host: str, port: int) -> AddressListener | None:
    """Return the listener whose name below plex.direct this is, if any."""
    name = f"{host}:{port}"
    return next((each for each in listeners if each.certificate is not None and each.authority == name), None)


def resolve_name(listeners: Iterable[AddressListener], host: str, port: int) -> list[ResolvedAddress]:
    """Look up a name below plex.direct, or of this machine.

    Args:
        listeners: the addresses for which the world may say otherwise.
        host: the name.
        port: the port; names of several addresses differ in it only.

    Raises:
        socket.gaierror: the name has no address.
    """
    normalized = host.lower().rstrip(".")
    listener = find_listener(listeners, normalized, port)
    dns = listener.dns if listener is not None else "answers"
    if listener is not None and dns == "lies" and listener.impostor is not None:
        return [_build_answer(listener.impostor.host, listener.impostor.port)]
    ip = parse_plex_direct(normalized) or ("127.0.0.1" if is_loopback(normalized) else None)
    if ip is None or dns == "fails":
        raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
    return [_build_answer(PRIVATE_ANSWER if dns == "private" else ip, port)]


def _build_answer(ip: str, port: int) -> ResolvedAddress:
    return ResolvedAddress(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip, port)
