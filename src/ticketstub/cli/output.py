"""Printing results: fields as aligned lines, lists as tables, and everything also as JSON.

Rule: text from Plex is stripped of control and direction characters, and never read as markup. Colours appear only on a
terminal (`supports_styles`). In a pipe, lines are never wrapped. Rich, which is slow to import, prints only tables and
what moves.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

import click

from ticketstub.errors import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console

    from ticketstub.models import Model

Fields = Iterable[tuple[str, str | None]]
"""Names and values; values that are `None` or empty are not printed."""


def create_console(stream: TextIO | None = None, *, width: int | None = None) -> Console:
    """Return a console that prints text without markup, highlighting or wrapping; `width` replaces the terminal's."""
    from rich.console import Console

    return Console(file=stream or sys.stdout, width=width, markup=False, emoji=False, highlight=False, soft_wrap=True)


def supports_styles(stream: TextIO | None) -> bool:
    """Return whether a stream shows bold text and colours: a terminal does, unless NO_COLOR is set or it is a dumb one.

    FORCE_COLOR makes a pipe count as a terminal. A closed stream is `None`.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "") in {"dumb", "unknown"}:
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream is not None and stream.isatty())


def print_styled(text: str, *, to_stderr: bool = False) -> None:
    """Print text with the styles of `click.style`, which are left out where the stream does not show them."""
    click.echo(text, err=to_stderr, color=supports_styles(sys.stderr if to_stderr else sys.stdout))


def print_json(value: object) -> None:
    """Print a value as JSON (`formatting.to_json`); non-ASCII characters are escaped, so none moves the cursor."""
    from ticketstub.cli.formatting import to_json

    print(json.dumps(to_json(value), indent=2))


def print_section(title: str, fields: Fields = ()) -> None:
    """Print a heading, and one line for each field."""
    print_styled(click.style(sanitize_text(title), bold=True))
    print_fields(fields)


def print_result(data: object, title: str, fields: Fields = (), *, as_json: bool) -> None:
    """Print the result of a command: a heading and fields, or JSON."""
    if as_json:
        print_json(data)
    else:
        print_section(title, fields)


def print_fields(fields: Fields, *, indent: int = 2) -> None:
    """Print one line for each field, with the values aligned."""
    visible = [(name, sanitize_text(value)) for name, value in fields if value]
    width = max((len(name) for name, _ in visible), default=0)
    for name, value in visible:
        print_styled(f"{' ' * indent}{click.style(name.ljust(width), dim=True)}  {value}")


def print_line(text: str, *, indent: int = 0, label: tuple[str, str] = ("", "")) -> None:
    """Print an indented line; a sentence that is too long for the terminal continues with the same indentation.

    Args:
        text: the line.
        indent: how many columns it is indented.
        label: a word for the indentation, and its style.
    """
    from textwrap import wrap

    from rich.text import Text

    out, text = create_console(), sanitize_text(text, 500)
    width = max(out.width - indent, 20)
    lines = wrap(text, width, break_long_words=False, break_on_hyphens=False) if out.is_terminal else [text]
    for number, line in enumerate(lines):
        word, style = ("", "") if number else label
        out.print(Text.assemble((word.ljust(indent), style), line))


def print_records(
    name: str,
    items: Sequence[Model],
    *,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    empty_message: str,
    as_json: bool,
) -> None:
    """Print a list of models as a table, or a message if it is empty. As JSON, it is an object with one key, `name`."""
    if as_json:
        from ticketstub.cli.formatting import model_to_json

        print_json({name: [model_to_json(one) for one in items]})
    elif items:
        print_table(columns, rows)
    else:
        print_section(empty_message)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; if the terminal is too narrow, print the fields of each row instead."""
    from rich.cells import cell_len
    from rich.table import Column, Table
    from rich.text import Text

    texts = [["\n".join(map(sanitize_text, cell.split("\n"))) for cell in row] for row in rows]
    out = create_console()
    needed_width = sum(
        2 + max(cell_len(line) for cell in column for line in cell.split("\n"))
        for column in zip(columns, *texts, strict=True)
    )
    if out.is_terminal and needed_width > out.width:
        for first, *others in texts:
            cells = zip(columns[1:], others, strict=True)
            print_section(first, ((name, value.replace("\n", " ")) for name, value in cells))
        return
    headers = (Column(name, no_wrap=True) for name in columns)
    table = Table(*headers, box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for row in texts:
        table.add_row(*map(Text, row))
    create_console(width=needed_width).print(table)
