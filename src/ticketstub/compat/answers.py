"""What the SDK shows of an answer, and what to say where a snippet goes beyond what is covered.

Rule: a body may hold secrets; only who asks sees it. An argument that cannot be honoured is a `UnsupportedArgument`;
a group, operation or name is an `AttributeError`, so that `hasattr` and `getattr` with a default work.
"""

from __future__ import annotations

from typing import Any

from ticketstub.messages import Response

REPLACEMENTS = {
    "get_identity": "Plex.identity()",
    "get_server_identity": "Plex.identity()",
    "get_server_info": "Plex.server_information()",
    "get_server_capabilities": "Plex.server_information()",
    "get_server_resources": "Plex.resources()",
    "ping": "Plex.ping()",
}
"""Their operations and our names for them, where we have one."""

_DEFAULT_ADVICE = (
    "for a media server's other paths, ticketstub.MediaServer.get() and .request(): Plex().at(url, token=…)"
)


class UnsupportedArgument(TypeError):
    """An argument of the original that is not honoured here; the message names what to use instead."""


def build_missing_error(where: str, name: str) -> AttributeError:
    """Make the error for a name that the original has and this has not."""
    instead = f"use ticketstub.{REPLACEMENTS[name]}" if name in REPLACEMENTS else _DEFAULT_ADVICE
    return AttributeError(
        f"{where} has no {name}: only what the Authentication reference pages hold is covered; {instead}"
    )


class Headers(dict[str, str]):
    """An answer's headers, whose names are in lower case; a name is found however it is written."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401  # as a dictionary's
        """Return the header of that name, or `default`."""
        return super().get(name.lower(), default)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self)}>"


class RawResponse(Response):
    """The answer itself, with the names that requests and httpx share: status_code, headers, text, content, json()."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status, Headers(response.headers), response.body)
        self.status_code = response.status

    @property
    def content(self) -> bytes:
        """The body's bytes. May hold secrets."""
        return self.body

    @property
    def content_type(self) -> str:
        """The header of that name, or an empty text."""
        return self.headers.get("content-type", "")

    def __repr__(self) -> str:
        return f"<RawResponse [{self.status_code}]>"
