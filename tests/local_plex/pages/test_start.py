"""The start page of `serve`: who sees it, what is on it, and who can sign in with a click."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.local_plex.asking import MIRA, SECRET, START, TOM, Answered, Clock, code_at
from tests.local_plex.pages.browsing import Html
from tests.local_plex.whole import HASH, HTML, PASSWORD, Browser, Whole
from ticketstub.local_plex.domain.overview import Overview
from ticketstub.local_plex.storage.seed import seed
from ticketstub.local_plex.world.schema import World
from ticketstub.tokens import Secret

WORLD: dict[str, Any] = {
    "account": [
        {
            "username": "mira_quill",
            "email": "mira@example.test",
            "friendly_name": "Mira",
            "password": PASSWORD,
            "token": MIRA,
            "verification_secret": SECRET,
        },
        {"username": "tom", "email": "tom@example.test", "password_hash": HASH, "token": TOM},
        {"username": "off", "email": "off@example.test", "disabled": True},
    ],
    "media_server": [{"name": "Attic", "owner": "mira_quill"}],
}
Open = Callable[..., Whole]


@pytest.fixture
def opened() -> Iterator[Open]:
    """A local Plex with a start page, with or without secrets, of the demonstration or another world."""
    with ExitStack() as ends:

        def begin(*, secrets: bool = True, invented: bool = True) -> Whole:
            whole = ends.enter_context(Whole(WORLD, clock=Clock()))
            whole.instance.overview = Overview(World.from_dict(WORLD), show_secrets=secrets, is_demo=invented)
            return whole

        yield begin


def start_page(plex: Whole, **more: Any) -> Html:
    answer = plex.ask("GET", "/", client=None, headers=HTML, **more)
    assert (200, "text/html; charset=utf-8") == (answer.status, answer.headers["content-type"])
    assert "access-control-allow-origin" not in answer.headers
    return Html(answer.body.decode())


def click(plex: Whole, browser: Browser, account: str = "mira_quill", **headers: str) -> Answered:
    """Press a sign-in button as a browser would."""
    number = World.from_dict(WORLD).account(account).id
    token = browser.fields("/sign-in")["form_token"]
    return browser.post("/", {"account": str(number), "form_token": token}, **headers)


def test_it_shows_what_is_needed_to_try_it_by_hand(opened: Open) -> None:
    """The page has passwords, tokens, the current code, addresses, links, and a button for each enabled account."""
    page = start_page(opened())
    for shown in (PASSWORD, MIRA, TOM, code_at(START), "Accounts (3)", "Sign in as Mira", "Sign in as tom"):
        assert shown in page.text
    assert "Sign in as off" not in page.text
    assert SECRET not in page.text
    assert {"/link", "/account", "/claim", "/ticketstub/openapi.json"} <= set(page.links)
    assert any(link.endswith("/identity") for link in page.links)
    assert "All people and secrets on this page are invented" in page.text


@pytest.mark.parametrize("secrets", [True, False])
def test_the_sign_in_page_says_where_a_code_comes_from(opened: Open, secrets: bool) -> None:
    """The page for a code names the command that prints it, and the start page if that shows it."""
    plex = opened(secrets=secrets, invented=secrets)
    page = Html(plex.browser().sign_in("mira_quill").body.decode())
    assert "Enter your code" in page.text
    assert "ticketstub code NAME prints the current code" in " ".join(page.text.split())
    assert secrets == ("/" in page.links)
    assert secrets == (code_at(START) in start_page(plex).text)


def test_one_click_signs_in(opened: Open) -> None:
    """A button signs this browser in without a password or code."""
    plex = opened()
    browser = plex.browser()
    answer = click(plex, browser)
    assert (303, "/account") == (answer.status, answer.headers["location"])
    assert "mira_quill" in browser.get("/account").body.decode()


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example:8190", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.5", "[fe80::1]"),
        *("", "a b", "[::1].evil.example", "[::1", "localhost:@evil.example"),
    ],
)
def test_another_host_sees_what_any_program_sees(opened: Open, host: str) -> None:
    """A name that is pointed at this machine (DNS rebinding) gets plex.tv's 404 for the page and its buttons."""
    plex = opened()
    browser = plex.browser()
    assert 404 == plex.ask("GET", "/", headers=HTML | {"Host": host}).status
    assert 404 == click(plex, browser, Host=host, Origin=f"http://{host}").status
    assert "/sign-in" == browser.get("/account").headers["location"].partition("?")[0]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8190", "127.0.0.1:1", "127.9.9.9", "[::1]:8190"])
def test_this_machine_has_it(opened: Open, host: str) -> None:
    """Every name of loopback is this machine."""
    assert 200 == opened().ask("GET", "/", headers=HTML | {"Host": host}).status


def test_programs_get_what_they_got(opened: Open) -> None:
    """A client that does not accept HTML gets 404 from `/`, as from plex.tv; without `serve`, so does a browser."""
    plex = opened()
    assert 404 == plex.ask("GET", "/").status
    assert 404 == plex.ask("GET", "/", headers={"Accept": "*/*"}).status
    plex.instance.overview = None
    assert 404 == plex.ask("GET", "/", headers=HTML).status


def test_a_world_s_secrets_are_not_on_it(opened: Open) -> None:
    """Without --show-secrets, the page of another world shows names only and has no button to sign in."""
    plex = opened(secrets=False, invented=False)
    page = start_page(plex)
    assert "mira@example.test" in page.text
    assert "/sign-in" in page.links
    for secret in (PASSWORD, MIRA, TOM, code_at(START), "Sign in as"):
        assert secret not in page.text
    assert 403 == click(plex, plex.browser()).status


def test_a_world_s_secrets_are_for_this_machine(opened: Open) -> None:
    """With --show-secrets, only loopback sees them, whatever Host another machine sends."""
    plex = opened(invented=False)
    assert PASSWORD in start_page(plex).text
    assert PASSWORD not in start_page(plex, address="192.168.1.9").text


@pytest.mark.parametrize(
    "said",
    [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}, {"Origin": "", "Sec-Fetch-Site": ""}],
)
def test_another_site_s_form_signs_nobody_in(opened: Open, said: dict[str, str]) -> None:
    """A button only works on a page of this site."""
    plex = opened()
    assert 403 == click(plex, plex.browser(), **said).status


def test_a_form_without_this_browser_s_token_signs_nobody_in(opened: Open) -> None:
    """A form that was not shown to this browser is refused."""
    number = World.from_dict(WORLD).account("tom").id
    answer = opened().browser().post("/", {"account": str(number), "form_token": "f" * 64})
    assert 403 == answer.status


@pytest.mark.parametrize("account", ["", "0", "9" * 30, "x", "²"])
def test_nobody_is_signed_in_as_nobody(opened: Open, account: str) -> None:
    """An account that is not in the world is refused."""
    browser = opened().browser()
    token = browser.fields("/sign-in")["form_token"]
    assert 403 == browser.post("/", {"account": account, "form_token": token}).status


def test_accounts_made_later_have_no_button(opened: Open) -> None:
    """An account outside the world is listed without secrets and has no button."""
    plex = opened()
    later = World.from_dict(
        {"account": [{"username": "cleo", "email": "cleo@example.test", "password": "cleo-secret"}]}
    )
    instance = plex.instance
    plex.run(seed(instance.store, later, instance.keys, instance.passwords.hash_or_remember, instance.now()))
    page = start_page(plex)
    assert "Accounts (4)" in page.text
    assert "cleo@example.test" in page.text
    assert "Sign in as cleo" not in page.text
    browser = plex.browser()
    form = {"account": str(later.accounts[0].id), "form_token": browser.fields("/sign-in")["form_token"]}
    assert 403 == browser.post("/", form).status


def test_a_dead_token_and_a_changed_password_are_not_shown(opened: Open) -> None:
    """The page shows what works now."""
    plex = opened()
    instance, row = plex.instance, plex.run(plex.instance.store.find_account_by_login("mira_quill"))
    assert row is not None
    assert row.password_hash is not None
    other = instance.passwords.hash_blocking(Secret(PASSWORD))
    assert PASSWORD in start_page(plex).text
    plex.run(instance.store.control.replace_password_hash(row.id, row.password_hash, other))
    assert PASSWORD in start_page(plex).text
    plex.run(instance.store.control.replace_password_hash(row.id, other, HASH.replace("4", "5")))
    plex.run(instance.store.revoke_token(instance.keys.digest(MIRA), instance.now()))
    page = start_page(plex)
    assert PASSWORD not in page.text
    assert MIRA not in page.text


def test_a_locked_account_is_not_signed_in(opened: Open) -> None:
    """A lock-out also applies to the button."""
    plex = opened()
    for _ in range(10):
        plex.ask("POST", "/api/v2/users/signin", body={"login": "tom", "password": "wrong"})
    assert 429 == click(plex, plex.browser(), "tom").status
