"""What the SDK shows of an answer, and what to say where a snippet goes beyond what is covered.

Rule: a body may hold secrets; only who asks sees it. An argument that cannot be honoured is a `NotCovered`; a group,
operation or name is an `AttributeError`, so that `hasattr` and `getattr` with a default work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ticketstub.wire.http import Response

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
    instead = f"use ticketstub.{OURS[name]}" if name in OURS else _OTHERWISE
    return AttributeError(
        f"{where} has no {name}: only what the Authentication reference pages hold is covered; {instead}"
    )


class Headers(Mapping[str, str]):
    """An answer's headers; a name is found however it is written."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self)}>"


class RawResponse:
    """The answer itself, with the names that requests and httpx share: status_code, headers, text, content, json()."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self.status_code = response.status
        self.headers = Headers(response.headers)

    @property
    def content(self) -> bytes:
        """The body's bytes. May hold secrets."""
        return self._response.body

    @property
    def text(self) -> str:
        """The body as text. May hold secrets."""
        return self._response.text

    @property
    def content_type(self) -> str:
        """The header of that name, or an empty text."""
        return self.headers.get("content-type", "")

    def json(self) -> object:
        """Read the body as JSON; a `ValueError` where it is none."""
        return self._response.json()

    def __repr__(self) -> str:
        return f"<RawResponse [{self.status_code}]>"
