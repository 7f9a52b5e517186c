"""Looks up the names of hosts that are not Plex's, and dials them.

Rule: the system's resolver can stall for half a minute, and nothing can interrupt it: it runs on a daemon thread that
nobody waits for longer than asked, at the end of the run neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable

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
        found = await _looked_up(address)
        for host in found:
            try:
                async with asyncio.timeout(seconds / len(found)):
                    transport, _ = await loop.create_connection(protocol, host, address.port)
            except OSError as error:
                failure = error
            else:
                return transport
    raise failure


async def _looked_up(address: Address) -> list[str]:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def tell(found: list[str] | OSError) -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def look_up() -> None:
        found = _resolved(address)
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=look_up, name="ticketstub-look-up", daemon=True).start()
    return await answer


def _resolved(address: Address) -> list[str] | OSError:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except UnicodeError:
        return OSError("it is no host name")
    except OSError as error:
        return error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
