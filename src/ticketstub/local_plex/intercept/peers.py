"""Authenticating the proxy's clients: it serves the programs of the user who started the run, and nobody else.

Rule: one of two proofs is enough. Most programs send the secret in the proxy's URL. For those that do not (Java), Linux
says which user owns the other end of the connection.
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

from ticketstub.local_plex.intercept.request import ProxyRefusal

_IPV4_MAPPED_PREFIX = "0000000000000000FFFF0000"  # an IPv4 address among IPv6 ones

SocketAddress = tuple[str, int]


def find_owner_uid(local: SocketAddress, remote: SocketAddress) -> int | None:
    """Return the id of the user who owns one end of a loopback connection; `None` if the system does not say.

    Args:
        local: the address of that end.
        remote: the address of the other end.
    """
    expected = [f"{socket.inet_aton(ip)[::-1].hex().upper()}:{port:04X}" for ip, port in (local, remote)]
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError, ValueError, IndexError):
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                ends = [end.removeprefix(_IPV4_MAPPED_PREFIX) for end in fields[1:3]]
                # A socket without an inode is a leftover that nobody owns: its user means nothing.
                if ends == expected and fields[9] != "0":
                    return int(fields[7])
    return None


def get_own_uid() -> int | None:
    """Return the id of this process's user; `None` if it does not distinguish this user from others."""
    if not hasattr(os, "getuid"):
        return None
    with suppress(OSError, ValueError):
        if int(Path("/proc/sys/kernel/overflowuid").read_text("ascii")) == os.getuid():
            return None  # a user namespace shows every unmapped user with this id
    return os.getuid()


class ClientAuthenticator:
    """Recognises the programs of this user.

    Args:
        find_owner_uid: asks the system who owns an end of a connection.
    """

    def __init__(self, find_owner_uid: Callable[[SocketAddress, SocketAddress], int | None] = find_owner_uid) -> None:
        self._find_owner_uid = find_owner_uid
        self._own_uid = get_own_uid()
        self.userinfo = f"ticketstub:{secrets.token_hex(16)}"
        """The user name and secret in the proxy's URL."""
        self._expected_credentials = b"Basic " + b64encode(self.userinfo.encode())

    def authenticate(self, transport: BaseTransport, credentials: bytes) -> None:
        """Check that a connection is this user's.

        Args:
            transport: the connection.
            credentials: the value of its request's `Proxy-Authorization`; empty if there is none.

        Raises:
            ProxyRefusal: there is no proof. The refusal is expected if the program may send the secret after a 407.
        """
        scheme, _, value = credentials.strip().partition(b" ")
        if compare_digest(scheme.title() + b" " + value.strip(), self._expected_credentials):
            return
        peer, own = (transport.get_extra_info(name) for name in ("peername", "sockname"))
        if self._own_uid is not None and peer and own and self._find_owner_uid(peer[:2], own[:2]) == self._own_uid:
            return
        is_expected = not credentials and (self._own_uid is None or sys.platform != "linux")
        raise ProxyRefusal(407, "this proxy serves the programs of its own user only", is_expected=is_expected)
