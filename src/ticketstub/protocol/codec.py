"""Converts bodies to plain data, and models and plain data to bodies, in JSON and XML.

Rule: the body decides its format, not the Content-Type (observed: the header can be wrong for both). A body that cannot
be read raises `DecodeError`, whose message repeats nothing of the body.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from datetime import datetime
from enum import Enum

import msgspec

from ticketstub.messages import MAX_BODY_SIZE, is_array, is_object
from ticketstub.models import Model
from ticketstub.tokens import Secret

_MAX_CONTAINERS = 200_000  # each costs 64 bytes: without this limit, a body of 2 MB could take 50 MB


class Format(Enum):
    """The format of a body. Plex's default is XML (documented)."""

    JSON = "json"
    XML = "xml"

    @property
    def media_type(self) -> str:
        """The Content-Type that plex.tv sends."""
        return f"application/{self.value}; charset=utf-8"


class DecodeError(ValueError):
    """The body is not one that Plex sends."""


def parse(body: bytes) -> object:
    """Parse a body into plain data: dicts, lists, strings, numbers.

    Returns:
        The JSON value, or the content of the XML's root element.

    Raises:
        DecodeError: the body is empty, a web page, cut off, nested too deeply, or neither JSON nor XML; or it has too
            many parts.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise DecodeError("the body is empty")
    if text[:1] == b"<":
        if text[:9].lower() == b"<!doctype" or text[:5].lower() == b"<html":
            raise DecodeError("the body is a web page")
        from ticketstub.protocol import xml

        try:
            return xml.parse(text)[1]
        except xml.XmlError as error:
            raise DecodeError(str(error)) from None
    if text.count(b"[") + text.count(b"{") > _MAX_CONTAINERS:
        raise DecodeError("the JSON has too many parts")
    # The errors of both readers hold the whole body, so nothing is raised while one of them is handled.
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise DecodeError("the JSON is nested too deeply") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        import json  # rarely needed: for NaN, numbers out of range, and stray bytes in a string
    with suppress(ValueError, RecursionError):
        return json.loads(text.decode("utf-8", "replace"), strict=False)
    raise DecodeError("the body is neither JSON nor XML, or it was cut off")


def decompress(body: bytes, coding: str) -> bytes:
    """Decompress a gzip or deflate body within the size limit.

    Raises: DecodeError: the coding is neither gzip nor deflate, the data is broken, or it has more than `MAX_BODY_SIZE`
    bytes.
    """
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise DecodeError("the body has a coding that was not requested")
    inflater = zlib.decompressobj(47)  # window bits of zlib: detect the header, gzip or zlib
    try:
        data = inflater.decompress(body, MAX_BODY_SIZE + 1)
    except zlib.error:
        raise DecodeError("the compressed body is broken") from None
    if len(data) > MAX_BODY_SIZE or not inflater.eof:
        raise DecodeError("the compressed body is too large or was cut off")
    return data


def to_builtins(value: Model, *, include_nulls: bool = True) -> dict[str, object]:
    """Convert a model to plain data with wire names and revealed secrets.

    Args:
        value: the model.
        include_nulls: whether `None` is kept, as plex.tv does except for the names in `omit_if_empty`, or omitted, as
            media servers do.
    """
    members: dict[str, object] = msgspec.to_builtins(value, builtin_types=(datetime,), enc_hook=Secret.reveal)
    if not include_nulls:
        return {name: _remove_nulls(member) for name, member in members.items() if member is not None}
    for name in value.omit_if_empty:
        if members[name] in (None, ()):
            del members[name]
    return members


def _remove_nulls(data: object) -> object:
    if is_object(data):
        return {name: _remove_nulls(member) for name, member in data.items() if member is not None}
    return [_remove_nulls(item) for item in data] if is_array(data) else data


def write_document(root: str, content: object, form: Format, *, wrap_json: bool = False) -> bytes:
    """Write plain data: in XML as an element named `root`, in JSON bare or as a member of that name (`wrap_json`)."""
    if form is Format.JSON:
        return msgspec.json.encode({root: content} if wrap_json else content)
    from ticketstub.protocol import xml

    return xml.write(root, content)
