"""A call: one exchange with Plex as a value, written once for both ends.

Rule: role-blind. A call writes itself as a message and reads its reply; it reads itself from a message's parameters
and writes its reply. It knows neither address, identity, token, clock nor network: the client adds those, the local
Plex checks them. Every call carries a mark: documented, observed or assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache, partial
from string import Formatter
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from ticketstub.errors import MalformedReply
from ticketstub.messages import Response
from ticketstub.models import Record
from ticketstub.protocol import codec
from ticketstub.protocol.codec import Format
from ticketstub.protocol.plain import is_items, is_members
from ticketstub.refusals import BadRequest
from ticketstub.tokens import Secret

V = TypeVar("V")
R = TypeVar("R", bound=Record)

CONTAINER = "MediaContainer"

Base = Literal["plex.tv", "server"]
Mark = Literal["documented", "observed", "assumed"]


class Reply(NamedTuple):
    """How a call's reply is read from an answer of success, and how it is written; by itself, one that says nothing.

    `read` raises `MalformedReply` where the answer is not what the call is answered with.
    """

    read: Callable[[Response], Any] = lambda _response: None
    write: Callable[[Any, Format], bytes] = lambda _value, _form: b""


class Http(NamedTuple):
    """How a call goes over HTTP.

    Attributes:
        method: the HTTP method.
        path: the path below the base, with a leading slash; `{id}` in it stands for the parameter of that name.
        name: the library's name for the call, used in logs.
        base: which of a client's two bases it belongs to.
        needs_token: whether it is sent with the client's token, and refused here without one.
        in_body: whether its parameters go in a body, a form unless `as_json`, rather than in the query.
        as_json: whether that body is a JSON object.
        repeatable: whether doing it twice does no harm, so that it may be tried again.
        status: the status of its success.
        media_type: the media type of its success, where that is neither JSON nor XML.
        mark: where our knowledge of it comes from.
        reply: how its reply is read and written, where the call has no methods of its own for that.
    """

    method: str
    path: str
    name: str
    base: Base = "plex.tv"
    needs_token: bool = True
    in_body: bool = False
    as_json: bool = False
    repeatable: bool = True
    status: int = 200
    media_type: str | None = None
    mark: Mark = "documented"
    reply: Reply = Reply()


class Call(msgspec.Struct, Generic[V], frozen=True, kw_only=True, rename="camel"):
    """One exchange as a value; its fields are its parameters, under the wire's names in camel case."""

    http: ClassVar[Http]

    def verb_used(self) -> str:
        """Name the HTTP method it is sent with."""
        return self.http.method

    def may_repeat(self) -> bool:
        """Tell whether doing it twice does no harm."""
        return self.http.repeatable

    def parameters(self) -> list[tuple[str, str]]:
        """List what it sends: the wire's names and texts; a parameter that is `None` is not sent."""
        return [(name, self._text(value)) for name, value in self._given()]

    def _given(self) -> list[tuple[str, object]]:
        """List the parameters that are sent, but for those that stand in the path."""
        named = _in_path(self.http.path)
        given = ((name, getattr(self, field)) for field, name in _names(type(self)) if name not in named)
        return [(name, value) for name, value in given if value is not None]

    def _text(self, value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower() if self.http.in_body else str(int(value))
        if isinstance(value, Secret):
            return value.reveal()
        return str(value.value) if isinstance(value, Enum) else str(value)

    def target(self) -> str:
        """Write its path and, unless they go in the body, its parameters."""
        query = "" if self.http.in_body else urlencode(self.parameters())
        path = self.http.path
        if named := [pair for pair in _names(type(self)) if pair[1] in _in_path(path)]:
            path = path.format_map({name: _piece(self._text(getattr(self, field))) for field, name in named})
        return f"{path}?{query}" if query else path

    def body(self) -> tuple[bytes, str | None]:
        """Write its body and the body's media type."""
        if not self.http.in_body:
            return b"", None
        if self.http.as_json:
            return self.json_body()
        return urlencode(self.parameters()).encode(), "application/x-www-form-urlencoded"

    def json_body(self) -> tuple[bytes, str | None]:
        """Write its parameters as a JSON object."""
        return msgspec.json.encode(dict(self._given()), enc_hook=Secret.reveal), "application/json"

    def secrets(self) -> tuple[str, ...]:
        """List the secrets it sends, so that no message repeats them."""
        given = (getattr(self, field) for field, _ in _names(type(self)))
        return tuple(value.reveal() for value in given if isinstance(value, Secret))

    def read(self, response: Response) -> V:
        """Read its reply from an answer of success.

        Raises:
            MalformedReply: the answer is not what this call is answered with.
        """
        found: V = self.http.reply.read(response)
        return found

    def write(self, value: V, form: Format) -> bytes:
        """Write its reply's body."""
        return self.http.reply.write(value, form)


class Silent(Call[None], frozen=True, kw_only=True):
    """A call whose success says nothing more: whatever its body holds is not looked at."""


C = TypeVar("C", bound="Call[Any]")  # whatever its reply is


def _piece(text: str) -> str:
    """Write a parameter as one piece of a path, which leads nowhere else."""
    if text in {"", ".", ".."}:
        raise ValueError("this is no identifier")
    return quote(text, safe="")


@cache
def _in_path(template: str) -> frozenset[str]:
    """Name the parameters that stand in a path."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


@cache
def _names(kind: type[Call[V]]) -> tuple[tuple[str, str], ...]:
    return tuple(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))


_fields = cache(msgspec.structs.fields)  # once: their types are texts that have to be read


def from_parameters(kind: type[C], given: dict[str, str]) -> C:
    """Read a call from the parameters of a request; unknown ones are ignored.

    Raises:
        BadRequest: one is missing or has a value that it cannot have.
    """
    from ticketstub.protocol import lenient

    values: dict[str, object] = {}
    for field in _fields(kind):
        text = given.get(field.encode_name)
        if text:  # an empty one is as good as none
            values[field.name] = lenient.value(field.type, text)
        if values.get(field.name, ...) is None or (not text and field.required):
            raise BadRequest
    try:
        return kind(**values)
    except ValueError:
        raise BadRequest from None


def one(kind: type[R], response: Response, evidence: tuple[str, ...]) -> R:
    """Read the one record that an answer holds, wherever Plex wrapped it.

    Args:
        kind: the record's class.
        response: the answer.
        evidence: the fields of which at least one must be there for the answer to be this record at all.

    Raises:
        MalformedReply: none of them is.
    """
    found = codec.decode(kind, response.body)
    if found is not None and _holds(found, evidence) and not _may_hold_more(found, response.body):
        return found
    from ticketstub.protocol import lenient

    found = lenient.record(kind, unwrapped(kind, data_of(response), evidence))
    if found is None or not _holds(found, evidence):
        raise malformed(response, f"the answer holds no {kind.__name__.removeprefix('_')}")
    return found


def _holds(found: Record, evidence: tuple[str, ...]) -> bool:
    return any(getattr(found, name) is not None for name in evidence)


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _may_hold_more(found: Record, body: bytes) -> bool:
    """Tell whether a body may say what the fast reader passes over: errors, and members in another spelling."""
    if getattr(found, "auth_token", ...) is None:
        return True
    try:
        members = _MEMBERS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):  # a name that is no text, where the fast reader looks at none
        return True
    exact = _exact_names(type(found))
    if members.keys() <= exact:
        return False
    from ticketstub.protocol import lenient

    names = lenient.names_of(type(found))
    return any(name in ("error", "errors") or lenient.plain_name(name) in names for name in members.keys() - exact)


@cache
def _exact_names(kind: type[Record]) -> frozenset[str]:
    return frozenset(kind.__struct_encode_fields__)


def unwrapped(kind: type[Record], data: object, evidence: tuple[str, ...]) -> object:
    """Find a record in `{"user": {…}}`, `{"MediaContainer": {…}}`, lists, and wrappers that hold other things too.

    It is what has evidence of being the record, and of several the one with the most of its names; else the whole.
    """
    from ticketstub.protocol import lenient

    known, needed = lenient.names_of(kind), lenient.names_of(kind, evidence)
    best, most = data, 0
    for members in inside(data):
        if lenient.holds(members, needed):
            count = sum(lenient.plain_name(name) in known or name in known for name in members)
            if count > most:
                best, most = members, count
    return best


def inside(data: object) -> Iterator[dict[str, object]]:
    """Yield the objects of an answer from the outermost on, some levels deep."""
    level: list[object] = [data]
    for _ in range(_DEEPEST_WRAPPER):
        below: list[object] = []
        for each in level:
            if is_members(each):
                yield each
                below.extend(each.values())
            elif is_items(each):
                below.extend(each)
        level = below[:_MOST_WRAPPED]


_DEEPEST_WRAPPER = 6
_MOST_WRAPPED = 10_000


def data_of(response: Response) -> object:
    """Read an answer's body into plain data.

    Raises:
        MalformedReply: it is neither JSON nor XML, or not all of it is there.
    """
    try:
        data = codec.parse(response.body)
    except codec.Unreadable as error:
        raise malformed(response, str(error)) from None
    if _is_refusal(data):
        raise malformed(response, "the answer is a refusal")
    return data


def _is_refusal(data: object) -> bool:
    """Tell whether an answer of success says that something went wrong, as a gateway's or a mistaken server's may."""
    for members in inside(data):
        if members.get("errors") not in (None, "", []) or (members.keys() <= _OF_ERRORS and members.keys() & _TELLING):
            return True
        if not members.keys() <= _WRAPPING:
            return False
    return False


_OF_ERRORS = frozenset({"error", "errors", "message", "code", "status", "statusCode"})
_TELLING = frozenset({"error", "message", "code"})
_WRAPPING = _OF_ERRORS | {"response", "Response", "data", "result", "MediaContainer"}


def malformed(response: Response, reason: str) -> MalformedReply:
    """Make the error for an answer that cannot be read."""
    hint = "is something between you and Plex answering in its place?" if response.body else None
    return MalformedReply(
        f"Plex answered {response.status}, but {reason}", status=response.status, hint=hint, response=response
    )


def written(root: str, value: Record, form: Format) -> bytes:
    """Write one record as plex.tv does: under this root in XML, bare in JSON."""
    return codec.document(root, codec.plain(value), form)


def contained(value: Record, form: Format, *, size: int = 0) -> bytes:
    """Write one record as a media server does: in a `MediaContainer`, after its size, and without nulls (observed)."""
    return codec.document(CONTAINER, {"size": size, **codec.plain(value, nulls=False)}, form, wrapped=True)


def in_root(kind: type[Record], root: str, *evidence: str) -> Reply:
    """Make the reply that is one record under this root (see `one` and `written`)."""
    return Reply(partial(one, kind, evidence=evidence), partial(written, root))


def in_container(kind: type[Record], *evidence: str) -> Reply:
    """Make the reply that is one record in a media server's container (see `one` and `contained`)."""
    return Reply(partial(one, kind, evidence=evidence), contained)
