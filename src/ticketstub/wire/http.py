"""One HTTP exchange as data: what goes out and what comes back.

Rule: no HTTP library appears here or in anybody's signature; and neither a request nor a response prints its
address' query, its headers or its body, for all three carry secrets.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

MAX_BODY = 2 * 1024 * 1024
"""The largest body, in bytes, that a client reads (security rule: hostile replies are bounded)."""

_BEFORE_PATH = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://[^/?#\\]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Request:
    """What goes out.

    Attributes:
        call: the name of the call it belongs to (`get_token_details`), for logs.
        method: the HTTP method.
        url: the absolute address, query included.
        headers: field names, as sent, and their values.
        body: the bytes of the body.
    """

    __slots__ = ("body", "call", "headers", "method", "url")

    def __init__(self, call: str, method: str, url: str, headers: dict[str, str], body: bytes = b"") -> None:
        self.call = call
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body

    @property
    def path(self) -> str:
        """The address' path alone, free of secrets."""
        return urlsplit(self.url).path

    def __repr__(self) -> str:
        return f"<Request {self.call}: {self.method} {self.path}>"


class Response:
    """What came back.

    Attributes:
        status: the HTTP status.
        headers: field names in lower case and their values; of a repeated field, the last.
        body: the bytes of the body, whole. May hold secrets.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        """The body as text; what is no UTF-8 is replaced. May hold secrets."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> object:
        """Read the body as JSON.

        Raises:
            ValueError: it is none.
        """
        import json

        found: object = json.loads(self.body)
        return found

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


def origin_of(url: str) -> str:
    """Return the origin (scheme, host, port where it is not the default) of an absolute http or https address.

    Raises:
        ValueError: it is not one; what is wrong is said without repeating the address.
    """
    return _origin(before_path(url))


def before_path(url: str) -> str:
    """Return an address up to its path: scheme, host and port, as they stand there."""
    found = _BEFORE_PATH.match(url)
    return found[0] if found else url


@lru_cache(maxsize=64)  # a client asks for the same few thousands of times
def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # its text repeats a part of the address
        raise ValueError("the address' host or port is none") from None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ValueError("an address starts with http:// or https:// and names a host")
    if "@" in parts.netloc:
        raise ValueError("an address carries no user name or password")
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, _DEFAULT_PORTS[parts.scheme]) else "")
