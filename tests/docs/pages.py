"""The pages of the documentation as data: blocks of code, tables by heading, headings and links.

Rule: only what the Markdown says; what a block or a table means is the tests' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token as Part

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_MARK = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line it begins on, and the comment right before it."""

    language: str
    text: str
    line: int
    mark: str


@dataclass(frozen=True)
class Table:
    """A table below a heading: the heading's text, the names of its columns, and its rows as texts."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> list[str]:
        """Return one column without the marks of code."""
        at = self.columns.index(name)
        return [row[at].replace("`", "") for row in self.rows]


class Page:
    """One page."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text("utf-8") if text is None else text

    @cached_property
    def _parts(self) -> list[Part]:
        """What the page is made of; read by the worker that asks for it, not by each that collects the tests."""
        return MarkdownIt("commonmark").enable("table").parse(self.text)

    def blocks(self) -> list[Block]:
        """Return the fenced blocks in their order."""
        before: list[Part | None] = [None, *self._parts]
        return [
            Block(part.info.strip(), part.content, (part.map or [0])[0] + 1, _mark(previous))
            for previous, part in zip(before, self._parts, strict=False)
            if part.type == "fence"
        ]

    def indented(self) -> list[int]:
        """Return the lines of code that is only indented, and so has no language."""
        return [(part.map or [0])[0] + 1 for part in self._parts if part.type == "code_block"]

    def headings(self) -> list[str]:
        """Return the texts of all headings."""
        return [after.content for part, after in pairwise(self._parts) if part.type == "heading_open"]

    def anchors(self) -> set[str]:
        """Return the names by which its headings are linked to."""
        return {_NOT_IN_ANCHORS.sub("", text.lower()).replace(" ", "-") for text in self.headings()}

    def links(self) -> list[str]:
        """Return the targets of all links."""
        inline = [child for part in self._parts for child in part.children or []]
        return [str(child.attrs["href"]) for child in inline if child.type == "link_open"]

    def tables(self) -> list[Table]:
        """Return the tables in their order."""
        return list(self._tables())

    def table(self, heading: str) -> Table:
        """Return the first table below a heading."""
        return next(table for table in self.tables() if table.heading.replace("`", "") == heading)

    def section(self, heading: str) -> str:
        """Return the text from a heading to the next one of its level or a higher one."""
        lines = self.text.splitlines()
        starts = {
            (part.map or [0])[0]: (int(part.tag[1:]), after.content.replace("`", ""))
            for part, after in pairwise(self._parts)
            if part.type == "heading_open"
        }
        begin, level = next((line, level) for line, (level, text) in starts.items() if text == heading)
        end = min((line for line, (other, _) in starts.items() if line > begin and other <= level), default=len(lines))
        return "\n".join(lines[begin:end])

    def _tables(self) -> Iterator[Table]:
        heading, rows = "", list[tuple[str, ...]]()
        for part, after in pairwise(self._parts):
            if part.type == "heading_open":
                heading = after.content
            elif part.type == "table_open":
                rows = []
            elif part.type == "tr_open":
                rows.append(())
            elif part.type in {"th_open", "td_open"}:
                rows[-1] += (after.content,)
            if after.type == "table_close":
                yield Table(heading, tuple(name.replace("`", "") for name in rows[0]), tuple(rows[1:]))


def _mark(previous: Part | None) -> str:
    match = _MARK.fullmatch(previous.content.strip()) if previous and previous.type == "html_block" else None
    return match[1] if match else ""


@cache
def page(name: str) -> Page:
    """Return a page by its path from the root of the repository."""
    return Page(ROOT / name)


@cache
def pages() -> tuple[Page, ...]:
    """Return all pages, the README first."""
    return tuple(page(path.relative_to(ROOT).as_posix()) for path in PAGES)
