"""Every example of the documentation is run, and does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import running
from tests.docs.pages import ROOT, Page, pages

# What may stand there without being run: output, drawings and pieces of a protocol.
SHOWN = {"text", "http", "json", "xml"}


EXAMPLES = [page for page in pages() if any(map(running.runs, page.blocks()))]


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.name)
def test_examples_do_what_the_page_says(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run from top to bottom by a reader, a page's programs and commands work and show what it shows."""
    environment = running.environment(tmp_path)
    for name in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.chdir(tmp_path)
    with running.local_plex(page) as addresses:
        running.Session(page, tmp_path, environment, addresses=addresses).run()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_no_example_is_left_out_without_a_reason(page: Page) -> None:
    """A block of code is run, or is no code, or a comment before it says why it is not run."""
    left_out = [
        f"{page.name}:{block.line}"
        for block in page.blocks()
        if block.language not in SHOWN and not running.runs(block) and not block.mark.startswith("not run: ")
    ]
    assert [] == [*left_out, *(f"{page.name}:{line}" for line in page.indented())]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_what_make_is_told_exists(page: Page) -> None:
    """Each `make …` that a page names is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$? ?)make ([a-z]+)", page.text, re.MULTILINE))
    assert set() == named - targets


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
