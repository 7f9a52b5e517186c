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
has each row of their Authentication reference pages (each operation, example, parameter, result, error and option, and
how a client is made), with what it is here and the test that shows it, below `tests/sdk_pages/`.

A test runs once for each row that names it, with `Plex` and with `AsyncPlex`, against a local Plex whose media servers
refuse with web pages, as they were seen to do (`errors = "observed"`), and against one whose media servers refuse as
the pages say (`errors = "documented"`). What the local Plex does not answer, such as 429, is answered by a scripted
server on loopback. The tests' names hold page, operation and row:
`make test args='-k plexjava/getTransientToken/400'` runs one row.

Whether the SDKs themselves get on with a local Plex is on [Strangers](strangers.md): plexpy, plexjs and plexgo as they
were published, and requests as plexjava and plexcsharp write them.

Where a row is marked *unconfirmed*, no observation of a real Plex confirms what the page says:

{unconfirmed}

In the tables `plex` is a client: `plex = Plex(token="…", server="http://…:32400")`, or `AsyncPlex`, whose methods are
awaited. [Operations](reference/operations.md), [Options](reference/options.md) and [Errors](reference/errors.md)
explain ours. An error of ours has `.status`, `.code`, `.message`, `.hint` and `.response`, which is the answer itself,
with `.status`, `.headers` and `.body`.
"""


def document() -> str:
    """Return the page."""
    unconfirmed = dict.fromkeys(row.ours.unconfirmed for row in rows() if row.ours.unconfirmed)
    introduction = _INTRODUCTION.format(unconfirmed="\n".join(f"* {claim}." for claim in unconfirmed))
    return "\n".join([introduction, *(part for page in pages() for part in _page(page))])


def _page(page: Page) -> Iterator[str]:
    yield f"## {page.name}\n"
    counts = {kind: sum(row.kind == kind for row in page.rows) for kind in ("operation", "example", "error")}
    told = ", ".join(f"{count} {kind}s" for kind, count in counts.items())
    yield f"{page.language}, releases {page.release}: {told}.\n"
    yield "| on the page | | here | shown by |"
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
