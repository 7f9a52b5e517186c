"""How a world is read: by tables of keys, with every fault found in one go.

Rule: a reader takes what stands at a path and returns what the world keeps there, or notes faults and returns `None`.
Nothing is guessed and nothing is ignored. What is unique and what refers to something is noted while reading and
decided at the end, so that one wrong key does not make others look wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches

import msgspec

from ticketstub.errors import printable
from ticketstub.server.store.base import canonical_login
from ticketstub.server.world_values import Unfit


class Reading:
    """One reading of a world: its faults, and what was seen where."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._seen: dict[tuple[str, object], str] = {}
        self._references: list[tuple[str, str]] = []

    def fault(self, path: str, reason: str) -> None:
        """Note a fault at a path."""
        self.faults.append(f"{path}: {reason}" if path else reason)

    def unique(self, group: str, value: object, path: str) -> None:
        """Note a value of which there may be one in its group; a table may repeat itself (user name and e-mail)."""
        first = self._seen.setdefault((group, value), path)
        if first != path and _table(first) != _table(path):
            self.fault(path, f"is the same as {first}")

    def refers(self, path: str, login: str) -> None:
        """Note that an account is named here."""
        self._references.append((path, login))

    def finish(self, usernames: Iterable[str]) -> None:
        """Decide about what refers to accounts, by all the names there are."""
        names = list(usernames)
        known = {canonical_login(name) for name in names}
        for path, login in self._references:
            if canonical_login(login) not in known:
                self.fault(path, f'there is no account "{printable(login)}"' + suggestion(login, names))


Reader = Callable[[object, str, Reading], object]


class Key(msgspec.Struct, frozen=True):
    """What may stand under one key of a table.

    `unique` names the group in which the value may occur once (`@list` after it: once in that list), `refers` says that
    it is an account's user name, `into` is the field's name where it is not the key's.
    """

    read: Reader
    required: bool = False
    unique: str | None = None
    refers: bool = False
    into: str | None = None


def value(check: Callable[[object], object]) -> Reader:
    """Read a single value by its check."""

    def read(raw: object, path: str, reading: Reading) -> object:
        try:
            return check(raw)
        except Unfit as fault:
            reading.fault(path, str(fault))
            return None

    return read


def each(reader: Reader) -> Reader:
    """Read a list of what `reader` reads."""

    def read(raw: object, path: str, reading: Reading) -> object:
        if not isinstance(raw, (list, tuple)):
            reading.fault(path, "must be a list")
            return None
        entries: list[object] = list(raw)  # pyright: ignore[reportUnknownArgumentType]  # the reader looks at each
        return tuple(reader(entry, f"{path}[{index}]", reading) for index, entry in enumerate(entries))

    return read


def table(
    make: Callable[..., object],
    keys: Mapping[str, Key],
    rule: Callable[[dict[str, object]], Iterable[tuple[str, str]]] = lambda _values: (),
) -> Reader:
    """Read a table of `keys` and make something of it; `rule` yields (key, reason) for what does not go together."""

    def read(raw: object, path: str, reading: Reading) -> object:
        if not isinstance(raw, Mapping):
            reading.fault(path, "must be a table")
            return None
        given: dict[str, object] = {str(name): entry for name, entry in raw.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # anything may be in it
        before = len(reading.faults)
        for name in sorted(given.keys() - keys.keys()):
            reading.fault(_join(path, printable(name)), "is no key of a world here" + suggestion(name, keys))
        values = {
            name: found
            for name, key in keys.items()
            if (found := _at(given, name, key, _join(path, name), reading)) is not None
        }
        for name, reason in rule(values):
            reading.fault(_join(path, name), reason)
        if len(reading.faults) > before:
            return None
        return make(**{keys[name].into or name: found for name, found in values.items()})

    return read


def _at(given: Mapping[str, object], name: str, key: Key, path: str, reading: Reading) -> object:
    """Read what stands under one key, and note what it is unique among and whom it names."""
    if name not in given:
        if key.required:
            reading.fault(path, "is missing")
        return None
    found = key.read(given[name], path, reading)
    if found is None:
        return None
    if key.refers:
        reading.refers(path, str(found))
    if key.unique:
        group, _, among = key.unique.partition("@")
        form = canonical_login(str(found)) if group == "login" else found
        reading.unique(f"{group}@{_table(path).rpartition('[')[0]}" if among else group, form, path)
    return found


def _table(path: str) -> str:
    return path.rpartition(".")[0]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return the words that name what was probably meant; nothing where nothing is close."""
    close = get_close_matches(name, list(names), 1)
    return f' (did you mean "{printable(close[0])}"?)' if close else ""
