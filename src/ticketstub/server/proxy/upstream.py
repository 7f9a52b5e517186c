"""The proxy by which this machine itself reaches the world, where it has one.

Rule: it gets what the client wrote, and its answer goes back as it came; only what proves who asks is ours to add.
"""

from __future__ import annotations

from typing import NamedTuple

from ticketstub.server.proxy.heads import Head
from ticketstub.server.proxy.hosts import Address
from ticketstub.token import Secret


class Upstream(NamedTuple):
    """A proxy: where it is, and the value of `Proxy-Authorization`, if it wants one."""

    address: Address
    authorization: Secret | None

    def head(self, head: Head) -> bytes:
        """Write a client's head for it."""
        return head.for_proxy(self.authorization.reveal().encode("ascii") if self.authorization else None)
