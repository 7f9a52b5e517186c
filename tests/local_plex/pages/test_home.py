"""The page of a Plex Home over plain HTTP: whom a browser can switch to, and what it costs."""

from collections.abc import Iterator

import pytest

from tests.local_plex.asking import Clock, ask, world
from tests.local_plex.pages.browsing import Browser, html
from ticketstub.local_plex.settings import Settings
from ticketstub.testing import LocalPlexController, local_plex

HOME = {
    "name": "Quill home",
    "admin": "mira_quill",
    "member": [{"account": "digits"}],
    "managed": [{"title": "Pip", "id": 10500456}, {"title": "Max", "id": 10500457, "passcode": "4711"}],
}
MIRA, PIP, MAX = "10500123", "10500456", "10500457"


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def plex(clock: Clock) -> Iterator[LocalPlexController]:
    often = Settings(switches_per_second=100)  # these tests are quick
    with local_plex({**world(), "home": [HOME]}, clock=clock, settings=often) as running:
        yield running


def switch(browser: Browser, user: str, **more: str) -> int:
    held = browser.page("/account").form("/sign-out")["form_token"]
    return browser.post("/account/home", {"form_token": held, "user": user, **more}).status


def test_who_is_in_the_home(signed_in: Browser) -> None:
    """The page lists all users of the Home with their roles, and asks for a passcode where one is set."""
    page = html(signed_in.get("/account/home"))
    for said in (
        "Quill home",
        "mira_quill Administrator",
        "Current user",
        "digits",
        "Pip Managed",
        "Passcode of Max",
    ):
        assert said in page.text
    assert 3 == page.actions.count("post /account/home")


def test_switching(signed_in: Browser, clock: Clock) -> None:
    """A switch changes the cookie and the user; the previous cookie is dead; a managed user claims nothing."""
    before = signed_in.cookie
    assert 303 == switch(signed_in, PIP)
    assert before != signed_in.cookie
    page = html(signed_in.get("/account"))
    assert "Account Pip" in page.text
    assert 303 == ask(signed_in.url, "GET", "/account", {"Cookie": before}).status
    refused = signed_in.get("/claim")
    assert 403 == refused.status
    assert "Not for managed users" in html(refused).text
    assert 303 == switch(signed_in, MAX, passcode="4711")
    clock.now += 60
    assert 303 == switch(signed_in, MIRA)


@pytest.mark.parametrize("user", ["10500321", "1", "", "x", "-1"])
def test_nobody_of_another_home(user: str, signed_in: Browser) -> None:
    """S21: an account outside this Home is not found, whether it exists or not."""
    assert 404 == switch(signed_in, user)
    assert "Account mira_quill" in html(signed_in.get("/account")).text


@pytest.mark.parametrize("passcode", ["", "1111", "47110", "\uff14\uff17\uff11\uff11"])
def test_wrong_passcode(passcode: str, plex: LocalPlexController, clock: Clock) -> None:
    """A missing, wrong or malformed passcode switches nobody."""
    clock.now += 3600
    browser = Browser(plex).signed_in()
    assert 403 == switch(browser, MAX, passcode=passcode)
    assert "Account mira_quill" in html(browser.get("/account")).text


def test_passcodes_are_not_guessed(plex: LocalPlexController, clock: Clock) -> None:
    """S12: after five wrong passcodes even the right one has to wait, and the page says how long."""
    clock.now += 24 * 3600
    browser = Browser(plex).signed_in()
    for _ in range(5):
        assert 403 == switch(browser, MAX, passcode="1111")
    held = browser.page("/account").form("/sign-out")["form_token"]
    answer = browser.post("/account/home", {"form_token": held, "user": MAX, "passcode": "4711"})
    assert 429 == answer.status
    assert "Wait 15 minutes" in html(answer).text


def test_without_a_home(plex: LocalPlexController) -> None:
    """An account without a Home is alone, with nobody to switch to."""
    page = Browser(plex).signed_in("tom").page("/account/home")
    assert "Plex Home" in page.text
    assert "tom" in page.text
    assert "post /account/home" not in page.actions
