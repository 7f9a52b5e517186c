"""Reads and writes Plex's XML, to and from the same plain dicts, lists and texts as its JSON.

Rule: this module knows the dialect, not the models. Scalars are attributes; booleans are written as 0 or 1, null as "".
A list with a lower-case name has a wrapper (`<roles><role id="plexpass"/></roles>`). A list with a capitalized name, as
in a media server's own replies, has none (`<Connection/><Connection/>`). A DTD is refused, whatever it contains, as are
more than 64 levels or 100,000 elements. Source: observed bodies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from xml.parsers import expat

from ticketstub.messages import is_array, is_object

_PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n'

_MAX_DEPTH = 64
_NESTED_TYPES = (dict, list, tuple)
_MAX_ELEMENTS = 100_000
# What attributes and texts cannot contain unescaped. XML 1.0 cannot express the second set at all, so it is dropped.
_SPECIAL_CHARACTERS = re.compile('[&<>"\t\n\r]|[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
# Observed: XML, unlike JSON, writes these as "2023-03-24 00:00:00 UTC".
_UTC_DATETIME_NAMES = frozenset({"subscribedAt"})


class XmlError(ValueError):
    """The text is not XML that Plex sends."""


def parse(body: bytes) -> tuple[str, object]:
    """Parse an XML document.

    Returns:
        The root element's name and its content. Content is a dict of attributes and children, where a repeated child is
        a list; the text of an element that has text; or `None` for `nil="true"` and for an empty attribute, which XML
        uses for both null and an empty text.

    Raises:
        XmlError: the document is not well-formed, too deep, too large, or has a DTD.
    """
    reader = _ContentBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start_element
    parser.EndElementHandler = reader.end_element
    parser.CharacterDataHandler = reader.add_text
    parser.StartDoctypeDeclHandler = reader.reject_doctype
    try:
        parser.Parse(body, True)  # noqa: FBT003  # expat's own positional flag
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise XmlError("the body is not well-formed XML" if not isinstance(error, XmlError) else str(error)) from None
    return reader.root


class _ContentBuilder:
    """Builds content from the events of expat."""

    def __init__(self) -> None:
        self._open: list[tuple[str, dict[str, object], list[str]]] = []
        self._count = 0
        self.root: tuple[str, object] = ("", None)

    def reject_doctype(self, *_declaration: object) -> None:
        raise XmlError("the XML has a DTD, which Plex never sends")

    def start_element(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise XmlError("the XML is nested too deeply")
        self._count += 1
        if self._count > _MAX_ELEMENTS:
            raise XmlError("the XML has too many elements")
        members: dict[str, object] = {key: value or None for key, value in attributes.items()}
        self._open.append((name, members, []))

    def add_text(self, data: str) -> None:
        self._open[-1][2].append(data)

    def end_element(self, _name: str) -> None:
        name, members, texts = self._open.pop()
        content = _build_content(members, "".join(texts).strip())
        if not self._open:
            self.root = (name, content)
        else:
            _add_child(self._open[-1][1], name, content)


def _build_content(members: dict[str, object], text: str) -> object:
    if members.get("nil") == "true":
        return None
    if text:
        return text
    return "" if members.keys() <= {"type"} else members  # Rails adds a type even to an element without content


def _add_child(parent: dict[str, object], name: str, content: object) -> None:
    """Add a child, unless an attribute of the same name has a value already."""
    present = parent.get(name)
    if present is None:
        parent[name] = content
    elif isinstance(present, list):
        present.append(content)  # pyright: ignore[reportUnknownMemberType]  # it is created below only
    elif not isinstance(present, str):
        parent[name] = [present, content]


class Element(NamedTuple):
    """An element: its ordered attributes, and its children or text. Without either, it is written as `<name/>`."""

    name: str
    attributes: Mapping[str, object]
    children: tuple[Element, ...] = ()
    text: object = None


def write(root: str, content: object) -> bytes:
    """Write a document from the name of its root and plain data (dicts, lists, scalars), with the XML prolog."""
    parts = [_PROLOG]
    _append_content(parts, root, content)
    return "".join(parts).encode()


def write_rails(root: str, members: Mapping[str, object], types: Mapping[str, type] | None = None) -> bytes:
    """Write a document as plex.tv's oldest API does: an element for each member, with Rails' types, `nil` (observed).

    Args:
        root: the root element's name.
        members: its members, all of them scalars.
        types: the types of members that have a `type` even if they are null.
    """
    elements: list[Element] = []
    for name, value in members.items():
        kind = _RAILS_TYPES.get((types or {}).get(name, type(None)) if value is None else type(value))
        attributes = {"type": kind} if kind else {}
        text = str(value).lower() if isinstance(value, bool) else value
        elements.append(Element(name, attributes | {"nil": "true"} if value is None else attributes, (), text))
    return write_element(Element(root, {}, tuple(elements)))


_RAILS_TYPES: dict[type, str] = {bool: "boolean", int: "integer", datetime: "dateTime"}


def write_element(root: Element) -> bytes:
    """Write a document from its root element, with the XML prolog."""
    parts = [_PROLOG]
    _append_element(parts, root)
    return "".join(parts).encode()


def _append_element(parts: list[str], element: Element) -> None:
    name, attributes, children, text = element
    attribute_text = "".join([f' {key}="{_format_scalar(key, value)}"' for key, value in attributes.items()])
    if not children and text is None:
        parts.append(f"<{name}{attribute_text}/>")
        return
    parts.append(f"<{name}{attribute_text}>")
    for child in children:
        _append_element(parts, child)
    parts.append(f"{_format_scalar(name, text)}</{name}>")


def _append_content(parts: list[str], name: str, content: object) -> None:
    if is_object(content):
        nested = [key for key, value in content.items() if isinstance(value, _NESTED_TYPES)]
        attributes = [
            f' {key}="{_format_scalar(key, value)}"'
            for key, value in content.items()
            if not isinstance(value, _NESTED_TYPES)
        ]
        parts.append(f"<{name}{''.join(attributes)}{'>' if nested else '/>'}")
        if not nested:
            return
        for key in nested:
            inner = content[key]
            if is_array(inner) and key[0].isupper():
                _append_items(parts, key, inner)
            else:
                _append_content(parts, key, inner)
    elif is_array(content):
        parts.append(f"<{name}>")
        _append_items(parts, name.removesuffix("s"), content)
    else:
        parts.append(f"<{name}>{_format_scalar(name, content)}")
    parts.append(f"</{name}>")


def _append_items(parts: list[str], name: str, values: Sequence[object]) -> None:
    for item in values:
        _append_content(parts, name, item if is_object(item) else {"id": item})


def _format_scalar(key: str, value: object) -> str:
    if isinstance(value, str):
        special = _SPECIAL_CHARACTERS.search(value)
        return _SPECIAL_CHARACTERS.sub(lambda found: _ESCAPES.get(found[0], ""), value) if special else value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S UTC" if key in _UTC_DATETIME_NAMES else "%Y-%m-%dT%H:%M:%SZ")
    return str(value)
