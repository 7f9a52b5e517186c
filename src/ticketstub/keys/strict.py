"""Base64url and JSON as JSON Web Tokens use them, read strictly.

Rule: one spelling a value. What has padding, another alphabet, stray bits, a member twice, a number that is none, half
a surrogate pair or too much nesting is `None` here; nothing raises, so that no error carries a part of a secret text.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import NoReturn, TypeGuard

_DEEPEST = 32
# A text that is not closed goes to the end, so that no quotation mark is looked at twice.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def to_base64url(data: bytes) -> str:
    """Write bytes as base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes | None:
    """Read base64url without padding, or return `None` where this is not its only spelling."""
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:  # binascii.Error is one, and so is text beyond ASCII
        return None
    # The decoder passes over foreign characters and stray bits: writing it again shows them.
    return data if to_base64url(data) == text else None


def to_json(members: Mapping[str, object]) -> bytes:
    """Write a JSON object with its members in their order."""
    import msgspec

    return msgspec.json.encode(dict(members))


def from_json(data: bytes) -> dict[str, object] | None:
    """Read a JSON object, or return `None` where it is none, or not a plain one."""
    try:
        text = data.decode()
        if _too_deep(text):
            return None
        found: object = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # fails where an escape is half a surrogate pair
    except ValueError:
        return None
    return found if is_object(found) else None


def is_object(data: object) -> TypeGuard[dict[str, object]]:
    """Tell whether this is a JSON object."""
    return isinstance(data, dict)


def is_list(data: object) -> TypeGuard[list[object]]:
    """Tell whether this is a JSON array."""
    return isinstance(data, list)


def _too_deep(text: str) -> bool:
    """Tell whether more than 32 lists and objects are within each other; a reader's own limit varies with Python's."""
    if text.count("[") + text.count("{") <= _DEEPEST:
        return False
    depth = deepest = 0
    for mark in _BRACKETS.findall(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark, 0)
        deepest = max(deepest, depth)
    return deepest > _DEEPEST


def _once(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member appears twice")
    return found


def _no_number(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)
