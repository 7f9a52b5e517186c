"""What a client asks: one ASGI request as a small object.

Rule: one pass over the header fields, no library's request object. An `X-Plex-…` parameter is taken from the header,
else the query, else a form in the body, also in that of a GET (documented), and from nowhere else; names are
case-insensitive in the header and exact in the others (observed). What cannot be read is refused as 400, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from itertools import chain
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from ticketstub.dns import parse_ip
from ticketstub.local_plex.http.negotiation import choose_format
from ticketstub.protocol.codec import Format
from ticketstub.refusals import BadRequest, Refusal

# ASGI's own types: its messages are dictionaries of whatever the specification says.
Scope = MutableMapping[str, object]
Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_FORM_TYPE = b"application/x-www-form-urlencoded"
_JSON_TYPE = b"application/json"
_MAX_FIELDS = 100
_MAX_DIGITS = 18
_METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
_SAME_SITE = frozenset({b"same-origin", b"none"})
_HOST_PATTERN = re.compile(r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]*))(?::[0-9]*)?").fullmatch
# Names that no stranger can have point to this machine: reserved ones (RFC 6761, 6762, 8375, and `internal`), Plex's.
_LOCAL_SUFFIXES = tuple(
    f".{name}" for name in ("localhost", "local", "internal", "test", "home.arpa", "plex.direct", "plex.tv")
)


class IncomingRequest:
    """One request.

    Attributes:
        method: the HTTP method; `HEAD` is asked as `GET`, see `bodiless`.
        path: the path, percent-decoded.
        form: the format of the answer, as far as it is known.
        address: where the client is.
        query: the query's parameters.
        fields: the body's parameters, once `parse_body` has read a form.
        document: the body's JSON object, once it has read one; empty otherwise.
        in_path: the parameters that stand in the path, once its route was found.
        dialect: how a refusal is written.
        template: the path of the route that answers, for logs.
        secure: whether it came over TLS.
        headers: all header fields, names in lower case.
        keeps_alive: whether the connection goes on after the answer: not where something of the request is left on it.
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
        method: str = scope["method"]  # type: ignore[assignment]  # ASGI: text
        self.is_head = method == "HEAD"
        self.method = "GET" if self.is_head else method
        self.path: str = scope["path"]  # type: ignore[assignment]  # ASGI: text
        client: tuple[str, int] | None = scope["client"]  # type: ignore[assignment]  # ASGI: a pair or None
        self.client_address = client[0] if client else ""
        self.is_tls = scope.get("scheme") == "https"
        self.response_format = default_format
        self.path_template = "-"
        self.keep_alive = False
        self._persistent = scope["http_version"] != "1.0"
        self.query: dict[str, str] = {}
        self.body_parameters: dict[str, str] = {}
        self.json_body: dict[str, object] = {}
        self.path_parameters: dict[str, str] = {}
        self.dialect = "v2"
        self.headers: dict[bytes, bytes] = {}
        self._raw_target: tuple[bytes, bytes] = (scope["raw_path"], scope["query_string"])  # type: ignore[assignment]  # ASGI: bytes

    def parse_head(self, headers: Headers, max_bytes: int) -> None:
        """Read header fields and query.

        Args:
            headers: the fields as ASGI gives them, names in lower case.
            max_bytes: bytes of the longest head that is taken.

        Raises:
            Refusal: too long (431).
            BadRequest: the target is not UTF-8 or its percent-encoding is broken.
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

    def get_header(self, name: bytes) -> bytes:
        """Return a header field by its name in lower case; empty where there is none."""
        return self.headers.get(name, b"")

    def get_plex_parameter(self, name: str, *, in_body: bool = True) -> str | None:
        """Return an `X-Plex-…` parameter by its full name, wherever it stands; `None` where it is absent or empty."""
        value = self.headers.get(_to_header_name(name))
        if value:
            return _decode_header(value)
        return self.query.get(name) or (self.body_parameters.get(name) if in_body else None) or None

    @property
    def raw_target(self) -> tuple[str, str]:
        """Path and query as they were sent, percent-encoded."""
        path, query = self._raw_target
        return path.decode("latin-1"), query.decode("latin-1")

    @property
    def token(self) -> str | None:
        """The token as it was sent, looking like one or not."""
        return self.get_plex_parameter("X-Plex-Token")

    @property
    def client_identifier(self) -> str | None:
        """The identifier of the client's installation."""
        return self.get_plex_parameter("X-Plex-Client-Identifier")

    @property
    def is_cross_site(self) -> bool:
        """Whether a browser sends this for a page of another origin, by what the browser itself says."""
        if site := self.get_header(b"sec-fetch-site"):
            return site not in _SAME_SITE
        origin, host = self.get_header(b"origin"), self.get_header(b"host")
        return bool(origin) and origin not in {b"http://" + host, b"https://" + host}

    @property
    def has_local_host(self) -> bool:
        """Whether the Host is an address or a name that only this network can give: no stranger's name that leads here.

        A page of such a name would be of this site for its browser (DNS rebinding). No browser leaves the Host out.
        """
        name = self.host_name
        return name is not None and (
            "." not in name or parse_ip(name) is not None or f".{name}".endswith(_LOCAL_SUFFIXES)
        )

    @property
    def host_name(self) -> str | None:
        """The host of the Host field in small letters, without port and brackets; `None` where it is none."""
        match = _HOST_PATTERN(self.get_header(b"host").decode("latin-1").lower())
        return match and (match["literal"] or match["name"].removesuffix("."))

    @property
    def declared_length(self) -> int:
        """The length of the body as declared: 0 where there is none, -1 where it is not said beforehand."""
        if b"transfer-encoding" in self.headers:
            return -1
        length = self.headers.get(b"content-length", b"0")
        return int(length) if length.isdigit() else 0

    @property
    def expects_body(self) -> bool:
        """Whether its body is looked at: in a GET, only where that is a form."""
        return self.method not in _METHODS_WITHOUT_BODY or (self.method == "GET" and self._media_type == _FORM_TYPE)

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of a call: the query's and the body's; in a GET the query's count first, else the body's."""
        return self.body_parameters | self.query if self.method == "GET" else self.query | self.body_parameters

    @property
    def _media_type(self) -> bytes:
        return self.get_header(b"content-type").partition(b";")[0].strip().lower()

    def parse_body(self, body: bytes) -> None:
        """Read a form or a JSON object into `fields`; another body leaves them empty.

        Raises:
            BadRequest: it is declared as one of these and is not.
        """
        media_type = self._media_type
        if media_type == _FORM_TYPE and body:
            self.body_parameters = _parse_parameters(body)
        elif media_type == _JSON_TYPE and body:
            self.json_body = _parse_json_object(body)
            self.body_parameters = _flatten_members(self.json_body)


def parse_whole_number(text: str) -> int | None:
    """Read a number of digits that a database has room for; `None` for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


def _merge_headers(headers: Headers) -> dict[bytes, bytes]:
    """Read fields of which some stand there twice: Accept is one list in pieces, of the others the first counts."""
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


def _decode_header(value: bytes) -> str:
    """Read a header's value: UTF-8 or else ISO 8859-1 (documented)."""
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
    """Read a query or a form; of a repeated name the last counts."""
    if b"%" in encoded and _BROKEN_PERCENT(encoded):
        raise BadRequest
    try:
        pairs = parse_qsl(
            encoded.decode(), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError:  # not UTF-8, or too many
        raise BadRequest from None
    return dict(pairs)


def _parse_json_object(body: bytes) -> dict[str, object]:
    """Read a JSON object; an empty text is as good as none (observed: one client always sends it)."""
    if body.strip() == b'""':
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadRequest from None


def _flatten_members(document: dict[str, object]) -> dict[str, str]:
    """Read a JSON object as if it were a form: texts, numbers and booleans count, null and anything deeper do not."""
    # X-Plex-… parameters are taken from forms only; in JSON nobody sends them.
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in document.items()
        if isinstance(value, str | int | float) and not name.startswith("X-Plex-")
    }
