"""Dials the hosts that are not Plex's.

Rule: each of a host's addresses gets its share of the time that is allowed in all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ticketstub.names import alook_up
from ticketstub.server.proxy.hosts import Address


async def dial(address: Address, protocol: Callable[[], asyncio.Protocol], seconds: float) -> asyncio.Transport:
    """Connect to the first of a host's addresses that answers.

    Args:
        address: where to.
        protocol: makes what is told of the connection.
        seconds: how long it may take in all.

    Raises:
        OSError: it cannot be looked up or reached; `TimeoutError` where that takes too long.
    """
    loop, failure = asyncio.get_running_loop(), OSError("it has no address")
    async with asyncio.timeout(seconds):
        found = await alook_up(address.host, address.port)
        for ip in dict.fromkeys(each.ip for each in found):
            try:
                async with asyncio.timeout(seconds / len(found)):
                    transport, _ = await loop.create_connection(protocol, ip, address.port)
            except OSError as error:
                failure = error
            else:
                return transport
    raise failure
