"""One browser and profile for the tests of a file; each test has a local Plex and a tab without cookies or history."""

import http.server
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.acting import WORLD, App, Clock, Tab
from ticketstub.local_plex.domain.overview import Overview
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.world.schema import World

OpenTab = Callable[..., Tab]
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


# Not for the whole run: while it lives its library runs an event loop in this thread, and other files need their own.
@pytest.fixture(scope="module")
def browser(require: Callable[[str, str], str]) -> Iterator[Browser]:
    if sys.platform != "linux":
        pytest.skip("the browser tests drive Linux's Chromium")
    program = require("chromium", "install Debian's or Ubuntu's package `chromium`")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield started
        started.close()


# A profile costs half a second of a core, and a page in one a quarter: more than most of these tests themselves.
@pytest.fixture(scope="module")
def usual(browser: Browser) -> Page:
    """The page in which the first tab of each test is opened, unless it wants a profile with options of its own."""
    return browser.new_context().new_page()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plex(clock: Clock) -> Iterator[LocalPlex]:
    world = World.from_dict(WORLD)
    overview = Overview(world, show_secrets=True, is_demo=True)
    with LocalPlex(world, clock=clock, overview=overview).run_in_thread() as running:
        yield running


@pytest.fixture
def app(plex: LocalPlex) -> App:
    return App(plex)


@pytest.fixture
def open_tab(browser: Browser, usual: Page, plex: LocalPlex) -> Iterator[OpenTab]:
    """Open a tab in its own profile; at the end it must not have left its site or logged an error."""
    with ExitStack() as ends:
        tabs: list[Tab] = []

        def begin(**options: object) -> Tab:
            if tabs or options:
                context = browser.new_context(**options)  # type: ignore[arg-type]  # a test's own words
                ends.callback(context.close)
                page = context.new_page()
            else:
                page = usual
                ends.callback(reset_page, page)
            tabs.append(Tab(page, plex))
            ends.callback(tabs[-1].stop_watching)
            return tabs[-1]

        yield begin
        assert [] == [url for tab in tabs for url in tab.foreign_urls]
        assert [] == [text for tab in tabs for text in tab.complaints]


def reset_page(page: Page) -> None:
    """Clear a profile of everything that the test's pages left there."""
    page.goto("about:blank")
    page.context.clear_cookies()
    assert [page] == page.context.pages


@pytest.fixture
def tab(open_tab: OpenTab) -> Tab:
    return open_tab()


class WebApplication:
    """A small web application on its own port, which records the requests of browsers."""

    def __init__(self, server: http.server.ThreadingHTTPServer) -> None:
        self.host = f"127.0.0.1:{server.server_address[1]}"
        self.url = f"http://{self.host}"
        self.seen: list[tuple[str, str | None]] = []


@pytest.fixture
def web_application() -> Iterator[WebApplication]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/favicon.ico":
                application.seen.append((self.path, self.headers.get("Referer")))
            body = b"<!doctype html><html lang=en><title>Demo App</title><h1>Welcome back</h1>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's own name
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    application = WebApplication(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield application
    server.shutdown()
    thread.join()
    server.server_close()
