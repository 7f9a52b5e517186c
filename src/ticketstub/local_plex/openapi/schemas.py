"""What a call's JSON looks like, as JSON Schema: found by having the call write samples of its reply.

Rule: no shape is written down here. The members of a record come from its class; what a call wraps around it, adds to
it or leaves out comes from what the call itself writes. So a schema cannot say anything else than the code does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from ticketstub.messages import is_array, is_object
from ticketstub.models import Model
from ticketstub.protocol.call import Call
from ticketstub.protocol.codec import Format
from ticketstub.tokens import Secret, Token

Schema = dict[str, object]

_REFERENCE = "#/components/schemas/{name}"
_SAMPLE_TEXT = "server://text"  # a sample that is good wherever a text is, as a source too
_SAMPLES: dict[object, object] = {
    bool: True,
    int: 1,
    float: 1.0,
    str: _SAMPLE_TEXT,
    bytes: b"",
    Token: Token.from_wire(_SAMPLE_TEXT),
    Secret: Secret(_SAMPLE_TEXT),
    datetime: datetime(2026, 1, 1, tzinfo=UTC),
    NoneType: None,
}


def get_reply_type(call_type: type[Call[Any]]) -> object:
    """Return the type of a call's reply: what it says it is a `Call` of."""
    for base in call_type.__mro__:
        for origin in getattr(base, "__orig_bases__", ()):
            if get_origin(origin) is Call and isinstance(get_args(origin)[0], type | UnionType | type(tuple[int])):
                return get_args(origin)[0]
    raise TypeError(f"{call_type.__name__} does not say what its reply is")


class SchemaBuilder:
    """The schemas of a document, with those that have a name kept as its components.

    Attributes:
        components: the named ones.
    """

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def describe_type(self, kind: object) -> Schema:
        """Return the schema of a type, as msgspec has it; secrets are texts that a page should not show."""
        schema, named = _build_schemas(kind)
        self.components.update(named)
        return dict(schema)

    def describe_reply(self, call_type: type[Call[Any]]) -> Schema:
        """Return the schema of the JSON that a call is answered with."""
        return self.describe_values(
            [json.loads(body) for body in _write_samples(call_type, Format.JSON)],
            _list_records(get_reply_type(call_type)),
        )

    def describe_xml_reply(self, call_type: type[Call[Any]], *, include_content: bool) -> Schema:
        """Return the schema of the XML that a call is answered with: its root element's name, or `include_content`."""
        from ticketstub.protocol.xml import parse

        parsed = [parse(written) for written in _write_samples(call_type, Format.XML)]
        values = [content for _, content in parsed]
        schema = self.describe_values(values, _list_records(get_reply_type(call_type))) if include_content else {}
        return {**schema, "xml": {"name": parsed[0][0]}}

    def describe_values(self, values: list[object], records: Iterable[type[Model]] = ()) -> Schema:
        """Return the schema of plain data of which these are samples; the first is the fullest."""
        if is_object(values[0]):
            return self._describe_object([value for value in values if is_object(value)], tuple(records))
        if is_array(values[0]):
            items = [item for value in values if is_array(value) for item in value]
            return {"type": "array", "items": self.describe_values(items, records) if items else {}}
        types = sorted({_JSON_TYPES[type(value)] for value in values})
        if types == ["null"]:
            return {}  # no sample says what it is where it is something
        return {"type": types[0] if len(types) == 1 else types}

    def _describe_object(self, values: list[dict[str, object]], records: tuple[type[Model], ...]) -> Schema:
        names = list(dict.fromkeys(name for value in values for name in value))
        for record in records:
            if set(_get_fields(record)) <= set(names):
                extra_names = [name for name in names if name not in _get_fields(record)]
                extra = {name: self._describe_member(name, values, records) for name in extra_names}
                return self.describe_type(record) | ({"properties": extra} if extra else {})
        required = [name for name in names if all(name in value for value in values)]
        properties = {name: self._describe_member(name, values, records) for name in names}
        schema: Schema = {"type": "object", "properties": properties}
        return schema | ({"required": required} if required else {})

    def _describe_member(self, name: str, values: list[dict[str, object]], records: tuple[type[Model], ...]) -> Schema:
        """Return a member's schema: by the record that has one of this name, else by the samples."""
        found = [value[name] for value in values if name in value]
        if not (is_object(found[0]) or is_array(found[0])):
            for record in records:
                if name in _get_fields(record):
                    return self.describe_type(_get_fields(record)[name])
        return self.describe_values(found, records)


@cache
def _build_schemas(kind: object) -> tuple[Schema, dict[str, Schema]]:
    (schema,), named = msgspec.json.schema_components(
        [kind], schema_hook=_describe_custom_type, ref_template=_REFERENCE
    )
    for found in named.values():
        found["description"] = cleandoc(found.get("description", ""))
    return schema, named


_JSON_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    NoneType: "null",
    dict: "object",
    list: "array",
}


def _describe_custom_type(kind: object) -> Schema:
    if kind is Secret or kind is Token:
        return {"type": "string", "format": "password"}
    if kind is object:
        return {"description": "Whatever JSON there is."}
    raise NotImplementedError(kind)  # msgspec's own protocol for "not mine"


@cache
def _get_fields(record: type[Model]) -> dict[str, Any]:
    """Return a record's fields: the wire's names and their types."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(record)}


def _list_records(kind: object) -> tuple[type[Model], ...]:
    """List the records in a type, outermost first."""
    if isinstance(kind, type) and issubclass(kind, Model):
        inner = [found for hint in _get_fields(kind).values() for found in _list_records(hint)]
        return kind, *inner
    return tuple(found for argument in get_args(kind) for found in _list_records(argument))


def _write_samples(call_type: type[Call[Any]], response_format: Format) -> list[bytes]:
    """Have a call write its reply, with all that can be in it and with as little as it takes."""
    hints = {field.name: field.type for field in msgspec.structs.fields(call_type)}
    call = call_type(**{name: _make_sample(hint, full=True) for name, hint in hints.items()})
    return [call.write(_make_sample(get_reply_type(call_type), full=full), response_format) for full in (True, False)]


def _make_sample(kind: object, *, full: bool) -> object:
    """Make a value of a type, with everything in it or with as little as there may be."""
    if kind in _SAMPLES:
        return _SAMPLES[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if isinstance(kind, type) and issubclass(kind, Model):
        return _make_full_record(kind) if full else kind()
    return _make_generic_sample(get_origin(kind), get_args(kind), full=full)


def _make_generic_sample(origin: object, arguments: tuple[Any, ...], *, full: bool) -> object:
    if origin is tuple:
        return (
            _make_pair(_make_sample(arguments[0], full=True)) if full else ()
        )  # in XML, one alone would look like no list
    if origin is Literal:
        return arguments[0]
    if origin is Union or origin is UnionType:
        return _make_sample(next(kind for kind in arguments if kind is not NoneType), full=full) if full else None
    return cast("dict[str, object]", {})


def _make_full_record(record: type[Model]) -> Model:
    """Make all that a record can hold: of what provides a media server, more is told."""
    hints = get_type_hints(record)
    members = {name: _make_sample(hints[name], full=True) for name in record.__struct_fields__}
    return record(**members | ({"provides": "server"} if "provides" in members else {}))


def _make_pair(first: object) -> tuple[object, object]:
    """Make a list of samples: the caller's own, and somebody else's where that is told apart."""
    if isinstance(first, Model) and "owned" in first.__struct_fields__:
        return first, msgspec.structs.replace(first, owned=False)
    return first, first
