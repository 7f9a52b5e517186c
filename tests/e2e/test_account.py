"""The account's own pages, in a real browser."""

from playwright.sync_api import expect

from tests.e2e.acting import App, Clock, Tab
from tests.e2e.conftest import OpenTab


def approved(app: App, tab: Tab) -> str:
    pin = app.pin()
    tab.open(app.auth_url(pin))
    tab.press("Approve")
    expect(tab.page.locator("h1")).to_have_text("Approved")
    token = app.token(pin)
    assert token
    return token


def test_removing_a_device_ends_its_token(app: App, tab: Tab) -> None:
    """A device that is removed on the page disappears from the list, and its token is dead."""
    tab.signed_in()
    token = approved(app, tab)
    tab.page.get_by_role("link", name="Devices").first.click()
    expect(tab.page.locator("main")).to_contain_text("Living room")
    assert "mira_quill" == app.whoami(token)
    tab.press("Remove Living room")
    expect(tab.page.get_by_role("status")).to_contain_text("removed")
    expect(tab.page.locator(".ticket")).not_to_contain_text("Living room")
    assert app.whoami(token) is None


def test_home_switch(app: App, tab: Tab) -> None:
    """The browser switches to another Home user, with a passcode if needed; a newly approved app is theirs."""
    tab.signed_in()
    tab.open("/account/home")
    assert "Quill home" == tab.title
    tab.page.get_by_label("Passcode of Pip").fill("1111")
    tab.press("Switch to Pip")
    expect(tab.page.get_by_role("alert")).to_contain_text("passcode is wrong")
    tab.page.get_by_label("Passcode of Pip").fill("4711")
    tab.press("Switch to Pip")
    tab.page.wait_for_url("**/account")
    expect(tab.page.locator(".app")).to_have_text("Pip")
    tab.open("/account/home")
    tab.press("Switch to sam")
    tab.page.wait_for_url("**/account")
    assert "sam" == app.whoami(approved(app, tab))


def test_signing_out(tab: Tab) -> None:
    """After a sign-out, every page requires a sign-in again."""
    tab.signed_in().open("/account")
    tab.press("Sign out")
    tab.page.wait_for_url("**/sign-in")
    tab.open("/account/devices")
    tab.page.wait_for_url("**/sign-in?*")


def test_claim_token(tab: Tab) -> None:
    """A click creates a claim token, and the page shows how long it is valid."""
    tab.signed_in()
    tab.open("/claim")
    expect(tab.page.locator("code")).to_have_count(0)
    tab.press("Create a claim token")
    token = tab.page.locator("code").inner_text()
    assert token.startswith("claim-")
    assert 26 == len(token)
    assert "4 minutes" in tab.text


def test_a_session_ends_after_twelve_hours(tab: Tab, clock: Clock) -> None:
    """A browser has to sign in again after twelve hours, used or not."""
    tab.signed_in()
    clock.now += 12 * 3600 - 1
    tab.open("/account")
    assert "Account" == tab.title
    clock.now += 1
    tab.open("/account")
    assert "Sign in" == tab.title


def test_two_browsers_know_nothing_of_each_other(open_tab: OpenTab) -> None:
    """A session belongs to one browser."""
    open_tab().signed_in()
    other = open_tab()
    other.open("/account")
    assert "Sign in" == other.title


def test_the_watch_on_a_tab_notices(tab: Tab) -> None:
    """The policy blocks what a page must not load, and the tests' own watch sees it."""
    tab.open("/auth")
    tab.page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:1/x.png'}))")
    tab.page.evaluate("document.body.setAttribute('style', 'color: red')")
    tab.page.wait_for_timeout(20)
    assert ["img-src", "style-src"] == [kind for kind in ("img-src", "style-src") if kind in str(tab.complaints)]
    tab.complaints.clear()
    tab.foreign_urls.clear()
