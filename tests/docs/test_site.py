"""The documentation site, as `make docs` builds it and as a browser shows it from a folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.docs.pages import ROOT
from tests.e2e.conftest import browser as browser  # noqa: PLC0414  # a fixture is asked for by its name

OWN = {"file", "data", "blob"}
WIDTHS = (1280, 390)


class Reader(HTMLParser):
    """What an HTML page has: where it links, what it loads, and the names that can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag in {"a", "link"} and "href" in found:
            (self.links if tag == "a" or found.get("rel") in {"next", "prev"} else self.loaded).append(found["href"])
        elif "src" in found:
            self.loaded.append(found["src"])


@cache
def read(path: Path) -> Reader:
    """Read an HTML page once."""
    return Reader(path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, require_package: Callable[[str, str], None]) -> Path:
    """The site, built as strictly as `make docs` builds it."""
    require_package("furo", "`make docs` installs it")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q", "-d", str(folder / "doctrees")]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(folder / "html")], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
    return folder / "html"


def pages_of(site: Path) -> list[Path]:
    """Return all pages of the site."""
    return sorted(site.rglob("*.html"))


def test_links_lead_somewhere(site: Path) -> None:
    """Each link within the site names a page that exists and, behind a number sign, a place on it."""
    broken: list[str] = []
    for path in pages_of(site):
        for link in read(path).links + read(path).loaded:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            missing = not target.is_file() or (
                anchor and target.suffix == ".html" and anchor not in read(target).anchors
            )
            if missing:
                broken.append(f"{path.relative_to(site)}: {link}")
    assert [] == broken


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    """No page names a script, style sheet, picture or frame of another host."""
    loaded = {link for path in pages_of(site) for link in read(path).loaded}
    assert set() == {link for link in loaded if urlsplit(link).netloc}


@pytest.fixture
def opened(browser: Browser, site: Path) -> Callable[[Path], Page]:
    """Open a page of the site in a browser that notes foreign requests and what the console says."""
    tab = browser.new_page()
    said: list[str] = []
    tab.on("request", lambda request: said.append(request.url) if urlsplit(request.url).scheme not in OWN else None)
    tab.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("requestfailed", lambda request: said.append(f"not found: {request.url}"))

    def open_page(path: Path) -> Page:
        tab.goto(path.as_uri(), wait_until="load")
        assert [] == said, path
        return tab

    return open_page


def test_every_page_in_a_browser(site: Path, opened: Callable[[Path], Page]) -> None:
    """From a folder each page asks no other host, has no error, and does not scroll sideways on a telephone."""
    too_wide: list[str] = []
    for path in pages_of(site):
        tab = opened(path)
        for width in WIDTHS:
            tab.set_viewport_size({"width": width, "height": 800})
            if tab.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                too_wide.append(f"{path.relative_to(site)} at {width}")
    assert [] == too_wide


def test_search_from_a_folder(site: Path, opened: Callable[[Path], Page]) -> None:
    """A search for a word finds the page about it, without a server."""
    tab = opened(site / "search.html")
    tab.goto(f"{(site / 'search.html').as_uri()}?q=get_transient_token")
    expect(tab.locator("#search-results li").first).to_be_visible()
    assert any("operations" in text.lower() for text in tab.locator("#search-results li").all_inner_texts())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(site: Path, opened: Callable[[Path], Page], scheme: str) -> None:
    """The pages follow what the reader's system prefers."""
    tab = opened(site / "index.html")
    tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    red = int(tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"))
    assert (red > 200) == (scheme == "light")
