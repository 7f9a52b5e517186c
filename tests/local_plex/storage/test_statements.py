"""How SQLite finds rows: by an index in every statement, so that a million tokens cost what ten do."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import sqlite3
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest

from tests.tables import every
from ticketstub.local_plex import storage
from ticketstub.local_plex.storage import sqlite_file

# Statements of a start, and of whoever tests: no request runs them.
NOT_OF_REQUESTS = {"seed", "sqlite_file", "control"}
# One row for each media server of the world, and each key that signs or has signed: neither grows with use.
SMALL = {"media_server", "m", "signing_key"}
# What reads the rows of a table in their own order and stops after as many as it lists.
BOUNDED = {"sqlite._SELECT_ACCOUNTS": "account"}
# What may look at every row: the start page counts accounts, for a person at this machine.
COUNTING = {"sqlite.count_and_list_accounts": "account"}
SCAN = re.compile(r"SCAN (\w+)")
STATEMENT = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE)\s")


def texts(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Return a module's statements: its constants, and those inside functions."""
    for name, value in vars(module).items():
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and STATEMENT.match(text):
                yield name, text
    for function in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value):
                    yield function.name, node.value


def statements() -> dict[str, str]:
    """Return all statements that requests run, without those that are only the beginning of another."""
    found = {
        f"{name}.{place} {number}": text
        for _, name, _ in pkgutil.iter_modules(storage.__path__)
        if name not in NOT_OF_REQUESTS
        for number, (place, text) in enumerate(texts(import_module(f"{storage.__name__}.{name}")))
    }
    return {name: text for name, text in found.items() if name.split(".")[1].split()[0] != "_SELECT"}


STATEMENTS = statements()


def scanned(connection: sqlite3.Connection, text: str) -> set[str]:
    """Return the tables that a statement scans."""
    values = [None] * max(map(int, re.findall(r"\?(\d+)", text)), default=0)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
    return {found[1] for *_, step in plan if (found := SCAN.match(step))} - {"CONSTANT"}


@pytest.fixture(name="database", scope="module")
def _database() -> Iterator[sqlite3.Connection]:
    connection = sqlite_file.open_in_memory(None)
    yield connection
    connection.close()


def test_there_are_statements() -> None:
    """The statements are found, among them the token look-up of each request."""
    assert len(STATEMENTS) > 90
    assert any(name.startswith("sqlite._select_token ") for name in STATEMENTS)


@every("name", list(STATEMENTS))
def test_no_table_is_read_from_end_to_end(name: str, database: sqlite3.Connection) -> None:
    """No statement that a request runs scans a table that grows with use."""
    allowed = (BOUNDED | COUNTING).get(name.split(maxsplit=1)[0], "")
    assert set() == scanned(database, STATEMENTS[name]) - SMALL - {allowed}


@pytest.mark.parametrize(("name", "table"), BOUNDED.items())
def test_a_bounded_list_reads_no_more_rows_than_it_lists(name: str, table: str, database: sqlite3.Connection) -> None:
    """A statement that reads a table from its first row has a limit and does not sort."""
    text = next(text for each, text in STATEMENTS.items() if each.startswith(f"{name} "))
    plan = [step for *_, step in database.execute(f"EXPLAIN QUERY PLAN {text}", [1])]
    assert [f"SCAN {table}"] == plan
    assert re.search(r"LIMIT \?\d+\s*$", text)


def test_keys_are_checked_by_an_index(database: sqlite3.Connection) -> None:
    """Deleting a token or device finds the referring rows by an index too, as SQLite's plan shows."""
    assert set() == scanned(database, "DELETE FROM token WHERE digest = ?1")
    assert set() == scanned(database, "DELETE FROM device WHERE id = ?1")


def test_a_scan_is_seen(database: sqlite3.Connection) -> None:
    """The test above can fail."""
    assert {"token"} == scanned(database, "SELECT sealed FROM token WHERE created_at = ?1")
    assert {"token"} == scanned(database, "UPDATE token SET revoked_at = ?2 WHERE kind = ?1")
