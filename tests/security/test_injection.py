"""S18: what a client sends is never a part of a statement of SQL: each place where it could be is tried."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote, urlencode

from msgspec.structs import fields as fields_of

from tests.local_plex.asking import ATTIC, MIRA, PASSWORDS
from tests.local_plex.whole import FORM, PLEX_TV, Whole
from tests.security.stage import household
from tests.tables import every
from ticketstub.local_plex.api.media_server import ROUTES as MEDIA_SERVER_ROUTES
from ticketstub.local_plex.api.plex_tv import ROUTES as PLEX_TV_ROUTES
from ticketstub.local_plex.http.router import Route, Router
from ticketstub.local_plex.storage.database import ReadConnection

STORE = Path(__file__).parents[2] / "src" / "ticketstub" / "local_plex" / "storage"
RUNS_SQL = {
    "execute",
    "executemany",
    "executescript",
    "fetch_one",
    "fetch_all",
    "fetch_value",
    "has_row",
    "require_row",
}
PUT_TOGETHER = {
    "control.py": 3,  # the names of our own tables, as the schema has them
    "sqlite_file.py": 3,  # two numbers of ours, twice, and settings of ours
}
PAYLOADS = (
    "'; DROP TABLE account; --",
    "' OR '1'='1",
    '" OR ""="',
    "1); DELETE FROM token WHERE (1=1",
    "x' UNION SELECT sealed_token FROM token --",
    "%' ESCAPE '\\",
    "$1 :1 ?1 @1",
)
NAMES = ("X-Plex-Token", "X-Plex-Client-Identifier", "X-Plex-Product", "X-Plex-Device-Name", "X-Plex-Version")


def test_s18_no_statement_is_put_together_from_values() -> None:
    """Every statement that the store runs is a constant, but those of the tables' and versions' own names."""
    found = {path.name: built for path in STORE.glob("*.py") if (built := sum(_put_together(path)))}
    assert found == PUT_TOGETHER


def _put_together(path: Path) -> Iterator[bool]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in RUNS_SQL:
            yield bool(node.args) and isinstance(node.args[0], ast.JoinedStr | ast.BinOp | ast.Call)


def described() -> list[tuple[str, Route[Any, Any]]]:
    tables: dict[str, Router[Any, Any]] = {PLEX_TV: PLEX_TV_ROUTES, "Attic": MEDIA_SERVER_ROUTES}
    return [(at, route) for at, table in tables.items() for route in table.list_routes()]


@every(("at", "route"), described())
def test_s18_quotes_are_text_everywhere(at: str, route: Route[Any, Any]) -> None:
    """In path, query, form, JSON and header fields of every route they are a value or refused, and change no table."""
    with Whole(household()) as plex:
        before = _tables(plex)
        for payload in PAYLOADS:
            _ask_everywhere(plex, at, route, payload)
        after = _tables(plex)
        assert before.keys() == after.keys()
        assert before["account"] <= after["account"]
        assert before["media_server"] <= after["media_server"]


def _ask_everywhere(plex: Whole, at: str, route: Route[Any, Any], payload: str) -> None:
    method = "GET" if route.method == "*" else route.method
    path = "/".join(
        quote(payload, safe="") if piece.startswith("{") else piece for piece in route.path_template.split("/")
    )
    # What is a number or a yes or no is refused at once, and would hide the texts beside it.
    named = [field.encode_name for field in fields_of(route.call_type) if {bool, int}.isdisjoint(_types(field.type))]
    given = dict.fromkeys((*named, "login", "code", "token"), payload)
    fields = dict.fromkeys(NAMES[2:], payload)
    form = urlencode(given | fields)
    for target, token, body, headers in (
        (path, MIRA, "", fields),
        (f"{path}?{form}", MIRA, "", {}),
        (path, MIRA, form, FORM),
        (path, MIRA, given, {}),
        (path, payload, "", {}),
        (path, None, urlencode(dict.fromkeys(NAMES, payload)), FORM),
    ):
        answer = plex.ask(method, target, token, at=at, body=body, headers=headers)
        assert answer.status < 500, (method, target, answer)
    assert plex.ask(method, path, MIRA, at=at, client=payload).status < 500


def _types(of: Any) -> set[Any]:
    return {of, *get_args(of)}


def _tables(plex: Whole) -> dict[str, set[str]]:
    """Return what identifies the rows of each table."""
    reader: ReadConnection = plex.instance.store._reader
    names = [row[0] for row in reader.fetch_all("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        name: {repr(row[0]) for row in reader.fetch_all(f'SELECT * FROM "{name}"')}  # noqa: S608  # names of tables
        for name in names
    }


def test_s18_a_sign_in_by_a_statement() -> None:
    """A login or password that would make a statement true signs nobody in."""
    with Whole(household()) as plex:
        for payload in PAYLOADS:
            for login, password in (
                (payload, payload),
                ("mira_quill", payload),
                (f"mira_quill{payload}", PASSWORDS["tom"]),
            ):
                body = urlencode({"login": login, "password": password})
                answer = plex.ask("POST", "/api/v2/users/signin", body=body, headers=FORM)
                assert answer.status in {401, 429}, answer
        assert plex.ask("GET", f"/api/v2/servers/{quote(ATTIC)}", MIRA).status < 500
