"""HTTP as plain data: requests, responses and origins.

Rule: no HTTP library is used here or appears in a signature. Neither a request nor a response prints its query, headers
or body, since all three may contain secrets.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar, NamedTuple, NoReturn, Self, TypeGuard

MAX_BODY_SIZE = 2 * 1024 * 1024
"""The largest body, in bytes, that a client reads. It limits hostile responses."""

MAX_URL_LENGTH = 32 * 1024
"""The longest URL, in characters, that is sent. Servers refuse much shorter ones, and httpx refuses 64 KiB."""

# Stricter than RFC 3986, so that every library finds the same host. Libraries disagree about a backslash, a user name
# and a percent-encoded or non-ASCII host.
_URL = re.compile(
    r"(https?)://(\[[0-9a-f:.]+\]|[0-9a-z_.-]+)(?::([0-9]{0,5}))?((?:[/?][!-\[\]-~]*)?)", re.ASCII | re.IGNORECASE
)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_URL_CHARACTERS = r"[!-\[\]-~]+"
_URL_ERRORS = (
    (rf".{{{MAX_URL_LENGTH + 1}}}", f"an address must not have more than {MAX_URL_LENGTH} characters"),
    (
        r".*[^!-\[\]-~]",
        "an address may contain only printable ASCII, no backslash and no space; percent-encode the rest",
    ),
    (r"(?!https?://[^/?#:])", "an address must start with http:// or https:// and a host"),
    (r"[a-z]+://[^/?#]*@", "an address must not contain a user name or password"),
    (r"[a-z]+://([^/?#\[\]:]*|\[[^/?#]*\]):", "the port of an address must be a number"),
    (r"", "the host of an address must be letters, digits, hyphens and dots, or an IPv6 address in brackets"),
)
"""The reasons why `_URL` does not match, in the order in which they are tested. No message repeats the URL."""
_PATH = r"[A-Za-z]+://[^/?#]*([^?#]*)"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """The scheme, host and port of a URL. Its text is `host:port`, the only part of a URL that an error may show."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        """The value of the Host header."""
        return str(self).removesuffix(f":{self.default_port}")

    @property
    def default_port(self) -> int:
        """The port of the scheme if the URL names none."""
        return _DEFAULT_PORTS[self.scheme]

    @property
    def url(self) -> str:
        """The scheme, the host, and the port if it is not the default."""
        return f"{self.scheme}://{self.host_header}"


class Unpicklable:
    """A base class for objects with secrets. They can be copied but not pickled.

    Such an object is immutable, so a copy is the object itself. A mutable subclass overrides `__copy__`.
    """

    __slots__ = ()
    _pickle_advice: ClassVar[str] = "it contains secrets"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be pickled: {self._pickle_advice}")


class Request(Unpicklable):
    """A request. It contains secrets, so it can be copied but not pickled.

    Attributes:
        call: The name of the call it belongs to (`get_token_details`), for logs.
        method: The HTTP method.
        url: The absolute URL with its query.
        headers: The header names, as sent, and their values.
        body: The body as bytes.
        address: The IP address to connect to instead of looking up the URL's host, or `None`. The certificate is still
            checked against the host. A proxy, and an HTTP client that the program passes, may look the host up anyway.
    """

    __slots__ = ("address", "body", "call", "headers", "method", "url")

    def __init__(
        self,
        call: str,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes = b"",
        *,
        address: str | None = None,
    ) -> None:
        self.call = call
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.address = address

    @property
    def path(self) -> str:
        """The path of the URL, which contains no secret."""
        found = re.match(_PATH, self.url)
        return found[1] if found else ""

    def __repr__(self) -> str:
        return f"<Request {self.call}: {self.method} {self.path}>"

    def __copy__(self) -> Request:
        return Request(self.call, self.method, self.url, dict(self.headers), self.body, address=self.address)


class Response(Unpicklable):
    """A response. It may contain secrets, so it can be copied but not pickled.

    Attributes:
        status: The HTTP status.
        headers: The header names in lower case and their values; of a repeated header, the last value.
        body: The complete body as bytes. May contain secrets.
    """

    __slots__ = ("body", "headers", "status")
    _pickle_advice = "it may contain secrets, so keep its status, headers or body"

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced. May contain secrets."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> object:
        """Parse the body as JSON.

        Raises:
            ValueError: It is not JSON.
        """
        import json

        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status}, {len(self.body)} bytes>"

    def __copy__(self) -> Response:
        return Response(self.status, dict(self.headers), self.body)


def get_origin(url: str) -> str:
    """Return the origin of an absolute http or https URL: its scheme and host, and its port if it is not the default.

    Raises:
        ValueError: The URL is invalid; see `split_url`.
    """
    return split_url(url)[0].url


get_base_origin = lru_cache(maxsize=64)(get_origin)
"""`get_origin` for base URLs and issuers, which contain no secret and which every call needs."""


def split_url(url: str) -> tuple[Origin, str]:
    """Split an absolute URL into its origin and its request target, which is the path and query unchanged.

    Only this function parses the URLs that a client receives, and every transport builds its library's own URL from the
    result. So no two parsers can disagree about the host that a token is sent to.

    Raises:
        ValueError: The URL is not http or https; contains a user name, a backslash, white space, or a control or
            non-ASCII character; has an invalid host or port; or is too long. The message does not repeat the URL.
    """
    without_fragment, hash_sign, _ = url.partition("#")
    found = _URL.fullmatch(without_fragment)
    if found is None or len(url) > MAX_URL_LENGTH or (hash_sign and not re.fullmatch(_URL_CHARACTERS, url)):
        flags = re.DOTALL | re.IGNORECASE
        raise ValueError(next(message for pattern, message in _URL_ERRORS if re.match(pattern, url, flags)))
    scheme, host, port, target = found.groups()
    return _build_origin(scheme, host, port or ""), target if target[:1] == "/" else f"/{target}"


@lru_cache(maxsize=64)  # a client uses the same few servers
def _build_origin(scheme: str, host: str, port: str) -> Origin:
    scheme, host = scheme.lower(), host.lower().strip("[]")
    if ":" in host:
        from ticketstub.dns import parse_ip  # few addresses are of this kind, and it loads socket

        if parse_ip(host) is None:
            raise ValueError("the brackets in an address must contain an IPv6 address")
    elif not host.strip("."):
        raise ValueError("an address must name a host")
    number = int(port) if port else _DEFAULT_PORTS[scheme]
    if not 0 < number <= 65535:
        raise ValueError("the port of an address must be a number from 1 to 65535")
    return Origin(scheme, host, number)


def is_object(data: object) -> TypeGuard[dict[str, object]]:
    """Return whether this is a JSON object, or an XML element with attributes or children."""
    return isinstance(data, dict)


def is_array(data: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    """Return whether this is a JSON array, or a repeated XML element."""
    return isinstance(data, (list, tuple))
