"""What this computer can say about its network without sending anything: which addresses it can reach, and from where.

Rule: connecting a UDP socket sends no packet. It only asks the operating system for a route.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

_ANY_PORT = 9
_DOCUMENTATION_ADDRESSES = ("192.0.2.1", "2001:db8::1")
"""Addresses that nobody has. The route to them is the default route."""

_DOCKER_NETWORKS = ip_network("172.17.0.0/12", strict=False)
_DOCKER_PREFIX = 16
_NEVER_DIALLED = tuple(
    map(
        ip_network,
        ("fd00:ec2::/32", "fd20:ce::/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),
    )
)
"""Cloud computers' metadata services outside the link-local addresses (documented by AWS, Google, Alibaba, Azure and
Oracle)."""
_EMBEDDING_NETWORKS = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
"""IPv6 addresses whose last 32 bits are an IPv4 address: NAT64, and an obsolete form."""


class Network(NamedTuple):
    """How to ask about the network.

    `find_source`: returns the address from which this computer would connect to an IP address, or `None` if it has no
    route. `describe`: returns a text that is the same whenever this computer is on the same network.
    """

    find_source: Callable[[str], str | None]
    describe: Callable[[], str]


def find_source(address: str) -> str | None:
    """Return the address from which this computer would connect to an IP address, or `None` if it has no route."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, _ANY_PORT))
            return str(sock.getsockname()[0])
    except OSError:
        return None


def describe_network() -> str:
    """Return the networks of the default routes, such as `192.168.1.0/24`; the empty text without any."""
    sources = [find_source(address) for address in _DOCUMENTATION_ADDRESSES]
    networks = (ip_network(f"{each}/{64 if ':' in each else 24}", strict=False) for each in sources if each)
    return " ".join(map(str, networks))


SYSTEM_NETWORK = Network(find_source, describe_network)


def is_likely_reachable(address: str, source: str | None) -> bool:
    """Return whether an address may be reachable from the source address that a route to it has.

    A media server in a container also lists the container's own address, which exists on that computer only.
    """
    if source is None:
        return False
    target = ip_address(address)
    if isinstance(target, IPv4Address) and target in _DOCKER_NETWORKS:
        return ip_address(source) in ip_network(f"{target}/{_DOCKER_PREFIX}", strict=False)
    return True


def is_never_dialled(address: IPv4Address | IPv6Address) -> bool:
    """Return whether no media server can be at this address: link-local, metadata, multicast, unspecified."""
    if any(address in network for network in _EMBEDDING_NETWORKS) and not address.is_loopback:
        address = IPv4Address(int(address) & 0xFFFFFFFF)
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or any(address in network for network in _NEVER_DIALLED)
    )
