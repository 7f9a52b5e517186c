"""Records to bytes and back, in JSON and in XML.

Rule: the body decides what it is, not its Content-Type (observed: both lie). A well-formed JSON record takes one pass
of msgspec; everything else goes through plain data and the tolerant reader. What cannot be read raises `DecodeError`,
whose text repeats nothing of the body.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from datetime import datetime
from enum import Enum
from functools import cache
from typing import TypeVar

import msgspec

from ticketstub.messages import MAX_BODY_SIZE
from ticketstub.models import Model
from ticketstub.protocol.plain import is_array, is_object
from ticketstub.tokens import Secret, Token, is_header_safe

R = TypeVar("R", bound=Model)

_MAX_CONTAINERS = 200_000
_ZLIB_WINDOW_BITS = 47  # zlib's window bits: either header, told apart by itself


class Format(Enum):
    """How a body is written. Plex's default is XML (documented)."""

    JSON = "json"
    XML = "xml"

    @property
    def media_type(self) -> str:
        """What plex.tv sends as Content-Type."""
        return f"application/{self.value}; charset=utf-8"


class DecodeError(ValueError):
    """The body is nothing that Plex would send."""


def read_secret(kind: type[Secret], raw: object) -> Secret | None:
    """Take a secret or token as it came; `None` where it is none."""
    text = raw.strip() if isinstance(raw, str) and kind is Token else raw
    if not isinstance(text, str) or not text or (kind is Token and not is_header_safe(text)):
        return None
    return Token.from_wire(text) if kind is Token else Secret(text)


def _decode_secret(kind: type[Secret], raw: object) -> Secret:
    found = read_secret(kind, raw)
    if found is None:
        raise msgspec.ValidationError("a secret is text")
    return found


@cache
def _get_decoder(kind: type[R]) -> msgspec.json.Decoder[R]:
    return msgspec.json.Decoder(kind, dec_hook=_decode_secret)


def decode_json(kind: type[R], body: bytes) -> R | None:
    """Read one well-formed JSON record fast; `None` where it needs the tolerant reader."""
    try:
        found: R = _get_decoder(kind).decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found


def parse(body: bytes) -> object:
    """Read a body into plain data: dicts, lists, text, numbers.

    Returns:
        The JSON value, or the content of the XML's root element.

    Raises:
        Unreadable: empty, a web page, cut off, nested too deeply, of too many parts, or neither JSON nor XML.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise DecodeError("the body is empty")
    if text[:1] == b"<":
        return _parse_xml(text)
    if text.count(b"[") + text.count(b"{") > _MAX_CONTAINERS:  # each costs 64 bytes: two of a body become 50 of memory
        raise DecodeError("the JSON has too many parts")
    # Errors of both readers hold the whole body: nothing is raised while one is handled.
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise DecodeError("the JSON is nested too deeply") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        import json  # an answer that needs it is rare: NaN, numbers out of range, stray bytes in a text
    with suppress(ValueError, RecursionError):
        return json.loads(text.decode("utf-8", "replace"), strict=False)
    raise DecodeError("the body is neither JSON nor XML, or it was cut off")


def _parse_xml(text: bytes) -> object:
    if text[:9].lower() == b"<!doctype" or text[:5].lower() == b"<html":
        raise DecodeError("the body is a web page")
    from ticketstub.protocol import xml

    try:
        return xml.parse(text)[1]
    except xml.XmlError as error:
        raise DecodeError(str(error)) from None


def decompress(body: bytes, coding: str) -> bytes:
    """Undo a body's gzip or deflate coding, within the size that is allowed.

    Raises:
        Unreadable: another coding, broken data, or more than `MAX_BODY_SIZE` bytes.
    """
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise DecodeError("the body has a coding that was not asked for")
    inflater = zlib.decompressobj(_ZLIB_WINDOW_BITS)
    try:
        data = inflater.decompress(body, MAX_BODY_SIZE + 1)
    except zlib.error:
        raise DecodeError("the compressed body is broken") from None
    if len(data) > MAX_BODY_SIZE or not inflater.eof:
        raise DecodeError("the compressed body is too large or was cut off")
    return data


def to_builtins(value: Model, *, include_nulls: bool = True) -> dict[str, object]:
    """Turn a record into plain data under the wire's names, secrets in clear.

    Args:
        value: the record.
        include_nulls: whether `None` is written (plex.tv does, but for the names in `omit_if_empty`) or left out
            (media servers).
    """
    members: dict[str, object] = msgspec.to_builtins(value, builtin_types=(datetime,), enc_hook=Secret.reveal)
    if not include_nulls:
        return _remove_nulls(members)
    for name in value.omit_if_empty:
        if members[name] in (None, ()):
            del members[name]
    return members


def _remove_nulls(members: dict[str, object]) -> dict[str, object]:
    return {name: _remove_nested_nulls(member) for name, member in members.items() if member is not None}


def _remove_nested_nulls(member: object) -> object:
    if is_object(member):
        return _remove_nulls(member)
    return [_remove_nested_nulls(item) for item in member] if is_array(member) else member


def to_json(data: object) -> bytes:
    """Write plain data as JSON."""
    return msgspec.json.encode(data)


def write_document(root: str, content: object, form: Format, *, wrap_json: bool = False) -> bytes:
    """Write plain data: in XML as an element of this name; in JSON bare, or `wrap_json` as the member of this name."""
    if form is Format.JSON:
        return to_json({root: content} if wrap_json else content)
    from ticketstub.protocol import xml

    return xml.write(root, content)
