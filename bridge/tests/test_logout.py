"""Signing out: by the application, by the person, and telling the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from bridge_tests.bridges import BOOKS, OTHER_SECRET, SIGNED_OUT, URL, BridgeUnderTest
from bridge_tests.browsing import Application, Browser, find_form
from ticketstub_bridge import logout


async def is_signed_in(browser: Browser) -> bool:
    return "You are signed in" in (await browser.get("/account")).text


async def test_an_application_signs_out(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """With an ID token of the session the person is signed out and sent back, with the state."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    parameters = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": SIGNED_OUT, "state": "s 1"}
    answer = await browser.get("/logout", params=parameters)
    assert f"{SIGNED_OUT}?state=s+1" == answer.headers["location"]
    assert not await is_signed_in(browser)
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code


async def test_an_old_id_token_still_signs_out(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """An ID token that has expired, signed by a key that was replaced, still proves the session."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    tested.advance(3600)
    tested.bridge.keys.rotate(tested.bridge.config.lifetimes.key_overlap)
    answer = await browser.http.post("/logout", data={"id_token_hint": tokens["id_token"]})
    assert "You are signed out" in answer.text
    assert not await is_signed_in(browser)


async def test_without_proof_the_person_is_asked(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """A logout request without an ID token of this session, such as a link on another site, asks first."""
    await browser.sign_in(films.make_url())
    other = Browser(tested)
    foreign = (await films.redeem(await other.sign_in(films.make_url(), "mira_quill")))["id_token"]
    for parameters in ({}, {"client_id": "films"}, {"id_token_hint": foreign}):
        page = await browser.get("/logout", params={**parameters, "post_logout_redirect_uri": SIGNED_OUT})
        assert "Sign out?" in page.text
        assert await is_signed_in(browser)
    page = await browser.get("/logout", params={"client_id": "films", "post_logout_redirect_uri": SIGNED_OUT})
    answer = await browser.submit(find_form(page, "/logout"))
    assert SIGNED_OUT == answer.headers["location"]
    assert not await is_signed_in(browser)
    assert await is_signed_in(other)


async def test_a_form_of_another_site_ends_nothing(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A logout request by POST comes without the session's cookie (`SameSite=Lax`): it is repeated as GET, and asks."""
    await browser.sign_in(films.make_url())
    async with tested.http() as without_cookies:
        form = {"client_id": "films", "post_logout_redirect_uri": SIGNED_OUT, "form_token": "x", "state": "s 1"}
        answer = await without_cookies.post("/logout", data=form)
    assert 303 == answer.status_code
    assert "set-cookie" not in answer.headers
    page = await browser.get(answer.headers["location"])
    assert "Sign out?" in page.text
    assert await is_signed_in(browser)
    answer = await browser.submit(find_form(page, "/logout"))
    assert f"{SIGNED_OUT}?state=s+1" == answer.headers["location"]
    assert not await is_signed_in(browser)


async def test_a_wrong_return_address_is_told(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """The person is signed out and reads why nothing leads back, and what the administrator can do."""
    for name, wrong, text in (
        ("films", f"{SIGNED_OUT}?x=1", "Films asked to send you back to an address that is not registered for it."),
        ("", SIGNED_OUT, "did not say which one it is"),
    ):
        tokens = await films.redeem(await browser.sign_in(films.make_url()))
        hint = {"id_token_hint": tokens["id_token"]} if name else {}
        answer = await browser.get("/logout", params={"post_logout_redirect_uri": wrong, **hint})
        if not name:
            answer = await browser.submit(find_form(answer, "/logout"))
        assert 400 == answer.status_code
        assert "You are signed out" in answer.text
        assert text in answer.text
        assert not await is_signed_in(browser)


async def test_invalid_logout_requests(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """A forged hint, or one of another application, ends nothing and redirects nowhere."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    head, body, signature = tokens["id_token"].split(".")
    for parameters in (
        {"id_token_hint": f"{head}.{body}.{signature[::-1]}"},
        {"id_token_hint": "x"},
        {"id_token_hint": tokens["id_token"], "client_id": "books"},
    ):
        answer = await browser.get("/logout", params={**parameters, "post_logout_redirect_uri": SIGNED_OUT})
        assert 400 == answer.status_code
        assert await is_signed_in(browser)


async def test_the_others_are_told(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """Each application of the session gets a logout token, signed as it wants, that names session and person."""
    first = await films.verify((await films.redeem(await browser.sign_in(films.make_url())))["id_token"])
    books = Application(tested, "books", OTHER_SECRET, BOOKS)
    await books.redeem(await browser.sign_in_again(books.make_url()))
    await browser.submit(find_form(await browser.get("/logout"), "/logout"))
    await tested.work()
    assert {"https://films.example.test/back-channel", "https://books.example.test/back-channel"} == {
        url for url, _ in tested.logouts
    }
    async with tested.http() as http:
        keys = KeySet.import_key_set((await http.get("/jwks")).json())
    for url, token in tested.logouts:
        decoded = jwt.decode(token, keys, algorithms=["RS256", "EdDSA"])
        assert "logout+jwt" == decoded.header["typ"]
        assert ("EdDSA" if "books" in url else "RS256") == decoded.header["alg"]
        assert {"http://schemas.openid.net/event/backchannel-logout": {}} == decoded.claims["events"]
        assert (URL, first["sub"], first["sid"]) == tuple(decoded.claims[name] for name in ("iss", "sub", "sid"))
        assert {"jti", "iat", "exp", "aud"} <= set(decoded.claims)
        assert "nonce" not in decoded.claims


async def test_an_application_that_is_down_is_told_later(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A message is repeated until it is taken, or given up after some time; each one counts once."""
    await films.redeem(await browser.sign_in(films.make_url()))
    await browser.submit(find_form(await browser.get("/logout"), "/logout"))
    tested.logout_status = 503
    await tested.work()
    await tested.work()
    assert 1 == len(tested.logouts)
    tested.advance(6)
    tested.logout_status = 200
    await tested.work()
    tested.advance(1000)
    await tested.work()
    assert 2 == len(tested.logouts)
    assert 0 == tested.store.endings.count_messages()


async def wait_until(is_true: Callable[[], bool]) -> None:
    for _ in range(3000):
        if is_true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it takes too long")


async def sign_out_of_both(tested: BridgeUnderTest, person: str) -> None:
    """Sign a person in to films and books, and out of everything."""
    browser, films, books = Browser(tested), Application(tested), Application(tested, "books", OTHER_SECRET, BOOKS)
    await films.redeem(await browser.sign_in(films.make_url(), person))
    await books.redeem(await browser.sign_in_again(books.make_url()))
    await browser.submit(find_form(await browser.get("/logout"), "/logout"))


async def test_a_slow_application_delays_no_other(tested: BridgeUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one application takes its time, others are told, also of what ends later; it gets a few at a time."""
    monkeypatch.setattr(logout, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(logout, "_AT_ONCE", 2)
    released, busy, most = asyncio.Event(), 0, 0

    async def answer(url: str) -> int:
        nonlocal busy, most
        if "films" in url:
            busy += 1
            most = max(most, busy)
            await released.wait()
            busy -= 1
        return 200

    def count(name: str) -> int:
        return sum(name in url for url, _ in tested.logouts)

    tested.answer_logout = answer
    for _ in range(3):
        await sign_out_of_both(tested, "tom")
    delivering = asyncio.create_task(logout.keep_delivering(tested.bridge))
    await wait_until(lambda: count("books") == 3)
    await sign_out_of_both(tested, "mira_quill")
    await wait_until(lambda: count("books") == 4)
    assert (2, 2) == (count("films"), most)
    released.set()
    await wait_until(lambda: count("films") == 4)
    await wait_until(lambda: tested.store.endings.count_messages() == 0)
    assert (4, 4, 2) == (count("films"), count("books"), most)
    assert b'logout_seconds_count{client="films"} 4.0' in tested.bridge.metrics.render()
    delivering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivering


async def test_an_application_that_never_answers_is_given_up_in_time(
    tested: BridgeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that takes longer than five seconds counts as none; the message is sent again later."""
    monkeypatch.setattr(logout, "_SECONDS", 0.05)

    async def answer(url: str) -> int:
        if "films" in url:
            await asyncio.sleep(2)
        return 200

    tested.answer_logout = answer
    await sign_out_of_both(tested, "tom")
    await tested.work()
    assert 1 == tested.store.endings.count_messages()
    tested.answer_logout = None
    tested.advance(6)
    await tested.work()
    assert 0 == tested.store.endings.count_messages()


async def test_offline_access_survives_signing_out(tested: BridgeUnderTest, browser: Browser) -> None:
    """A logout ends what belongs to the session; offline access lasts until it is revoked."""
    films = Application(tested, scope="openid offline_access")
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    await browser.submit(find_form(await browser.get("/logout"), "/logout"))
    renewed = await films.refresh(tokens["refresh_token"])
    async with tested.http() as http:
        data = {"token": renewed["refresh_token"], "client_id": "films", "client_secret": films.client.client_secret}
        assert 200 == (await http.post("/revoke", data=data)).status_code
    assert 401 == (await films.userinfo(renewed["access_token"])).status_code
