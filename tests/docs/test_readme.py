"""The README's table of the SDKs' pages is that of the ledger and of the clients that were run."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT, page

LEDGER = page("docs/sdks.md")
STRANGERS = ROOT / "tests" / "strangers"


def test_the_pages_have_as_many_rows_as_in_the_ledger() -> None:
    """Each page has its row, with the number of its tested rows."""
    table = page("README.md").table("Try it")
    written = dict(zip(table.column("page"), map(int, table.column("rows tested")), strict=True))
    sections = re.split(r"^## ", (ROOT / "docs" / "sdks.md").read_text("utf-8"), flags=re.MULTILINE)[1:]
    rows = {
        text.split()[0]: len(re.findall(r"^\| (?!operation \| on the page)", text, re.MULTILINE)) for text in sections
    }
    assert rows == written


def test_the_releases_are_those_that_were_run() -> None:
    """The releases of an SDK that is run as a program are the folders of its clients."""
    table = page("README.md").table("Try it")
    found = dict(zip(table.column("page"), table.column("releases tested"), strict=True))
    methods = dict(zip(table.column("page"), table.column("by"), strict=True))
    for name in (each for each, method in methods.items() if method == "the real program"):
        folders = {folder.name.partition("_")[2].replace("_", ".") for folder in STRANGERS.glob(f"{name}_*")}
        assert folders == set(found[name].split(", ")), name
