"""One request, read from ASGI: its header fields, parameters and body, and the format of its reply.

Rule: the header fields are read in one pass, without a library's request class. An `X-Plex-…` parameter comes from the
header, then the query, then a form in the body, even for a GET (documented). Names are case-insensitive in the header
and case-sensitive elsewhere (observed). Malformed input is refused with 400, never guessed. A body has a limit in bytes
and in seconds: the limit holds for the bytes received, and a longer declared length is refused before reading.

The format of a reply is that of the path's suffix, then of the `Accept` field, then the world's default. Only JSON and
XML count. A wildcard or any other type selects the default (observed: plex.tv answers `*/*` with XML).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache, lru_cache
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from ticketstub.dns import parse_ip
from ticketstub.local_plex.settings import Settings
from ticketstub.protocol.codec import Format
from ticketstub.refusals import BadRequest, Refusal

# The types of ASGI, whose messages are plain dictionaries.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

PLEX_TV_URL = "https://plex.tv"
OFFER_FIELD = b"x-offer"
"""The name that connections give to the field Upgrade, so that the parser does not switch to another protocol."""
FORM_TYPE = b"application/x-www-form-urlencoded"

_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_MAX_FIELDS = 100
_MAX_DIGITS = 18
_HOST_PATTERN = re.compile(r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]*))(?::[0-9]*)?").fullmatch
_AUTHORITY_PATTERN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
).fullmatch
_PLEX_AUTHORITY_PATTERN = re.compile(r"(?:[a-z]+\.)?plex\.tv(?::443)?", re.IGNORECASE).fullmatch
# Names that an attacker cannot point at this machine: reserved ones (RFC 6761, 6762, 8375, `internal`) and Plex's.
_LOCAL_SUFFIXES = tuple(
    f".{name}" for name in ("localhost", "local", "internal", "test", "home.arpa", "plex.direct", "plex.tv")
)
_FORMATS_BY_MEDIA_TYPE = {
    "application/json": Format.JSON,
    "text/json": Format.JSON,
    "application/xml": Format.XML,
    "text/xml": Format.XML,
}
_QUALITY = re.compile(r"q\s*=\s*([0-9]+(?:\.[0-9]*)?)").fullmatch


class ClientDisconnected(Exception):
    """The client closed the connection before its request was complete."""


class IncomingRequest:
    """One request.

    Attributes:
        method: the HTTP method; `HEAD` becomes `GET`, see `is_head`.
        is_head: whether the method is `HEAD`: the reply has no body.
        path: the path, percent-decoded.
        path_template: the path of the matching route, for logs; `-` if there is none.
        path_parameters: the parameters in the path, once the route is found.
        response_format: the format of the reply, as far as it is known.
        client_address: the client's IP address.
        query: the query's parameters.
        body_parameters: the body's parameters, once `read_body` has read a form or a JSON object.
        json_body: the body's JSON object, once `read_body` has read one; otherwise empty.
        dialect: how a refusal is written.
        is_tls: whether the request came over TLS.
        headers: all header fields, by name in lower case.
        keep_alive: whether the connection stays open after the reply. It does not if part of the request is unread.
    """

    __slots__ = (
        "_persistent",
        "_raw_target",
        "body_parameters",
        "client_address",
        "dialect",
        "headers",
        "is_head",
        "is_tls",
        "json_body",
        "keep_alive",
        "method",
        "path",
        "path_parameters",
        "path_template",
        "query",
        "response_format",
    )

    def __init__(self, scope: Scope, default_format: Format) -> None:
        self.is_head = scope["method"] == "HEAD"
        self.method: str = "GET" if self.is_head else scope["method"]
        self.path: str = scope["path"]
        self.client_address: str = scope["client"][0] if scope["client"] else ""
        self.is_tls = scope.get("scheme") == "https"
        self.response_format = default_format
        self.path_template = "-"
        self.keep_alive = False
        self._persistent: bool = scope["http_version"] != "1.0"
        self.query: dict[str, str] = {}
        self.body_parameters: dict[str, str] = {}
        self.json_body: dict[str, object] = {}
        self.path_parameters: dict[str, str] = {}
        self.dialect = "v2"
        self.headers: dict[bytes, bytes] = {}
        self._raw_target: tuple[bytes, bytes] = (scope["raw_path"], scope["query_string"])

    def parse_head(self, headers: Headers, max_bytes: int) -> None:
        """Read header fields and query.

        Args:
            headers: the fields as ASGI gives them, names in lower case.
            max_bytes: the maximum size of path, query and header fields together.

        Raises:
            Refusal: the head is too large (431).
            BadRequest: the target is not UTF-8, or its percent-encoding is malformed.
        """
        self.headers = dict(headers)
        if len(self.headers) != len(headers):
            self.headers = _merge_headers(headers)
        self.response_format = choose_format(self.headers.get(b"accept", b""), self.response_format)
        raw_path, query = self._raw_target
        if len(raw_path) + len(query) + sum(map(len, chain.from_iterable(headers))) > max_bytes:
            raise Refusal("The header fields of the request are too large", status=431, code=1999)
        if b"%" in raw_path:
            _check_encoding(raw_path)
        if query:
            self.query = _parse_parameters(query)
        self.keep_alive = self._persistent and b"close" not in self.headers.get(b"connection", b"").lower()

    async def read_body(self, receive: Receive, settings: Settings) -> None:
        """Read the body into `body_parameters` and `json_body`.

        The body of a request that should have none is not read; the connection then ends with the reply.

        Args:
            receive: ASGI's function.
            settings: how large the body may be, and how long it may take.

        Raises:
            Refusal: the body is too large (413) or too slow (408).
            BadRequest: the body is not of the declared type.
            ClientDisconnected: the client closed the connection.
        """
        declared_length = self.declared_length
        if not declared_length:
            return
        keep_alive, self.keep_alive = self.keep_alive, False
        if declared_length > settings.max_body_bytes:
            raise _build_too_large_refusal()
        if self.expects_body:
            try:
                async with asyncio.timeout(settings.body_seconds):
                    body = await _read_stream(receive, settings.max_body_bytes)
            except TimeoutError:
                raise Refusal("The request's body did not come in time", status=408, code=1999) from None
            self.keep_alive = keep_alive
            self._parse_body(body)

    def get_header(self, name: bytes) -> bytes:
        """Return a header field by its name in lower case, or `b""`."""
        return self.headers.get(name, b"")

    def get_plex_parameter(self, name: str, *, in_body: bool = True) -> str | None:
        """Return an `X-Plex-…` parameter by its full name, or `None` if it is missing or empty."""
        value = self.headers.get(_to_header_name(name))
        if value:
            return decode_header(value)
        return self.query.get(name) or (self.body_parameters.get(name) if in_body else None) or None

    @property
    def raw_target(self) -> tuple[str, str]:
        """Path and query as they were sent, percent-encoded."""
        path, query = self._raw_target
        return path.decode("latin-1"), query.decode("latin-1")

    @property
    def token(self) -> str | None:
        """The token as it was sent, well-formed or not."""
        return self.get_plex_parameter("X-Plex-Token")

    @property
    def client_identifier(self) -> str | None:
        """The identifier of the client's installation."""
        return self.get_plex_parameter("X-Plex-Client-Identifier")

    @property
    def host(self) -> str:
        """The Host field: host and port as the client names them."""
        return self.get_header(b"host").decode("latin-1")

    @property
    def host_name(self) -> str | None:
        """The host of the Host field in lower case, without port and brackets; `None` if it is malformed."""
        match = _HOST_PATTERN(self.host.lower())
        return match and (match["literal"] or match["name"].removesuffix("."))

    @property
    def base_url(self) -> str:
        """The base URL of this local Plex as the client sees it: `http://127.0.0.1:32400`, or plex.tv's.

        Only for texts that this client alone receives, never for a decision. A client that uses one of Plex's own names
        was redirected here and will be again. For it, and for a malformed Host field, this is plex.tv's own URL.
        """
        return PLEX_TV_URL if self.is_plex_host or not _AUTHORITY_PATTERN(self.host) else f"http://{self.host}"

    @property
    def is_plex_host(self) -> bool:
        """Whether the client used one of Plex's own names, and was redirected here."""
        return _PLEX_AUTHORITY_PATTERN(self.host) is not None

    @property
    def is_cross_site(self) -> bool:
        """Whether a browser says that a page of another origin sent this request."""
        if site := self.get_header(b"sec-fetch-site"):
            return site not in {b"same-origin", b"none"}
        return bool(self.get_header(b"origin")) and not self.has_own_origin

    @property
    def has_own_origin(self) -> bool:
        """Whether the Origin field names this site."""
        host = self.get_header(b"host")
        return self.get_header(b"origin") in {b"http://" + host, b"https://" + host}

    @property
    def has_local_host(self) -> bool:
        """Whether the Host is an address or a local name, not a public name that resolves to this machine.

        This blocks DNS rebinding: a page of such a name would count as same-origin. Browsers always send a Host.
        """
        name = self.host_name
        return name is not None and (
            "." not in name or parse_ip(name) is not None or f".{name}".endswith(_LOCAL_SUFFIXES)
        )

    @property
    def declared_length(self) -> int:
        """The declared length of the body: 0 if there is no body, -1 if the length is not declared."""
        if b"transfer-encoding" in self.headers:
            return -1
        length = self.headers.get(b"content-length", b"0")
        return int(length) if length.isdigit() else 0

    @property
    def media_type(self) -> bytes:
        """The body's media type in lower case, without parameters."""
        return self.get_header(b"content-type").partition(b";")[0].strip().lower()

    @property
    def expects_body(self) -> bool:
        """Whether the body is read: never for OPTIONS, and for GET only if it is a form."""
        return self.method not in {"GET", "OPTIONS"} or (self.method == "GET" and self.media_type == FORM_TYPE)

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of query and body. The query takes precedence for a GET, the body for other methods."""
        return self.body_parameters | self.query if self.method == "GET" else self.query | self.body_parameters

    def _parse_body(self, body: bytes) -> None:
        if self.media_type == FORM_TYPE and body:
            self.body_parameters = _parse_parameters(body)
        elif self.media_type == b"application/json" and body:
            self.json_body = _parse_json_object(body)
            # A JSON object counts as a form: text, numbers and booleans, not null or nested values. X-Plex-…
            # parameters count in forms only; no client sends them in JSON.
            self.body_parameters = {
                name: str(value).lower() if isinstance(value, bool) else str(value)
                for name, value in self.json_body.items()
                if isinstance(value, str | int | float) and not name.startswith("X-Plex-")
            }


def parse_whole_number(text: str) -> int | None:
    """Return a number of at most 18 digits, which fits into a database column; `None` for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


@lru_cache(maxsize=256)
def choose_format(accept: bytes, default: Format) -> Format:
    """Choose a format by an Accept field: the highest weight wins, then the first; a weight of 0 excludes a format."""
    weights: dict[Format, float] = {}
    for item in accept.decode("latin-1").lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        if media_type in _FORMATS_BY_MEDIA_TYPE:  # a malformed weight counts as none
            quality = next((float(match[1]) for each in parameters if (match := _QUALITY(each))), 1.0)
            weights.setdefault(_FORMATS_BY_MEDIA_TYPE[media_type], quality)
    ranked = sorted(weights, key=lambda form: weights[form], reverse=True)
    return next((form for form in (*ranked, default, *Format) if weights.get(form, 1.0) > 0), default)


def split_suffix(path: str) -> tuple[str, Format | None]:
    """Split a path into the part before `.json` or `.xml` and that format, if any; a trailing slash is dropped."""
    path = path.rstrip("/")
    stem, _, suffix = path.rpartition(".")
    return (stem, Format(suffix)) if suffix in {"json", "xml"} and stem else (path, None)


async def _read_stream(receive: Receive, max_bytes: int) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise _build_too_large_refusal()
        more = bool(message.get("more_body", False))
    return body


def _build_too_large_refusal() -> Refusal:
    return Refusal("The request's body is too large", status=413, code=1999)


def _merge_headers(headers: Headers) -> dict[bytes, bytes]:
    """Merge repeated fields: Accept is joined into one list, otherwise the first field counts."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name == b"accept" and name in fields:
            fields[name] += b"," + value
        else:
            fields.setdefault(name, value)
    return fields


@cache
def _to_header_name(name: str) -> bytes:
    return name.lower().encode()


def decode_header(value: bytes) -> str:
    """Decode a field's value as UTF-8, or else as ISO 8859-1 (documented)."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _check_encoding(path: bytes) -> None:
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise BadRequest from None
    if _BROKEN_PERCENT(path):
        raise BadRequest


def _parse_parameters(encoded: bytes) -> dict[str, str]:
    """Parse a query or a form; the last of a repeated name counts."""
    if b"%" in encoded and _BROKEN_PERCENT(encoded):
        raise BadRequest
    try:
        pairs = parse_qsl(
            encoded.decode(), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError:  # not UTF-8, or too many fields
        raise BadRequest from None
    return dict(pairs)


def _parse_json_object(body: bytes) -> dict[str, object]:
    """Parse a JSON object; an empty string counts as an empty one (observed: one client always sends it)."""
    if body.strip() == b'""':
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadRequest from None
