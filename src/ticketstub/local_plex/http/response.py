"""One response, and the header fields that plex.tv and media servers send with every response.

Rule: what is known in advance is a constant. The fields are observed: plex.tv's of 2023 and a media server's. Cookies
are left out, and so is ETag, which would be computed from a body with a token (our choice). Every response also says
that it does not come from Plex. The server adds that field, because it also answers requests that cannot be parsed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ticketstub.local_plex.http.request import Headers
from ticketstub.protocol.codec import Format

if TYPE_CHECKING:
    from ticketstub.local_plex.http.websocket import WebSocket

LOCAL_PLEX_HEADER = ("X-Ticketstub", "local")

_COMMON_HEADERS: Headers = [
    (b"vary", b"Origin"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, HEAD, DELETE, OPTIONS"),
    (b"access-control-expose-headers", b"Location"),
    (b"access-control-max-age", b"86400"),
    (b"referrer-policy", b"origin-when-cross-origin"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains; preload"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
]
PLEX_TV_BODILESS_HEADERS: Headers = [(b"cache-control", b"max-age=0, private, must-revalidate"), *_COMMON_HEADERS]
"""The fields of plex.tv's responses without a body."""

_NO_CACHE_HEADERS: Headers = [(b"cache-control", b"no-cache"), *_COMMON_HEADERS]


def _add_content_type(headers: Headers, media_type: str) -> Headers:
    return [(b"content-type", media_type.encode()), *headers]


PLEX_TV_HEADERS = {form: _add_content_type(PLEX_TV_BODILESS_HEADERS, form.media_type) for form in Format}
"""The fields of plex.tv's responses, by format."""

PLEX_TV_401_HEADERS = {form: _add_content_type(_NO_CACHE_HEADERS, form.media_type) for form in Format}
"""The fields of plex.tv's 401, which must not be cached."""

_MEDIA_SERVER_COMMON_HEADERS: Headers = [(b"x-plex-protocol", b"1.0"), (b"cache-control", b"no-cache")]
MEDIA_SERVER_HEADERS = {
    Format.XML: _add_content_type(_MEDIA_SERVER_COMMON_HEADERS, "text/xml;charset=utf-8"),
    Format.JSON: _add_content_type(_MEDIA_SERVER_COMMON_HEADERS, "application/json"),
}
"""The fields of a media server's responses, by format."""

MEDIA_SERVER_HTML_HEADERS = _add_content_type(_MEDIA_SERVER_COMMON_HEADERS, "text/html")
"""The fields of a media server's refusals."""


class OutgoingResponse:
    """One response.

    Attributes:
        status: the HTTP status.
        headers: the header fields, without those that the server adds. The list is shared: replace it, never change it.
        body: the body.
        closes_connection: whether the connection is closed afterwards.
    """

    __slots__ = ("body", "closes_connection", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes, *, closes_connection: bool = False) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.closes_connection = closes_connection


class WebSocketResponse(OutgoingResponse):
    """The response that opens a WebSocket (101). Only a connection can send it, because it changes its protocol.

    Attributes:
        socket: the WebSocket.
        on_start: called once the WebSocket has its connection.
    """

    __slots__ = ("on_start", "socket")

    def __init__(self, socket: WebSocket, on_start: Callable[[], None]) -> None:
        super().__init__(101, [], b"")
        self.socket = socket
        self.on_start = on_start
