"""Our records under the SDKs' names and types.

Rule: a subclass only annotates; its annotations are its attributes. Reading a token or secret gives its text, as in
the SDK, for programs pass it on as text; `repr` shows none. What a record has no field for is an `AttributeError`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from ticketstub.records import Record
from ticketstub.token import Secret
from ticketstub.wire.plain import is_items


class Shape:
    """One record, seen as the object of an SDK."""

    __slots__ = ("_record",)

    inner: ClassVar[dict[str, type[Shape]]] = {}
    """The shapes of the attributes that hold records, or lists of them."""
    renamed: ClassVar[dict[str, str]] = {}
    """The names of our fields, where they are others."""
    _names: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        cls._names = cls._names | cls.__annotations__.keys()

    def __init__(self, record: Record) -> None:
        self._record = record

    if not TYPE_CHECKING:  # type checkers know the annotated attributes and no others

        def __getattr__(self, name: str) -> object:
            if name not in self._names:
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            value = getattr(self._record, self.renamed.get(name, name))
            return _shown(value, self.inner.get(name, Shape))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shape) and type(self) is type(other) and self._record == other._record

    def __hash__(self) -> int:
        return hash((type(self), self._record))


def _shown(value: object, inner: type[Shape]) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Record):
        return inner(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return [_shown(item, inner) for item in value] if is_items(value) else value
