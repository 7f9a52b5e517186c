"""Reads a record out of plain data that is not quite what it should be.

Rule: nothing that Plex sends fails here. Field by field and level by level: what has the wrong type becomes `None`
(or is left out of its list) and is named in `problems`; the rest is kept. One reader serves JSON and XML: a wrapper
around a list is opened, numbers and booleans may be text, and names are compared without their capitals, hyphens and
underscores, since Plex spells them in at least four ways.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from typing import TypeVar

import msgspec
from msgspec import inspect

from ticketstub.models import Model
from ticketstub.models.base import MILLISECONDS_THRESHOLD
from ticketstub.protocol.codec import read_secret
from ticketstub.protocol.plain import is_array, is_object

R = TypeVar("R", bound=Model)
Problems = list[str]
FieldReader = Callable[[object, str, Problems], object]

_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_UTC_DATETIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC")
# Observed: the account's token has two names.
_ALIASES = {"authtoken": ("authenticationtoken",)}
TOKEN_NAMES = frozenset({"authtoken", "authenticationtoken"})
"""The plain names of an account's token."""


def read_model(kind: type[R], data: object) -> R | None:
    """Read one record, or `None` where the data is nothing that could hold one.

    Args:
        kind: the record's class.
        data: a JSON value, or what `wire.xml.parse` made of XML.
    """
    problems: Problems = []
    found = _build_model_reader(kind)(data, "", problems)
    if not isinstance(found, kind):
        return None
    if problems:
        vars(found)["problems"] = tuple(problems)
    return found


def read_models(kind: type[R], data: object) -> tuple[R, ...]:
    """Read a list of records; each keeps its own problems, and what holds nothing of one is left out."""
    names = list_field_names(kind)
    likely = (item for item in _list_items(data, names) if is_object(item) and has_any_name(item, names))
    return tuple(item for item in (read_model(kind, each) for each in likely) if item is not None)


def read_value(kind: object, data: object) -> object:
    """Read one value of this type; `None` where it is none."""
    return _build_reader(inspect.type_info(kind))(data, "", [])


@lru_cache(maxsize=4096)
def normalize_name(name: str) -> str:
    """Return a name without what Plex's ways to spell differ in: `auth_token`, `Auth-Token` and `authToken` are one."""
    return name.replace("-", "").replace("_", "").lower()


@cache
def list_field_names(kind: type[Model], fields: tuple[str, ...] | None = None) -> frozenset[str]:
    """List the plain names of a record's fields, or some of them, and an element's (`Connection`) as it is."""
    selected = [field for field in msgspec.structs.fields(kind) if fields is None or field.name in fields]
    return frozenset(name for field in selected for name in (*_list_normalized_names(field), field.encode_name))


def has_any_name(data: dict[str, object], names: frozenset[str]) -> bool:
    """Tell whether one of these names is among the members, however it is spelt.

    A capitalised name of something that has members is an element's (`<Device …/>`): it is no other spelling.
    """
    return any(
        name in names
        or (normalize_name(name) in names and not (name[:1].isupper() and (is_object(member) or is_array(member))))
        for name, member in data.items()
    )


def _list_normalized_names(field: msgspec.structs.FieldInfo) -> tuple[str, ...]:
    normalized = normalize_name(field.encode_name)
    return (normalized, *_ALIASES.get(normalized, ()))


@cache
def _build_model_reader(kind: type[Model]) -> FieldReader:
    plan = tuple(
        (field.name, field.encode_name, _list_normalized_names(field), _build_reader(inspect.type_info(field.type)))
        for field in msgspec.structs.fields(kind)
    )

    def read(data: object, path: str, problems: Problems) -> object:
        if is_array(data) and data:
            data = data[0]
        if not is_object(data):
            return _report_problem(data, path, problems)
        prefix = f"{path}." if path else ""
        values: dict[str, object] = {}
        spellings: tuple[dict[str, str], dict[str, str]] | None = None
        for name, key, names, reader in plan:
            if data.get(key) in (None, ""):
                spellings = _index_spellings(data) if spellings is None else spellings
                found = (each[normalized] for each in spellings for normalized in names if normalized in each)
                key = next(found, key)  # noqa: PLW2901  # as it is spelt here
            if (raw := data.get(key)) is not None:
                values[name] = reader(raw, prefix + key, problems)
        return kind(**{name: value for name, value in values.items() if value is not None})

    return read


def _index_spellings(data: dict[str, object]) -> tuple[dict[str, str], dict[str, str]]:
    """Find how each name is spelt here, by its plain name: those that have a value, and those that are empty."""
    non_empty = {normalize_name(name): name for name, member in data.items() if member not in (None, "")}
    return non_empty, {normalize_name(name): name for name, member in data.items() if member == ""}


def _report_problem(data: object, path: str, problems: Problems) -> object:
    """Name a value that cannot be read; an empty one is no problem, it is how XML writes null."""
    if data not in (None, ""):
        problems.append(path)
    return None


def _build_reader(info: inspect.Type) -> FieldReader:
    """Choose how to read a value of this type."""
    if isinstance(info, inspect.UnionType):
        return _build_reader(next(member for member in info.types if not isinstance(member, inspect.NoneType)))
    if isinstance(info, inspect.StructType):
        return _build_model_reader(info.cls)
    if isinstance(info, inspect.VarTupleType):
        return _build_list_reader(info.item_type)
    if isinstance(info, inspect.CustomType):
        return _build_scalar_reader(partial(read_secret, info.cls))
    if isinstance(info, inspect.EnumType):
        return _build_scalar_reader(lambda raw: info.cls(raw) if raw in {m.value for m in info.cls} else None)
    is_epoch = isinstance(info, inspect.IntType) and info.lt is not None  # records.record.Seconds
    return _build_scalar_reader(_read_seconds if is_epoch else _SCALARS[type(info)])


def _build_scalar_reader(convert: Callable[[object], object]) -> FieldReader:
    def read(data: object, path: str, problems: Problems) -> object:
        found = convert(data)
        return _report_problem(data, path, problems) if found is None else found

    return read


def _build_list_reader(item_type: inspect.Type) -> FieldReader:
    reader = _build_reader(item_type)
    is_record = isinstance(item_type, inspect.StructType)
    names = list_field_names(item_type.cls) if isinstance(item_type, inspect.StructType) else frozenset({"id"})

    def read(data: object, path: str, problems: Problems) -> object:
        if isinstance(data, bool | int | float):
            return _report_problem(data, path, problems)
        found = (
            # Observed: XML writes the texts of a list as `<role id="plexpass"/>`.
            reader(item.get("id") if is_object(item) and not is_record else item, f"{path}[{index}]", problems)
            for index, item in enumerate(_list_items(data, names))
        )
        return tuple(item for item in found if item is not None)

    return read


def _list_items(data: object, names: frozenset[str]) -> list[object]:
    """List what a list, an XML wrapper around one, a lone item or comma-separated text holds.

    A number in a wrapper is the wrapper's own attribute (observed: `size="2"`, `all="0"`).
    """
    if is_array(data):
        return list(data)
    if is_object(data):
        if has_any_name(data, names):
            return [data]
        members = (member if is_array(member) else [member] for member in data.values())
        return [item for items in members for item in items if not (isinstance(item, str) and _INTEGER.fullmatch(item))]
    if isinstance(data, str):
        return [part.strip() for part in data.split(",") if part.strip()]
    return []


def _read_bool(data: object) -> bool | None:
    if isinstance(data, bool):
        return data
    return _BOOLEANS.get(str(data).lower()) if isinstance(data, str | int) else None


def _read_int(data: object) -> int | None:
    if isinstance(data, bool):
        return None
    if isinstance(data, int):
        return data
    if isinstance(data, float) and data.is_integer():
        return int(data)
    if isinstance(data, str) and _INTEGER.fullmatch(data.strip()):
        return int(data)
    moment = _read_datetime(data) if isinstance(data, str) else None
    return int(moment.timestamp()) if moment else None  # observed: one date is epoch seconds here, ISO text there


def _read_seconds(data: object) -> int | None:
    """Read seconds since 1970, which may be written as milliseconds or as a date."""
    number = _read_int(data)
    return number if number is None or abs(number) < MILLISECONDS_THRESHOLD else number // 1000


def _read_str(data: object) -> str | None:
    if isinstance(data, bool):
        return None
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode()  # half a surrogate pair could not be printed
    return str(data) if isinstance(data, int | float) else None


def _read_datetime(data: object) -> datetime | None:
    try:
        if isinstance(data, str) and not _INTEGER.fullmatch(data.strip()):
            moment = datetime.fromisoformat(_UTC_DATETIME.sub(r"\1T\2Z", data.strip()))
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = None if isinstance(data, bool) else _read_int(data)
        if seconds is None:
            return None
        return datetime.fromtimestamp(seconds / 1000 if abs(seconds) >= MILLISECONDS_THRESHOLD else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


_SCALARS: dict[type[inspect.Type], Callable[[object], object]] = {
    inspect.BoolType: _read_bool,
    inspect.IntType: _read_int,
    inspect.StrType: _read_str,
    inspect.DateTimeType: _read_datetime,
}
