"""JSON schemas of replies, derived from samples that the calls themselves write.

Rule: no schema is written here. The members of a model come from its class; what a call wraps around it, adds or leaves
out comes from the samples. So a schema cannot contradict the code.
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

_SAMPLE_TEXT = "server://text"  # valid wherever a text is expected, also as a source's URI
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
    """Return the type of a call's reply: the parameter of its base class `Call`."""
    for base in call_type.__mro__:
        for origin in getattr(base, "__orig_bases__", ()):
            if get_origin(origin) is Call and isinstance(get_args(origin)[0], type | UnionType | type(tuple[int])):
                return get_args(origin)[0]
    raise TypeError(f"{call_type.__name__} does not declare its reply")


class SchemaBuilder:
    """Builds the schemas of one document.

    Attributes:
        components: the named schemas, to which others refer.
    """

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def describe_type(self, kind: object) -> Schema:
        """Return the schema of a type; secrets have the format `password`."""
        schema, named = _build_schemas(kind)
        self.components.update(named)
        return dict(schema)

    def describe_reply(self, call_type: type[Call[Any]]) -> Schema:
        """Return the schema of a call's reply as JSON."""
        return self.describe_values(
            [json.loads(body) for body in _write_samples(call_type, Format.JSON)],
            _list_models(get_reply_type(call_type)),
        )

    def describe_xml_reply(self, call_type: type[Call[Any]], *, include_content: bool) -> Schema:
        """Return the schema of a call's reply as XML: the name of its root element, and its content if asked for."""
        from ticketstub.protocol.xml import parse

        parsed = [parse(written) for written in _write_samples(call_type, Format.XML)]
        models = _list_models(get_reply_type(call_type))
        schema = self.describe_values([content for _, content in parsed], models) if include_content else {}
        return {**schema, "xml": {"name": parsed[0][0]}}

    def describe_values(self, values: list[object], models: Iterable[type[Model]] = ()) -> Schema:
        """Return the schema of plain data from samples, the first of which is the most complete."""
        if is_object(values[0]):
            return self._describe_object([value for value in values if is_object(value)], tuple(models))
        if is_array(values[0]):
            items = [item for value in values if is_array(value) for item in value]
            return {"type": "array", "items": self.describe_values(items, models) if items else {}}
        types = sorted({_JSON_TYPES[type(value)] for value in values})
        if types == ["null"]:
            return {}  # no sample has a value
        return {"type": types[0] if len(types) == 1 else types}

    def _describe_object(self, values: list[dict[str, object]], models: tuple[type[Model], ...]) -> Schema:
        names = list(dict.fromkeys(name for value in values for name in value))
        for model in models:
            if set(_get_fields(model)) <= set(names):
                extra = {
                    name: self._describe_member(name, values, models)
                    for name in names
                    if name not in _get_fields(model)
                }
                return self.describe_type(model) | ({"properties": extra} if extra else {})
        required = [name for name in names if all(name in value for value in values)]
        properties = {name: self._describe_member(name, values, models) for name in names}
        schema: Schema = {"type": "object", "properties": properties}
        return schema | ({"required": required} if required else {})

    def _describe_member(self, name: str, values: list[dict[str, object]], models: tuple[type[Model], ...]) -> Schema:
        """Return a member's schema: from the model that has a field of this name, or else from the samples."""
        found = [value[name] for value in values if name in value]
        if not (is_object(found[0]) or is_array(found[0])):
            for model in models:
                if name in _get_fields(model):
                    return self.describe_type(_get_fields(model)[name])
        return self.describe_values(found, models)


@cache
def _build_schemas(kind: object) -> tuple[Schema, dict[str, Schema]]:
    (schema,), named = msgspec.json.schema_components(
        [kind], schema_hook=_describe_custom_type, ref_template="#/components/schemas/{name}"
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
        return {"description": "Any JSON value."}
    raise NotImplementedError(kind)  # tells msgspec that the type is unknown here, too


@cache
def _get_fields(model: type[Model]) -> dict[str, Any]:
    """Return the types of a model's fields by their wire names."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(model)}


def _list_models(kind: object) -> tuple[type[Model], ...]:
    """List the models in a type, outermost first."""
    if isinstance(kind, type) and issubclass(kind, Model):
        inner = [found for hint in _get_fields(kind).values() for found in _list_models(hint)]
        return kind, *inner
    return tuple(found for argument in get_args(kind) for found in _list_models(argument))


def _write_samples(call_type: type[Call[Any]], response_format: Format) -> list[bytes]:
    """Return two samples of a call's reply: one with every member, one with as few as possible."""
    fields = msgspec.structs.fields(call_type)
    call = call_type(**{field.name: _make_sample(field.type, full=True) for field in fields})
    return [call.write(_make_sample(get_reply_type(call_type), full=full), response_format) for full in (True, False)]


def _make_sample(kind: object, *, full: bool) -> object:
    """Return a value of a type with every member, or with as few as possible."""
    if kind in _SAMPLES:
        return _SAMPLES[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if isinstance(kind, type) and issubclass(kind, Model):
        hints = get_type_hints(kind)
        members = {name: _make_sample(hints[name], full=True) for name in kind.__struct_fields__ if full}
        # A device that provides a media server has more members.
        return kind(**members | ({"provides": "server"} if "provides" in members else {}))
    return _make_generic_sample(get_origin(kind), get_args(kind), full=full)


def _make_generic_sample(origin: object, arguments: tuple[Any, ...], *, full: bool) -> object:
    if origin is tuple:
        # Two samples, because one alone is not a list in XML; if they can be owned, the second is not.
        first = _make_sample(arguments[0], full=True)
        second = (
            msgspec.structs.replace(first, owned=False)
            if isinstance(first, Model) and "owned" in first.__struct_fields__
            else first
        )
        return (first, second) if full else ()
    if origin is Literal:
        return arguments[0]
    if origin is Union or origin is UnionType:
        return _make_sample(next(kind for kind in arguments if kind is not NoneType), full=full) if full else None
    return cast("dict[str, object]", {})
