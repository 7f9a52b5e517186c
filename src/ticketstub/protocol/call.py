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
from ticketstub.models import Model
from ticketstub.protocol import codec
from ticketstub.protocol.codec import Format
from ticketstub.protocol.plain import is_array, is_object
from ticketstub.refusals import BadRequest
from ticketstub.tokens import Secret

V = TypeVar("V")
R = TypeVar("R", bound=Model)

CONTAINER = "MediaContainer"

Base = Literal["plex.tv", "server"]
Mark = Literal["documented", "observed", "assumed"]


class ReplyCodec(NamedTuple):
    """How a call's reply is read from an answer of success, and how it is written; by itself, one that says nothing.

    `read` raises `MalformedReply` where the answer is not what the call is answered with.
    """

    read: Callable[[Response], Any] = lambda _response: None
    write: Callable[[Any, Format], bytes] = lambda _value, _form: b""


class HttpSpec(NamedTuple):
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
    retryable: bool = True
    status: int = 200
    media_type: str | None = None
    mark: Mark = "documented"
    reply: ReplyCodec = ReplyCodec()


class Call(msgspec.Struct, Generic[V], frozen=True, kw_only=True, rename="camel"):
    """One exchange as a value; its fields are its parameters, under the wire's names in camel case."""

    http: ClassVar[HttpSpec]

    def get_method(self) -> str:
        """Name the HTTP method it is sent with."""
        return self.http.method

    def is_retryable(self) -> bool:
        """Tell whether doing it twice does no harm."""
        return self.http.retryable

    def list_parameters(self) -> list[tuple[str, str]]:
        """List what it sends: the wire's names and texts; a parameter that is `None` is not sent."""
        return [(name, self._format_value(value)) for name, value in self._list_values()]

    def _list_values(self) -> list[tuple[str, object]]:
        """List the parameters that are sent, but for those that stand in the path."""
        path_parameters = _find_path_parameters(self.http.path)
        values = (
            (name, getattr(self, field)) for field, name in _list_field_names(type(self)) if name not in path_parameters
        )
        return [(name, value) for name, value in values if value is not None]

    def _format_value(self, value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower() if self.http.in_body else str(int(value))
        if isinstance(value, Secret):
            return value.reveal()
        return str(value.value) if isinstance(value, Enum) else str(value)

    def build_target(self) -> str:
        """Write its path and, unless they go in the body, its parameters."""
        query = "" if self.http.in_body else urlencode(self.list_parameters())
        path = self.http.path
        if path_fields := [pair for pair in _list_field_names(type(self)) if pair[1] in _find_path_parameters(path)]:
            path = path.format_map(
                {name: _quote_path_segment(self._format_value(getattr(self, field))) for field, name in path_fields}
            )
        return f"{path}?{query}" if query else path

    def build_body(self) -> tuple[bytes, str | None]:
        """Write its body and the body's media type."""
        if not self.http.in_body:
            return b"", None
        if self.http.as_json:
            return self.build_json_body()
        return urlencode(self.list_parameters()).encode(), "application/x-www-form-urlencoded"

    def build_json_body(self) -> tuple[bytes, str | None]:
        """Write its parameters as a JSON object."""
        return msgspec.json.encode(dict(self._list_values()), enc_hook=Secret.reveal), "application/json"

    def list_secrets(self) -> tuple[str, ...]:
        """List the secrets it sends, so that no message repeats them."""
        values = (getattr(self, field) for field, _ in _list_field_names(type(self)))
        return tuple(value.reveal() for value in values if isinstance(value, Secret))

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


class NoContentCall(Call[None], frozen=True, kw_only=True):
    """A call whose success says nothing more: whatever its body holds is not looked at."""


C = TypeVar("C", bound="Call[Any]")  # whatever its reply is


def _quote_path_segment(text: str) -> str:
    """Write a parameter as one piece of a path, which leads nowhere else."""
    if text in {"", ".", ".."}:
        raise ValueError("this is no identifier")
    return quote(text, safe="")


@cache
def _find_path_parameters(template: str) -> frozenset[str]:
    """Name the parameters that stand in a path."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


@cache
def _list_field_names(kind: type[Call[V]]) -> tuple[tuple[str, str], ...]:
    return tuple(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))


_get_fields = cache(msgspec.structs.fields)  # once: their types are texts that have to be read


def read_call(kind: type[C], parameters: dict[str, str]) -> C:
    """Read a call from the parameters of a request; unknown ones are ignored.

    Raises:
        BadRequest: one is missing or has a value that it cannot have.
    """
    from ticketstub.protocol import lenient

    values: dict[str, object] = {}
    for field in _get_fields(kind):
        text = parameters.get(field.encode_name)
        if text:  # an empty one is as good as none
            values[field.name] = lenient.read_value(field.type, text)
        if values.get(field.name, ...) is None or (not text and field.required):
            raise BadRequest
    try:
        return kind(**values)
    except ValueError:
        raise BadRequest from None


def read_reply(kind: type[R], response: Response, any_of: tuple[str, ...]) -> R:
    """Read the one record that an answer holds, wherever Plex wrapped it.

    Args:
        kind: the record's class.
        response: the answer.
        any_of: the fields of which at least one must be there for the answer to be this record at all.

    Raises:
        MalformedReply: none of them is.
    """
    found = codec.decode_json(kind, response.body)
    if found is not None and _has_any_value(found, any_of) and not _needs_lenient_reader(found, response.body):
        return found
    from ticketstub.protocol import lenient

    found = lenient.read_model(kind, unwrap(kind, parse_response(response), any_of))
    if found is None or not _has_any_value(found, any_of):
        raise build_malformed_reply(response, f"the answer holds no {kind.__name__.removeprefix('_')}")
    return found


def _has_any_value(found: Model, evidence: tuple[str, ...]) -> bool:
    return any(getattr(found, name) is not None for name in evidence)


_MEMBERS_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _needs_lenient_reader(found: Model, body: bytes) -> bool:
    """Tell whether a body may say what the fast reader passes over: errors, and members in another spelling."""
    if getattr(found, "auth_token", ...) is None:
        return True
    try:
        members = _MEMBERS_DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):  # a name that is no text, where the fast reader looks at none
        return True
    exact = _get_wire_names(type(found))
    if members.keys() <= exact:
        return False
    from ticketstub.protocol import lenient

    names = lenient.list_field_names(type(found))
    return any(name in ("error", "errors") or lenient.normalize_name(name) in names for name in members.keys() - exact)


@cache
def _get_wire_names(kind: type[Model]) -> frozenset[str]:
    return frozenset(kind.__struct_encode_fields__)


def unwrap(kind: type[Model], data: object, any_of: tuple[str, ...]) -> object:
    """Find a record in `{"user": {…}}`, `{"MediaContainer": {…}}`, lists, and wrappers that hold other things too.

    It is what has evidence of being the record, and of several the one with the most of its names; else the whole.
    """
    from ticketstub.protocol import lenient

    known, needed = lenient.list_field_names(kind), lenient.list_field_names(kind, any_of)
    best, most = data, 0
    for members in walk_objects(data):
        if lenient.has_any_name(members, needed):
            count = sum(lenient.normalize_name(name) in known or name in known for name in members)
            if count > most:
                best, most = members, count
    return best


def walk_objects(data: object) -> Iterator[dict[str, object]]:
    """Yield the objects of an answer from the outermost on, some levels deep."""
    level: list[object] = [data]
    for _ in range(_MAX_WRAPPER_DEPTH):
        next_level: list[object] = []
        for each in level:
            if is_object(each):
                yield each
                next_level.extend(each.values())
            elif is_array(each):
                next_level.extend(each)
        level = next_level[:_MAX_OBJECTS_PER_LEVEL]


_MAX_WRAPPER_DEPTH = 6
_MAX_OBJECTS_PER_LEVEL = 10_000


def parse_response(response: Response) -> object:
    """Read an answer's body into plain data.

    Raises:
        MalformedReply: it is neither JSON nor XML, or not all of it is there.
    """
    try:
        data = codec.parse(response.body)
    except codec.DecodeError as error:
        raise build_malformed_reply(response, str(error)) from None
    if _is_refusal(data):
        raise build_malformed_reply(response, "the answer is a refusal")
    return data


def _is_refusal(data: object) -> bool:
    """Tell whether an answer of success says that something went wrong, as a gateway's or a mistaken server's may."""
    for members in walk_objects(data):
        if members.get("errors") not in (None, "", []) or (
            members.keys() <= _ERROR_KEYS and members.keys() & _ERROR_DETAIL_KEYS
        ):
            return True
        if not members.keys() <= _WRAPPER_KEYS:
            return False
    return False


_ERROR_KEYS = frozenset({"error", "errors", "message", "code", "status", "statusCode"})
_ERROR_DETAIL_KEYS = frozenset({"error", "message", "code"})
_WRAPPER_KEYS = _ERROR_KEYS | {"response", "Response", "data", "result", "MediaContainer"}


def build_malformed_reply(response: Response, reason: str) -> MalformedReply:
    """Make the error for an answer that cannot be read."""
    hint = "is something between you and Plex answering in its place?" if response.body else None
    return MalformedReply(
        f"Plex answered {response.status}, but {reason}", status=response.status, hint=hint, response=response
    )


def write_reply(root: str, value: Model, form: Format) -> bytes:
    """Write one record as plex.tv does: under this root in XML, bare in JSON."""
    return codec.write_document(root, codec.to_builtins(value), form)


def write_container_reply(value: Model, form: Format, *, size: int = 0) -> bytes:
    """Write one record as a media server does: in a `MediaContainer`, after its size, and without nulls (observed)."""
    return codec.write_document(
        CONTAINER, {"size": size, **codec.to_builtins(value, include_nulls=False)}, form, wrap_json=True
    )


def build_reply_codec(kind: type[Model], root: str, *any_of: str) -> ReplyCodec:
    """Make the reply that is one record under this root (see `one` and `written`)."""
    return ReplyCodec(partial(read_reply, kind, any_of=any_of), partial(write_reply, root))


def build_container_codec(kind: type[Model], *any_of: str) -> ReplyCodec:
    """Make the reply that is one record in a media server's container (see `one` and `write_container_reply`)."""
    return ReplyCodec(partial(read_reply, kind, any_of=any_of), write_container_reply)
