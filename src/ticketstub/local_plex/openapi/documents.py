"""The OpenAPI documents of a local Plex, built from its tables of routes, pages and commands.

Rule: nothing about a call or command is written here. Paths, parameters, bodies, statuses and marks come from the call
itself, descriptions from its docstring, and schemas.py derives the schema of its reply. Pages are listed, but not
the fields of their forms: read these from the pages. The start page of `serve` is left out: for programs there is
nothing at `/`. Every port serves its document at `OPENAPI_PATH`, without authentication except on the control port.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from inspect import cleandoc, getdoc
from string import Formatter
from types import NoneType
from typing import Any, Literal, Protocol, get_type_hints

import msgspec

from ticketstub import __version__
from ticketstub.local_plex.http.request import split_suffix
from ticketstub.local_plex.http.router import ANY_METHOD, Route
from ticketstub.local_plex.openapi.schemas import Schema, SchemaBuilder, get_reply_type
from ticketstub.local_plex.pages.site import Page
from ticketstub.local_plex.settings import OPENAPI_PATH
from ticketstub.protocol import error_bodies
from ticketstub.protocol.call import Call
from ticketstub.protocol.codec import Format, parse
from ticketstub.refusals import REFUSAL_CLASSES

AnyRoute = Route[Any, Any]  # plex.tv's or a media server's
ApiName = Literal["plex.tv", "media server", "control"]

_JSON, _XML, _HTML, _FORM = "application/json", "application/xml", "text/html", "application/x-www-form-urlencoded"
_TEXT_CONTENT = {"schema": {"type": "string"}}
_COMMON_NOTE = (
    " `x-mark` says how an operation is known: documented by Plex, observed on a real service, or assumed. In XML, "
    "single values are attributes, booleans are 0 or 1, null is an empty text, and lists are child elements, inside an "
    "element with the list's name unless that begins with a capital letter. Texts in a list are elements with an `id`."
)
_DESCRIPTIONS: dict[str, str] = {
    "plex.tv": (
        "What plex.tv's port of a local Plex answers. The default is XML; `Accept: application/json` asks for JSON, "
        "and a path's suffix `.json` or `.xml` takes precedence over `Accept`. `HEAD` is handled as `GET`, and "
        "`OPTIONS` as a browser's preflight." + _COMMON_NOTE
    ),
    "media server": (
        "What a media server of a local Plex answers. The default is XML; `Accept: application/json` asks for JSON. "
        "Refusals are web pages, and without a valid token every other path is 401, too. A server with `replies` or "
        "`upstream` answers more than this document lists." + _COMMON_NOTE
    ),
    "control": "The tester's commands for a local Plex, over HTTP. They have a port of their own, and need its key.",
}
_TOKEN_SECURITY: Schema = {
    "token": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Plex-Token",
        "description": "It may also be a query parameter.",
    }
}
_KEY_SECURITY: Schema = {"key": {"type": "http", "scheme": "bearer", "description": "The control API's key."}}
_DOCUMENT_PATH: Schema = {
    "get": {
        "operationId": "openapi",
        "summary": "This document.",
        "security": [],
        "responses": {"200": {"description": "The document.", "content": {_JSON: {"schema": {"type": "object"}}}}},
    }
}


class DescribedCommand(Protocol):
    """The declaration of a command of the control API."""

    function: Callable[..., Coroutine[Any, Any, Any]]
    result_name: str | None

    @property
    def arguments_type(self) -> type[msgspec.Struct]:
        """A struct with the members of its JSON object."""
        ...


def build_document(
    api: ApiName,
    *,
    routes: Iterable[AnyRoute] = (),
    pages: Mapping[str, Page] | None = None,
    commands: Mapping[str, Mapping[str, DescribedCommand]] | None = None,
) -> Schema:
    """Build the document of one kind of port.

    Args:
        api: the kind.
        routes: the routes of its calls.
        pages: its pages by path.
        commands: the control API's commands by path and HTTP method.
    """
    schemas = SchemaBuilder()
    describer = _CallDescriber(api, schemas)
    paths: dict[str, Schema] = {
        path: {method.lower(): _describe_command(path, method, each, schemas) for method, each in methods.items()}
        for path, methods in (commands or {}).items()
    }
    for route in sorted(routes, key=lambda route: route.call_type.http.path):
        for path, formats in _list_paths(route):
            for method in ("get", "post") if route.method == ANY_METHOD else (route.method.lower(),):
                paths.setdefault(path, {})[method] = describer.describe_operation(route, method, formats)
    # Each page is listed once, without a trailing slash.
    paths |= {path: _describe_page(path, page) for path, page in (pages or {}).items() if not path.endswith("/")}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"A local Plex: {api}", "version": __version__, "description": _DESCRIPTIONS[api]},
        "servers": [{"url": "/"}],
        "paths": paths if api == "control" else {**paths, OPENAPI_PATH: _DOCUMENT_PATH},
        "components": {
            "schemas": schemas.components,
            "securitySchemes": _KEY_SECURITY if api == "control" else _TOKEN_SECURITY,
        },
    }


def _list_paths(route: AnyRoute) -> Iterable[tuple[str, tuple[Format, ...]]]:
    """List a route's paths, each with its response formats: a path with a suffix exists once for each format."""
    formats = (route.response_format,) if route.response_format else tuple(Format)
    if split_suffix(route.call_type.http.path)[1] is None:
        return [(route.call_type.http.path, formats)]
    return [(f"{route.path_template}.{form.value}", (form,)) for form in formats]


class _CallDescriber:
    """Describes the calls of one document."""

    def __init__(self, api: ApiName, schemas: SchemaBuilder) -> None:
        self._schemas = schemas
        self._api = api

    def describe_operation(self, route: AnyRoute, method: str, formats: tuple[Format, ...]) -> Schema:
        """Return the operation of a route for an HTTP method and its response formats."""
        kind = route.call_type
        summary, description, arguments = _parse_docstring(kind)
        parameters, body = self._describe_parameters(route, arguments), self._describe_body(route)
        return {
            "operationId": (name := _build_operation_id(route, method, formats)),
            "summary": summary,
            **({"description": description} if description else {}),
            "x-mark": kind.http.mark,
            "security": [{"token": []}] if route.needs_token else [],
            **({"parameters": parameters} if parameters else {}),
            **({"requestBody": body} if body else {}),
            "responses": self._describe_responses(route, formats, _get_links(name), has_input=bool(parameters or body)),
        }

    def _describe_parameters(self, route: AnyRoute, arguments: dict[str, str]) -> list[Schema]:
        in_path = {name for _, name, _, _ in Formatter().parse(route.call_type.http.path) if name}
        found: list[Schema] = []
        for field in msgspec.structs.fields(route.call_type):
            is_in_path = field.encode_name in in_path
            if is_in_path or not route.call_type.http.in_body:
                found.append(
                    {
                        "name": field.encode_name,
                        "in": "path" if is_in_path else "query",
                        "required": is_in_path or field.required,
                        **({"description": arguments[field.name]} if field.name in arguments else {}),
                        "schema": self._describe_field(field, route),
                    }
                )
        if route.client_identifier != "not asked":
            needed = route.client_identifier in {"required", "by the handler"}
            text = {"type": "string", **({"minLength": 1} if needed else {})}  # an empty one counts as missing
            found.append({"name": "X-Plex-Client-Identifier", "in": "header", "required": needed, "schema": text})
        return found

    def _describe_body(self, route: AnyRoute) -> Schema | None:
        kind = route.call_type
        fields = msgspec.structs.fields(kind)
        if not kind.http.in_body or not fields:
            return None
        required = [field.encode_name for field in fields if field.required]
        as_form = {field.encode_name: self._describe_field(field, route) for field in fields}
        in_json = {field.encode_name: self._schemas.describe_type(field.type) for field in fields if not field.required}
        base = {"type": "object"} | ({"required": required} if required else {})
        content = {_JSON: {"schema": {**base, "properties": {**as_form, **in_json}}}}
        if not kind.http.as_json:
            content = {_FORM: {"schema": {**base, "properties": as_form}}, **content}
        return {"required": bool(required), "content": content}

    def _describe_field(self, field: msgspec.structs.FieldInfo, route: AnyRoute) -> Schema:
        """Return the schema of a query or form parameter; empty counts as missing unless the route parses it itself."""
        schema = _describe_text_value(self._schemas.describe_type(field.type))
        is_needed = field.required and schema.get("type") == "string" and not route.has_custom_reader
        return {**schema, "minLength": 1} if is_needed else schema

    def _describe_responses(
        self, route: AnyRoute, formats: tuple[Format, ...], links: Schema, *, has_input: bool
    ) -> Schema:
        refusal = {"description": "A refusal.", "content": self._describe_refusal(route, formats)}
        invalid_token = 422 if route.dialect == "legacy" else 401
        statuses = [*([400] if has_input else []), *([invalid_token] if route.needs_token else [])]
        documented = {str(status): {**refusal, "description": _REFUSAL_DESCRIPTIONS[status]} for status in statuses}
        return {
            str(route.status): {**self._describe_success(route, formats), **links},
            **documented,
            "default": refusal,
        }

    def _describe_success(self, route: AnyRoute, formats: tuple[Format, ...]) -> Schema:
        kind = route.call_type
        if kind.http.media_type is not None:
            return {"description": "Success.", "content": {kind.http.media_type: _TEXT_CONTENT}}
        if get_reply_type(kind) is type(None):
            return {"description": "Success, without a body."}
        content: Schema = {}
        if Format.JSON in formats:
            content[_JSON] = {"schema": self._schemas.describe_reply(kind)}
        if Format.XML in formats:
            schema = self._schemas.describe_xml_reply(kind, include_content=Format.JSON not in formats)
            content[_XML if self._api == "plex.tv" else "text/xml"] = {"schema": schema}
        return {"description": "Success.", "content": content}

    def _describe_refusal(self, route: AnyRoute, formats: tuple[Format, ...]) -> Schema:
        if self._api == "media server":
            documented = {_JSON: {"schema": self._describe_error(Format.JSON, "v2")}}
            return {_HTML: _TEXT_CONTENT, **(documented if route.path_template.startswith("/security/") else {})}
        return {
            _JSON if form is Format.JSON else _XML: {"schema": self._describe_error(form, route.dialect)}
            for form in formats
        }

    def _describe_error(self, form: Format, dialect: str) -> Schema:
        """Return the schema of refusals, derived from one refusal of every kind."""
        if form is Format.XML:
            return {"type": "object", "xml": {"name": "errors"}}
        bodies = [error_bodies.write_in_dialect(kind(), form, dialect)[1] for kind in REFUSAL_CLASSES]
        name = "Errors" if dialect == "v2" else "LegacyError"
        self._schemas.components.setdefault(name, self._schemas.describe_values([parse(body) for body in bodies]))
        return {"$ref": f"#/components/schemas/{name}"}


def _build_operation_id(route: AnyRoute, method: str, formats: tuple[Format, ...]) -> str:
    name, default_format = route.call_type.http.name, split_suffix(route.call_type.http.path)[1]
    if default_format is not None and default_format not in formats:
        name += f"_as_{formats[0].value}"
    return name if method == route.call_type.http.method.lower() else f"{name}_by_{method}"


_INTEGER_RANGE: Schema = {"minimum": 1 - 10**18, "maximum": 10**18 - 1}
"""The integers that can be read from a text (see protocol/lenient.py)."""

_REFUSAL_DESCRIPTIONS = {
    400: "A parameter is missing or invalid.",
    401: "The token is missing, unknown or no longer valid.",
    422: "The token is missing, unknown or no longer valid; or a parameter is not accepted.",
}


def _describe_text_value(schema: Schema) -> Schema:
    """Return the schema of a value in a query or form, which has no null: the parameter is left out instead."""
    options = schema.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest: list[Schema] = [option for option in options if option != {"type": "null"}]  # pyright: ignore[reportUnknownVariableType]  # from describe_type
        return _describe_text_value(rest[0]) if len(rest) == 1 else {"anyOf": rest}
    return {**schema, **_INTEGER_RANGE} if schema.get("type") == "integer" else schema


_ARGUMENT = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def _parse_docstring(kind: type[Call[Any]]) -> tuple[str, str, dict[str, str]]:
    """Split a call's docstring into its first line, the rest, and the description of each argument."""
    text, _, arguments = cleandoc(getdoc(kind) or kind.http.name).partition("\nArgs:\n")
    summary, _, description = text.partition("\n")
    described = {name: " ".join(words.split()) for name, words in _ARGUMENT.findall(arguments)}
    return summary, " ".join(description.split()), described


_ERROR_RESPONSE: Schema = {
    "description": "What was wrong.",
    "content": {
        _JSON: {
            "schema": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
        }
    },
}


def _describe_command(path: str, method: str, command: DescribedCommand, schemas: SchemaBuilder) -> Schema:
    name = "_".join([method.lower(), *(path.split("/")[3:] or ["verbs"])])
    result_type = get_type_hints(command.function)["return"]
    success: Schema = {"204": {"description": "Done."}}
    if result_type is not NoneType:
        schema = schemas.describe_type(result_type)
        if command.result_name:
            schema = {"type": "object", "properties": {command.result_name: schema}, "required": [command.result_name]}
        success = {"200": {"description": "Done.", "content": {_JSON: {"schema": schema}}, **_get_links(name)}}
    request_body = {
        "required": any(field.required for field in msgspec.structs.fields(command.arguments_type)),
        "content": {_JSON: {"schema": schemas.describe_type(command.arguments_type)}},
    }
    return {
        "operationId": name,
        "summary": (getdoc(command.function) or "").partition("\n")[0],
        "security": [{"key": []}],
        **({"requestBody": request_body} if method == "POST" else {}),
        "responses": {**success, "default": _ERROR_RESPONSE},
    }


_PAGE_RESPONSES: Schema = {
    "200": {"description": "The page.", "content": {_HTML: _TEXT_CONTENT}},
    "303": {"description": "A redirect to another page."},
    "default": {"description": "A page with the reason of the refusal.", "content": {_HTML: _TEXT_CONTENT}},
}
_PAGE_FORM: Schema = {
    "required": True,
    "content": {
        _FORM: {
            "schema": {
                "type": "object",
                "properties": {"form_token": {"type": "string", "description": "The value in the page's own form."}},
                "required": ["form_token"],
            }
        }
    },
}


def _describe_page(path: str, page: Page) -> Schema:
    name = path.strip("/").replace("/", "_").replace("-", "_")
    shared = {"x-mark": "assumed", "tags": ["pages"], "security": [], "responses": _PAGE_RESPONSES}
    summary = f"The form of the page {path}."
    return {
        **(
            {"get": {"operationId": f"show_{name}", "summary": f"The page {path}, for people.", **shared}}
            if page.show
            else {}
        ),
        **(
            {"post": {"operationId": f"take_{name}", "summary": summary, "requestBody": _PAGE_FORM, **shared}}
            if page.submit
            else {}
        ),
    }


def _build_link(
    operation: str, description: str, parameters: dict[str, str] | None = None, body: dict[str, str] | None = None
) -> Schema:
    """Return a link: the response to one operation has what this operation needs."""
    return {
        operation: {
            "operationId": operation,
            "description": description,
            **({"parameters": parameters} if parameters else {}),
            **({"requestBody": body} if body else {}),
        }
    }


_CLIENT_PARAMETER = {"X-Plex-Client-Identifier": "$request.header.X-Plex-Client-Identifier"}
_CODE_PARAMETER = {"code": "$response.body#/code"}
_TOKEN_BODY = {"token": "$response.body#/token"}
_ACCOUNT_BODY = {"account": "$response.body#/username"}
# By operation id, with OpenAPI's runtime expressions; they hold for JSON only.
_LINKS: dict[str, Schema] = {
    "create_pin": {
        **_build_link("get_pin", "Check whether it was approved.", {"id": "$response.body#/id", **_CLIENT_PARAMETER}),
        **_build_link("get_pin_qr", "Show its code as a QR code.", _CODE_PARAMETER),
        **_build_link("link_pin", "Approve it as a signed-in account.", _CLIENT_PARAMETER, _CODE_PARAMETER),
    },
    "create_legacy_pin_as_json": _build_link(
        "get_legacy_pin_as_json",
        "Check whether it was approved.",
        {"id": "$response.body#/pin/id", **_CLIENT_PARAMETER},
    ),
    "home_users": _build_link("switch_home_user", "Switch to one of them.", {"uuid": "$response.body#/users/0/uuid"}),
    "post_tokens": {
        **_build_link("post_tokens_revoke", "Revoke it.", body=_TOKEN_BODY),
        **_build_link("post_tokens_expire", "Expire it.", body=_TOKEN_BODY),
    },
    "post_accounts": {
        **_build_link("post_tokens", "Issue a token for it.", body=_ACCOUNT_BODY),
        **_build_link("post_codes", "Get its verification code.", body=_ACCOUNT_BODY),
    },
}


def _get_links(operation: str) -> Schema:
    """Return the `links` member of an operation's success response, if it has links."""
    return {"links": _LINKS[operation]} if operation in _LINKS else {}
