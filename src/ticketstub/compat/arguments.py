"""Arguments that both SDKs' constructors take and that need a word of translation.

Rule: found wrong when the client is made, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from ticketstub.compat.not_covered import NotCovered
from ticketstub.transports import AsyncTransport, Transport, async_transport_for, transport_for


def text_of(value: Enum | str) -> str:
    """Return a text, or the text that an enumeration's member stands for."""
    return str(value.value) if isinstance(value, Enum) else value


def filled(url: str, params: Mapping[str, str] | None) -> str:
    """Put values in the place of the names in braces of an address."""
    for name, value in (params or {}).items():
        url = url.replace("{" + name + "}", value)
    return url


def sync_client(client: object | None) -> Transport | None:
    """Return the transport for a user's own HTTP client.

    Raises:
        NotCovered: it is none that can be sent with; the message names those that can.
    """
    try:
        return None if client is None else transport_for(client)
    except TypeError as error:
        raise NotCovered(f"client=: {error}") from None


def async_client(client: object | None) -> AsyncTransport | None:
    """As `sync_client`, for an async one."""
    try:
        return None if client is None else async_transport_for(client)
    except TypeError as error:
        raise NotCovered(f"async_client=: {error}") from None
