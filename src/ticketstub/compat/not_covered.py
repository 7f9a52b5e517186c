"""What to say where a snippet goes beyond what is covered: never silence, always our own name for it.

Rule: an argument that cannot be honoured is a `NotCovered`; a group, operation or name is an `AttributeError`, so that
`hasattr` and `getattr` with a default work.
"""

from __future__ import annotations

OURS = {
    "get_identity": "Plex.identity()",
    "get_server_identity": "Plex.identity()",
    "get_server_info": "Plex.server_information()",
    "get_server_capabilities": "Plex.server_information()",
    "get_server_resources": "Plex.resources()",
    "ping": "Plex.ping()",
}
"""Their operations and our names for them, where we have one."""

_OTHERWISE = "for a media server's other paths, ticketstub.MediaServer.get() and .request(): Plex().at(url, token=…)"


class NotCovered(TypeError):
    """An argument of the original that is not honoured here; the message names what to use instead."""


def missing(where: str, name: str) -> AttributeError:
    """Make the error for a name that the original has and this has not."""
    ours = OURS.get(name.removesuffix("_async"))
    instead = f"use ticketstub.{ours}" if ours else _OTHERWISE
    return AttributeError(
        f"{where} has no {name}: only what the Authentication reference pages hold is covered; {instead}"
    )
