"""Whose a connection to the proxy is: it serves the programs of the user who started the run, and nobody else.

Rule: one of two proofs will do. Most programs send the secret that stands in the proxy's address. For those that do not
(Java), the system is asked on Linux who holds the other end of the connection.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from asyncio import BaseTransport
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path

from ticketstub.local_plex.intercept.hosts import ProxyRefusal

_TCP_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_IPV4_MAPPED_PREFIX = "0000000000000000FFFF0000"  # an IPv4 address among IPv6 ones

SocketAddress = tuple[str, int]


def find_owner_uid(local: SocketAddress, remote: SocketAddress) -> int | None:
    """Return the user who holds an end of a connection on this machine, `None` where the system does not say.

    Args:
        local: the address of that end.
        remote: the address of the other one.
    """
    for table in _TCP_TABLES:
        with suppress(OSError, ValueError, IndexError):
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                ends = [end.removeprefix(_IPV4_MAPPED_PREFIX) for end in fields[1:3]]
                # Nobody holds a socket without an inode: it is left over, and the user that is said means nothing.
                if ends == [_format_table_address(local), _format_table_address(remote)] and fields[9] != "0":
                    return int(fields[7])
    return None


def _format_table_address(address: SocketAddress) -> str:
    """Write an address as the system's tables have it."""
    return f"{socket.inet_aton(address[0])[::-1].hex().upper()}:{address[1]:04X}"


def get_own_uid() -> int | None:
    """Return this process's user; `None` where that says nothing, because others would seem the same."""
    if not hasattr(os, "getuid"):
        return None
    with suppress(OSError, ValueError):
        if int(Path("/proc/sys/kernel/overflowuid").read_text("ascii")) == os.getuid():
            return None  # in a namespace that does not know the user, as it knows no other either
    return os.getuid()


class ClientAuthenticator:
    """Tells the programs of this user from others.

    Args:
        find_owner_uid: asks the system whose an end of a connection is.
    """

    def __init__(self, find_owner_uid: Callable[[SocketAddress, SocketAddress], int | None] = find_owner_uid) -> None:
        self._find_owner_uid = find_owner_uid
        self._own_uid = get_own_uid()
        self.can_identify_users = self._own_uid is not None and sys.platform == "linux"
        """Whether the system says whose a connection is."""
        secret = secrets.token_hex(16)
        self.userinfo = f"ticketstub:{secret}"
        """User name and secret, as they stand in the proxy's address."""
        self._expected_credentials = b"Basic " + b64encode(self.userinfo.encode())

    def authenticate(self, transport: BaseTransport, credentials: bytes) -> None:
        """Refuse a connection of another user's.

        Args:
            transport: the connection.
            credentials: the value of its request's `Proxy-Authorization`; empty where there is none.

        Raises:
            Refused: there is no proof. A program that shows the secret only when it is asked for is usual.
        """
        scheme, _, value = credentials.strip().partition(b" ")
        if compare_digest(scheme.title() + b" " + value.strip(), self._expected_credentials):
            return
        peer, own = (transport.get_extra_info(name) for name in ("peername", "sockname"))
        if self._own_uid is not None and peer and own and self._find_owner_uid(peer[:2], own[:2]) == self._own_uid:
            return
        is_expected = not credentials and not self.can_identify_users
        raise ProxyRefusal(407, "this proxy serves the programs of its own user only", is_expected=is_expected)
