"""The request log: the requests that came in, as a tester reads them, without their secrets.

Rule: values are masked before they are stored. Under a secret's name a token becomes its fingerprint (`#1a2b3c`) and
any other value `…`, including everything nested below, also in JSON that is sent as text. Secrets with a recognisable
form are masked anywhere: JWTs, claim and transient tokens, `token=…` within a text. So neither the output of a failed
test nor the control API can reveal one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from ticketstub.local_plex.control.faults import PLEX_TV, CallPattern
from ticketstub.local_plex.http.request import Headers, IncomingRequest, split_suffix
from ticketstub.local_plex.redaction.scrubbing import write_json
from ticketstub.messages import is_array, is_object
from ticketstub.tokens import Token

MAX_REQUESTS = 1000
"""The size of the log; older requests are dropped."""

_MASK = "…"
_TOKEN_NAME = re.compile(r"(?i)(?:x-plex-|auth_?|access_?|current)?token")
_match_secret_name = re.compile("(?i)token|pass|pin|code|jwt|secret|cookie|authori|nonce|claim").search
_URL_NAMES = frozenset({"referer", "forwardurl", "continue"})
# Whole tokens of three kinds, what follows a secret's name within a text, and a password within a URL.
_SECRET_FORM = re.compile(
    r"eyJ[\w-]*\.[\w-]*\.[\w-]*|(?<![\w-])(?:claim|transient)-[\w-]+"
    r"|(?P<named>(?i:token|ssword|\bcode|\bpin|\bjwt)(?:=|\\*[\"']\s*:\s*\\*[\"']?))[^&#\s;,\"']+"
    r"|(?<=://)[^/?#\s@]*:[^/?#\s@]*(?=@)"
)


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One request that came in, and how it was answered.

    Attributes:
        at: the time, in seconds since 1970 on the instance's clock.
        place: `plex.tv`, or the media server's name.
        method: the HTTP method.
        path: the path, with secrets masked.
        template: the path of the call (`/api/v2/pins/{id}`), or `-` if there is none.
        status: the status of the response.
        headers: header fields by name, in lower case.
        query: the query parameters.
        body: the members of the form or JSON object.
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
        where = "" if self.place == PLEX_TV else f" at {self.place}"
        return f"{self.method} {self.path}{where}: {self.status}"


class RequestLog(list[Recorded]):
    """The requests that came in, oldest first; any thread may read it."""

    def add(self, recorded: Recorded) -> None:
        """Append a request."""
        self.append(recorded)
        del self[:-MAX_REQUESTS]

    def filter(self, call: str, at: str | None = None) -> list[Recorded]:
        """Return the requests of some calls.

        Args:
            call: as in `POST /api/v2/pins` or `GET /api/v2/pins/{id}`.
            at: `plex.tv`, or a media server by name; `None` for all of them.

        Raises:
            ValueError: the text is not a call.
        """
        pattern = CallPattern.parse(call, at)
        # A pattern with parameters is compared with the template, because the path may be masked.
        has_parameters = any(segment.startswith("{") for segment in pattern.segments)
        return [
            each
            for each in self
            if pattern.matches(
                each.method, each.template if has_parameters and each.template != "-" else each.path, each.place
            )
        ]

    def __repr__(self) -> str:
        return f"<Requests: {', '.join(map(str, self)) or 'none'}>"


def record_request(request: IncomingRequest, headers: Headers, status: int, *, place: str, at: float) -> Recorded:
    """Describe a request with its secrets masked.

    Args:
        request: the request as it was read.
        headers: its header fields as they were sent.
        status: the status of the response.
        place: where it was sent to: `plex.tv` or a media server's name.
        at: the time.
    """
    fields = [(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in headers]
    secret_values = {value for name, value in request.path_parameters.items() if _match_secret_name(name)}
    return Recorded(
        at=at,
        place=place,
        method="HEAD" if request.is_head else request.method,
        path="/".join(_mask_segment(segment, secret_values) for segment in request.path.split("/")),
        template=request.path_template,
        status=status,
        headers={name: str(_mask_value(name, value)) for name, value in fields},
        query={name: str(_mask_value(name, value)) for name, value in request.query.items()},
        body=_mask_value("", request.json_body or request.body_parameters),
    )


def _mask_segment(segment: str, secret_values: set[str]) -> str:
    is_secret = not secret_values.isdisjoint({segment, split_suffix(segment)[0]})
    return _MASK if is_secret or Token.from_wire(segment).kind != "unknown" else _mask_text(segment)


def _mask_value(name: str, value: object, *, inside_secret: bool = False) -> Any:  # noqa: ANN401  # JSON
    """Mask a named value if the name is a secret's or it is part of a secret; else mask the secrets within it."""
    inside_secret = inside_secret or _match_secret_name(name) is not None
    if is_object(value):
        return {
            _mask_text(member): _mask_value(member, each, inside_secret=inside_secret) for member, each in value.items()
        }
    if is_array(value):
        return [_mask_value(name, each, inside_secret=inside_secret) for each in value]
    if not inside_secret and isinstance(value, str):
        if name.lower() in _URL_NAMES:
            value = value.partition("?")[0].partition("#")[0]
        if value.lstrip()[:1] in {"{", "[", '"'}:
            with suppress(ValueError, RecursionError):
                return write_json(_mask_value(name, json.loads(value)))
        return _mask_text(value)
    if not inside_secret or value is None or value == "" or isinstance(value, bool):
        return value
    return str(Token.from_wire(value)) if isinstance(value, str) and _TOKEN_NAME.fullmatch(name) else _MASK


def _mask_text(text: str) -> str:
    return _SECRET_FORM.sub(rf"\g<named>{_MASK}", text)
