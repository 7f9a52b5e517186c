"""The README's table of the SDKs' pages is that of the ledger and of the clients that were run."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT, page

LEDGER = ROOT / "docs" / "sdks"


def test_the_pages_have_as_many_rows_as_in_the_ledger() -> None:
    """Each page has its row, with the number of its tested rows."""
    table = page("README.md").table("Try it")
    written = dict(zip(table.column("page"), map(int, table.column("rows tested")), strict=True))
    rows = {
        path.stem: len(re.findall(r"^\| (?!on the page \|)", path.read_text("utf-8"), re.MULTILINE))
        for path in LEDGER.iterdir()
        if path.stem != "index"
    }
    assert rows == written


def test_the_releases_are_those_that_were_run() -> None:
    """Each SDK's releases, and whether it was run or only its requests were sent, are those of the tested clients."""
    table = page("README.md").table("Try it")
    clients = page("docs/tested-clients.md").table("Tested clients")
    found = [*zip(clients.column("client"), clients.column("version"), strict=True)]
    columns = (table.column(name) for name in ("page", "releases tested", "by"))
    for name, releases, method in zip(*columns, strict=True):
        client = {"the real program": rf"{name}|.* \({name}\)", "its requests": f"{name}'s requests"}[method]
        assert releases == ", ".join(version for who, version in found if re.fullmatch(client, who)), name
