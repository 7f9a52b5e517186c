"""How a world is read: by the fields of its structs, with every fault found in one go.

Rule: what stands at a path becomes what the world keeps there, or faults are noted and it becomes `None`. Nothing is
guessed and nothing is ignored. What is unique and what refers to something is noted while reading and decided at the
end, so that one wrong key does not make others look wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

import msgspec

from ticketstub.errors import printable
from ticketstub.local_plex.storage.base import canonical_login
from ticketstub.local_plex.world import values
from ticketstub.local_plex.world.values import Unfit

P = TypeVar("P", bound="Part")
T = TypeVar("T")


class Key(msgspec.Struct, frozen=True):
    """What a field of a table takes beside its type.

    `check` is one line of text by default. `unique` names the group in which the value may occur once (`@list` after
    it: once in that list), `twice` is what is said of the second one. `names`: it is an account's user name; `refers`:
    it is that of an account of the world.
    """

    check: Callable[[object], object] = values.text
    unique: str | None = None
    twice: str = "is the same as"
    names: bool = False
    refers: bool = False


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A table of a world. Its fields are its keys; those without a default are required."""

    short: ClassVar[str | None] = None
    """The key that is meant where a text stands in place of the table."""
    beside: ClassVar[dict[tuple[str, str], str]] = {}
    """What does not go together: a key, the other one, and the end of the reason."""
    gone: ClassVar[dict[str, str]] = {}
    """Keys of earlier versions, and the one value that each has now."""
    without: ClassVar[dict[tuple[str, str], str]] = {}
    """What does not stand alone: a key, the one that it needs, and the end of the reason."""

    @classmethod
    def faults(cls, _values: dict[str, Any]) -> Iterable[tuple[str, str]]:
        """Yield what else does not go together: a key and the reason."""
        return ()


class Reading:
    """One reading of a world: its faults, and what was seen where."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._seen: dict[tuple[str, object], str] = {}
        self._names: list[str] = []
        self._references: list[tuple[str, str]] = []

    def read(self, kind: type[T], raw: object, path: str = "") -> T | None:
        """Read what stands at a path as its type says; `None` where it is faulty."""
        try:
            found: T = self._converted(kind, raw, path)
        except Unfit as fault:
            self.fault(path, str(fault))
            return None
        return found

    def fault(self, path: str, reason: str) -> None:
        """Note a fault at a path."""
        self.faults.append(f"{path}: {reason}" if path else reason)

    def finish(self) -> None:
        """Decide about what refers to accounts, by all the names there are."""
        known = {canonical_login(name) for name in self._names}
        for path, login in self._references:
            if canonical_login(login) not in known:
                self.fault(path, f'there is no account "{printable(login)}"' + suggestion(login, self._names))

    def _converted(self, kind: Any, raw: object, path: str) -> Any:  # noqa: ANN401  # a type, and a value of it
        if NoneType in get_args(kind):  # it may be left out
            kind = get_args(kind)[0]
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is tuple:
            if not isinstance(raw, (list, tuple)):
                raise Unfit("must be a list")
            entries: list[object] = list(raw)  # pyright: ignore[reportUnknownArgumentType]  # each is looked at
            return tuple(self.read(arguments[0], each, f"{path}[{index}]") for index, each in enumerate(entries))
        if origin is Literal:
            return values.one_of(arguments, raw)
        if origin is Annotated:
            return self._value(arguments[1], raw, path)
        if issubclass(kind, Part):
            return self._table(kind, raw, path)
        return _PLAIN[kind](raw)

    def _table(self, kind: type[P], raw: object, path: str) -> P | None:
        if kind.short and isinstance(raw, str):
            raw = {kind.short: raw}
        if not isinstance(raw, Mapping):
            raise Unfit("must be a table")
        given: dict[str, object] = {str(name): entry for name, entry in raw.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # anything may be in it
        fields, before, values = keys_of(kind), len(self.faults), dict[str, Any]()
        for name in sorted(given.keys() - fields.keys()):
            gone = f"is no choice any more: it is always {kind.gone[name]}" if name in kind.gone else ""
            self.fault(_join(path, printable(name)), gone or "is no key of a world here" + suggestion(name, fields))
        for name, field in fields.items():
            if name in given:
                values[name] = self.read(field.type, given[name], _join(path, name))
            elif field.required:
                self.fault(_join(path, name), "is missing")
        values = {name: found for name, found in values.items() if found is not None}
        for name, reason in _faults(kind, values):
            self.fault(_join(path, name), reason)
        if len(self.faults) > before:
            return None
        return kind(**{fields[name].name: found for name, found in values.items()})

    def _value(self, key: Key, raw: object, path: str) -> object:
        """Read a single value, and note what it is unique among and whom it names."""
        found = key.check(raw)
        if key.names:
            self._names.append(str(found))
        if key.refers:
            self._references.append((path, str(found)))
        if key.unique:
            group, _, among = key.unique.partition("@")
            form = canonical_login(str(found)) if group.startswith("login") else found
            place = f"{group}@{_parent(path).rpartition('[')[0]}" if among else group
            first = self._seen.setdefault((place, form), path)
            if first != path and _parent(first) != _parent(path):  # a user name may be an e-mail address, too
                self.fault(path, f"{key.twice} {first}")
        return found


_PLAIN: dict[type, Callable[[object], object]] = {str: values.text, bool: values.flag}


@cache
def keys_of(kind: type[Part]) -> dict[str, msgspec.structs.FieldInfo]:
    """Return the keys of a table."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _faults(kind: type[Part], values: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for (key, other), reason in kind.beside.items():
        if values.get(key) and values.get(other):
            yield key, f"stands beside {other}{reason}"
    for (key, other), reason in kind.without.items():
        if key in values and other not in values:
            yield key, f"stands without {other}{reason}"
    yield from kind.faults(values)


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return the words that name what was probably meant; nothing where nothing is close."""
    close = get_close_matches(name, list(names), 1)
    return f' (did you mean "{printable(close[0])}"?)' if close else ""
