"""The bridge's clock is an hour off: ahead, behind, and set right or wrong while people are signed in."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidTokenError

from bridge_tests.bridges import FILMS, SECRET, BridgeUnderTest, basic, get_query
from bridge_tests.browsing import Application, Browser, find_form
from ticketstub_bridge.control import create_control_app
from ticketstub_bridge.storage import Database, Store

HOUR = 3600.0


@pytest.fixture
def films(tested: BridgeUnderTest) -> Application:
    return Application(tested, scope="openid profile offline_access")


async def is_signed_in(browser: Browser) -> bool:
    return "You are signed in" in (await browser.get("/account")).text


async def ask_token(tested: BridgeUnderTest, **form: str) -> str | None:
    async with tested.http() as http:
        return (await http.post("/token", data=form, headers=basic("films", SECRET))).json().get("error")


async def redeem(tested: BridgeUnderTest, films: Application, answer: str) -> str | None:
    code = get_query(answer)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": FILMS, "code_verifier": films.verifier}
    return await ask_token(tested, **form)


@pytest.mark.parametrize("error", [HOUR, -HOUR])
async def test_a_clock_that_is_off_keeps_nobody_out(
    tested: BridgeUnderTest, browser: Browser, films: Application, error: float
) -> None:
    """The life of a PIN is judged by Plex's clock, and that of all else by this bridge's alone: a sign-in works."""
    tested.set_clock(error)
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    assert 200 == (await films.userinfo(tokens["access_token"])).status_code
    assert await films.refresh(tokens["refresh_token"])
    assert await is_signed_in(browser)


@pytest.mark.parametrize(("error", "refusal"), [(HOUR, InvalidTokenError), (-HOUR, ExpiredTokenError)])
async def test_an_application_with_another_clock_refuses_the_id_token(
    tested: BridgeUnderTest, browser: Browser, films: Application, error: float, refusal: type[Exception]
) -> None:
    """An application that is an hour ahead or behind sees an ID token that has expired, or is not valid yet."""
    tested.set_clock(error)
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    claims = await films.verify(tokens["id_token"])
    with pytest.raises(refusal):
        jwt.JWTClaimsRegistry(iat={"essential": True}, exp={"essential": True}, leeway=60).validate(claims)


@pytest.mark.parametrize("passed", [0, 61, 1500])
async def test_a_clock_that_is_set_back_makes_nothing_good_again(
    tested: BridgeUnderTest, browser: Browser, films: Application, passed: float
) -> None:
    """Codes, tokens and sign-ins of an hour that is to come again are refused, whether they had expired or not."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    answer = await browser.sign_in_again(films.make_url())
    other = Browser(tested)
    back = other.approve(await other.go_to_plex(films.make_url()), "tom")
    consenting = Browser(tested)
    page = await consenting.arrive(films.make_url(prompt="consent"), "mira_quill")
    tested.advance(passed)
    tested.set_clock(-HOUR)
    assert "invalid_grant" == await redeem(tested, films, answer)
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code
    refresh_token = tokens["refresh_token"]
    assert "invalid_grant" == await ask_token(tested, grant_type="refresh_token", refresh_token=refresh_token)
    assert 400 == (await other.get(back)).status_code
    assert 403 == (await consenting.submit(find_form(page, "/consent"), decision="allow")).status_code
    again = await films.redeem(await Browser(tested).sign_in(films.make_url()))
    assert 200 == (await films.userinfo(again["access_token"])).status_code


async def test_what_is_used_stays_used_whatever_the_clock_says(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A code or refresh token that was redeemed, a session or token that was ended: never good again, at no time."""
    answer = await browser.sign_in(films.make_url())
    tokens = await films.redeem(answer)
    renewed = await films.refresh(tokens["refresh_token"])
    await browser.submit(find_form(await browser.get("/account"), "/account"), all="yes")
    used = [tokens["refresh_token"], renewed["refresh_token"]]
    for error in (-2 * HOUR, -HOUR, -30, 30, HOUR, 2 * HOUR):
        tested.set_clock(error)
        assert not await is_signed_in(browser)
        assert "invalid_grant" == await redeem(tested, films, answer)
        for token in used:
            assert "invalid_grant" == await ask_token(tested, grant_type="refresh_token", refresh_token=token)
        assert 401 == (await films.userinfo(renewed["access_token"])).status_code


async def test_a_clock_that_is_set_right_ends_what_began_in_the_future(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """What was given while the clock was an hour ahead would last an hour too long: it ends."""
    old = Browser(tested)
    await old.sign_in(films.make_url(), "mira_quill")
    tested.set_clock(HOUR)
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    assert await is_signed_in(browser)
    assert await is_signed_in(old)
    tested.set_clock(0)
    assert not await is_signed_in(browser)
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code
    assert await is_signed_in(old)


async def test_a_clock_that_goes_ahead_ends_what_is_short(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """An hour ahead in the middle of a session: codes and access tokens end, the session and offline access do not."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    answer = await browser.sign_in_again(films.make_url())
    tested.set_clock(HOUR)
    assert "invalid_grant" == await redeem(tested, films, answer)
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code
    assert await is_signed_in(browser)
    assert await films.refresh(tokens["refresh_token"])


async def test_idle_time_and_max_age_are_not_prolonged(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A session from before the clock was set back lives on, but is idle from then, and its approval is no younger."""
    await browser.sign_in(films.make_url())
    tested.advance(2 * HOUR)
    assert await is_signed_in(browser)
    plex_url = await browser.go_to_plex(films.make_url(prompt="login"))
    await browser.follow(await browser.get(browser.approve(plex_url, "tom")))
    tested.advance(1800)
    tested.set_clock(-HOUR)
    assert await is_signed_in(browser)
    page = await browser.get(films.make_url(max_age="600"))
    assert "Continue to Plex" in page.text
    tested.advance(12 * HOUR + 1)
    assert not await is_signed_in(browser)


async def test_sessions_of_the_future_are_listed(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """The administrator's list shows a session whose approval is in the future."""
    await browser.sign_in(films.make_url())
    tested.advance(2 * HOUR)
    await browser.sign_in(films.make_url(prompt="login"))
    tested.set_clock(-HOUR)
    transport = httpx.ASGITransport(create_control_app(tested.bridge, lambda: tested.bridge.config))
    async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as http:
        (session,) = (await http.post("/sessions")).json()
    assert ("tom", "Firefox on Linux") == (session["handle"], session["browser"])


async def test_memberships_are_asked_again_and_messages_sent(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """After the clock was set back nobody waits until it catches up: neither a check, nor a logout message."""
    await films.redeem(await browser.sign_in(films.make_url()))
    tested.advance(2 * HOUR)
    await browser.sign_in(films.make_url(prompt="login"))
    tested.local_plex.unshare("Attic", "tom")
    tested.set_clock(-HOUR)
    await tested.work()
    assert not await is_signed_in(browser)
    assert 1 == len(tested.logouts)


async def test_a_message_that_waits_does_not_wait_an_hour_more(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A logout message that was stored before the clock was set back is sent."""
    await films.redeem(await browser.sign_in(films.make_url()))
    await browser.submit(find_form(await browser.get("/logout"), "/logout"))
    tested.set_clock(-HOUR)
    await tested.work()
    assert 1 == len(tested.logouts)


async def test_without_a_kept_token_nothing_is_asked_and_so_nothing_counts(make_bridge: Any) -> None:
    """With keep_plex_token = false nobody can ask again: a membership from the future does not count."""
    tested = make_bridge(top="keep_plex_token = false")
    browser, films = Browser(tested), Application(tested)
    await browser.sign_in(films.make_url())
    tested.advance(2 * HOUR)
    await browser.sign_in(films.make_url(prompt="login"))
    tested.set_clock(-HOUR)
    assert not await is_signed_in(browser)


async def test_an_answer_of_a_moment_ago_ages_while_the_clock_is_set_back(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """What another replica revokes is refused here within a second, also if the clock is set back in that second."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    config = tested.bridge.config
    tested.set_clock(50)
    assert 200 == (await films.userinfo(tokens["access_token"])).status_code
    other = Database(config.database)
    assert Store(other, config).grants.revoke(tokens["access_token"], "films")
    other.close()
    tested.set_clock(0)
    assert 200 == (await films.userinfo(tokens["access_token"])).status_code  # the answer of a moment ago
    tested.advance(1.1)
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code
