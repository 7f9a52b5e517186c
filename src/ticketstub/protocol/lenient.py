"""The lenient reader: builds a model from plain data that may have wrong types, names or wrappers.

Rule: the reader never raises, whatever Plex sends. Each field is read separately, at every level. A value of a wrong
type becomes `None` (or is dropped from its list) and is listed in `problems`; everything else is kept. One reader
serves JSON and XML: a wrapper around a list is opened, numbers and booleans may be text, and names are compared without
capitals, hyphens and underscores, because Plex spells them in at least four ways.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, lru_cache, partial

import msgspec
from msgspec import inspect

from ticketstub.messages import is_array, is_object
from ticketstub.models import Model
from ticketstub.models.base import MILLISECONDS_THRESHOLD, ModelT
from ticketstub.tokens import read_secret

Problems = list[str]
FieldReader = Callable[[object, str, Problems], object]

_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_UTC_DATETIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC")
TOKEN_NAMES = ("authtoken", "authenticationtoken")
"""The normalized names of an account's token. It has two (observed)."""


def read_model(kind: type[ModelT], data: object) -> ModelT | None:
    """Read one model; return `None` if the data cannot contain one.

    Args:
        kind: the model's class.
        data: a JSON value, or the content that `xml.parse` returned.
    """
    problems: Problems = []
    found = _build_model_reader(kind)(data, "", problems)
    if found is not None and problems:
        vars(found)["problems"] = tuple(problems)
    return found if isinstance(found, kind) else None


def read_models(kind: type[ModelT], data: object) -> tuple[ModelT, ...]:
    """Read a list of models. Each has its own problems. Items without any of the model's names are dropped."""
    names = list_field_names(kind)
    likely = (item for item in _list_items(data, names) if is_object(item) and has_any_name(item, names))
    return tuple(found for item in likely if (found := read_model(kind, item)) is not None)


@lru_cache(maxsize=4096)
def normalize_name(name: str) -> str:
    """Reduce Plex's spellings of a name to one: `auth_token`, `Auth-Token` and `authToken` become `authtoken`."""
    return name.replace("-", "").replace("_", "").lower()


@cache
def list_field_names(kind: type[Model], fields: tuple[str, ...] | None = None) -> frozenset[str]:
    """List the normalized names of a model's fields, or of some of them, and their wire names (`Connection`)."""
    return frozenset(
        name
        for field in msgspec.structs.fields(kind)
        if fields is None or field.name in fields
        for name in (*_list_normalized_names(field), field.encode_name)
    )


def has_any_name(data: dict[str, object], names: frozenset[str]) -> bool:
    """Return whether one of the names is among the members, in any spelling.

    A capitalized name of a member with content is an XML element (`<Device …/>`), not another spelling.
    """
    return any(
        name in names
        or (normalize_name(name) in names and not (name[:1].isupper() and (is_object(member) or is_array(member))))
        for name, member in data.items()
    )


def _list_normalized_names(field: msgspec.structs.FieldInfo) -> tuple[str, ...]:
    normalized = normalize_name(field.encode_name)
    return TOKEN_NAMES if normalized == TOKEN_NAMES[0] else (normalized,)


@cache
def _build_model_reader(kind: type[Model]) -> FieldReader:
    plan = tuple(
        (field.name, field.encode_name, _list_normalized_names(field), build_reader(inspect.type_info(field.type)))
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
                key = next(found, key)  # noqa: PLW2901  # the spelling in this object
            if (raw := data.get(key)) is not None:
                values[name] = reader(raw, prefix + key, problems)
        return kind(**{name: value for name, value in values.items() if value is not None})

    return read


def _index_spellings(data: dict[str, object]) -> tuple[dict[str, str], dict[str, str]]:
    """Map normalized names to their spellings in an object: first the names with a value, then the empty ones."""
    non_empty = {normalize_name(name): name for name, member in data.items() if member not in (None, "")}
    return non_empty, {normalize_name(name): name for name, member in data.items() if member == ""}


def _report_problem(data: object, path: str, problems: Problems) -> object:
    """Record a value that cannot be read. An empty string is not a problem: it is how XML writes null."""
    if data not in (None, ""):
        problems.append(path)
    return None


def build_reader(info: inspect.Type) -> FieldReader:
    """Build the reader for a type.

    A reader gets a value, its path and the list of problems, to which it adds the path if it cannot read the value. It
    returns `None` then.
    """
    match info:
        case inspect.UnionType():
            return build_reader(next(member for member in info.types if not isinstance(member, inspect.NoneType)))
        case inspect.StructType():
            return _build_model_reader(info.cls)
        case inspect.VarTupleType():
            return _build_list_reader(info.item_type)
        case inspect.CustomType():
            convert: Callable[[object], object] = partial(read_secret, info.cls)
        case inspect.EnumType():
            convert = {member.value: member for member in info.cls}.get
        case inspect.IntType(lt=int()):  # models.base.EpochSeconds
            convert = _read_seconds
        case _:
            convert = _SCALARS[type(info)]

    def read(data: object, path: str, problems: Problems) -> object:
        found = convert(data)
        return _report_problem(data, path, problems) if found is None else found

    return read


def _build_list_reader(item_type: inspect.Type) -> FieldReader:
    reader = build_reader(item_type)
    is_model = isinstance(item_type, inspect.StructType)
    names = list_field_names(item_type.cls) if isinstance(item_type, inspect.StructType) else frozenset({"id"})

    def read(data: object, path: str, problems: Problems) -> object:
        if isinstance(data, bool | int | float):
            return _report_problem(data, path, problems)
        found = (
            # Observed: XML writes a list of strings as `<role id="plexpass"/>`.
            reader(item.get("id") if is_object(item) and not is_model else item, f"{path}[{index}]", problems)
            for index, item in enumerate(_list_items(data, names))
        )
        return tuple(item for item in found if item is not None)

    return read


def _list_items(data: object, names: frozenset[str]) -> list[object]:
    """List the items of a list, of an XML wrapper around one, of a lone item, or of comma-separated text.

    A number in a wrapper is an attribute of the wrapper itself (observed: `size="2"`, `all="0"`).
    """
    if is_array(data):
        return list(data)
    if is_object(data):
        if has_any_name(data, names):
            return [data]
        return [
            item
            for member in data.values()
            for item in (member if is_array(member) else [member])
            if not (isinstance(item, str) and _INTEGER.fullmatch(item))
        ]
    return [part.strip() for part in data.split(",") if part.strip()] if isinstance(data, str) else []


def _read_bool(data: object) -> bool | None:
    return _BOOLEANS.get(str(data).lower()) if isinstance(data, str | int) else None


def _read_int(data: object) -> int | None:
    if (
        (isinstance(data, int) and not isinstance(data, bool))
        or (isinstance(data, float) and data.is_integer())
        or (isinstance(data, str) and _INTEGER.fullmatch(data.strip()))
    ):
        return int(data)
    moment = _read_datetime(data) if isinstance(data, str) else None
    return int(moment.timestamp()) if moment else None  # observed: the same date may be epoch seconds or ISO text


def _read_seconds(data: object) -> int | None:
    """Read seconds since 1970, which may be written as milliseconds or as a date."""
    number = _read_int(data)
    return number if number is None or abs(number) < MILLISECONDS_THRESHOLD else number // 1000


def _read_str(data: object) -> str | None:
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode()  # a lone surrogate could not be printed
    return str(data) if isinstance(data, int | float) and not isinstance(data, bool) else None


def _read_datetime(data: object) -> datetime | None:
    try:
        if isinstance(data, str) and not _INTEGER.fullmatch(data.strip()):
            moment = datetime.fromisoformat(_UTC_DATETIME.sub(r"\1T\2Z", data.strip()))
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = _read_int(data)
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
