"""Reads and writes Plex's XML, to and from the same dicts, lists and strings as its JSON.

Rule: this module knows the dialect, not the models. Scalars are attributes; booleans are written as 0 or 1, null as "".
A list with a lower-case name has a wrapper (`<roles><role id="plexpass"/></roles>`). A list with a capitalized name, as
in a media server's own replies, has none (`<Connection/><Connection/>`). A DTD is refused, whatever it contains, as are
more than 64 levels or 100,000 elements. Source: observed bodies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from xml.parsers import expat

from ticketstub.messages import is_array, is_object

PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n'
"""The XML declaration, with which every document starts."""

_MAX_DEPTH = 64
_NESTED_TYPES = (dict, list, tuple)
_MAX_ELEMENTS = 100_000
# Characters that must be escaped, and those that XML 1.0 cannot express, which are dropped.
_SPECIAL_CHARACTERS = re.compile('[&<>"\x00-\x1f\ud800-\udfff\ufffe\uffff]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


class XmlError(ValueError):
    """The text is not XML that Plex sends."""


def parse(body: bytes) -> tuple[str, object]:
    """Parse an XML document.

    Returns: The root element's name and its content. Content is a dict of attributes and children, where a repeated
    child is a list; the text of an element that has text; or `None` for `nil="true"` and for an empty attribute, which
    XML uses for both null and an empty string.

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
    return next(iter(reader.document.items()))


class _ContentBuilder:
    """Builds content from the events of expat."""

    def __init__(self) -> None:
        self.document: dict[str, object] = {}
        """Its one member is the root element, under the element's name."""
        self._open: list[tuple[dict[str, object], list[str]]] = [(self.document, [])]
        self._count = 0

    def reject_doctype(self, *_declaration: object) -> None:
        raise XmlError("the XML has a DTD, which Plex never sends")

    def start_element(self, _name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > _MAX_DEPTH:
            raise XmlError("the XML is nested too deeply")
        self._count += 1
        if self._count > _MAX_ELEMENTS:
            raise XmlError("the XML has too many elements")
        self._open.append(({key: value or None for key, value in attributes.items()}, []))

    def add_text(self, data: str) -> None:
        self._open[-1][1].append(data)

    def end_element(self, name: str) -> None:
        """Add the element to its parent, unless an attribute of the same name has a value already."""
        members, texts = self._open.pop()
        content = _build_content(members, "".join(texts).strip())
        parent = self._open[-1][0]
        present = parent.get(name)
        if present is None:
            parent[name] = content
        elif isinstance(present, list):
            present.append(content)  # pyright: ignore[reportUnknownMemberType]  # it is created below only
        elif not isinstance(present, str):
            parent[name] = [present, content]


def _build_content(members: dict[str, object], text: str) -> object:
    if members.get("nil") == "true":
        return None
    # Rails adds a type even to an element without content.
    return text or ("" if members.keys() <= {"type"} else members)


def write(root: str, content: object) -> bytes:
    """Write a document from the name of its root and plain data (dicts, lists, scalars), with the XML prolog."""
    return f"{PROLOG}{_render_content(root, content)}".encode()


def write_rails(root: str, members: Mapping[str, object], types: Mapping[str, type] | None = None) -> bytes:
    """Write a document as plex.tv's oldest API does: an element for each member, with Rails' types, `nil` (observed).

    Args:
        root: the root element's name.
        members: its members, all of them scalars.
        types: the types of members that have a `type` even if they are null.
    """
    elements: list[str] = []
    for name, value in members.items():
        kind = _RAILS_TYPES.get((types or {}).get(name, type(None)) if value is None else type(value))
        attributes = {**({"type": kind} if kind else {}), **({"nil": "true"} if value is None else {})}
        elements.append(render_element(name, attributes, text=str(value).lower() if isinstance(value, bool) else value))
    return f"{PROLOG}{render_element(root, {}, *elements)}".encode()


_RAILS_TYPES: dict[type, str] = {bool: "boolean", int: "integer", datetime: "dateTime"}


def render_element(name: str, attributes: Mapping[str, object], *children: str, text: object = None) -> str:
    """Render an element from its attributes, in their order, and its rendered children or its text.

    Without children and text, it is `<name/>`.
    """
    attribute_text = "".join([f' {key}="{_format_scalar(key, value)}"' for key, value in attributes.items()])
    if not children and text is None:
        return f"<{name}{attribute_text}/>"
    return f"<{name}{attribute_text}>{''.join(children)}{_format_scalar(name, text)}</{name}>"


def _render_content(name: str, content: object) -> str:
    if is_object(content):
        nested: dict[str, object] = {key: value for key, value in content.items() if isinstance(value, _NESTED_TYPES)}
        attributes = {key: value for key, value in content.items() if key not in nested} if nested else content
        children = [
            _render_items(key, value) if is_array(value) and key[0].isupper() else _render_content(key, value)
            for key, value in nested.items()
        ]
        return render_element(name, attributes, *children)
    if is_array(content):
        return render_element(name, {}, _render_items(name.removesuffix("s"), content))
    return render_element(name, {}, text=content)


def _render_items(name: str, values: Sequence[object]) -> str:
    return "".join(
        [_render_content(name, item) if is_object(item) else render_element(name, {"id": item}) for item in values]
    )


def _format_scalar(key: str, value: object) -> str:
    if isinstance(value, str):
        special = _SPECIAL_CHARACTERS.search(value)
        return _SPECIAL_CHARACTERS.sub(lambda found: _ESCAPES.get(found[0], ""), value) if special else value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        # Observed: XML, unlike JSON, writes this one as "2023-03-24 00:00:00 UTC".
        return value.strftime("%Y-%m-%d %H:%M:%S UTC" if key == "subscribedAt" else "%Y-%m-%dT%H:%M:%SZ")
    return str(value)
