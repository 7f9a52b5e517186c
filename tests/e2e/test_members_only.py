"""The application of docs/how-to/members-only.md, served by uvicorn, in a real browser."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import expect

from tests.docs import members_only
from tests.e2e.acting import Tab
from tests.e2e.conftest import OpenTab
from ticketstub.testing import LocalPlexController

if not find_spec("fastapi") and os.environ.get("CI") != "true":
    pytest.skip("the application needs FastAPI: `make setup` installs it", allow_module_level=True)


@pytest.fixture
def local_plex_world() -> dict[str, Any]:
    return members_only.WORLD


@pytest.fixture
def site(local_plex: LocalPlexController, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The application's address, while a server runs it; for the browser, the local Plex is another site."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://localhost:{listening.getsockname()[1]}"
        app = members_only.load(local_plex.url, monkeypatch, url).app
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield url
        server.should_exit = True
        thread.join()


@pytest.fixture
def plex(local_plex: LocalPlexController) -> LocalPlexController:
    """The local Plex that the tabs are about."""
    return local_plex


def open_site(open_tab: OpenTab, site: str, **options: object) -> Tab:
    """Open the application in a tab; with options, in a browser of its own."""
    tab = open_tab(**options)
    tab.allowed.add(urlsplit(site).netloc)
    tab.open(f"{site}/")
    expect(tab.page.locator("h1")).to_have_text("Please sign in.")
    return tab


def go_to_plex(tab: Tab, login: str) -> None:
    """Press the button, and sign in at Plex."""
    tab.press("Sign in with Plex")
    tab.sign_in(login)
    expect(tab.page.locator("main")).to_contain_text("Members Only")


def test_a_member_gets_in_and_out(open_tab: OpenTab, site: str) -> None:
    """The browser goes to Plex and back, shows the page for members, and after signing out does not any more."""
    tab = open_site(open_tab, site)
    go_to_plex(tab, "tom")
    tab.press("Approve")
    expect(tab.page.locator("h1")).to_have_text("Welcome, tom (friend)")
    assert f"{site}/" == tab.page.url
    cookies = [(each.get("name"), each.get("httpOnly"), each.get("sameSite")) for each in tab.context.cookies(site)]
    assert [("session", True, "Lax")] == cookies
    assert "session" not in tab.page.evaluate("document.cookie")
    tab.press("Sign out")
    expect(tab.page.locator("h1")).to_have_text("Please sign in.")
    tab.page.go_back()
    expect(tab.page.locator("h1")).to_have_text("Please sign in.")


@pytest.mark.parametrize("same", ["name", "identifier"])
def test_a_stranger_does_not_get_in(same: str, open_tab: OpenTab, site: str, plex: LocalPlexController) -> None:
    """The owner of a server with the same name, or with the same identifier, is not admitted."""
    resources = members_only.forge_resources(plex, name=same == "name", identifier=same == "identifier")
    plex.answer_next("GET /api/v2/resources", body=resources, media_type="application/json")
    tab = open_site(open_tab, site)
    go_to_plex(tab, "walt")
    tab.press("Approve")
    expect(tab.page.locator("h1")).to_have_text("This Plex account is not a member.")
    tab.open(f"{site}/")
    expect(tab.page.locator("h1")).to_have_text("Please sign in.")


def test_a_return_in_another_browser(open_tab: OpenTab, site: str) -> None:
    """A member who approves a sign-in that another browser began is not signed in to the application."""
    began = open_site(open_tab, site)
    other = open_site(open_tab, site, locale="en-GB")
    began.press("Sign in with Plex")
    other.open(began.page.url)
    other.sign_in("tom")
    other.press("Approve")
    expect(other.page.locator("h1")).to_have_text("This sign-in was not begun in this browser.")
    other.open(f"{site}/")
    expect(other.page.locator("h1")).to_have_text("Please sign in.")


def test_plex_tv_is_down(open_tab: OpenTab, site: str, plex: LocalPlexController) -> None:
    """While plex.tv is down, the application says so and nobody gets in."""
    tab = open_site(open_tab, site)
    plex.take_down("plex.tv")
    tab.press("Sign in with Plex")
    expect(tab.page.locator("h1")).to_have_text("Plex did not confirm your account. Please try again later.")
    tab.open(f"{site}/")
    expect(tab.page.locator("h1")).to_have_text("Please sign in.")
