"""Memberships that end, and Plex that does not answer."""

from __future__ import annotations

import pytest

from bridge_tests.bridges import SECRET, BridgeUnderTest, basic, make_config
from bridge_tests.browsing import Application, Browser

HOUR = 3600.0


@pytest.fixture
def films(tested: BridgeUnderTest) -> Application:
    return Application(tested, scope="openid profile offline_access")


async def is_signed_in(browser: Browser) -> bool:
    return "You are signed in" in (await browser.get("/account")).text


async def ask_refresh(tested: BridgeUnderTest, token: str) -> str | None:
    async with tested.http() as http:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        answer = await http.post("/token", data=form, headers=basic("films", SECRET))
    return answer.json().get("error")


async def test_removal_is_noticed_at_the_next_refresh(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A person who lost the server is signed out at the next refresh, and the application is told."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    tested.local_plex.unshare("Attic", "tom")
    assert "invalid_grant" == await ask_refresh(tested, tokens["refresh_token"])
    assert not await is_signed_in(browser)
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code
    await tested.work()
    assert 1 == len(tested.logouts)
    assert tested.store.people.list_all()[0].plex_token is None


async def test_removal_is_noticed_after_six_hours(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """Everybody who is signed in is asked about every six hours, and not more often."""
    await browser.sign_in(films.make_url())
    tested.local_plex.unshare("Attic", "tom")
    tested.advance(5.9 * HOUR)
    await tested.work()
    assert await is_signed_in(browser)
    tested.advance(0.2 * HOUR)
    await tested.work()
    assert not await is_signed_in(browser)
    assert ["membership_over"] == [each.kind for each in tested.store.events.list_newest() if "over" in each.kind]


async def test_a_revoked_plex_token_ends_the_membership(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A person who removes the bridge's device at Plex is signed out at the next check."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    (person,) = tested.store.people.list_all()
    tested.local_plex.revoke(tested.bridge.plex.unseal_token(person.sub, person.plex_token).reveal())
    assert "invalid_grant" == await ask_refresh(tested, tokens["refresh_token"])
    assert not await is_signed_in(browser)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_outage_is_survived_for_a_day(
    tested: BridgeUnderTest, browser: Browser, films: Application, status: int
) -> None:
    """While Plex does not answer, sessions and refreshes live on for `grace`, and no longer; then it can come back."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    tested.local_plex.refuse_next("GET /api/v2/user", status=status, times=1000)
    for _ in range(5):
        tested.advance(5.9 * HOUR)
        await tested.work()
        assert await is_signed_in(browser)
    tokens = await films.refresh(tokens["refresh_token"])
    tested.advance(0.6 * HOUR)
    assert not await is_signed_in(browser)
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code
    assert "invalid_grant" == await ask_refresh(tested, tokens["refresh_token"])


async def test_a_person_who_comes_back(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """Who gets the server again signs in as the same person; what ended before stays ended."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    sub = (await films.verify(tokens["id_token"]))["sub"]
    tested.local_plex.unshare("Attic", "tom")
    await ask_refresh(tested, tokens["refresh_token"])
    tested.local_plex.share("Attic", "tom")
    again = await films.redeem(await browser.sign_in(films.make_url()))
    assert sub == (await films.verify(again["id_token"]))["sub"]
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code
    assert "invalid_grant" == await ask_refresh(tested, tokens["refresh_token"])


async def test_without_a_kept_token_a_check_is_a_new_sign_in(make_bridge) -> None:
    """With keep_plex_token = false no Plex token is stored, it is revoked at Plex, and sessions end after `recheck`."""
    tested = make_bridge(top="keep_plex_token = false")
    browser, films = Browser(tested), Application(tested, scope="openid offline_access")
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    assert tested.store.people.list_all()[0].plex_token is None
    assert "DELETE /api/v2/users/signout" in {f"{each.method} {each.path}" for each in tested.local_plex.requests}
    tested.advance(5.9 * HOUR)
    await tested.work()
    assert await is_signed_in(browser)
    assert await ask_refresh(tested, tokens["refresh_token"]) is None
    tested.advance(0.2 * HOUR)
    assert not await is_signed_in(browser)


async def test_a_changed_configuration_counts_at_once(
    tested: BridgeUnderTest, browser: Browser, films: Application, tmp_path
) -> None:
    """Somebody who is denied, a role that is no longer allowed, an application that is removed: all end at a reload."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    tested.bridge.reload(make_config(tmp_path, access="deny = [10500321]"))
    assert not await is_signed_in(browser)
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code
    tested.bridge.reload(make_config(tmp_path))
    assert await is_signed_in(browser)
    tested.bridge.reload(make_config(tmp_path, **{'id = "films"': 'id = "movies"'}))
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code
    tested.bridge.reload(make_config(tmp_path))
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code


async def test_roles_are_refreshed(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """A check also brings names and roles up to date."""
    await browser.sign_in(films.make_url())
    assert {"attic": "friend"} == dict(tested.store.people.list_all()[0].roles)
    tested.advance(6.1 * HOUR)
    await tested.work()
    person = tested.store.people.list_all()[0]
    assert ({"attic": "friend"}, 0) == (dict(person.roles), round(tested.clock() - person.checked_at, -2))
