"""What JSON and XML are between bytes and records: dicts, lists and scalars, and how to tell them apart by type.

Rule: two guards, so that the readers and writers are checked by type without a cast.
"""

from __future__ import annotations

from typing import TypeGuard


def is_object(data: object) -> TypeGuard[dict[str, object]]:
    """Tell whether this is a JSON object, or an XML element with attributes or children."""
    return isinstance(data, dict)


def is_array(data: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    """Tell whether this is a JSON array, or a repeated XML element."""
    return isinstance(data, list | tuple)
