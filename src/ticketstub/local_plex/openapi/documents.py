"""The OpenAPI documents of what a local Plex answers, made from the tables of routes, commands and pages.

Rule: nothing about a call or command is written down here. Paths, parameters, bodies, statuses and marks are its own,
the words its docstring, and shapes.py finds what it is answered with. Of pages the document says which there are, and
that their forms are taken from the pages themselves only. The start page of `serve` is not in it: for programs, nothing
is at `/`. Ours: the document itself, at `PATH` of every port, for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from inspect import cleandoc, getdoc
from string import Formatter
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import msgspec

from ticketstub import __version__
from ticketstub.local_plex.http.negotiation import without_suffix
from ticketstub.local_plex.http.request import Headers
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.http.router import ANY_METHOD, Route
from ticketstub.local_plex.openapi.schemas import Schema, Shapes, reply_type
from ticketstub.protocol import error_bodies
from ticketstub.protocol.call import Call
from ticketstub.protocol.codec import Format, parse
from ticketstub.refusals import KINDS

if TYPE_CHECKING:
    from ticketstub.local_plex.control.declaration import Command
    from ticketstub.local_plex.pages.site import Page

PATH = "/ticketstub/openapi.json"

AnyRoute = Route[Any, Any]  # of either table
Place = Literal["plex.tv", "media server", "control"]

_HEADERS: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-cache"),
    (b"access-control-allow-origin", b"*"),
    (b"x-content-type-options", b"nosniff"),
]
_JSON, _XML, _HTML, _FORM = "application/json", "application/xml", "text/html", "application/x-www-form-urlencoded"
_TEXT = {"schema": {"type": "string"}}
_RULE = (
    " `x-mark` says where the knowledge of an operation comes from: documented by Plex, observed on a real service, or "
    "assumed. In XML, single values are attributes, booleans 0 or 1, null an empty text, and lists child elements, in "
    "one of the list's name unless that begins with a capital; texts in a list are elements with an `id`."
)
_ABOUT: dict[str, str] = {
    "plex.tv": (
        "What plex.tv's port of a local Plex answers. XML is the default; JSON comes on `Accept: application/json`, "
        "and a suffix `.json` or `.xml` of a path says more than `Accept`. `HEAD` is asked as `GET`, and `OPTIONS` is "
        "a browser's preflight." + _RULE
    ),
    "media server": (
        "What a media server of a local Plex answers. XML is the default; JSON comes on `Accept: application/json`. "
        "Refusals are web pages, and without a good token every other path is 401 too. A server with `replies` or "
        "`upstream` answers more than is said here." + _RULE
    ),
    "control": "The tester's hand on a local Plex, over HTTP: on a port of its own, and with its key only. All ours.",
}
_TOKEN_SECURITY: Schema = {
    "token": {"type": "apiKey", "in": "header", "name": "X-Plex-Token", "description": "It may stand in the query too."}
}
_KEY_SECURITY: Schema = {"key": {"type": "http", "scheme": "bearer", "description": "The control API's key."}}
_ITSELF: Schema = {
    "get": {
        "operationId": "openapi",
        "summary": "This document (ours).",
        "security": [],
        "responses": {"200": {"description": "The document.", "content": {_JSON: {"schema": {"type": "object"}}}}},
    }
}


def answer(place: Place) -> Answer:
    """Answer a request for the document."""
    return Answer(200, _HEADERS, _encoded(place))


def text(place: Place) -> str:
    """Write the document for people: indented."""
    return msgspec.json.format(_encoded(place), indent=2).decode()


@cache
def _encoded(place: Place) -> bytes:
    return msgspec.json.encode(document(place))


def document(place: Place) -> Schema:
    """Make the document of what plex.tv's port, a media server or the control port answers."""
    shapes = Shapes()
    paths = _commands(shapes) if place == "control" else _calls(place, shapes)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"A local Plex: {place}", "version": __version__, "description": _ABOUT[place]},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": shapes.components,
            "securitySchemes": _KEY_SECURITY if place == "control" else _TOKEN_SECURITY,
        },
    }


def _calls(place: Place, shapes: Shapes) -> dict[str, Schema]:
    """Describe every call, by path; plex.tv has the pages, too."""
    from ticketstub.local_plex.api import media_server, plex_tv  # these answer requests for it

    found: Iterable[AnyRoute] = (plex_tv if place == "plex.tv" else media_server).ROUTES.all()
    described = _Calls(place, shapes)
    paths: dict[str, Schema] = {}
    for route in sorted(found, key=lambda route: route.kind.http.path):
        for path, forms in _addresses(route):
            for method in ("get", "post") if route.method == ANY_METHOD else (route.method.lower(),):
                paths.setdefault(path, {})[method] = described.operation(route, method, forms)
    return {**paths, **(_pages() if place == "plex.tv" else {}), PATH: _ITSELF}


def _addresses(route: AnyRoute) -> Iterable[tuple[str, tuple[Format, ...]]]:
    """List where a route is found, and in which formats it answers there: a path with a suffix has one for each."""
    forms = (route.form,) if route.form else tuple(Format)
    if without_suffix(route.kind.http.path)[1] is None:
        return [(route.kind.http.path, forms)]
    return [(f"{route.template}.{form.value}", (form,)) for form in forms]


class _Calls:
    """Describes the calls of one document."""

    def __init__(self, place: Place, shapes: Shapes) -> None:
        self.shapes = shapes
        self._place = place

    def operation(self, route: AnyRoute, method: str, forms: tuple[Format, ...]) -> Schema:
        """Describe a route, asked by a method and answering in these formats."""
        kind = route.kind
        summary, description, arguments = _words(kind)
        parameters, body = self._parameters(route, arguments), self._body(route)
        return {
            "operationId": (name := _operation_id(route, method, forms)),
            "summary": summary,
            **({"description": description} if description else {}),
            "x-mark": kind.http.mark,
            "security": [{"token": []}] if route.needs_token else [],
            **({"parameters": parameters} if parameters else {}),
            **({"requestBody": body} if body else {}),
            "responses": self._responses(route, forms, _links(name), takes=bool(parameters or body)),
        }

    def _parameters(self, route: AnyRoute, arguments: dict[str, str]) -> list[Schema]:
        in_path = {name for _, name, _, _ in Formatter().parse(route.kind.http.path) if name}
        found: list[Schema] = []
        for field in msgspec.structs.fields(route.kind):
            name = field.encode_name
            if name not in in_path and route.kind.http.in_body:
                continue
            words = {"description": arguments[field.name]} if field.name in arguments else {}
            place = {"in": "path", "required": True} if name in in_path else {"in": "query", "required": field.required}
            found.append({"name": name, **place, **words, "schema": self._schema(field, route)})
        if route.identifier != "not asked":
            needed = route.identifier in {"required", "by the handler"}
            text = {"type": "string", "minLength": 1} if needed else {"type": "string"}  # an empty one is none
            found.append({"name": "X-Plex-Client-Identifier", "in": "header", "required": needed, "schema": text})
        return found

    def _body(self, route: AnyRoute) -> Schema | None:
        kind = route.kind
        fields = msgspec.structs.fields(kind)
        if not kind.http.in_body or not fields:
            return None
        required = [field.encode_name for field in fields if field.required]
        as_form = {field.encode_name: self._schema(field, route) for field in fields}
        in_json = {field.encode_name: self.shapes.of_type(field.type) for field in fields if not field.required}
        properties = {**as_form, **in_json}
        whole = {"type": "object"} | ({"required": required} if required else {})
        content = {_JSON: {"schema": {**whole, "properties": properties}}}
        if not kind.http.as_json:
            content = {_FORM: {"schema": {**whole, "properties": as_form}}, **content}
        return {"required": bool(required), "content": content}

    def _schema(self, field: msgspec.structs.FieldInfo, route: AnyRoute) -> Schema:
        """Describe a parameter of a query or a form; an empty text is none, unless the route makes something of it."""
        schema = _given(self.shapes.of_type(field.type))
        is_needed = field.required and schema.get("type") == "string" and not route.reads_itself
        return {**schema, "minLength": 1} if is_needed else schema

    def _responses(self, route: AnyRoute, forms: tuple[Format, ...], more: Schema, *, takes: bool) -> Schema:
        no = {"description": "A refusal.", "content": self._refusal(route, forms)}
        dead = 422 if route.dialect == "legacy" else 401
        statuses = [*([400] if takes else []), *([dead] if route.needs_token else [])]
        known = {str(status): {**no, "description": _REASONS[status]} for status in statuses}
        return {str(route.status): {**self._success(route, forms), **more}, **known, "default": no}

    def _success(self, route: AnyRoute, forms: tuple[Format, ...]) -> Schema:
        kind = route.kind
        if kind.http.media_type is not None:
            return {"description": "Success.", "content": {kind.http.media_type: _TEXT}}
        if reply_type(kind) is type(None):
            return {"description": "Success: the answer holds nothing."}
        content: Schema = {}
        if Format.JSON in forms:
            content[_JSON] = {"schema": self.shapes.of_reply(kind)}
        if Format.XML in forms:
            xml = _XML if self._place == "plex.tv" else "text/xml"
            content[xml] = {"schema": self.shapes.of_xml(kind, whole=Format.JSON not in forms)}
        return {"description": "Success.", "content": content}

    def _refusal(self, route: AnyRoute, forms: tuple[Format, ...]) -> Schema:
        if self._place == "media server":
            page: Schema = {_HTML: _TEXT}
            documented = {_JSON: {"schema": self._error(Format.JSON, "v2")}}
            return page | (documented if route.template.startswith("/security/") else {})
        types = {Format.JSON: _JSON, Format.XML: _XML}
        return {types[form]: {"schema": self._error(form, route.dialect)} for form in forms}

    def _error(self, form: Format, dialect: str) -> Schema:
        """Describe a refusal by writing one of every kind."""
        bodies = [error_bodies.write_as(kind(), form, dialect)[1] for kind in KINDS]
        if form is Format.XML:
            return {"type": "object", "xml": {"name": "errors"}}
        name = "Errors" if dialect == "v2" else "LegacyError"
        self.shapes.components.setdefault(name, self.shapes.of_values([parse(body) for body in bodies]))
        return {"$ref": f"#/components/schemas/{name}"}


def _operation_id(route: AnyRoute, method: str, forms: tuple[Format, ...]) -> str:
    name, usual = route.kind.http.name, without_suffix(route.kind.http.path)[1]
    if usual is not None and usual not in forms:
        name += f"_as_{forms[0].value}"
    return name if method == route.kind.http.method.lower() else f"{name}_by_{method}"


_WHOLE: Schema = {"minimum": 1 - 10**18, "maximum": 10**18 - 1}
"""The whole numbers that are read from a text (see protocol/lenient.py); any other is a value that cannot be."""

_REASONS = {
    400: "Something is missing, or has a value that it cannot have.",
    401: "The token is missing, unknown or dead.",
    422: "The token is missing, unknown or dead; or a value is not taken.",
}


def _given(schema: Schema) -> Schema:
    """Describe a parameter of a query or a form: it is left out where it is none. In JSON null is as good."""
    options = schema.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest: list[Schema] = [option for option in options if option != {"type": "null"}]  # pyright: ignore[reportUnknownVariableType]  # of_type made it
        return _given(rest[0]) if len(rest) == 1 else {"anyOf": rest}
    return {**schema, **_WHOLE} if schema.get("type") == "integer" else schema


_ARGUMENT = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def _words(kind: type[Call[Any]]) -> tuple[str, str, dict[str, str]]:
    """Take a call's docstring apart: its first sentence, what follows, and what it says of each argument."""
    whole, _, arguments = cleandoc(getdoc(kind) or kind.http.name).partition("\nArgs:\n")
    summary, _, description = whole.partition("\n")
    described = {name: _on_one_line(words) for name, words in _ARGUMENT.findall(arguments)}
    return summary, _on_one_line(description), described


def _on_one_line(words: str) -> str:
    return " ".join(words.split())


_ERROR: Schema = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_REFUSED: Schema = {"description": "What was wrong.", "content": {_JSON: {"schema": _ERROR}}}


def _commands(shapes: Shapes) -> dict[str, Schema]:
    """Describe every command, by path."""
    from ticketstub.local_plex.control.commands import COMMANDS  # they are loaded only where somebody has a hand

    return {
        path: {method.lower(): _command(path, method, each, shapes) for method, each in methods.items()}
        for path, methods in COMMANDS.items()
    }


def _command(path: str, method: str, command: Command, shapes: Shapes) -> Schema:
    name = "_".join([method.lower(), *(path.split("/")[3:] or ["verbs"])])
    told = get_type_hints(command.work)["return"]
    success: Schema = {"204": {"description": "It is done."}}
    if told is not NoneType:
        schema = shapes.of_type(told)
        if command.told:
            schema = {"type": "object", "properties": {command.told: schema}, "required": [command.told]}
        content = {_JSON: {"schema": schema}}
        success = {"200": {"description": "It is done.", "content": content, **_links(name)}}
    needed = any(field.required for field in msgspec.structs.fields(command.order))
    order = {"required": needed, "content": {_JSON: {"schema": shapes.of_type(command.order)}}}
    return {
        "operationId": name,
        "summary": (getdoc(command.work) or "").partition("\n")[0],
        "security": [{"key": []}],
        **({"requestBody": order} if method == "POST" else {}),
        "responses": {**success, "default": _REFUSED},
    }


_PAGE_RESPONSES: Schema = {
    "200": {"description": "The page.", "content": {_HTML: _TEXT}},
    "303": {"description": "It goes on at another page."},
    "default": {"description": "A page that says why not.", "content": {_HTML: _TEXT}},
}
_PAGE_FORM: Schema = {
    "required": True,
    "content": {
        _FORM: {
            "schema": {
                "type": "object",
                "properties": {"form_token": {"type": "string", "description": "What the page's own form holds."}},
                "required": ["form_token"],
            }
        }
    },
}


def _pages() -> dict[str, Schema]:
    """Describe each page, under its address without a slash at the end."""
    from ticketstub.local_plex.pages.site import PAGES  # as above

    return {path: _page(path, page) for path, page in PAGES.items() if not path.endswith("/")}


def _page(path: str, page: Page) -> Schema:
    name = path.strip("/").replace("/", "_").replace("-", "_")
    shared = {"x-mark": "assumed", "tags": ["pages"], "security": [], "responses": _PAGE_RESPONSES}
    shown = {"operationId": f"show_{name}", "summary": f"The page {path}, for people (ours in looks).", **shared}
    taken = {"operationId": f"take_{name}", "summary": f"The form of the page {path}.", "requestBody": _PAGE_FORM}
    return {**({"get": shown} if page.show else {}), **({"post": taken | shared} if page.take else {})}


def _link(to: str, about: str, parameters: dict[str, str] | None = None, body: dict[str, str] | None = None) -> Schema:
    """Say that the answer to one operation holds what another one asks for."""
    given: Schema = {"parameters": parameters} if parameters else {}
    return {to: {"operationId": to, "description": about, **given, **({"requestBody": body} if body else {})}}


_SAME_CLIENT = {"X-Plex-Client-Identifier": "$request.header.X-Plex-Client-Identifier"}
_CODE = {"code": "$response.body#/code"}
_TOKEN = {"token": "$response.body#/token"}
_ACCOUNT = {"account": "$response.body#/username"}
# By operation id, with the expressions of OpenAPI's own language; they are true of JSON only: none points into XML.
_LINKS: dict[str, Schema] = {
    "create_pin": {
        **_link("get_pin", "Ask whether it was approved.", {"id": "$response.body#/id", **_SAME_CLIENT}),
        **_link("get_pin_qr", "Show its code as a picture.", _CODE),
        **_link("link_pin", "Approve it, as somebody who is signed in.", _SAME_CLIENT, _CODE),
    },
    "create_legacy_pin_as_json": _link(
        "get_legacy_pin_as_json", "Ask for it.", {"id": "$response.body#/pin/id", **_SAME_CLIENT}
    ),
    "home_users": _link("switch_home_user", "Become one of them.", {"uuid": "$response.body#/users/0/uuid"}),
    "post_tokens": {
        **_link("post_tokens_revoke", "End it.", body=_TOKEN),
        **_link("post_tokens_expire", "Let its time be over.", body=_TOKEN),
    },
    "post_accounts": {
        **_link("post_tokens", "Make a token for it.", body=_ACCOUNT),
        **_link("post_codes", "Get its verification code.", body=_ACCOUNT),
    },
}


def _links(operation: str) -> Schema:
    """Return the `links` member of an operation's success; nothing where there are none."""
    return {"links": _LINKS[operation]} if operation in _LINKS else {}
