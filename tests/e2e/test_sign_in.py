"""Signing an app in, in a real browser."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.acting import App, Clock, Tab
from tests.e2e.conftest import OpenTab, WebApplication
from ticketstub.local_plex.local_plex import LocalPlex


@pytest.mark.parametrize("opening", ["/auth#?", "/auth#!?", "/auth/#!?"])
def test_whole_sign_in_by_browser(opening: str, app: App, tab: Tab) -> None:
    """Each spelling of the Auth App's URL leads through sign-in and approval to a working token."""
    pin = app.pin()
    tab.open(app.auth_url(pin, opening))
    tab.sign_in()
    expect(tab.page.locator("h1")).to_have_text("Let this app sign in as you?")
    for said in (
        "Demo App",
        "Living room",
        "Linux",
        "1.2.0",
        "127.0.0.1",
        "just now",
        "If you approve, it can act as mira_quill",
    ):
        assert said in tab.text
    assert app.token(pin) is None
    tab.press("Approve")
    expect(tab.page.locator("h1")).to_have_text("Approved")
    assert "You can close this window" in tab.text
    assert "mira_quill" == app.whoami(app.token(pin) or "")


def test_whole_sign_in_with_a_verification_code(app: App, tab: Tab, clock: Clock) -> None:
    """An account with verification codes gets a second page, and the password is entered once."""
    pin = app.pin()
    tab.open(app.auth_url(pin))
    tab.sign_in("vera@example.test")
    expect(tab.page.locator("h1")).to_have_text("Enter your code")
    field = tab.page.get_by_label("Verification code")
    field.fill("000000")
    tab.press("Continue")
    expect(tab.page.get_by_role("alert")).to_contain_text("This code is wrong")
    field.fill(f"{clock.code()[:3]} {clock.code()[3:]}")
    tab.press("Continue")
    tab.press("Approve")
    expect(tab.page.locator("h1")).to_have_text("Approved")
    assert "vera" == app.whoami(app.token(pin) or "")


def test_parameters_as_careless_clients_write_them(app: App, tab: Tab) -> None:
    """Brackets and addresses that are not percent-encoded are understood as well."""
    pin = app.pin()
    tab.signed_in()
    tab.open(app.auth_url(pin, "/auth/#!?", encoded=False, **{"context[device][model]": "Plex OAuth"}))
    tab.press("Approve")
    expect(tab.page.locator("h1")).to_have_text("Approved")
    assert app.token(pin)


def test_unknown_names_in_the_fragment_go_nowhere(app: App, tab: Tab) -> None:
    """Only known names of a fragment are copied into the query."""
    unknown = {"evil": "1", "context[device][__proto__]": "2", "form_token": "3"}
    tab.open(app.auth_url(app.pin(), encoded=True, **unknown))
    tab.page.wait_for_url("**/sign-in?*")
    assert "evil" not in tab.page.url
    assert "proto" not in tab.page.url
    assert "form_token" not in tab.page.url


def test_without_a_code_there_is_nothing_to_approve(tab: Tab, plex: LocalPlex) -> None:
    """Without parameters, the Auth App says so and links to the link page."""
    tab.open("/auth")
    assert "Nothing to approve yet" == tab.title
    tab.page.get_by_role("link", name="Enter a code").click()
    tab.page.wait_for_url("**/sign-in?*")


def test_forgotten_password(tab: Tab) -> None:
    """`#?resetPassword` explains where passwords are."""
    tab.open("/auth#?resetPassword")
    expect(tab.page.locator("h1")).to_have_text("Forgot a password?")
    assert "world file" in tab.text


def test_deny(app: App, tab: Tab) -> None:
    """After a denial the app gets no token, and the code is used up."""
    pin = app.pin()
    tab.signed_in()
    tab.open(app.auth_url(pin))
    tab.press("Deny")
    expect(tab.page.locator("h1")).to_have_text("Denied")
    assert app.token(pin) is None
    tab.open(app.auth_url(pin))
    expect(tab.page.locator("h1")).to_have_text("Not found or expired")


def test_expiry(app: App, tab: Tab, clock: Clock) -> None:
    """A code that expires while its page is open cannot be approved."""
    pin = app.pin()
    tab.signed_in()
    clock.now += 23
    tab.open(app.auth_url(pin))
    expect(tab.page.locator(".facts")).to_contain_text("23 seconds ago")
    clock.now += 1800
    tab.press("Approve")
    expect(tab.page.locator("h1")).to_have_text("Not found or expired")


def test_another_clients_code(plex: LocalPlex, app: App, tab: Tab) -> None:
    """A URL that names another client than the PIN's finds nothing."""
    pin = app.pin()
    tab.signed_in()
    tab.open(App(plex, "somebody-else").auth_url(pin))
    expect(tab.page.locator("h1")).to_have_text("Not found or expired")


def test_link_code(app: App, tab: Tab) -> None:
    """A code of four characters is entered in any case, shown, and approved."""
    pin = app.pin(strong=False)
    tab.open("/link")
    tab.sign_in()
    tab.page.get_by_label("Link code").fill(pin.code.lower())
    tab.press("Continue")
    expect(tab.page.locator(".app")).to_have_text("Demo App")
    tab.press("Approve")
    expect(tab.page.locator("h1")).to_have_text("Approved")
    assert "mira_quill" == app.whoami(app.token(pin) or "")


@pytest.mark.parametrize("place", ["/link/?pin={}", "/pin?pin={}", "/auth#?clientID=demo-client-7c1f&code={}"])
def test_link_code_in_a_url(place: str, app: App, tab: Tab) -> None:
    """A code in the URL is filled in, and nothing happens until the form is submitted."""
    pin = app.pin(strong=False)
    tab.signed_in()
    tab.open(place.format(pin.code))
    expect(tab.page.get_by_label("Link code")).to_have_value(pin.code)
    tab.press("Continue")
    tab.press("Approve")
    expect(tab.page.locator("h1")).to_have_text("Approved")
    assert app.token(pin)


def test_wrong_link_code(app: App, tab: Tab) -> None:
    """A wrong code is reported; after five, even the right one has to wait, and the page says how long."""
    pin = app.pin(strong=False)
    wrong = next(code for code in ("AAAA", "AAAB") if code != pin.code)
    tab.signed_in()
    tab.open("/link")
    for _ in range(5):
        tab.page.get_by_label("Link code").fill(wrong)
        tab.press("Continue")
        expect(tab.page.get_by_role("alert")).to_contain_text("No device is waiting with this code")
        expect(tab.page.get_by_label("Link code")).to_be_focused()
    tab.page.get_by_label("Link code").fill(pin.code)
    tab.press("Continue")
    expect(tab.page.get_by_role("alert")).to_contain_text("Wait 15 minutes")


@pytest.mark.parametrize("encoded", [True, False])
def test_back_to_the_web_application(encoded: bool, app: App, tab: Tab, web_application: WebApplication) -> None:
    """After an approval the browser goes to the web application's URL and sends nothing but that URL."""
    pin = app.pin()
    tab.allowed.add(web_application.host)
    tab.signed_in()
    tab.open(app.auth_url(pin, encoded=encoded, forwardUrl=f"{web_application.url}/done?pin={pin.id}"))
    assert f"you return to {web_application.host}" in tab.text
    tab.press("Approve")
    tab.page.wait_for_url(f"{web_application.url}/**")
    expect(tab.page.locator("h1")).to_have_text("Welcome back")
    assert [(f"/done?pin={pin.id}", None)] == web_application.seen
    assert app.token(pin)


def test_denied_stays(app: App, tab: Tab, web_application: WebApplication) -> None:
    """After a denial nothing is redirected; there is a link back."""
    pin = app.pin()
    tab.allowed.add(web_application.host)
    tab.signed_in()
    tab.open(app.auth_url(pin, forwardUrl=f"{web_application.url}/done"))
    tab.press("Deny")
    expect(tab.page.locator("h1")).to_have_text("Denied")
    assert [] == web_application.seen
    tab.page.get_by_role("link", name="Go back to the app").click()
    expect(tab.page.locator("h1")).to_have_text("Welcome back")


def test_another_host_is_left_to_by_a_click(app: App, tab: Tab) -> None:
    """The browser is not redirected to any other host; the page names it and has a link that sends no referrer."""
    tab.signed_in()
    tab.open(app.auth_url(app.pin(), forwardUrl="https://app.example.test/done?x=1"))
    tab.press("Approve")
    expect(tab.page.locator("main")).to_contain_text("The link leads to app.example.test")
    link = tab.page.get_by_role("link", name="Go to app.example.test")
    assert "https://app.example.test/done?x=1" == link.get_attribute("href")
    assert "noreferrer noopener" == link.get_attribute("rel")


@pytest.mark.parametrize(
    "url", ["myapp://done", "javascript:alert(1)", r"http://127.0.0.1:1\@evil.example/", "/\\evil.example"]
)
def test_what_is_no_web_address_is_ignored(url: str, app: App, tab: Tab) -> None:
    """A `forwardUrl` of another scheme, or one that browsers read differently, is refused, and the page says so."""
    tab.signed_in()
    tab.open(app.auth_url(app.pin(), forwardUrl=url))
    expect(tab.page.locator("main")).to_contain_text("not allowed")
    tab.press("Approve")
    expect(tab.page.locator("h1")).to_have_text("Approved")
    assert {urlsplit(tab.plex.url).netloc} == {
        urlsplit(link).netloc for link in tab.page.eval_on_selector_all("a", "links => links.map(link => link.href)")
    }


def test_another_account_can_be_used(app: App, tab: Tab) -> None:
    """A user who is signed in to another account can switch on the way, and returns to the approval."""
    pin = app.pin()
    tab.signed_in("sam")
    tab.open(app.auth_url(pin))
    tab.press("Use another account")
    tab.sign_in("mira_quill")
    tab.press("Approve")
    expect(tab.page.locator("h1")).to_have_text("Approved")
    assert "mira_quill" == app.whoami(app.token(pin) or "")


def test_wrong_password(tab: Tab) -> None:
    """A wrong password is reported in a message that screen readers announce, and the login is kept."""
    tab.open("/sign-in")
    tab.sign_in(password="wrong")
    expect(tab.page.get_by_role("alert")).to_contain_text("password is wrong")
    expect(tab.page.get_by_label("User name")).to_have_value("mira_quill")
    expect(tab.page.get_by_label("Password")).to_be_focused()
    assert re.match("Not signed in:", tab.page.title())


def test_by_keyboard_alone(app: App, tab: Tab) -> None:
    """From the first page to the approval, Tab, typing and Enter are enough, and focus is always visible."""
    pin = app.pin(strong=False)
    tab.open("/link")
    keys = tab.page.keyboard
    expect(tab.page.get_by_label("User name")).to_be_focused()
    keys.type("mira_quill")
    keys.press("Tab")
    keys.type("paper-lantern-42")
    keys.press("Enter")
    expect(tab.page.get_by_label("Link code")).to_be_focused()
    keys.type(pin.code)
    keys.press("Enter")
    expect(tab.page.locator("h1")).to_have_text("Let this app sign in as you?")
    keys.press("Tab")
    assert "Skip to main content" == tab.page.evaluate("document.activeElement.textContent")
    assert tab.page.evaluate("document.activeElement.getBoundingClientRect().top >= 0")
    keys.press("Enter")
    keys.press("Tab")
    assert "Approve" == tab.page.evaluate("document.activeElement.textContent")
    assert "none" != tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    keys.press("Enter")
    expect(tab.page.locator("h1")).to_have_text("Approved")
    assert app.token(pin)


def test_without_scripts(app: App, open_tab: OpenTab) -> None:
    """Without scripts the Auth App explains what to do, and everything else works."""
    pin = app.pin()
    tab = open_tab(java_script_enabled=False)
    tab.open(app.auth_url(pin))
    assert "needs JavaScript" in tab.text
    tab.signed_in()
    tab.open(app.auth_url(pin).replace("#?", "?"))
    tab.press("Approve")
    expect(tab.page.locator("h1")).to_have_text("Approved")
    assert app.token(pin)


OPENER = """
    url => {
        window.heard = [];
        window.addEventListener("message", event => window.heard.push([event.origin, event.data]));
        window.open(url);
    }
"""


def popup_of(tab: Tab, web_application: WebApplication, url: str) -> Page:
    """Open the Auth App in its own window, as a web application does, and go to the approval."""
    tab.allowed.add(web_application.host)
    tab.open(web_application.url)
    with tab.context.expect_page() as opened:
        tab.page.evaluate(OPENER, url)
    popup = opened.value
    popup.set_default_timeout(5000)
    popup.get_by_role("button", name="Approve").wait_for()
    return popup


def test_the_opener_is_told_that_it_is_done(
    app: App, tab: Tab, web_application: WebApplication, plex: LocalPlex
) -> None:
    """Without a forwardUrl the page that opened the window gets AUTH_COMPLETE, without any token."""
    popup = popup_of(tab.signed_in(), web_application, app.auth_url(app.pin()))
    popup.get_by_role("button", name="Approve").click()
    popup.get_by_role("heading", name="Approved").wait_for()
    tab.page.wait_for_function("window.heard.length > 0")
    assert [[plex.url, {"type": "AUTH_COMPLETE", "response": {}}]] == tab.page.evaluate("window.heard")
    popup.close()


def test_another_origin_in_the_openers_place_is_told_nothing(
    app: App, tab: Tab, web_application: WebApplication
) -> None:
    """Only the origin that opened the window gets the message, not one to which that window went since."""
    popup = popup_of(tab.signed_in(), web_application, app.auth_url(app.pin()))
    elsewhere = web_application.url.replace("127.0.0.1", "localhost")
    tab.allowed.add(web_application.host.replace("127.0.0.1", "localhost"))
    # By a script of its own: where the browser itself goes to another site, the two windows no longer know each other.
    tab.page.evaluate("url => { window.location.assign(url); }", elsewhere)
    tab.page.wait_for_url(f"{elsewhere}/")
    tab.page.evaluate("window.heard = []; window.addEventListener('message', event => window.heard.push(event.data))")
    popup.get_by_role("button", name="Approve").click()
    popup.get_by_role("heading", name="Approved").wait_for()
    # Messages to this window come in order, so one of its own shows that no other came before it.
    popup.evaluate("window.opener.postMessage('last', '*')")
    tab.page.wait_for_function("window.heard.includes('last')")
    assert ["last"] == tab.page.evaluate("window.heard")
    popup.close()
