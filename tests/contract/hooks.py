"""Hooks for schemathesis: XML must match the document, and the effects of some calls are undone.

Rule: schemathesis loads this file in its own process (`SCHEMATHESIS_HOOKS`). The control API restores what a call has
revoked or removed.
"""

import os
import urllib.request
import xml.etree.ElementTree as ET
from typing import Any

import schemathesis

_ENDED_BY = {"sign_out": 204, "unclaim_server": 200}


@schemathesis.hook
def after_call(_context: Any, case: schemathesis.Case[Any], response: schemathesis.Response) -> None:
    """Reset the local Plex after a call that revoked the run's token or removed its media server's owner."""
    if _ENDED_BY.get(_operation(case)) == response.status_code:
        _control("/reset")


def _operation(case: schemathesis.Case[Any]) -> str:
    return str(case.operation.definition.raw.get("operationId"))


def _control(path: str) -> None:
    fields = {"Authorization": f"Bearer {os.environ['CONTRACT_KEY']}", "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{os.environ['CONTRACT_CONTROL']}/control/v1{path}", b"{}", fields)
    urllib.request.urlopen(asked).close()


@schemathesis.check
def xml_is_what_the_document_says(
    _context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """An XML response is well-formed, and its root element and all names are those of the document."""
    kind = response.headers.get("content-type", [""])[0].partition(";")[0]
    if not kind.endswith("/xml") or not response.content or response.status_code == 410:
        return  # the response for a thing that is gone has its own form (observed)
    responses = case.operation.definition.raw["responses"]
    described = responses.get(str(response.status_code), responses.get("default"))
    schema = described["content"][kind]["schema"]
    root = ET.fromstring(response.content)  # noqa: S314  # written by our own server a moment ago
    assert schema["xml"]["name"] == root.tag, f"<{root.tag}> instead of <{schema['xml']['name']}>"
    if (
        schema.get("properties") or "$ref" in schema or "items" in schema
    ):  # with JSON as well, the document says no more
        unknown = list(_unknown(root, schema, case.operation.schema.raw_schema["components"]["schemas"]))
        assert not unknown, f"not in the document: {unknown}"


_OF_RAILS = {"type", "nil"}
"""Attributes that say what an element's text is."""


def _unknown(element: ET.Element, schema: dict[str, Any], named: dict[str, Any], where: str = "") -> list[str]:
    """List the attributes and elements that a schema does not have."""
    schema = _resolved(schema, named)
    if schema.get("type") == "array":
        return [one for child in element for one in _unknown(child, schema["items"], named, f"{where}/{child.tag}")]
    members = schema.get("properties")
    if members is None:
        return [f"{where}/@{name}" for name in element.attrib if name not in _OF_RAILS | {"id"}]
    found = [f"{where}/@{name}" for name in element.attrib if name not in members]
    for child in element:
        path = f"{where}/{child.tag}"
        found += _unknown_child(child, members[child.tag], named, path) if child.tag in members else [path]
    return found


def _unknown_child(child: ET.Element, schema: dict[str, Any], named: dict[str, Any], path: str) -> list[str]:
    """Say whether an element is an item of a list, or a wrapper with items."""
    whole = _resolved(schema, named)
    if whole.get("type") != "array":
        return _unknown(child, whole, named, path)
    return min(
        _unknown(child, whole, named, path) + _attributes(child, path), _unknown(child, whole["items"], named, path)
    )


def _attributes(element: ET.Element, path: str) -> list[str]:
    return [f"{path}/@{name}" for name in element.attrib]


def _resolved(schema: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            return _resolved(option, named)
    if "$ref" not in schema:
        return schema
    found = named[schema["$ref"].rpartition("/")[2]]
    return {**found, "properties": {**found.get("properties", {}), **schema.get("properties", {})}}
