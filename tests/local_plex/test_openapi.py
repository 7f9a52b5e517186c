"""The OpenAPI documents are complete, valid and served, and right about some calls that are written out here."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import jsonschema_rs
import pytest

from tests.local_plex.asking import ATTIC, MIRA, ask
from tests.local_plex.conftest import Start
from ticketstub.local_plex.api import media_server, plex_tv
from ticketstub.local_plex.control.commands import COMMANDS
from ticketstub.local_plex.control.controller import Controller
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.listeners import ControlConfig
from ticketstub.local_plex.local_plex import LocalPlex, build_openapi_document
from ticketstub.local_plex.openapi.documents import ApiName
from ticketstub.local_plex.pages import start
from ticketstub.local_plex.pages.site import PAGES
from ticketstub.local_plex.world.schema import World
from ticketstub.testing import LocalPlexController
from ticketstub.tokens import Secret

PLACES: tuple[ApiName, ApiName] = ("plex.tv", "media server")
QUOTES = ("'", "1' OR '1'='1", '"); DROP TABLE tokens;--', "\\'; --", "%27", "1;SELECT/**/1", "\x00'")


def document(place: ApiName) -> Any:
    """Return a document as a client receives it."""
    return json.loads(build_openapi_document(place))


@pytest.mark.parametrize("place", [*PLACES, "control"])
def test_it_is_an_openapi_document(place: ApiName) -> None:
    """An independent validator accepts it as OpenAPI 3.1, and each of its schemas as JSON Schema."""
    import schemathesis  # which takes long: only where it is used

    found = document(place)
    schemathesis.openapi.from_dict(found).validate()
    for schema in found["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


@pytest.mark.parametrize("place", PLACES)
def test_it_is_served_to_everybody(place: ApiName, fresh: LocalPlexController) -> None:
    """Each kind of port serves its own document without a token, as JSON, also to pages of other origins."""
    url = fresh.url if place == "plex.tv" else fresh.media_server("Attic").url
    found = ask(url, "GET", "/ticketstub/openapi.json")
    assert (200, "application/json", "*") == (
        found.status,
        found.headers["content-type"],
        found.headers["access-control-allow-origin"],
    )
    assert document(place) == found.json
    assert b"" == ask(url, "HEAD", "/ticketstub/openapi.json").body
    assert {405, 401} >= {ask(url, "POST", "/ticketstub/openapi.json").status}


def test_every_route_is_in_it() -> None:
    """Every route is listed with its method, success status, mark and security, and so is every page."""
    tables: list[list[Route[Any, Any]]] = [plex_tv.ROUTES.list_routes(), media_server.ROUTES.list_routes()]
    for place, table in zip(PLACES, tables, strict=True):
        paths = document(place)["paths"]
        for route in table:
            operation = paths[route.call_type.http.path][route.call_type.http.method.lower()]
            assert route.call_type.http.name == operation["operationId"]
            assert route.call_type.http.mark == operation["x-mark"]
            assert str(route.status) in operation["responses"]
            assert ([{"token": []}] if route.needs_token else []) == operation["security"]
    listed = document("plex.tv")["paths"]
    assert [] == [
        path for path in PAGES if path.rstrip("/") not in listed and path != start.PATH
    ]  # only `serve` has it


def test_the_control_api_has_one_too() -> None:
    """It lists every command with its body, its responses and the key."""
    found = document("control")
    listed = {(path, method.upper()) for path, methods in found["paths"].items() for method in methods}
    assert {(path, method) for path, methods in COMMANDS.items() for method in methods} == listed
    approve = found["paths"]["/control/v1/pins/approve"]["post"]
    order = found["components"]["schemas"]["approve"]
    assert ["pin"] == order["required"]
    assert order["additionalProperties"] is False
    assert {"204", "default"} == set(approve["responses"])
    assert [{"key": []}] == approve["security"]


def test_the_control_port_serves_it_to_who_has_the_key() -> None:
    """Without the key it is 401, as everything on that port."""
    plex = LocalPlex(World(), controller=Controller(), control=ControlConfig(Secret("the-key-of-this-test"), 0))
    with plex.run_in_thread():
        url = plex.control_url or ""
        assert 401 == ask(url, "GET", "/ticketstub/openapi.json").status
        found = ask(url, "GET", "/ticketstub/openapi.json", {"Authorization": "Bearer the-key-of-this-test"})
    assert document("control") == found.json


def test_no_two_operations_have_one_name() -> None:
    """Code generators turn operation ids into functions."""
    for place in PLACES:
        names = [each["operationId"] for path in document(place)["paths"].values() for each in path.values()]
        assert len(names) == len(set(names))


def test_a_form_as_the_document_has_it() -> None:
    """The sign-in: its form, its header, its response."""
    operation = document("plex.tv")["paths"]["/api/v2/users/signin"]["post"]
    form = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert ["login", "password"] == form["required"]
    assert {"type": "string", "format": "password"} == form["properties"]["password"]
    assert {"type": "boolean"} == form["properties"]["rememberMe"]
    assert [("header", "X-Plex-Client-Identifier", True)] == [
        (each["in"], each["name"], each["required"]) for each in operation["parameters"]
    ]
    created = operation["responses"]["201"]["content"]
    assert {"$ref": "#/components/schemas/Account"} == created["application/json"]["schema"]
    assert {"name": "user"} == created["application/xml"]["schema"]["xml"]
    assert [] == operation["security"]


def test_parameters_and_wrappers_as_the_document_has_them() -> None:
    """Parameters have their wire names, a media server's reply its container, and a suffix one format."""
    pin = document("plex.tv")["paths"]["/api/v2/pins/{id}"]["get"]
    assert ["id", "deviceJWT", "X-Plex-Client-Identifier"] == [each["name"] for each in pin["parameters"]]
    token = document("media server")["paths"]["/security/token"]
    assert {"get", "post"} == set(token)
    assert [("type", True, ["delegation"]), ("scope", True, ["all"])] == [
        (each["name"], each["required"], _enum(each["schema"], "media server")) for each in token["post"]["parameters"]
    ]
    container = token["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert ["MediaContainer"] == container["required"]
    legacy = document("plex.tv")["paths"]
    assert ["application/xml"] == list(legacy["/pins.xml"]["post"]["responses"]["201"]["content"])
    assert ["application/json"] == list(legacy["/pins.json"]["post"]["responses"]["201"]["content"])


def _enum(schema: dict[str, str], place: ApiName) -> Any:
    return document(place)["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["enum"]


def test_what_is_wrong_before_its_route_is_found_is_said_in_its_routes_way(fresh: LocalPlexController) -> None:
    """A body that is no JSON object is refused in the way and the format of its API, the older one or v2."""
    headers = {"Content-Type": "application/json"}
    assert {"error"} == set(ask(fresh.url, "POST", "/users/sign_in.json", headers, "[1]").json)
    assert {"errors"} == set(ask(fresh.url, "POST", "/api/v2/pins.json", headers, "[1]").json)


@pytest.mark.parametrize("place", PLACES)
def test_quotes_break_nothing(place: ApiName, start: Start) -> None:
    """A text made for SQL injection in any text parameter of the document never causes a 5xx."""
    plex = start()
    url = plex.url if place == "plex.tv" else plex.media_server("Attic").url
    head = {"X-Plex-Token": MIRA, "X-Plex-Client-Identifier": "' OR 1=1 --"}
    form = {"Content-Type": "application/x-www-form-urlencoded", **head}
    asked = 0
    for path, method, operation in _operations(place):
        for text in QUOTES:
            names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
            body = operation.get("requestBody", {}).get("content", {}).get("application/x-www-form-urlencoded")
            fields = urlencode(dict.fromkeys(body["schema"]["properties"], text)) if body else None
            where = _filled(path, text)
            query = urlencode(dict.fromkeys(names, text))
            found = ask(url, method, f"{where}?{query}", form if body else head, fields)
            assert found.status < 500, f"{method} {path} with {text!r}: {found.status}"
            asked += 1
    assert asked >= 5 * len(QUOTES)
    assert 200 == ask(plex.media_server("Attic").url, "GET", "/", {"X-Plex-Token": MIRA}).status
    assert ATTIC in ask(plex.url, "GET", "/api/v2/resources", head).body.decode()


def _operations(place: ApiName) -> list[tuple[str, str, Any]]:
    ending = {"sign_out", "unclaim_server"}
    paths = document(place)["paths"].items()
    return [
        (path, method.upper(), each)
        for path, methods in paths
        for method, each in methods.items()
        if each["operationId"] not in ending and (each.get("parameters") or each.get("requestBody"))
    ]


def _filled(path: str, text: str) -> str:
    """Replace a path's parameters by a text."""
    return "/".join(quote(text, safe="") if piece.startswith("{") else piece for piece in path.split("/"))


def test_the_list_of_libraries_as_the_document_has_it() -> None:
    """The members of an empty list of libraries are described as they are answered."""
    content = document("media server")["paths"]["/library/sections"]["get"]["responses"]["200"]["content"]
    reply = content["application/json"]["schema"]["properties"]["MediaContainer"]
    name = reply["$ref"].rpartition("/")[2]
    members = document("media server")["components"]["schemas"][name]["properties"]
    assert {"size": "integer", "allowSync": "boolean", "title1": "string"} == {
        member: schema["type"] for member, schema in members.items()
    }
