"""Writes docs/sdks/ from the ledger: `python -m tests.sdk_pages.generate`.

Rule: the pages contain what the rows say and nothing else; a test compares the files with the generated pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from tests.sdk_pages.ledger import Page, Row, operations, pages, rows

TARGET = Path(__file__).parents[2] / "docs" / "sdks"

_WRITTEN = (
    "<!-- Written by `python -m tests.sdk_pages.generate` from tests/sdk_pages/data; a test compares the two. -->"
)
_GUIDES = {"plexpy": "plex-api-client"}

_INDEX = """\
# The SDKs' pages, row by row

{written}

Five SDKs are generated from one description of Plex's API: plexjava, plexgo, plexpy, plexcsharp and plexjs. These pages
list every row of their Authentication reference pages: operations, examples, parameters, results, errors, options, and
how to create a client. Each row has its equivalent in Ticketstub, and the test in `tests/sdk_pages/` that proves it.

| page | language | releases | rows | operations | examples | errors |
|---|---|---|---|---|---|---|
{table}

Every test runs with `Plex` and with `AsyncPlex`. It runs against a local Plex whose media servers send web pages as
errors, as real ones do (`errors = "observed"`), and against one whose media servers send JSON, as the reference pages
say (`errors = "documented"`). A scripted server on loopback sends the responses that the local Plex never sends, such
as 429.

To run one row, name its page, operation and row: `make test args='-k plexjava/getTransientToken/400'`.

In a row marked *unconfirmed*, no observation of a real Plex confirms the page:

{unconfirmed}

## Next

* [Coming from another library](../how-to/migrate/index.md): what changes when you port a program.
* [Tested clients](../tested-clients.md): which of the SDKs themselves work with a local Plex.
* [Operations](../reference/operations.md), [Options](../reference/options.md) and
  [Errors](../reference/errors.md): the same in Ticketstub's own terms.

```{{toctree}}
:hidden:

{names}
```
"""

_PAGE = """\
# {page.name}, row by row

{written}

Each row has what the Authentication reference page of {page.name} says ({page.language}, releases {page.release}), the
equivalent in Ticketstub, and the test in `tests/sdk_pages/` that proves it. [The SDKs' pages](index.md) explain how the
rows are tested, and what *unconfirmed* means.

`plex` is a client: `plex = Plex(token="…", server="http://…:32400")`, or an `AsyncPlex`, whose methods you await. An
error has `.status`, `.code`, `.message`, `.hint` and `.response`, which has `.status`, `.headers` and `.body`.

{sections}

## Next

* [Coming from {page.name}](../how-to/migrate/{guide}.md): how to port a program.
* [Operations](../reference/operations.md), [Options](../reference/options.md) and
  [Errors](../reference/errors.md): the same in Ticketstub's own terms.
"""


def documents() -> dict[str, str]:
    """Return the pages by their file names."""
    return {"index.md": _write_index()} | {f"{page.name}.md": _write_page(page) for page in pages()}


def _write_index() -> str:
    unconfirmed = dict.fromkeys(row.ours.unconfirmed for row in rows() if row.ours.unconfirmed)
    return _INDEX.format(
        written=_WRITTEN,
        table="\n".join(map(_summary, pages())),
        unconfirmed="\n".join(f"* {claim}." for claim in unconfirmed),
        names="\n".join(page.name for page in pages()),
    )


def _summary(page: Page) -> str:
    counts = (sum(row.kind == kind for row in page.rows) for kind in ("operation", "example", "error"))
    cells = (f"[{page.name}]({page.name}.md)", page.language, page.release, len(page.rows), *counts)
    return f"| {' | '.join(map(str, cells))} |"


def _write_page(page: Page) -> str:
    guide = _GUIDES.get(page.name, page.name)
    sections = groupby(page.rows, key=lambda row: row.section)
    tables = (_write_section(name, map(_line, rows_of_section)) for name, rows_of_section in sections)
    return _PAGE.format(written=_WRITTEN, page=page, guide=guide, sections="\n\n".join(tables))


def _write_section(name: str, lines: Iterable[str]) -> str:
    heading = f"`{name}`" if name else "The client"
    return "\n".join([f"## {heading}\n", "| on the page | in Ticketstub | proved by |", "|---|---|---|", *lines])


def _line(row: Row) -> str:
    says = f"**{row.says}**" if row.kind == "operation" else row.says
    mark = " *(unconfirmed)*" if row.ours.unconfirmed else ""
    return f"| {_cell(says)}{mark} | {_cell(_ours(row))} | `{row.ours.test}` |"


def _ours(row: Row) -> str:
    """Return our equivalent, with the operation's names in it."""
    method = operations()[row.operation].method if row.operation else ""
    call = "".join(part.title() for part in method.split("_"))
    return row.ours.text.replace("{method}", method).replace("{call}", call)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for name, text in documents().items():
        (TARGET / name).write_text(text, "utf-8")
