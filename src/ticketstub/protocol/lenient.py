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

from ticketstub.models import Record
from ticketstub.models.base import MILLISECONDS
from ticketstub.protocol.codec import received
from ticketstub.protocol.plain import is_items, is_members

R = TypeVar("R", bound=Record)
Problems = list[str]
Reader = Callable[[object, str, Problems], object]

_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_IN_WORDS = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC")
# Observed: the account's token has two names.
_MORE_NAMES = {"authtoken": ("authenticationtoken",)}
TOKEN_NAMES = frozenset({"authtoken", "authenticationtoken"})
"""The plain names of an account's token."""


def record(kind: type[R], data: object) -> R | None:
    """Read one record, or `None` where the data is nothing that could hold one.

    Args:
        kind: the record's class.
        data: a JSON value, or what `wire.xml.parse` made of XML.
    """
    problems: Problems = []
    found = _structure(kind)(data, "", problems)
    if not isinstance(found, kind):
        return None
    if problems:
        vars(found)["problems"] = tuple(problems)
    return found


def records(kind: type[R], data: object) -> tuple[R, ...]:
    """Read a list of records; each keeps its own problems, and what holds nothing of one is left out."""
    names = names_of(kind)
    likely = (item for item in _items(data, names) if is_members(item) and holds(item, names))
    return tuple(item for item in (record(kind, each) for each in likely) if item is not None)


def value(kind: object, data: object) -> object:
    """Read one value of this type; `None` where it is none."""
    return _reader(inspect.type_info(kind))(data, "", [])


@lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """Return a name without what Plex's ways to spell differ in: `auth_token`, `Auth-Token` and `authToken` are one."""
    return name.replace("-", "").replace("_", "").lower()


@cache
def names_of(kind: type[Record], fields: tuple[str, ...] | None = None) -> frozenset[str]:
    """List the plain names of a record's fields, or some of them, and an element's (`Connection`) as it is."""
    of = [field for field in msgspec.structs.fields(kind) if fields is None or field.name in fields]
    return frozenset(name for field in of for name in (*_names(field), field.encode_name))


def holds(data: dict[str, object], names: frozenset[str]) -> bool:
    """Tell whether one of these names is among the members, however it is spelt.

    A capitalised name of something that has members is an element's (`<Device …/>`): it is no other spelling.
    """
    return any(
        name in names
        or (plain_name(name) in names and not (name[:1].isupper() and (is_members(member) or is_items(member))))
        for name, member in data.items()
    )


def _names(field: msgspec.structs.FieldInfo) -> tuple[str, ...]:
    plain = plain_name(field.encode_name)
    return (plain, *_MORE_NAMES.get(plain, ()))


@cache
def _structure(kind: type[Record]) -> Reader:
    plan = tuple(
        (field.name, field.encode_name, _names(field), _reader(inspect.type_info(field.type)))
        for field in msgspec.structs.fields(kind)
    )

    def read(data: object, path: str, problems: Problems) -> object:
        if is_items(data) and data:
            data = data[0]
        if not is_members(data):
            return _nothing(data, path, problems)
        below = f"{path}." if path else ""
        values: dict[str, object] = {}
        others: tuple[dict[str, str], dict[str, str]] | None = None
        for name, spelt, names, reader in plan:
            if data.get(spelt) in (None, ""):
                others = _others(data) if others is None else others
                found = (each[plain] for each in others for plain in names if plain in each)
                spelt = next(found, spelt)  # noqa: PLW2901  # as it is spelt here
            if (raw := data.get(spelt)) is not None:
                values[name] = reader(raw, below + spelt, problems)
        return kind(**{name: value for name, value in values.items() if value is not None})

    return read


def _others(data: dict[str, object]) -> tuple[dict[str, str], dict[str, str]]:
    """Find how each name is spelt here, by its plain name: those that have a value, and those that are empty."""
    full = {plain_name(name): name for name, member in data.items() if member not in (None, "")}
    return full, {plain_name(name): name for name, member in data.items() if member == ""}


def _nothing(data: object, path: str, problems: Problems) -> object:
    """Name a value that cannot be read; an empty one is no problem, it is how XML writes null."""
    if data not in (None, ""):
        problems.append(path)
    return None


def _reader(info: inspect.Type) -> Reader:
    """Choose how to read a value of this type."""
    if isinstance(info, inspect.UnionType):
        return _reader(next(member for member in info.types if not isinstance(member, inspect.NoneType)))
    if isinstance(info, inspect.StructType):
        return _structure(info.cls)
    if isinstance(info, inspect.VarTupleType):
        return _many(info.item_type)
    if isinstance(info, inspect.CustomType):
        return _plain(partial(received, info.cls))
    if isinstance(info, inspect.EnumType):
        return _plain(lambda raw: info.cls(raw) if raw in {m.value for m in info.cls} else None)
    counts_time = isinstance(info, inspect.IntType) and info.lt is not None  # records.record.Seconds
    return _plain(_seconds if counts_time else _SCALARS[type(info)])


def _plain(convert: Callable[[object], object]) -> Reader:
    def read(data: object, path: str, problems: Problems) -> object:
        found = convert(data)
        return _nothing(data, path, problems) if found is None else found

    return read


def _many(item_type: inspect.Type) -> Reader:
    reader = _reader(item_type)
    is_record = isinstance(item_type, inspect.StructType)
    names = names_of(item_type.cls) if isinstance(item_type, inspect.StructType) else frozenset({"id"})

    def read(data: object, path: str, problems: Problems) -> object:
        if isinstance(data, bool | int | float):
            return _nothing(data, path, problems)
        found = (
            # Observed: XML writes the texts of a list as `<role id="plexpass"/>`.
            reader(item.get("id") if is_members(item) and not is_record else item, f"{path}[{index}]", problems)
            for index, item in enumerate(_items(data, names))
        )
        return tuple(item for item in found if item is not None)

    return read


def _items(data: object, names: frozenset[str]) -> list[object]:
    """List what a list, an XML wrapper around one, a lone item or comma-separated text holds.

    A number in a wrapper is the wrapper's own attribute (observed: `size="2"`, `all="0"`).
    """
    if is_items(data):
        return list(data)
    if is_members(data):
        if holds(data, names):
            return [data]
        members = (member if is_items(member) else [member] for member in data.values())
        return [item for items in members for item in items if not (isinstance(item, str) and _WHOLE.fullmatch(item))]
    if isinstance(data, str):
        return [part.strip() for part in data.split(",") if part.strip()]
    return []


def _bool(data: object) -> bool | None:
    if isinstance(data, bool):
        return data
    return _BOOLEANS.get(str(data).lower()) if isinstance(data, str | int) else None


def _int(data: object) -> int | None:
    if isinstance(data, bool):
        return None
    if isinstance(data, int):
        return data
    if isinstance(data, float) and data.is_integer():
        return int(data)
    if isinstance(data, str) and _WHOLE.fullmatch(data.strip()):
        return int(data)
    moment = _moment(data) if isinstance(data, str) else None
    return int(moment.timestamp()) if moment else None  # observed: one date is epoch seconds here, ISO text there


def _seconds(data: object) -> int | None:
    """Read seconds since 1970, which may be written as milliseconds or as a date."""
    number = _int(data)
    return number if number is None or abs(number) < MILLISECONDS else number // 1000


def _str(data: object) -> str | None:
    if isinstance(data, bool):
        return None
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode()  # half a surrogate pair could not be printed
    return str(data) if isinstance(data, int | float) else None


def _moment(data: object) -> datetime | None:
    try:
        if isinstance(data, str) and not _WHOLE.fullmatch(data.strip()):
            moment = datetime.fromisoformat(_IN_WORDS.sub(r"\1T\2Z", data.strip()))
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = None if isinstance(data, bool) else _int(data)
        if seconds is None:
            return None
        return datetime.fromtimestamp(seconds / 1000 if abs(seconds) >= MILLISECONDS else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


_SCALARS: dict[type[inspect.Type], Callable[[object], object]] = {
    inspect.BoolType: _bool,
    inspect.IntType: _int,
    inspect.StrType: _str,
    inspect.DateTimeType: _moment,
}
