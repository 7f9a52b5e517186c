"""A call: one exchange with Plex as a value, written once for the client and the local Plex.

Rule: a call does not know which of the two uses it. It writes its request and reads its reply; it also reads itself
from the parameters of a request and writes its reply. It knows no address, identity, token, clock or network: the
client adds these, the local Plex checks them. Every call has a mark that tells how it is known: documented, observed or
assumed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache, partial
from itertools import chain, islice
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

import msgspec

from ticketstub.errors import MalformedReply
from ticketstub.messages import Response, is_array, is_object
from ticketstub.models import Model
from ticketstub.models.base import ModelT
from ticketstub.protocol import codec
from ticketstub.protocol.codec import Format
from ticketstub.refusals import BadRequest
from ticketstub.tokens import Secret, read_secret

V = TypeVar("V")

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

CONTAINER = "MediaContainer"
"""The root element of a media server's replies, and of the lists of plex.tv's older API."""


class ReplyCodec(msgspec.Struct, frozen=True):
    """How the reply of a call is read and written. The default is a reply without content.

    `read` raises `MalformedReply` if the response is not a reply to the call.
    """

    read: Callable[[Response], Any] = lambda _response: None
    write: Callable[[Any, Format], bytes] = lambda _value, _form: b""


class HttpSpec(NamedTuple):
    """How a call maps to HTTP.

    Attributes:
        method: the HTTP method.
        path: the path below the base URL, with a leading slash. `{id}` in it is replaced with the parameter of that
            name.
        name: the library's name for the call, for logs.
        base: whether the call is sent to plex.tv or to a media server.
        needs_token: whether the client sends its token. The local Plex refuses such a call without a token.
        in_body: whether the parameters go in the body, not in the query. The body is a form unless `as_json` is set.
        as_json: whether the body is a JSON object.
        retryable: whether the call may be sent again, because sending it twice does no harm.
        status: the status of a successful reply.
        media_type: the media type of a successful reply that is neither JSON nor XML.
        mark: how the call is known: documented by Plex, observed, or assumed.
        reply: how the reply is read and written.
    """

    method: str
    path: str
    name: str
    base: Literal["plex.tv", "server"] = "plex.tv"
    needs_token: bool = True
    in_body: bool = False
    as_json: bool = False
    retryable: bool = True
    status: int = 200
    media_type: str | None = None
    mark: Literal["documented", "observed", "assumed"] = "documented"
    reply: ReplyCodec = ReplyCodec()


class Call(msgspec.Struct, Generic[V], frozen=True, kw_only=True, rename="camel"):
    """One exchange as a value. Its fields are its parameters, which have camel-case names on the wire."""

    http: ClassVar[HttpSpec]

    def get_method(self) -> str:
        """Return the HTTP method."""
        return self.http.method

    def is_retryable(self) -> bool:
        """Return whether the call may be sent again, because sending it twice does no harm."""
        return self.http.retryable

    def list_parameters(self) -> list[tuple[str, str]]:
        """List the wire names and values of the parameters outside the path. `None` is not sent."""
        return [(name, self._format_value(value)) for name, value in self._list_values()]

    def _list_values(self) -> list[tuple[str, object]]:
        return [
            (name, value)
            for name, value in zip(self.__struct_encode_fields__, msgspec.structs.astuple(self), strict=True)
            if value is not None and f"{{{name}}}" not in self.http.path
        ]

    def _format_value(self, value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower() if self.http.in_body else str(int(value))
        if isinstance(value, Secret):
            return value.reveal()
        return str(value.value) if isinstance(value, Enum) else str(value)

    def build_target(self) -> str:
        """Build the path and, unless the parameters go in the body, the query."""
        if not self.__struct_fields__:
            return self.http.path
        path = _PLACEHOLDER.sub(self._build_path_segment, self.http.path)
        if self.http.in_body or not (parameters := self.list_parameters()):
            return path
        return f"{path}?{_encode_parameters(parameters)}"

    def _build_path_segment(self, placeholder: re.Match[str]) -> str:
        values = dict(zip(self.__struct_encode_fields__, msgspec.structs.astuple(self), strict=True))
        text = self._format_value(values[placeholder[1]])
        if text in {"", ".", ".."}:
            raise ValueError("an identifier in a path cannot be empty, . or ..")
        from urllib.parse import quote  # not needed by most calls

        return quote(text, safe="")

    def build_body(self) -> tuple[bytes, str | None]:
        """Build the body and its media type: a form, or JSON if `as_json` is set or a parameter is a model."""
        if not self.http.in_body:
            return b"", None
        values = self._list_values()
        if self.http.as_json or any(isinstance(value, Model) for _, value in values):
            return msgspec.json.encode(dict(values), enc_hook=Secret.reveal), "application/json"
        return _encode_parameters(self.list_parameters()).encode(), "application/x-www-form-urlencoded"

    def list_secrets(self) -> tuple[str, ...]:
        """List the secrets among the parameters, so that no message repeats them."""
        return tuple(value.reveal() for value in msgspec.structs.astuple(self) if isinstance(value, Secret))

    def read(self, response: Response) -> V:
        """Read the reply from a successful response.

        Raises:
            MalformedReply: the response is not a reply to this call.
        """
        found: V = self.http.reply.read(response)
        return found

    def write(self, value: V, form: Format) -> bytes:
        """Write the body of the reply."""
        return self.http.reply.write(value, form)


def _encode_parameters(parameters: list[tuple[str, str]]) -> str:
    from urllib.parse import urlencode  # the calls that check a token have no parameters

    return urlencode(parameters)


class NoContentCall(Call[None], frozen=True, kw_only=True):
    """A call without a result: the body of a successful reply is ignored."""


CallT = TypeVar("CallT", bound=Call[Any])


@cache  # because it resolves the annotations
def _list_parameter_readers(kind: type[Call[Any]]) -> list[tuple[str, str, Callable[[object, str, list[str]], object]]]:
    """List the name, the wire name and the reader of each parameter."""
    from ticketstub.protocol import lenient

    return [
        (field.name, field.encode_name, lenient.build_reader(msgspec.inspect.type_info(field.type)))
        for field in msgspec.structs.fields(kind)
    ]


def read_call(kind: type[CallT], parameters: dict[str, str]) -> CallT:
    """Read a call from the parameters of a request. Unknown parameters are ignored, empty ones count as missing.

    Raises:
        BadRequest: a required parameter is missing, or a value is invalid.
    """
    values: dict[str, Any] = {
        name: reader(text, "", [])
        for name, wire_name, reader in _list_parameter_readers(kind)
        if (text := parameters.get(wire_name))
    }
    if None in values.values():
        raise BadRequest
    try:
        return kind(**values)
    except (TypeError, ValueError):  # a parameter is missing, or the call refuses a value
        raise BadRequest from None


def read_reply(kind: type[ModelT], response: Response, any_of: tuple[str, ...]) -> ModelT:
    """Read the one model that a response holds, at any level of Plex's wrappers.

    Args:
        kind: the model's class.
        response: the response.
        any_of: the model's fields of which at least one must have a value.

    Raises:
        MalformedReply: the body cannot be read, reports an error, or has a value for none of these fields.
    """
    found = _decode_json(kind, response.body)
    if found is not None and _has_any_value(found, any_of) and not _needs_lenient_reader(found, response.body):
        return found
    from ticketstub.protocol import lenient

    found = lenient.read_model(kind, unwrap(kind, parse_response(response), any_of))
    if found is None or not _has_any_value(found, any_of):
        raise build_malformed_reply(response, f"the reply contains no {kind.__name__.removeprefix('_')}")
    return found


@cache
def _get_decoder(kind: type[ModelT]) -> msgspec.json.Decoder[ModelT]:
    return msgspec.json.Decoder(kind, dec_hook=read_secret)


def _decode_json(kind: type[ModelT], body: bytes) -> ModelT | None:
    """Read a well-formed JSON model fast; return `None` if the body needs the lenient reader."""
    try:
        found: ModelT = _get_decoder(kind).decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found


def _has_any_value(found: Model, fields: tuple[str, ...]) -> bool:
    return any(getattr(found, name) is not None for name in fields)


@cache
def _list_wire_names(kind: type[Model]) -> frozenset[str]:
    return frozenset(kind.__struct_encode_fields__)


_MEMBERS_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _needs_lenient_reader(found: Model, body: bytes) -> bool:
    """Return whether a body may hold what the fast reader ignores: errors, and members in another spelling."""
    try:
        members = _MEMBERS_DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):  # an invalid name, which the fast reader skips
        return True
    known = _list_wire_names(type(found))
    if known.issuperset(members):
        return False
    from ticketstub.protocol import lenient

    unknown, names = members.keys() - known, lenient.list_field_names(type(found))
    return any(name in ("error", "errors") or lenient.normalize_name(name) in names for name in unknown)


def unwrap(kind: type[Model], data: object, any_of: tuple[str, ...]) -> object:
    """Find a model's data within `{"user": {…}}`, `{"MediaContainer": {…}}`, lists, and wrappers with other members.

    It is the object with one of the fields `any_of` and, if there are several, with the most names of the model. If
    there is none, the whole data is returned.
    """
    from ticketstub.protocol import lenient

    known, needed = lenient.list_field_names(kind), lenient.list_field_names(kind, any_of)
    return max(
        (members for members in walk_objects(data) if lenient.has_any_name(members, needed)),
        key=lambda members: sum(lenient.normalize_name(name) in known or name in known for name in members),
        default=data,
    )


def walk_objects(data: object) -> Iterator[dict[str, object]]:
    """Yield the objects in a reply, outermost first, down to six levels of at most 10,000 values each."""
    level: list[object] = [data]
    for _ in range(6):
        yield from filter(is_object, level)
        inner = (each.values() if is_object(each) else each if is_array(each) else () for each in level)
        level = list(islice(chain.from_iterable(inner), 10_000))


def parse_response(response: Response) -> object:
    """Parse the body of a response into plain data.

    Raises:
        MalformedReply: the body is neither JSON nor XML, is incomplete, or reports an error.
    """
    try:
        data = codec.parse(response.body)
    except codec.DecodeError as error:
        raise build_malformed_reply(response, str(error)) from None
    if _is_refusal(data):
        raise build_malformed_reply(response, "the reply reports an error")
    return data


def _is_refusal(data: object) -> bool:
    """Return whether a successful response reports an error, as some gateways and faulty servers do."""
    for members in walk_objects(data):
        if members.get("errors") not in (None, "", []) or (
            members.keys() <= _ERROR_KEYS and members.keys() & {"error", "message", "code"}
        ):
            return True
        if not members.keys() <= _WRAPPER_KEYS:
            return False
    return False


_ERROR_KEYS = frozenset({"error", "errors", "message", "code", "status", "statusCode"})
_WRAPPER_KEYS = _ERROR_KEYS | {"response", "Response", "data", "result", "MediaContainer"}


def build_malformed_reply(response: Response, reason: str) -> MalformedReply:
    """Build the error for a response that cannot be read."""
    hint = "check whether a proxy or another server answers in Plex's place" if response.body else None
    return MalformedReply(
        f"Plex answered {response.status}, but {reason}", status=response.status, hint=hint, response=response
    )


def write_reply(root: str, value: Model, form: Format) -> bytes:
    """Write one model as plex.tv does: in XML as an element with this name, in JSON without a wrapper."""
    return codec.write_document(root, codec.to_builtins(value), form)


def build_reply_codec(kind: type[Model], root: str, *any_of: str) -> ReplyCodec:
    """Build the codec for a reply that is one model (see `read_reply` and `write_reply`)."""
    return ReplyCodec(partial(read_reply, kind, any_of=any_of), partial(write_reply, root))


def build_field_codec(kind: type[Model], root: str, field: str) -> ReplyCodec:
    """Build the codec for a reply that is the value of one field of a model."""
    return ReplyCodec(
        lambda response: getattr(read_reply(kind, response, (field,)), field),
        lambda value, form: write_reply(root, kind(**{field: value}), form),
    )


def write_container_reply(value: Model, form: Format) -> bytes:
    """Write one model as a media server does: in a `MediaContainer` of size 0, without nulls (observed)."""
    return codec.write_document(
        CONTAINER, {"size": 0, **codec.to_builtins(value, include_nulls=False)}, form, wrap_json=True
    )


def build_container_codec(kind: type[Model], *any_of: str) -> ReplyCodec:
    """Build the codec for a reply that is one model in a `MediaContainer` (see `write_container_reply`)."""
    return ReplyCodec(partial(read_reply, kind, any_of=any_of), write_container_reply)


def find_container_items(name: str, data: object) -> object:
    """Return the items of a `MediaContainer`, of its content without the wrapper, or of an array; else `None`.

    Args:
        name: the name of an item.
        data: the data of a reply.
    """
    if is_object(data) and is_object(inner := data.get(CONTAINER)):
        data = inner
    if is_object(data):
        return data.get(name, None if _CONTAINER_KEYS.isdisjoint(data) else ())
    return data if is_array(data) else None


_CONTAINER_KEYS = frozenset({"size", "totalSize", "identifier", "publicAddress"})
