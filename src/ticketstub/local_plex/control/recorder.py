"""What came in: requests as a tester reads them, without the secrets in them.

Rule: a value is masked by its name before it is kept: a token becomes its fingerprint (`#1a2b3c`), any other secret
`…`, and so does all that stands below such a name, also in JSON that is sent as a text. What can be told by its looks
is masked anywhere: JWTs, claim and transient tokens, `token=…` within a text. So neither a failed test's output nor the
control API can give one away. The oldest are dropped beyond `MAX_REQUESTS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from ticketstub.local_plex.control.targets import CallPattern
from ticketstub.local_plex.http.request import Headers, IncomingRequest, split_suffix
from ticketstub.local_plex.redaction.scrubbing import write_json
from ticketstub.protocol.plain import is_array, is_object
from ticketstub.tokens import Token

MAX_REQUESTS = 1000
"""How many requests are kept."""

_MASK = "…"
_TOKEN_NAME = re.compile(r"(?i)(?:x-plex-|auth_?|access_?|current)?token")
_search_secret_name = re.compile("(?i)token|pass|pin|code|jwt|secret|cookie|authori|nonce|claim").search
_URL_NAMES = frozenset({"referer", "forwardurl", "continue"})
# By its looks: whole tokens of three kinds, what is named within a text, and a password within an address.
_SECRET_FORM = re.compile(
    r"eyJ[\w-]*\.[\w-]*\.[\w-]*|(?<![\w-])(?:claim|transient)-[\w-]+"
    r"|(?P<named>(?i:token|ssword|\bcode|\bpin|\bjwt)(?:=|\\*[\"']\s*:\s*\\*[\"']?))[^&#\s;,\"']+"
    r"|(?<=://)[^/?#\s@]*:[^/?#\s@]*(?=@)"
)


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One request that came in, and how it was answered.

    Attributes:
        at: when, in seconds since 1970 on the instance's clock.
        place: `plex.tv`, or the media server's name.
        method: HTTP's.
        path: the path, masked where it holds a secret.
        template: the path of the call (`/api/v2/pins/{id}`), `-` where there is none.
        status: the answer's.
        headers: fields by their names in lower case.
        query: the query's parameters.
        body: the form's or JSON object's members.
    """

    at: float
    place: str
    method: str
    path: str
    template: str
    status: int
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, object]

    def __str__(self) -> str:
        where = "" if self.place == "plex.tv" else f" at {self.place}"
        return f"{self.method} {self.path}{where}: {self.status}"


class RequestLog(list[Recorded]):
    """The requests that came in, oldest first; any thread may read them."""

    def add(self, recorded: Recorded) -> None:
        """Keep one more."""
        self.append(recorded)
        if len(self) > MAX_REQUESTS:
            del self[0]

    def filter(self, call: str, at: str | None = None) -> list[Recorded]:
        """Return those of some calls.

        Args:
            call: as `POST /api/v2/pins` or `GET /api/v2/pins/{id}`.
            at: `plex.tv`, or a media server by name; `None`: wherever they were asked.

        Raises:
            ValueError: the text names no call.
        """
        pattern = CallPattern.parse(call, at)
        # What has a route is told by that: its path may be masked.
        return [each for each in self if pattern.matches(each.method, _choose_path(each, pattern), each.place)]

    def __repr__(self) -> str:
        return f"<Requests: {', '.join(map(str, self)) or 'none'}>"


def _choose_path(recorded: Recorded, pattern: CallPattern) -> str:
    as_template = recorded.template != "-" and any(piece.startswith("{") for piece in pattern.segments)
    return recorded.template if as_template else recorded.path


def record_request(request: IncomingRequest, headers: Headers, status: int, *, place: str, at: float) -> Recorded:
    """Describe a request.

    Args:
        request: the request as it was read.
        headers: its fields as they came.
        status: the answer's.
        place: where it was asked.
        at: when.
    """
    fields = [(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in headers]
    secret_values = {value for name, value in request.path_parameters.items() if is_secret_name(name)}
    return Recorded(
        at=at,
        place=place,
        method="HEAD" if request.is_head else request.method,
        path="/".join(_mask_segment(piece, secret_values) for piece in request.path.split("/")),
        template=request.path_template,
        status=status,
        headers={name: str(mask_value(name, value)) for name, value in fields},
        query={name: str(mask_value(name, value)) for name, value in request.query.items()},
        body=mask_members(request.json_body or request.body_parameters),
    )


def _mask_segment(segment: str, secret_values: set[str]) -> str:
    is_hidden = (
        Token.from_wire(segment).kind != "unknown"
        or segment in secret_values
        or split_suffix(segment)[0] in secret_values
    )
    return _MASK if is_hidden else _mask_text(segment)


def mask_members(members: Mapping[str, object], *, inside_secret: bool = False) -> dict[str, object]:
    """Mask the secrets among named values; `inside_secret` the name of one, all of them."""
    return {_mask_text(name): mask_value(name, value, inside_secret=inside_secret) for name, value in members.items()}


def mask_value(name: str, value: object, *, inside_secret: bool = False) -> object:
    """Return a value as it may be shown."""
    inside_secret = inside_secret or is_secret_name(name)
    if is_object(value):
        return mask_members(value, inside_secret=inside_secret)
    if is_array(value):
        return [mask_value(name, each, inside_secret=inside_secret) for each in value]
    if value is None or value == "" or isinstance(value, bool):
        return value
    if not inside_secret:
        return _mask_unnamed(name, value)
    return f"{Token.from_wire(value)}" if isinstance(value, str) and _TOKEN_NAME.fullmatch(name) else _MASK


def _mask_unnamed(name: str, value: object) -> object:
    """Return what has no secret's name, without what looks like one."""
    if not isinstance(value, str):
        return value
    if name.lower() in _URL_NAMES:
        value = value.partition("?")[0].partition("#")[0]
    if value.lstrip()[:1] in {"{", "[", '"'}:
        with suppress(ValueError, RecursionError):
            return write_json(mask_value(name, json.loads(value)))
    return _mask_text(value)


def _mask_text(text: str) -> str:
    return _SECRET_FORM.sub(rf"\g<named>{_MASK}", text)


def is_secret_name(name: str) -> bool:
    """Tell whether what has this name is a secret."""
    return _search_secret_name(name) is not None
