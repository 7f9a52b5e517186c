"""The examples of the documentation, without running them; test_as_read.py does that."""

from __future__ import annotations

import re
import socket

import pytest

from tests.docs import running
from tests.docs.pages import ROOT, Page, pages
from tests.tables import every
from ticketstub.local_plex.world.schema import World

# What may stand there without being run: output, drawings, pieces of a protocol, and words to Sphinx.
SHOWN = {"text", "http", "json", "xml", "{toctree}", "{eval-rst}"}
INCLUDED = "{literalinclude} "


@every("page", pages())
def test_worlds(page: Page) -> None:
    """Each world that a page shows is one, except those that the page says are refused."""
    for block in page.blocks():
        if block.language == "toml" and running.runs(block) and not block.mark.startswith("refused "):
            World.parse(block.text)


@every("page", pages())
def test_no_example_is_left_out_without_a_reason(page: Page) -> None:
    """A block of code is run, or is no code, or a comment before it says why it is not run."""
    left_out = [
        f"{page.name}:{block.line}"
        for block in page.blocks()
        if block.language not in SHOWN
        and not block.language.startswith(INCLUDED)
        and not running.runs(block)
        and not block.mark.startswith("not run: ")
    ]
    assert [] == [*left_out, *(f"{page.name}:{line}" for line in page.indented())]


@every("page", pages())
def test_a_file_that_a_page_includes_exists_and_is_linked(page: Page) -> None:
    """A file that a page includes exists. The page links to it, because only the site shows what is included."""
    included = [block.language.removeprefix(INCLUDED) for block in page.blocks() if block.language.startswith(INCLUDED)]
    assert [] == [name for name in included if not (page.path.parent / name).is_file() or name not in page.links()]


@every("page", pages())
def test_what_make_is_told_exists(page: Page) -> None:
    """Each `make …` that a page names is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$? ?)make ([a-z-]+)", page.text, re.MULTILINE))
    assert set() == named - targets


def test_a_port_that_is_taken_is_named() -> None:
    """A page that cannot have one of its ports says which page and which port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = ROOT / "docs" / "made-up.md"
        read = Page(path, f"```console\n$ ticketstub serve --demo --port {port}\nhttp://127.0.0.1:{port}\n```\n")
        with pytest.raises(AssertionError, match=rf"docs/made-up.md uses .*\bport {port}, which"):
            running.assert_free(read)


@pytest.mark.parametrize(
    ("shown", "happened"),
    [("a\nb", "a"), ("a …\nb", "a x\nc"), ("a\n…\nb", "a\nx\ny"), ("token #…", "token\n#1")],
)
def test_a_page_that_shows_something_else_is_found(shown: str, happened: str) -> None:
    """Output that differs from the page's is a failure, also around what the page leaves open."""
    with pytest.raises(running.Unlike):
        running.compare(shown, happened, "here")


@pytest.mark.parametrize(
    ("shown", "happened"),
    [("a\nb", "a\nb  \n"), ("a …\nb", "a x y\nb"), ("a\n…\nb", "a\nx\ny\nb"), ("a\n…\nb", "a\nb")],
)
def test_what_a_page_leaves_open_may_be_anything(shown: str, happened: str) -> None:
    """Three dots stand for any text in a line, and alone in one for any lines."""
    running.compare(shown, happened, "here")
