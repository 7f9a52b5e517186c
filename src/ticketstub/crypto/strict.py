"""The strict pre-check: base64url, JSON and the two heads of a JWT, read before joserfc sees any of it.

Rule: one spelling a value. What has padding, another alphabet, stray bits, a member twice, a number that is none, half
a surrogate pair or too much nesting is `None` here; nothing raises, so that no error carries a part of a secret text.
joserfc takes members twice, NaN, any depth, any `typ`, and headers that bring a key along (measured, 1.8).
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import NoReturn, TypeGuard

MAX_JWT_LENGTH = 8192
"""The longest JWT that is read, in characters (ours; Plex's have about 540)."""

_MAX_DEPTH = 32
# Whatever brings or fetches a key, changes what is signed, or belongs to encryption.
_FORBIDDEN_HEADERS = frozenset(
    {"jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64", "zip", "enc", "epk", "cty"}
)


def encode_base64url(data: bytes) -> str:
    """Write bytes as base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes | None:
    """Read base64url without padding, or return `None` where this is not its only spelling."""
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:  # binascii.Error is one, and so is text beyond ASCII
        return None
    # The decoder passes over foreign characters and stray bits: writing it again shows them.
    return data if encode_base64url(data) == text else None


def parse_json_object(data: bytes) -> dict[str, object] | None:
    """Read a JSON object, or return `None` where it is none, or not a plain one."""
    try:
        text = data.decode()
        found: object = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # fails where an escape is half a surrogate pair
    except (ValueError, RecursionError):
        return None
    return found if is_object(found) and _is_shallow(found, _MAX_DEPTH - 1) else None


def is_object(data: object) -> TypeGuard[dict[str, object]]:
    """Tell whether this is a JSON object."""
    return isinstance(data, dict)


def is_array(data: object) -> TypeGuard[list[object]]:
    """Tell whether this is a JSON array."""
    return isinstance(data, list)


def _is_shallow(data: object, levels: int) -> bool:
    """Tell whether no more than so many lists and objects are within each other below this one."""
    inner = data.values() if is_object(data) else data if is_array(data) else ()
    return all(levels > 0 and _is_shallow(each, levels - 1) for each in inner if is_object(each) or is_array(each))


def _reject_duplicates(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member appears twice")
    return found


def _reject_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_reject_duplicates, parse_constant=_reject_constant)


def read_parts(text: str) -> tuple[dict[str, object], dict[str, object]] | None:
    """Read the header and the claims of a JWT, or return `None` where it is none: three parts, none of them empty."""
    parts = text.split(".", 3) if len(text) <= MAX_JWT_LENGTH else []
    data = [decode_base64url(part) or b"" for part in parts]
    if len(data) != 3 or not data[2]:
        return None
    header, claims = parse_json_object(data[0]), parse_json_object(data[1])
    return None if header is None or claims is None else (header, claims)


def is_header_allowed(header: Mapping[str, object], *, typ_optional: bool) -> bool:
    """Tell whether a header holds nothing that is not taken, and `typ` is `JWT`, or missing where that may be."""
    return _FORBIDDEN_HEADERS.isdisjoint(header) and header.get("typ", "JWT" if typ_optional else None) == "JWT"
