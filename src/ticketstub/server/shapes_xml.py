"""Whether what a call's JSON looks like is also what its XML holds.

Rule: the dialect's own (wire/xml.py): attributes and elements are members, a list stands in a wrapper or bare, and a
list of texts is elements with an `id`. Where the two differ, as in plex.tv's older API, the XML is described by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from ticketstub.wire.plain import is_items, is_members

Named = Mapping[str, dict[str, object]]
"""The schemas that have a name."""


def fits(content: object, schema: dict[str, object], named: Named) -> bool:
    """Tell whether a schema names all that XML content has.

    Args:
        content: what `wire.xml.parse` reads.
        schema: of the JSON.
        named: the components that it refers to.
    """
    schema = _whole(schema, named)
    if is_items(content):
        return all(fits(each, _items(schema), named) for each in content)
    if not is_members(content):
        return schema.get("type") != "array" or not content
    if schema.get("type") == "array":
        return len(content) <= 1 and all(_fit_items(each, schema, named) for each in content.values())
    members = schema.get("properties")
    if not is_members(members):
        return content.keys() <= {"id"}
    return all(name in members and fits(each, _member(members, name), named) for name, each in content.items())


def _fit_items(content: object, schema: dict[str, object], named: Named) -> bool:
    """Look at what stands in a wrapper: several elements of one name, or a single one."""
    return all(fits(each, _items(schema), named) for each in (content if is_items(content) else [content]))


def _whole(schema: dict[str, object], named: Named) -> dict[str, object]:
    """Return a schema with what it refers to, and without the chance of null."""
    options = schema.get("anyOf")
    if is_items(options):
        rest = [each for each in options if is_members(each) and each.get("type") != "null"]
        return _whole(rest[0], named) if len(rest) == 1 else {}
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    found = named[reference.rpartition("/")[2]]
    inherited, own = found.get("properties"), schema.get("properties")
    both = {**(inherited if is_members(inherited) else {}), **(own if is_members(own) else {})}
    return {**found, "properties": both}


def _items(schema: dict[str, object]) -> dict[str, object]:
    items = schema.get("items")
    return items if is_members(items) else {}


def _member(members: dict[str, object], name: str) -> dict[str, object]:
    found = members[name]
    return found if is_members(found) else {}
