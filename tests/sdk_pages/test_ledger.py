"""The ledger is complete: it has everything on the pages, each row has its test, and each test its rows."""

from __future__ import annotations

import ast
from collections import Counter
from importlib import import_module
from itertools import product
from typing import Any

import pytest

from tests.sdk_pages.generate import TARGET, documents
from tests.sdk_pages.ledger import FACADES, HERE, MODES, Page, operations, ours, pages, rows

FOUR, TWO = ["transient", "source", "details", "sign-in"], ["transient", "source"]

# Per page: its operations, its examples (methods and standalone functions), its error rows.
COUNTS = {
    "plexjava": (FOUR, 4, 12),
    "plexgo": (FOUR, 4, 12),
    "plexpy": (TWO, 2, 4),
    "plexcsharp": (TWO, 2, 4),
    "plexjs": (FOUR, 8, 12),
}


def shown() -> set[str]:
    """Return the names of the tests that show rows, from their source."""
    return {
        f"{path.name}::{node.name}"
        for path in HERE.glob("test_*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and any(ast.unparse(mark) == "shows" for mark in node.decorator_list)
    }


def test_nothing_of_the_pages_is_missing() -> None:
    """The five pages have 16 operations, 20 examples (4 of them standalone functions) and 44 error rows."""
    kinds = Counter(row.kind for row in rows())
    assert (16, 20, 44) == (kinds["operation"], kinds["example"], kinds["error"])
    assert (16, 4) == tuple(
        sum(row.ours.key == key for row in rows()) for key in ("example.call", "example.standalone")
    )


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_nothing_of_a_page_is_missing(page: Page) -> None:
    """A page has its operations, and as many examples and error rows as it should."""
    asked = [row.operation for row in page.rows if row.kind == "operation"]
    kinds = Counter(row.kind for row in page.rows)
    assert COUNTS[page.name] == (asked, kinds["example"], kinds["error"])


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_each_operation_of_a_page_is_whole(page: Page) -> None:
    """Each operation has its sentences, an example, a result, a missing result, and its error rows."""
    for section in {row.section for row in page.rows if row.section}:
        own = [row for row in page.rows if row.section == section]
        statuses = [row.status.upper().replace("-", ", ") for row in own if row.kind == "error"]
        typed = ["401"] if len(COUNTS[page.name][0]) == 2 else ["400", "401"]
        assert [*typed, "4XX, 5XX"] == statuses
        assert len(operations()[own[0].operation].sentences) == sum(row.kind == "sentence" for row in own)
        assert {f"result.{own[0].operation}", "result.absent"} == {row.ours.key for row in own if row.kind == "result"}
        assert {"example", "parameter"} <= {row.kind for row in own} or own[0].operation == "details"


def test_each_field_is_in_the_ledger() -> None:
    """The ledger has each builder field of the pages, with the header or form field that it is sent as."""
    fields = {
        page: [row.ours.sent_as for row in rows() if row.page == page and row.kind == "field" and row.ours.sent_as]
        for page in COUNTS
    }
    form = ["login", "password", "verificationCode"]
    identity = [f"X-Plex-{name}" for name in ("Client-Identifier", "Product", "Device", "Version", "Platform")]
    assert {
        "plexjava": [*identity, *form],
        "plexgo": form,
        "plexpy": [],
        "plexcsharp": [],
        "plexjs": [*identity, *form],
    } == fields


def test_rows_are_told_apart() -> None:
    """No two rows have the same id."""
    assert [] == [name for name, count in Counter(row.id for row in rows()).items() if count > 1]


def test_each_row_has_a_test_and_each_test_a_row() -> None:
    """The tests that rows name are the ones that show rows, and each of our equivalents is a row's."""
    assert shown() == {row.ours.test for row in rows()}
    assert set(ours()) == {row.ours.key for row in rows()}


def test_each_row_runs_everywhere() -> None:
    """Each row runs in each error mode with each façade; the short run has each row, and each test in both of each."""
    found: Counter[tuple[Any, ...]] = Counter()
    for name in shown():
        file, _, test = name.partition(".py::")
        marks = getattr(import_module(f"tests.sdk_pages.{file}"), test).pytestmark
        cases = next(mark.args[1] for mark in marks if mark.name == "parametrize")
        found.update((case.values[0].id, *case.values[1:]) for case in cases)
        short = [case.values for case in cases if not case.marks]
        assert {case.values[0] for case in cases} == {row for row, _, _ in short}
        assert (set(MODES), set(FACADES)) == ({mode for _, mode, _ in short}, {facade for _, _, facade in short})
    assert Counter(product((row.id for row in rows()), MODES, FACADES)) == found


def test_two_claims_are_unconfirmed() -> None:
    """The typed 400 and 401 of the media server's calls and the answer of an old server are marked, also in ids."""
    marked = [row for row in rows() if row.ours.unconfirmed]
    assert 2 == len({row.ours.unconfirmed for row in marked})
    assert all(row.id.endswith("-unconfirmed") for row in marked)
    typed = {row.id for row in rows() if row.operation in TWO and row.kind == "error" and row.status in {"400", "401"}}
    old = {row.id for row in rows() if row.name == "version"}
    assert (16, 5) == (len(typed), len(old))
    assert typed | old == {row.id for row in marked}


def test_the_pages_are_the_ledgers() -> None:
    """docs/sdks/ is what `python -m tests.sdk_pages.generate` writes."""
    assert documents() == {path.name: path.read_text("utf-8") for path in TARGET.iterdir()}
