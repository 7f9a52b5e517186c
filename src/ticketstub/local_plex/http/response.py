"""What goes out: one answer, and the header fields that each kind of place sends with every one of them.

Rule: all that can be known beforehand is a constant. The fields are the observed ones, plex.tv's of 2023 and a media
server's; an ETag is left out (ours: it would be one on a token's body), and so are cookies. Every answer also says
that it is no Plex: the listener adds that field, for it answers by itself where a request cannot be read at all.
"""

from __future__ import annotations

from ticketstub.local_plex.http.request import Headers
from ticketstub.protocol.codec import Format

LOCAL_PLEX_HEADER = ("X-Ticketstub", "local")

_ALLOWED_METHODS = b"GET, POST, PUT, PATCH, HEAD, DELETE, OPTIONS"
_COMMON_HEADERS: Headers = [
    (b"vary", b"Origin"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", _ALLOWED_METHODS),
    (b"access-control-expose-headers", b"Location"),
    (b"access-control-max-age", b"86400"),
    (b"referrer-policy", b"origin-when-cross-origin"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains; preload"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
]
_REVALIDATE_HEADERS: Headers = [(b"cache-control", b"max-age=0, private, must-revalidate"), *_COMMON_HEADERS]
_NO_CACHE_HEADERS: Headers = [(b"cache-control", b"no-cache"), *_COMMON_HEADERS]


def _add_content_type(headers: Headers, media_type: str) -> Headers:
    return [(b"content-type", media_type.encode()), *headers]


PLEX_TV_HEADERS = {form: _add_content_type(_REVALIDATE_HEADERS, form.media_type) for form in Format}
"""The fields of plex.tv's answers, by format."""

PLEX_TV_401_HEADERS = {form: _add_content_type(_NO_CACHE_HEADERS, form.media_type) for form in Format}
"""The fields of its 401, which is not kept."""

PLEX_TV_BODILESS_HEADERS = _REVALIDATE_HEADERS
"""The fields of its answers without body."""

_MEDIA_SERVER_COMMON_HEADERS: Headers = [(b"x-plex-protocol", b"1.0"), (b"cache-control", b"no-cache")]
MEDIA_SERVER_HEADERS = {
    Format.XML: _add_content_type(_MEDIA_SERVER_COMMON_HEADERS, "text/xml;charset=utf-8"),
    Format.JSON: _add_content_type(_MEDIA_SERVER_COMMON_HEADERS, "application/json"),
}
"""The fields of a media server's answers, by format."""

MEDIA_SERVER_HTML_HEADERS = _add_content_type(_MEDIA_SERVER_COMMON_HEADERS, "text/html")
"""The fields of its refusals."""


class OutgoingResponse:
    """One answer.

    Attributes:
        status: the HTTP status.
        headers: its fields, but for those that the listener adds; never changed in place.
        body: its body.
        closes: whether the connection ends with it.
    """

    __slots__ = ("body", "closes_connection", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes, *, closes_connection: bool = False) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.closes_connection = closes_connection
