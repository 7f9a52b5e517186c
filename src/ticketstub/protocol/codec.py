"""Records to bytes and back, in JSON and in XML.

Rule: the body decides what it is, not its Content-Type (observed: both lie). A well-formed JSON record takes one pass
of msgspec; everything else goes through plain data and the tolerant reader. What cannot be read raises `Unreadable`,
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

from ticketstub.messages import MAX_BODY
from ticketstub.models import Record
from ticketstub.protocol.plain import is_items, is_members
from ticketstub.tokens import Secret, Token, sendable

R = TypeVar("R", bound=Record)

_MOST_PARTS = 200_000
_GZIP_OR_ZLIB = 47  # zlib's window bits: either header, told apart by itself


class Format(Enum):
    """How a body is written. Plex's default is XML (documented)."""

    JSON = "json"
    XML = "xml"

    @property
    def media_type(self) -> str:
        """What plex.tv sends as Content-Type."""
        return f"application/{self.value}; charset=utf-8"


class Unreadable(ValueError):
    """The body is nothing that Plex would send."""


def received(kind: type[Secret], raw: object) -> Secret | None:
    """Take a secret or token as it came; `None` where it is none."""
    text = raw.strip() if isinstance(raw, str) and kind is Token else raw
    if not isinstance(text, str) or not text or (kind is Token and not sendable(text)):
        return None
    return Token.received(text) if kind is Token else Secret(text)


def _received(kind: type[Secret], raw: object) -> Secret:
    found = received(kind, raw)
    if found is None:
        raise msgspec.ValidationError("a secret is text")
    return found


@cache
def _decoder(kind: type[R]) -> msgspec.json.Decoder[R]:
    return msgspec.json.Decoder(kind, dec_hook=_received)


def decode(kind: type[R], body: bytes) -> R | None:
    """Read one well-formed JSON record fast; `None` where it needs the tolerant reader."""
    try:
        found: R = _decoder(kind).decode(body)
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
        raise Unreadable("the body is empty")
    if text[:1] == b"<":
        return _parse_xml(text)
    if text.count(b"[") + text.count(b"{") > _MOST_PARTS:  # each costs 64 bytes: two of a body become 50 of memory
        raise Unreadable("the JSON has too many parts")
    # Errors of both readers hold the whole body: nothing is raised while one is handled.
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise Unreadable("the JSON is nested too deeply") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        import json  # an answer that needs it is rare: NaN, numbers out of range, stray bytes in a text
    with suppress(ValueError, RecursionError):
        return json.loads(text.decode("utf-8", "replace"), strict=False)
    raise Unreadable("the body is neither JSON nor XML, or it was cut off")


def _parse_xml(text: bytes) -> object:
    if text[:9].lower() == b"<!doctype" or text[:5].lower() == b"<html":
        raise Unreadable("the body is a web page")
    from ticketstub.protocol import xml

    try:
        return xml.parse(text)[1]
    except xml.XmlError as error:
        raise Unreadable(str(error)) from None


def unpacked(body: bytes, coding: str) -> bytes:
    """Undo a body's gzip or deflate coding, within the size that is allowed.

    Raises:
        Unreadable: another coding, broken data, or more than `MAX_BODY` bytes.
    """
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise Unreadable("the body has a coding that was not asked for")
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        data = inflater.decompress(body, MAX_BODY + 1)
    except zlib.error:
        raise Unreadable("the compressed body is broken") from None
    if len(data) > MAX_BODY or not inflater.eof:
        raise Unreadable("the compressed body is too large or was cut off")
    return data


def plain(value: Record, *, nulls: bool = True) -> dict[str, object]:
    """Turn a record into plain data under the wire's names, secrets in clear.

    Args:
        value: the record.
        nulls: whether `None` is written (plex.tv does, but for the names in `left_out`) or left out (media servers).
    """
    members: dict[str, object] = msgspec.to_builtins(value, builtin_types=(datetime,), enc_hook=Secret.reveal)
    if not nulls:
        return _without_nulls(members)
    for name in value.left_out:
        if members[name] in (None, ()):
            del members[name]
    return members


def _without_nulls(members: dict[str, object]) -> dict[str, object]:
    return {name: _deeper(member) for name, member in members.items() if member is not None}


def _deeper(member: object) -> object:
    if is_members(member):
        return _without_nulls(member)
    return [_deeper(item) for item in member] if is_items(member) else member


def to_json(data: object) -> bytes:
    """Write plain data as JSON."""
    return msgspec.json.encode(data)


def document(root: str, content: object, form: Format, *, wrapped: bool = False) -> bytes:
    """Write plain data: in XML as an element of this name; in JSON bare, or `wrapped` as the member of this name."""
    if form is Format.JSON:
        return to_json({root: content} if wrapped else content)
    from ticketstub.protocol import xml

    return xml.write(root, content)
