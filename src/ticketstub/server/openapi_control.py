"""The control API in an OpenAPI document of its own.

Rule: as in openapi.py: what commands take and tell comes from their declarations.
"""

from __future__ import annotations

from inspect import getdoc
from types import NoneType
from typing import get_type_hints

import msgspec

from ticketstub.server.control.commands import COMMANDS, PREFIX
from ticketstub.server.control.declared import Command
from ticketstub.server.openapi_links import links
from ticketstub.server.shapes import Schema, Shapes

SECURITY: Schema = {"key": {"type": "http", "scheme": "bearer", "description": "The control API's key."}}

_JSON = "application/json"
_ERROR: Schema = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_REFUSED: Schema = {"description": "What was wrong.", "content": {_JSON: {"schema": _ERROR}}}


def control(shapes: Shapes) -> dict[str, Schema]:
    """Describe every command, by path."""
    return {
        path: {method.lower(): _operation(path, method, each, shapes) for method, each in methods.items()}
        for path, methods in COMMANDS.items()
    }


def _operation(path: str, method: str, command: Command, shapes: Shapes) -> Schema:
    name = f"{method.lower()}_{path.removeprefix(PREFIX).strip('/').replace('/', '_') or 'verbs'}"
    told = get_type_hints(command.work)["return"]
    success: Schema = {"204": {"description": "It is done."}}
    if told is not NoneType:
        schema = shapes.of_type(told)
        if command.told:
            schema = {"type": "object", "properties": {command.told: schema}, "required": [command.told]}
        content = {_JSON: {"schema": schema}}
        success = {"200": {"description": "It is done.", "content": content, **links(name)}}
    needed = any(field.required for field in msgspec.structs.fields(command.order))
    order = {"required": needed, "content": {_JSON: {"schema": shapes.of_type(command.order)}}}
    return {
        "operationId": name,
        "summary": (getdoc(command.work) or "").partition("\n")[0],
        "security": [{"key": []}],
        **({"requestBody": order} if method == "POST" else {}),
        "responses": {**success, "default": _REFUSED},
    }
