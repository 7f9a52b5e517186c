"""Writes docs/sdks.md from the ledger: `python -m tests.sdk_pages.generate`.

Rule: the page contains what the rows say and nothing else; a test compares the file with the generated page.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.sdk_pages.ledger import Page, Row, operations, pages, rows

TARGET = Path(__file__).parents[2] / "docs" / "sdks.md"

_INTRODUCTION = """\
# The SDKs' pages, row by row

<!-- Written by `python -m tests.sdk_pages.generate` from tests/sdk_pages/data; a test compares the two. -->

Five SDKs are generated from one description of Plex's API: plexjava, plexgo, plexpy, plexcsharp and plexjs. This page
has every row of their Authentication reference pages: operations, examples, parameters, results, errors, options, and
how to create a client. Each row has its equivalent in Ticketstub, and the test in `tests/sdk_pages/` that shows it.

Every test runs with `Plex` and with `AsyncPlex`. It runs against a local Plex whose media servers refuse with web
pages, as real ones do (`errors = "observed"`), and against one whose media servers refuse as the pages say (`errors =
"documented"`). A scripted server on loopback sends the responses that the local Plex never sends, such as 429.

To run one row, name its page, operation and row: `make test args='-k plexjava/getTransientToken/400'`.

[Tested clients](strangers.md) says which of the SDKs themselves work with a local Plex.

In a row marked *unconfirmed*, no observation of a real Plex confirms the page:

{unconfirmed}

In the tables, `plex` is a client: `plex = Plex(token="…", server="http://…:32400")`, or an `AsyncPlex`, whose methods
are awaited. An error has `.status`, `.code`, `.message`, `.hint` and `.response`, which has `.status`, `.headers` and
`.body`. See also [Operations](reference/operations.md), [Options](reference/options.md) and
[Errors](reference/errors.md).
"""


def document() -> str:
    """Return the page."""
    unconfirmed = dict.fromkeys(row.ours.unconfirmed for row in rows() if row.ours.unconfirmed)
    introduction = _INTRODUCTION.format(unconfirmed="\n".join(f"* {claim}." for claim in unconfirmed))
    return "\n".join([introduction, *(part for page in pages() for part in _page(page))])


def _page(page: Page) -> Iterator[str]:
    yield f"## {page.name}\n"
    counts = {kind: sum(row.kind == kind for row in page.rows) for kind in ("operation", "example", "error")}
    numbers = ", ".join(f"{count} {kind}s" for kind, count in counts.items())
    yield f"{page.language}, releases {page.release}: {numbers}.\n"
    yield "| operation | on the page | in Ticketstub | shown by |"
    yield "|---|---|---|---|"
    yield from map(_line, page.rows)
    yield ""


def _line(row: Row) -> str:
    section = f"`{row.section}`" if row.section else ""
    says = f"**{row.says}**" if row.kind == "operation" else row.says
    mark = " *(unconfirmed)*" if row.ours.unconfirmed else ""
    return f"| {section} | {_cell(says)}{mark} | {_cell(_ours(row))} | `{row.ours.test}` |"


def _ours(row: Row) -> str:
    """Return our equivalent, with the operation's names in it."""
    method = operations()[row.operation].method if row.operation else ""
    call = "".join(part.title() for part in method.split("_"))
    return row.ours.text.replace("{method}", method).replace("{call}", call)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    TARGET.write_text(document(), "utf-8")
