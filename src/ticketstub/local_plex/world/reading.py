"""Reads a world by the fields of its structs, and reports all faults together.

Rule: each value is converted as its field says, or its faults are recorded and it becomes `None`. Nothing is guessed or
ignored. References are checked at the end, so that one wrong key does not make others look wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast, get_args, get_origin

import msgspec

from ticketstub.errors import sanitize_text
from ticketstub.local_plex.world import values
from ticketstub.local_plex.world.values import InvalidValue, T, normalize_login

P = TypeVar("P", bound="WorldTable")


class FieldRule(msgspec.Struct, frozen=True):
    """What a field of a table accepts, beyond its type.

    Attributes:
        check: converts the value; by default, one line of text.
        unique: the group in which a value may occur once; with the suffix `@list`, once in each list.
        duplicate_reason: the reason for a second occurrence, followed by the path of the first.
        is_username: whether the value is an account's user name.
        is_reference: whether the value is the user name of an account of the world.
    """

    check: Callable[[object], object] = values.parse_text
    unique: str | None = None
    duplicate_reason: str = "is the same as"
    is_username: bool = False
    is_reference: bool = False


class WorldTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table of a world. Its fields are its keys; keys without a default are required."""

    shorthand_key: ClassVar[str | None] = None
    """The key to set if a string is given instead of a table."""
    conflicts: ClassVar[dict[tuple[str, str], str]] = {}
    """Pairs of keys that exclude each other, with the end of the reason."""
    removed_keys: ClassVar[dict[str, str]] = {}
    """Keys that earlier versions had, with the fixed value of each."""
    requirements: ClassVar[dict[tuple[str, str], str]] = {}
    """Pairs of a key and the key that it requires, with the end of the reason."""

    @classmethod
    def find_faults(cls, _values: dict[str, Any]) -> Iterable[tuple[str, str]]:
        """Yield further faults: a key and the reason."""
        return ()


class WorldReader(msgspec.Struct):
    """Reads one world and collects its faults."""

    faults: list[str] = []
    _first_paths: dict[tuple[str, object], str] = {}
    _usernames: list[str] = []
    _references: list[tuple[str, str]] = []

    def read(self, kind: type[T], raw: object, path: str = "") -> T | None:
        """Convert the value at a path to its type; return `None` if it is faulty."""
        try:
            return cast("T", self._convert(kind, raw, path))
        except InvalidValue as fault:
            self.add_fault(path, str(fault))
            return None

    def add_fault(self, path: str, reason: str) -> None:
        """Record a fault at a path."""
        self.faults.append(f"{path}: {reason}" if path else reason)

    def check_references(self) -> None:
        """Record a fault for each reference to an unknown account."""
        known = {normalize_login(name) for name in self._usernames}
        for path, login in self._references:
            if normalize_login(login) not in known:
                self.add_fault(
                    path, f'there is no account "{sanitize_text(login)}"' + format_suggestion(login, self._usernames)
                )

    def _convert(self, kind: Any, raw: object, path: str) -> Any:  # noqa: ANN401  # a type, and a value of it
        if NoneType in get_args(kind):  # an optional field
            kind = get_args(kind)[0]
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is tuple:
            if not isinstance(raw, (list, tuple)):
                raise InvalidValue("must be a list")
            entries: list[object] = list(raw)  # pyright: ignore[reportUnknownArgumentType]  # each entry is checked
            return tuple(self.read(arguments[0], each, f"{path}[{index}]") for index, each in enumerate(entries))
        if origin is Literal:
            return values.parse_choice(arguments, raw)
        if origin is Annotated:
            return self._read_value(arguments[1], raw, path)
        if issubclass(kind, WorldTable):
            return self._read_table(kind, raw, path)
        return values.parse_bool(raw) if kind is bool else values.parse_text(raw)

    def _read_table(self, kind: type[P], raw: object, path: str) -> P | None:
        if kind.shorthand_key and isinstance(raw, str):
            raw = {kind.shorthand_key: raw}
        if not isinstance(raw, Mapping):
            raise InvalidValue("must be a table")
        entries: dict[str, object] = {str(name): entry for name, entry in raw.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # each entry is checked
        fields, fault_count, values = get_fields(kind), len(self.faults), dict[str, Any]()
        for name in sorted(entries.keys() - fields.keys()):
            removed = kind.removed_keys.get(name)
            reason = "is not a known key" + format_suggestion(name, fields)
            self.add_fault(
                _join_path(path, sanitize_text(name)),
                f"can no longer be chosen: it is always {removed}" if removed else reason,
            )
        for name, field in fields.items():
            if name in entries:
                values[name] = self.read(field.type, entries[name], _join_path(path, name))
            elif field.required:
                self.add_fault(_join_path(path, name), "is missing")
        values = {name: found for name, found in values.items() if found is not None}
        for name, reason in _find_faults(kind, values):
            self.add_fault(_join_path(path, name), reason)
        if len(self.faults) > fault_count:
            return None
        return kind(**{fields[name].name: found for name, found in values.items()})

    def _read_value(self, rule: FieldRule, raw: object, path: str) -> object:
        """Check a single value, and record its name, its reference and where it occurs."""
        value = rule.check(raw)
        if rule.is_username:
            self._usernames.append(str(value))
        if rule.is_reference:
            self._references.append((path, str(value)))
        if rule.unique:
            group, _, is_per_list = rule.unique.partition("@")
            normalized = normalize_login(str(value)) if group.startswith("login") else value
            scope = f"{group}@{_get_parent_path(path).rpartition('[')[0]}" if is_per_list else group
            first = self._first_paths.setdefault((scope, normalized), path)
            # An account's user name and e-mail address may be the same.
            if first != path and _get_parent_path(first) != _get_parent_path(path):
                self.add_fault(path, f"{rule.duplicate_reason} {first}")
        return value


@cache
def get_fields(kind: type[WorldTable]) -> dict[str, msgspec.structs.FieldInfo]:
    """Return the keys of a table and their fields."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _find_faults(kind: type[WorldTable], values: dict[str, Any]) -> Iterable[tuple[str, str]]:
    return (
        *(
            (key, f"conflicts with {other}{reason}")
            for (key, other), reason in kind.conflicts.items()
            if values.get(key) and values.get(other)
        ),
        *(
            (key, f"requires {other}{reason}")
            for (key, other), reason in kind.requirements.items()
            if key in values and other not in values
        ),
        *kind.find_faults(values),
    )


def _get_parent_path(path: str) -> str:
    return path.rpartition(".")[0]


def _join_path(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def format_suggestion(name: str, names: Iterable[str]) -> str:
    """Return a suggestion of the closest name, or an empty string."""
    close = get_close_matches(name, list(names), 1)
    return f' (did you mean "{sanitize_text(close[0])}"?)' if close else ""
