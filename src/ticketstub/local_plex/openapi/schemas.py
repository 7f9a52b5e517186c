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

from ticketstub.models import Record
from ticketstub.protocol.call import Call
from ticketstub.protocol.codec import Format
from ticketstub.protocol.plain import is_items, is_members
from ticketstub.tokens import Secret, Token

Schema = dict[str, object]

_REFERENCE = "#/components/schemas/{name}"
_TEXT = "server://text"  # a sample that is good wherever a text is, as a source too
_SAMPLES: dict[object, object] = {
    bool: True,
    int: 1,
    float: 1.0,
    str: _TEXT,
    bytes: b"",
    Token: Token.received(_TEXT),
    Secret: Secret(_TEXT),
    datetime: datetime(2026, 1, 1, tzinfo=UTC),
    NoneType: None,
}


def reply_type(kind: type[Call[Any]]) -> object:
    """Return the type of a call's reply: what it says it is a `Call` of."""
    for base in kind.__mro__:
        for origin in getattr(base, "__orig_bases__", ()):
            if get_origin(origin) is Call and isinstance(get_args(origin)[0], type | UnionType | type(tuple[int])):
                return get_args(origin)[0]
    raise TypeError(f"{kind.__name__} does not say what its reply is")


class Shapes:
    """The schemas of a document, with those that have a name kept as its components.

    Attributes:
        components: the named ones.
    """

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def of_type(self, kind: object) -> Schema:
        """Return the schema of a type, as msgspec has it; secrets are texts that a page should not show."""
        schema, named = _schemas(kind)
        self.components.update(named)
        return dict(schema)

    def of_reply(self, kind: type[Call[Any]]) -> Schema:
        """Return the schema of the JSON that a call is answered with."""
        return self.of_values([json.loads(body) for body in _written(kind, Format.JSON)], _records(reply_type(kind)))

    def of_xml(self, kind: type[Call[Any]], *, whole: bool) -> Schema:
        """Return the schema of the XML that a call is answered with: its root element's name, or `whole`."""
        from ticketstub.protocol.xml import parse

        parsed = [parse(written) for written in _written(kind, Format.XML)]
        values = [content for _, content in parsed]
        schema = self.of_values(values, _records(reply_type(kind))) if whole else {}
        return {**schema, "xml": {"name": parsed[0][0]}}

    def of_values(self, values: list[object], records: Iterable[type[Record]] = ()) -> Schema:
        """Return the schema of plain data of which these are samples; the first is the fullest."""
        if is_members(values[0]):
            return self._of_members([value for value in values if is_members(value)], tuple(records))
        if is_items(values[0]):
            items = [item for value in values if is_items(value) for item in value]
            return {"type": "array", "items": self.of_values(items, records) if items else {}}
        types = sorted({_JSON_TYPES[type(value)] for value in values})
        if types == ["null"]:
            return {}  # no sample says what it is where it is something
        return {"type": types[0] if len(types) == 1 else types}

    def _of_members(self, values: list[dict[str, object]], records: tuple[type[Record], ...]) -> Schema:
        names = list(dict.fromkeys(name for value in values for name in value))
        for record in records:
            if set(_names(record)) <= set(names):
                more = [name for name in names if name not in _names(record)]
                extra = {name: self._member(name, values, records) for name in more}
                return self.of_type(record) | ({"properties": extra} if extra else {})
        required = [name for name in names if all(name in value for value in values)]
        properties = {name: self._member(name, values, records) for name in names}
        schema: Schema = {"type": "object", "properties": properties}
        return schema | ({"required": required} if required else {})

    def _member(self, name: str, values: list[dict[str, object]], records: tuple[type[Record], ...]) -> Schema:
        """Return a member's schema: by the record that has one of this name, else by the samples."""
        found = [value[name] for value in values if name in value]
        if not (is_members(found[0]) or is_items(found[0])):
            for record in records:
                if name in _names(record):
                    return self.of_type(_names(record)[name])
        return self.of_values(found, records)


@cache
def _schemas(kind: object) -> tuple[Schema, dict[str, Schema]]:
    (schema,), named = msgspec.json.schema_components([kind], schema_hook=_hidden, ref_template=_REFERENCE)
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


def _hidden(kind: object) -> Schema:
    if kind is Secret or kind is Token:
        return {"type": "string", "format": "password"}
    if kind is object:
        return {"description": "Whatever JSON there is."}
    raise NotImplementedError(kind)  # msgspec's own protocol for "not mine"


@cache
def _names(record: type[Record]) -> dict[str, Any]:
    """Return a record's fields: the wire's names and their types."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(record)}


def _records(kind: object) -> tuple[type[Record], ...]:
    """List the records in a type, outermost first."""
    if isinstance(kind, type) and issubclass(kind, Record):
        inner = [found for hint in _names(kind).values() for found in _records(hint)]
        return kind, *inner
    return tuple(found for argument in get_args(kind) for found in _records(argument))


def _written(kind: type[Call[Any]], form: Format) -> list[bytes]:
    """Have a call write its reply, with all that can be in it and with as little as it takes."""
    hints = {field.name: field.type for field in msgspec.structs.fields(kind)}
    call = kind(**{name: _sample(hint, full=True) for name, hint in hints.items()})
    return [call.write(_sample(reply_type(kind), full=full), form) for full in (True, False)]


def _sample(kind: object, *, full: bool) -> object:
    """Make a value of a type, with everything in it or with as little as there may be."""
    if kind in _SAMPLES:
        return _SAMPLES[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if isinstance(kind, type) and issubclass(kind, Record):
        return _fullest(kind) if full else kind()
    return _sample_of(get_origin(kind), get_args(kind), full=full)


def _sample_of(origin: object, arguments: tuple[Any, ...], *, full: bool) -> object:
    if origin is tuple:
        return _two(_sample(arguments[0], full=True)) if full else ()  # in XML, one alone would look like no list
    if origin is Literal:
        return arguments[0]
    if origin is Union or origin is UnionType:
        return _sample(next(kind for kind in arguments if kind is not NoneType), full=full) if full else None
    return cast("dict[str, object]", {})


def _fullest(record: type[Record]) -> Record:
    """Make all that a record can hold: of what provides a media server, more is told."""
    hints = get_type_hints(record)
    whole = {name: _sample(hints[name], full=True) for name in record.__struct_fields__}
    return record(**whole | ({"provides": "server"} if "provides" in whole else {}))


def _two(first: object) -> tuple[object, object]:
    """Make a list of samples: the caller's own, and somebody else's where that is told apart."""
    if isinstance(first, Record) and "owned" in first.__struct_fields__:
        return first, msgspec.structs.replace(first, owned=False)
    return first, first
