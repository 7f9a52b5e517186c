"""Drop-in replacements for other Plex libraries: their documented snippets run with one changed import.

    from ticketstub.compat import plex_api  # plex-api-client 0.6.6 to 0.9.0

Rule: only the names and signatures are theirs. Requests, the servers that may get a token, and retries are those of
Ticketstub. A name that is not covered is an `AttributeError`, so that `hasattr` and `getattr` with a default work, and
an argument that cannot be honored is an `UnsupportedArgument`; both name what to use instead. Source: the published
releases, observed from outside.
"""

from __future__ import annotations

from typing import NoReturn

REPLACEMENTS = {
    "get_identity": "Plex.identity()",
    "get_server_identity": "Plex.identity()",
    "get_server_info": "Plex.server_information()",
    "get_server_capabilities": "Plex.server_information()",
    "get_server_resources": "Plex.resources()",
    "ping": "Plex.ping()",
}
"""Operations of the original and the names of those that replace them."""

_DEFAULT_ADVICE = (
    "for other paths of a media server, ticketstub.MediaServer.get() and .request(): Plex().at(url, token=…)"
)


class UnsupportedArgument(TypeError):
    """An argument of the original has no effect here; the message names what to use instead."""


def reject_missing_name(owner: str, name: str) -> NoReturn:
    """Raise the `AttributeError` for a name of the original that `owner`, a module or class, does not have here."""
    advice = f"use ticketstub.{REPLACEMENTS[name]}" if name in REPLACEMENTS else _DEFAULT_ADVICE
    raise AttributeError(
        f"{owner} has no {name}: only the operations of the Authentication reference pages are covered; {advice}"
    )
