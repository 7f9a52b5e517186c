"""What came in: requests as a tester reads them, without the secrets in them.

Rule: a value is masked by its name before it is kept: a token becomes its fingerprint (`#1a2b3c`), any other secret
`…`, and so does all that stands below such a name, also in JSON that is sent as a text. What can be told by its looks
is masked anywhere: JWTs, claim and transient tokens, `token=…` within a text. So neither a failed test's output nor the
control API can give one away. The oldest are dropped beyond `MOST`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from ticketstub.local_plex.control.targets import Pattern
from ticketstub.local_plex.http.negotiation import without_suffix
from ticketstub.local_plex.http.request import Asked, Headers
from ticketstub.local_plex.redaction.scrubbing import write_json
from ticketstub.protocol.plain import is_items, is_members
from ticketstub.tokens import Token

MOST = 1000
"""How many requests are kept."""

_MASK = "…"
_TOKEN = re.compile(r"(?i)(?:x-plex-|auth_?|access_?|current)?token")
_SECRET = re.compile("(?i)token|pass|pin|code|jwt|secret|cookie|authori|nonce|claim").search
_HOLDS_ADDRESS = frozenset({"referer", "forwardurl", "continue"})
# By its looks: whole tokens of three kinds, what is named within a text, and a password within an address.
_LOOKS = re.compile(
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


class Requests(list[Recorded]):
    """The requests that came in, oldest first; any thread may read them."""

    def add(self, recorded: Recorded) -> None:
        """Keep one more."""
        self.append(recorded)
        if len(self) > MOST:
            del self[0]

    def of(self, call: str, at: str | None = None) -> list[Recorded]:
        """Return those of some calls.

        Args:
            call: as `POST /api/v2/pins` or `GET /api/v2/pins/{id}`.
            at: `plex.tv`, or a media server by name; `None`: wherever they were asked.

        Raises:
            ValueError: the text names no call.
        """
        pattern = Pattern.read(call, at)
        # What has a route is told by that: its path may be masked.
        return [each for each in self if pattern.means(each.method, _path(each, pattern), each.place)]

    def __repr__(self) -> str:
        return f"<Requests: {', '.join(map(str, self)) or 'none'}>"


def _path(recorded: Recorded, pattern: Pattern) -> str:
    as_template = recorded.template != "-" and any(piece.startswith("{") for piece in pattern.pieces)
    return recorded.template if as_template else recorded.path


def record(asked: Asked, headers: Headers, status: int, *, place: str, at: float) -> Recorded:
    """Describe a request.

    Args:
        asked: the request as it was read.
        headers: its fields as they came.
        status: the answer's.
        place: where it was asked.
        at: when.
    """
    fields = [(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in headers]
    hidden = {value for name, value in asked.in_path.items() if is_secret(name)}
    return Recorded(
        at=at,
        place=place,
        method="HEAD" if asked.bodiless else asked.method,
        path="/".join(_piece(piece, hidden) for piece in asked.path.split("/")),
        template=asked.template,
        status=status,
        headers={name: str(masked(name, value)) for name, value in fields},
        query={name: str(masked(name, value)) for name, value in asked.query.items()},
        body=masked_members(asked.document or asked.fields),
    )


def _piece(piece: str, hidden: set[str]) -> str:
    is_hidden = Token.received(piece).kind != "unknown" or piece in hidden or without_suffix(piece)[0] in hidden
    return _MASK if is_hidden else _without_looks(piece)


def masked_members(members: Mapping[str, object], *, below: bool = False) -> dict[str, object]:
    """Mask the secrets among named values; `below` the name of one, all of them."""
    return {_without_looks(name): masked(name, value, below=below) for name, value in members.items()}


def masked(name: str, value: object, *, below: bool = False) -> object:
    """Return a value as it may be shown."""
    below = below or is_secret(name)
    if is_members(value):
        return masked_members(value, below=below)
    if is_items(value):
        return [masked(name, each, below=below) for each in value]
    if value is None or value == "" or isinstance(value, bool):
        return value
    if not below:
        return _shown(name, value)
    return f"{Token.received(value)}" if isinstance(value, str) and _TOKEN.fullmatch(name) else _MASK


def _shown(name: str, value: object) -> object:
    """Return what has no secret's name, without what looks like one."""
    if not isinstance(value, str):
        return value
    if name.lower() in _HOLDS_ADDRESS:
        value = value.partition("?")[0].partition("#")[0]
    if value.lstrip()[:1] in {"{", "[", '"'}:
        with suppress(ValueError, RecursionError):
            return write_json(masked(name, json.loads(value)))
    return _without_looks(value)


def _without_looks(text: str) -> str:
    return _LOOKS.sub(rf"\g<named>{_MASK}", text)


def is_secret(name: str) -> bool:
    """Tell whether what has this name is a secret."""
    return _SECRET(name) is not None
