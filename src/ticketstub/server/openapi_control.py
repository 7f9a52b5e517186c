"""The control API in an OpenAPI document of its own.

Rule: as in openapi.py: verbs, orders and what they tell come from the table of verbs and from its types.
"""

from __future__ import annotations

from inspect import getdoc
from types import NoneType
from typing import Any, get_type_hints

import msgspec

from ticketstub.server.control.verbs import PREFIX, VERBS, Verb
from ticketstub.server.openapi_links import links
from ticketstub.server.shapes import Schema, Shapes

SECURITY: Schema = {"key": {"type": "http", "scheme": "bearer", "description": "The control API's key."}}

_JSON = "application/json"
_ERROR: Schema = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_REFUSED: Schema = {"description": "What was wrong.", "content": {_JSON: {"schema": _ERROR}}}


def control(shapes: Shapes) -> dict[str, Schema]:
    """Describe every verb, by path."""
    return {
        path: {method.lower(): _operation(path, method, verb, shapes) for method, verb in methods.items()}
        for path, methods in VERBS.items()
    }


def _operation(path: str, method: str, verb: Verb[Any], shapes: Shapes) -> Schema:
    name = f"{method.lower()}_{path.removeprefix(PREFIX).strip('/').replace('/', '_') or 'verbs'}"
    told = get_type_hints(verb.do)["return"]
    success: Schema = {"204": {"description": "It is done."}}
    if told is not NoneType:
        told = dict[str, Any] if told == dict[str, object] else told  # as msgspec calls it
        content = {_JSON: {"schema": shapes.of_type(told)}}
        success = {"200": {"description": "It is done.", "content": content, **links(name)}}
    needed = any(field.required for field in msgspec.structs.fields(verb.order))
    order = {"required": needed, "content": {_JSON: {"schema": shapes.of_type(verb.order)}}}
    return {
        "operationId": name,
        "summary": (getdoc(verb.order) or "").partition("\n")[0],
        "security": [{"key": []}],
        **({"requestBody": order} if method == "POST" else {}),
        "responses": {**success, "default": _REFUSED},
    }
