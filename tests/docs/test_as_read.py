"""Each page of the documentation, read and typed by a reader from top to bottom, does what it says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.docs import running
from tests.docs.pages import Page, pages

EXAMPLES = [page for page in pages() if any(map(running.runs, page.blocks()))]


@pytest.mark.skipif(sys.platform == "win32", reason="the pages' commands are written for a POSIX shell")
@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.name)
def test_as_read(page: Page, tmp_path: Path) -> None:
    """A page's programs and commands, unchanged, in an empty home and with the ports they name, show what it shows."""
    running.read_alone(page.name, tmp_path)
