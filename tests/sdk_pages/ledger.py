"""The ledger: what the Authentication page of each generated SDK says, row by row, and the test that shows it.

Rule: the rows are data (`data/*.toml`), one file a page; what all pages say of an operation is in operations.toml and
our equivalents, each with its test, in ours.toml. A row's id is `page/section/row`, and the tests' ids repeat it; rows
that no observation of a real Plex confirms end in `-unconfirmed`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

HERE = Path(__file__).parent
PAGES = ("plexjava", "plexgo", "plexpy", "plexcsharp", "plexjs")
MODES = ("observed", "documented")
FACADES = ("sync", "async")
WAYS = (("observed", "sync"), ("documented", "async"), ("observed", "async"), ("documented", "sync"))
KINDS = ("construction", "operation", "sentence", "example", "parameter", "field", "result", "error", "option")

Test = TypeVar("Test", bound=Callable[..., object])


@dataclass(frozen=True)
class Ours:
    """Our equivalent of a row: in words, the test that shows it, and what that test needs to know."""

    key: str
    text: str
    test: str
    unconfirmed: str = ""
    argument: str = ""
    sent_as: str = ""


@dataclass(frozen=True)
class Operation:
    """One of the four operations: our name for it, its request line's start, and what all pages say of it."""

    key: str
    method: str
    request: str
    says: str
    sentences: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Row:
    """One row: its place, its kind, what the page says, and our equivalent.

    `value` is the page's own example value; `status` and `content_type` are an error's.
    """

    page: str
    section: str
    kind: str
    name: str
    says: str
    ours: Ours
    operation: str = ""
    value: str = ""
    status: str = ""
    content_type: str = ""

    @property
    def id(self) -> str:
        path = "/".join(filter(None, (self.page, self.section, self.name)))
        return f"{path}-unconfirmed" if self.ours.unconfirmed else path


@dataclass(frozen=True)
class Page:
    """One SDK's page: its name, language and releases, and its rows in their order."""

    name: str
    language: str
    release: str
    rows: tuple[Row, ...]


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / "data" / f"{name}.toml").read_text("utf-8"))


@cache
def ours() -> dict[str, Ours]:
    """Return our equivalents by key."""
    return {
        f"{group}.{name}": Ours(f"{group}.{name}", facts.pop("ours"), **facts)
        for group, members in _toml("ours").items()
        for name, facts in members.items()
    }


@cache
def operations() -> dict[str, Operation]:
    """Return the four operations by key."""
    return {
        key: Operation(key, said["method"], said["request"], said["says"], tuple(map(tuple, said["sentence"])))
        for key, said in _toml("operations").items()
    }


@cache
def pages() -> tuple[Page, ...]:
    """Return the pages."""
    return tuple(_page(_toml(name)) for name in PAGES)


def rows() -> list[Row]:
    """Return the rows of all pages."""
    return [row for page in pages() for row in page.rows]


def operations_of(page: str) -> list[str]:
    """Return the operations that a page has."""
    return [row.operation for row in rows() if row.page == page and row.kind == "operation"]


def _page(said: dict[str, Any]) -> Page:
    found = tuple(row for section in said["section"] for row in _rows(said["name"], section))
    return Page(said["name"], said["language"], said["release"], found)


def _rows(page: str, section: dict[str, Any]) -> Iterator[Row]:
    said = dict(section)
    name, key = said.pop("name", ""), said.pop("operation", "")
    if key:
        operation = operations()[key]
        said["operation"] = [["operation", operation.says, "operation.call"]]
        said["sentence"] = operation.sentences
    unknown = said.keys() - set(KINDS)
    assert not unknown, f"{page}/{name} has rows of kinds that do not exist: {unknown}"
    for kind in KINDS:
        for entry in said.get(kind, ()):
            yield _error(page, name, key, *entry) if kind == "error" else _row(page, name, kind, key, *entry)


def _row(page: str, section: str, kind: str, operation: str, name: str, says: str, key: str, value: str = "") -> Row:
    return Row(page, section, kind, name, says, ours()[key], operation, value)


def _error(page: str, section: str, operation: str, name: str, status: str, content_type: str, key: str) -> Row:
    says = f"`{name}`: {status}, {content_type}"
    short = status.replace(", ", "-")
    return Row(page, section, "error", short, says, ours()[key], operation, "", status, content_type)


def name_of(test: Callable[..., object]) -> str:
    """Return the name by which rows refer to a test."""
    return f"{Path(test.__code__.co_filename).name}::{test.__name__}"


def shows(test: Test) -> Test:
    """Run a test for each row that names it, in both error modes and with both façades.

    `make test` runs each row once, and each test with both façades and in both modes; the rest is for the long tests.
    """
    named = [row for row in rows() if row.ours.test == name_of(test)]
    assert named, f"no row names {name_of(test)}"
    short = {(row % len(named), WAYS[row % len(WAYS)]) for row in range(max(2, len(named)))}
    cases = [
        pytest.param(
            row, *way, id=f"{row.id}-{'-'.join(way)}", marks=[] if (number, way) in short else pytest.mark.long
        )
        for number, row in enumerate(named)
        for way in WAYS
    ]
    marked = pytest.mark.usefixtures("mode", "facade")(test)
    return pytest.mark.parametrize(("row", "mode", "facade"), cases)(marked)
