"""One HTTP exchange as data: what goes out and what comes back.

Rule: no HTTP library appears here or in anybody's signature; and neither a request nor a response prints its
address' query, its headers or its body, for all three carry secrets.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

MAX_BODY_SIZE = 2 * 1024 * 1024
"""The largest body, in bytes, that a client reads (security rule: hostile replies are bounded)."""

MAX_URL_LENGTH = 32 * 1024
"""The longest address, in characters, that is sent. Servers refuse much shorter ones; httpx refuses 64 KiB."""

# Stricter than RFC 3986: every library has to find the same host in it. A backslash, a user name, a percent-encoded or
# a non-ASCII host is read differently by different libraries.
_URL = re.compile(
    r"(https?)://(\[[0-9a-f:.]+\]|[0-9a-z_.-]+)(?::([0-9]{0,5}))?((?:[/?][!-\[\]-~]*)?)", re.ASCII | re.IGNORECASE
)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_URL_CHARACTERS = re.compile(r"[!-\[\]-~]+")
_PATH = re.compile(r"[A-Za-z]+://[^/?#]*([^?#]*)")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where a request goes; as text `host:port`, which is all of an address that an error may show."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.url_host}:{self.port}"

    @property
    def url_host(self) -> str:
        """The host as an address spells it: an IPv6 address in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def host_header(self) -> str:
        """The value of the Host header."""
        return self.url_host if self.port == self.default_port else str(self)

    @property
    def default_port(self) -> int:
        """The scheme's port where an address names none."""
        return _DEFAULT_PORTS[self.scheme]

    @property
    def url(self) -> str:
        """Scheme, host, and port where it is not the default."""
        return f"{self.scheme}://{self.host_header}"


class Request:
    """What goes out. It holds secrets: copies are made, pickles are refused.

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
        found = _PATH.match(self.url)
        return found[1] if found else ""

    def __repr__(self) -> str:
        return f"<Request {self.call}: {self.method} {self.path}>"

    def __copy__(self) -> Request:
        return Request(self.call, self.method, self.url, dict(self.headers), self.body)

    def __deepcopy__(self, _memo: object) -> Request:
        return self.__copy__()

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Request is not pickled, for it holds secrets")


class Response:
    """What came back. It may hold secrets: copies are made, pickles are refused.

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

        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"

    def __copy__(self) -> Response:
        return Response(self.status, dict(self.headers), self.body)

    def __deepcopy__(self, _memo: object) -> Response:
        return self.__copy__()

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Response is not pickled, for it may hold secrets: keep its status, headers or body")


def get_origin(url: str) -> str:
    """Return the origin (scheme, host, port where it is not the default) of an absolute http or https address.

    Raises:
        ValueError: as `destination`.
    """
    return split_url(url)[0].url


def split_url(url: str) -> tuple[Origin, str]:
    """Split an absolute address into its place and its request target (path and query, unchanged).

    Every address that a client takes is parsed here and nowhere else, and every transport builds its library's own
    address from the result. So no two parsers can disagree about the host that a token goes to.

    Raises:
        ValueError: it is no http or https address; it has a user name, a backslash, white space, a control or non-ASCII
            character; its host or port cannot be one; or it is too long. The message does not repeat the address.
    """
    without_fragment, hash_sign, _ = url.partition("#")
    found = _URL.fullmatch(without_fragment)
    if found is None or len(url) > MAX_URL_LENGTH or (hash_sign and not _URL_CHARACTERS.fullmatch(url)):
        raise ValueError(_describe_url_error(url))
    scheme, host, port, target = found.groups()
    return _build_origin(scheme, host, port or ""), target if target[:1] == "/" else f"/{target}"


@lru_cache(maxsize=64)  # a client goes to the same few places
def _build_origin(scheme: str, host: str, port: str) -> Origin:
    scheme, host = scheme.lower(), host.lower().strip("[]")
    if ":" in host:
        import socket  # few addresses are of this kind

        try:
            socket.inet_pton(socket.AF_INET6, host)
        except OSError:
            raise ValueError("an address has an IPv6 address in its brackets") from None
    elif not host.strip("."):
        raise ValueError("an address names a host")
    number = int(port) if port else _DEFAULT_PORTS[scheme]
    if not 0 < number <= 65535:
        raise ValueError("an address has a number from 1 to 65535 for a port")
    return Origin(scheme, host, number)


_URL_ERRORS = (
    (re.compile(r"(?!https?://[^/?#:])", re.IGNORECASE), "an address starts with http:// or https:// and names a host"),
    (re.compile(r"[a-z]+://[^/?#]*@", re.IGNORECASE), "an address carries no user name or password"),
    (re.compile(r"[a-z]+://([^/?#\[\]:]*|\[[^/?#]*\]):", re.IGNORECASE), "an address has a number for a port"),
)


def _describe_url_error(url: str) -> str:
    """Say what is wrong with an address without repeating any of it."""
    if len(url) > MAX_URL_LENGTH:
        return f"an address has at most {MAX_URL_LENGTH} characters"
    if url and not _URL_CHARACTERS.fullmatch(url):
        return "an address holds printable ASCII only, no backslash and no space; percent-encode the rest"
    default = "an address has a host of letters, digits, hyphens and dots, or an IPv6 address in brackets"
    return next((message for pattern, message in _URL_ERRORS if pattern.match(url)), default)
