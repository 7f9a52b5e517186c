"""The start page in a browser: a click signs in, and the code on it stays current."""

from playwright.sync_api import expect

from tests.e2e.acting import Clock
from tests.e2e.conftest import OpenTab


def test_a_click_signs_in(open_tab: OpenTab) -> None:
    """The button of an account leads to that account's page, signed in."""
    tab = open_tab()
    tab.open("/")
    tab.press("Sign in as vera")
    expect(tab.page.locator("h1")).to_have_text("Account")
    expect(tab.page.locator("main")).to_contain_text("vera@example.test")


def test_the_code_stays_current(open_tab: OpenTab, clock: Clock) -> None:
    """When a code expires, the page shows the next one without a reload."""
    tab = open_tab()
    clock.now += 29 - clock.now % 30
    tab.open("/")
    shown = tab.page.locator("[data-code]")
    expect(shown).to_have_text(clock.code())
    tab.page.evaluate("window.mark = 1")
    clock.now += 5
    expect(shown).to_have_text(clock.code(), timeout=60_000)
    assert 1 == tab.page.evaluate("window.mark")
