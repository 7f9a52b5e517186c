"""Signing in to applications."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from bridge_tests.bridges import ATTIC, BOOKS, OTHER_SECRET, PHONE, URL, BridgeUnderTest, get_query
from bridge_tests.browsing import Application, Browser, find_form


async def test_a_friend_signs_in(browser: Browser, films: Application) -> None:
    """A friend approves at Plex, consents, and the application learns who it is."""
    tokens = await films.redeem(await browser.sign_in(films.make_url(), "tom"))
    claims = await films.verify(tokens["id_token"])
    assert ("tom", "Tom") == (claims["preferred_username"], claims["name"])
    assert films.nonce == claims["nonce"]
    assert ["attic:friend"] == claims["groups"]
    assert ["plex"] == claims["amr"]
    assert 600 == claims["exp"] - claims["iat"]
    assert "refresh_token" not in tokens
    info = (await films.userinfo(tokens["access_token"])).json()
    assert claims["sub"] == info["sub"]
    assert ("tom@example.test", True) == (info["email"], info["email_verified"])


@pytest.mark.parametrize(("person", "role"), [("mira_quill", "owner"), ("juno_vale", "home"), (10500321, "friend")])
async def test_each_role_comes_in(
    tested: BridgeUnderTest, browser: Browser, films: Application, person: str | int, role: str
) -> None:
    """The owner, members of the Home and friends come in, and applications get their role as a group."""
    if role == "home":
        tested.local_plex.share("Attic", person)
    tokens = await films.redeem(await browser.sign_in(films.make_url(), person))
    assert [f"attic:{role}"] == (await films.verify(tokens["id_token"]))["groups"]


async def test_a_managed_user_without_an_address_comes_in(make_bridge, local_plex) -> None:
    """A managed user has neither user name nor e-mail address, and still gets a handle and a session."""
    tested = make_bridge(access="", **{'"managed", ': '"managed", "restricted", '})
    local_plex.share("Attic", 10500789)
    films = Application(tested)
    tokens = await films.redeem(await Browser(tested).sign_in(films.make_url(), 10500789))
    claims = await films.verify(tokens["id_token"])
    assert ("pip", "Pip", ["attic:restricted"]) == (claims["preferred_username"], claims["name"], claims["groups"])
    assert "email" not in claims


async def test_the_second_application_needs_no_approval(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A person who is signed in goes on without Plex, and consents once for each application."""
    await browser.sign_in(films.make_url())
    requests = len(tested.local_plex.requests)
    books = Application(tested, "books", OTHER_SECRET, BOOKS)
    page = await browser.follow(await browser.get(books.make_url()))
    claims = await books.verify((await books.redeem(await browser.allow(page)))["id_token"])
    assert "tom" == claims["preferred_username"]
    again = await browser.get(films.make_url())
    assert "code" in get_query(again.headers["location"])
    assert requests == len(tested.local_plex.requests)


async def test_an_application_chooses_eddsa(tested: BridgeUnderTest, browser: Browser) -> None:
    """ID tokens are signed as the application asks, and the key is published."""
    books = Application(tested, "books", OTHER_SECRET, BOOKS)
    tokens = await books.redeem(await browser.sign_in(books.make_url()))
    assert await books.verify(tokens["id_token"])
    async with tested.http() as http:
        assert {"RS256", "EdDSA"} == {key["alg"] for key in (await http.get("/jwks")).json()["keys"]}


@pytest.mark.parametrize("uri", ["app.books:///oauth-callback", "https://books.example.test/login?via=bridge"])
async def test_an_address_stays_as_it_is_registered(tested: BridgeUnderTest, browser: Browser, uri: str) -> None:
    """Parameters are appended to the redirect address; an application's own scheme and a query stay as they are."""
    books = Application(tested, "books", OTHER_SECRET, uri)
    answer = await browser.sign_in(books.make_url(state="a b&c"))
    assert answer.startswith(f"{uri}{'&' if '?' in uri else '?'}code=")
    assert "a b&c" == get_query(answer)["state"]


async def test_an_application_without_a_secret(tested: BridgeUnderTest, browser: Browser) -> None:
    """A public application redeems its code with the verifier alone."""
    phone = Application(tested, "phone", None, PHONE, scope="openid offline_access")
    tokens = await phone.redeem(await browser.sign_in(phone.make_url()))
    assert (await phone.refresh(tokens["refresh_token"]))["access_token"] != tokens["access_token"]


async def test_cancelling(browser: Browser, films: Application) -> None:
    """A person who refuses is sent back with access_denied, the state and the issuer, and is asked again next time."""
    page = await browser.arrive(films.make_url(state="s1"), "tom")
    answer = await browser.submit(find_form(page, "/consent"), decision="deny")
    told = get_query(answer.headers["location"])
    assert ("access_denied", "s1", URL) == (told["error"], told["state"], told["iss"])
    assert 200 == (await browser.follow(await browser.get(films.make_url()))).status_code


async def test_prompt_none(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """With prompt=none no page is shown: a code, or the reason why one would be needed."""

    async def ask(application: Application) -> dict[str, str]:
        return get_query((await browser.get(application.make_url(prompt="none"))).headers["location"])

    assert "login_required" == (await ask(films))["error"]
    await browser.sign_in(films.make_url())
    assert "code" in await ask(films)
    books = Application(tested, "books", OTHER_SECRET, BOOKS)
    assert "consent_required" == (await ask(books))["error"]
    tested.advance(100)
    late = await browser.get(films.make_url(prompt="none", max_age="99"))
    assert "login_required" == get_query(late.headers["location"])["error"]


@pytest.mark.parametrize("parameters", [{"prompt": "login"}, {"max_age": "60"}, {"prompt": "select_account"}])
async def test_a_new_approval(
    tested: BridgeUnderTest, browser: Browser, films: Application, parameters: dict[str, str]
) -> None:
    """prompt=login and an exceeded max_age lead to Plex again; the session stays, with a new time and cookie."""
    first = await films.verify((await films.redeem(await browser.sign_in(films.make_url())))["id_token"])
    cookie = browser.http.cookies["__Host-ticketstub-session"]
    tested.advance(120)
    second = await films.verify((await films.redeem(await browser.sign_in(films.make_url(**parameters))))["id_token"])
    assert first["sid"] == second["sid"]
    assert 120 <= second["auth_time"] - first["auth_time"]
    assert cookie != browser.http.cookies["__Host-ticketstub-session"]


async def test_prompt_consent_asks_again(browser: Browser, films: Application) -> None:
    """prompt=consent shows the consent page even to those who consented before."""
    await browser.sign_in(films.make_url())
    page = await browser.follow(await browser.get(films.make_url(prompt="consent")))
    assert "Continue to Films as Tom?" in page.text


async def test_another_person_is_expected(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """With an id_token_hint of somebody else, the session of this browser is not used."""
    tokens = await films.redeem(await Browser(tested).sign_in(films.make_url(), "mira_quill"))
    await browser.sign_in(films.make_url(), "tom")
    silent = await browser.get(films.make_url(prompt="none", id_token_hint=tokens["id_token"]))
    assert "login_required" == get_query(silent.headers["location"])["error"]


async def test_using_another_account(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """A sign-in as somebody else ends the browser's session, and the applications of that session are told."""
    first = await films.verify((await films.redeem(await browser.sign_in(films.make_url(), "tom")))["id_token"])
    url = films.make_url(prompt="login")
    second = await films.verify((await films.redeem(await browser.sign_in(url, "mira_quill")))["id_token"])
    assert first["sid"] != second["sid"]
    await tested.work()
    assert ["https://films.example.test/back-channel"] == [url for url, _ in tested.logouts]


async def test_refresh_tokens_rotate(browser: Browser, tested: BridgeUnderTest) -> None:
    """With offline_access, each refresh gives new tokens, an ID token of the same sign-in, and outlives the session."""
    films = Application(tested, scope="openid profile offline_access")
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    first = await films.verify(tokens["id_token"])
    tested.advance(13 * 3600)
    renewed = await films.refresh(tokens["refresh_token"])
    second = await films.verify(renewed["id_token"])
    assert [first[name] for name in ("sub", "sid", "auth_time")] == [
        second[name] for name in ("sub", "sid", "auth_time")
    ]
    assert "nonce" not in second
    assert tokens["refresh_token"] != renewed["refresh_token"]
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code
    assert 200 == (await films.userinfo(renewed["access_token"])).status_code


async def test_a_narrower_refresh(tested: BridgeUnderTest, browser: Browser) -> None:
    """A refresh may ask for less, and gets less; the next one may have all again."""
    films = Application(tested, scope="openid profile email offline_access")
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    narrow = dict(await films.client.refresh_token(f"{URL}/token", tokens["refresh_token"], scope="openid"))
    assert {"sub"} == set((await films.userinfo(narrow["access_token"])).json())
    wide = await films.refresh(narrow["refresh_token"])
    assert "email" in (await films.userinfo(wide["access_token"])).json()


async def test_an_application_for_the_owner_only(tested: BridgeUnderTest, browser: Browser) -> None:
    """An application can let in fewer people than the bridge; the others get a page and can go back."""
    studio = Application(tested, "studio", redirect_uri="https://studio.example.test/callback")
    page = await browser.arrive(studio.make_url(state="s2"), "tom")
    assert 403 == page.status_code
    assert "Tom has no access to Studio" in page.text
    assert "error=access_denied&amp;state=s2" in page.text
    owner = Browser(tested)
    assert await studio.redeem(await owner.sign_in(studio.make_url(), "mira_quill"))


async def test_names_change_and_people_stay(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """`sub` and handle stay, whatever Plex calls somebody; a newcomer of the same name gets another handle."""
    first = await films.verify((await films.redeem(await browser.sign_in(films.make_url(), "tom")))["id_token"])
    twin = tested.local_plex.add_account("TOM.")
    tested.local_plex.share("Attic", twin.id)
    other = Browser(tested)
    second = await films.verify((await films.redeem(await other.sign_in(films.make_url(), twin.id)))["id_token"])
    assert ("tom", "tom-2") == (first["preferred_username"], second["preferred_username"])
    assert first["sub"] != second["sub"]
    third = await films.verify((await films.redeem(await Browser(tested).sign_in(films.make_url(), "tom")))["id_token"])
    assert first["sub"] == third["sub"]


async def test_groups_as_an_application_wants_them(make_bridge) -> None:
    """An application gets its own names for groups of roles, and no others."""
    tested = make_bridge(more='[client.groups]\nadmin = ["attic:owner"]\nviewers = ["attic:owner", "attic:friend"]')
    studio = Application(tested, "studio", redirect_uri="https://studio.example.test/callback")
    tokens = await studio.redeem(await Browser(tested).sign_in(studio.make_url(), "mira_quill"))
    assert ["admin", "viewers"] == (await studio.verify(tokens["id_token"]))["groups"]


async def test_my_sessions(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """A person sees their sessions with the applications of each, and can end one or all of them."""
    await browser.sign_in(films.make_url())
    other = Browser(tested)
    await other.sign_in(films.make_url())
    page = await browser.get("/account")
    assert 2 == page.text.count("Firefox on Linux</p>") + page.text.count("Firefox on Linux <span")
    assert "Films" in page.text
    await browser.submit(find_form(page, "/account"), sid="", all="yes")
    for each in (browser, other):
        assert "Continue to Plex" in (await each.get("/account")).text


async def test_signing_in_without_an_application(browser: Browser) -> None:
    """The bridge's own page leads through Plex to the person's sessions."""
    page = await browser.follow(await browser.get("/"))
    answer = await browser.submit(find_form(page, "/sign-in"))
    page = await browser.follow(await browser.get(browser.approve(answer.headers["location"], "tom")))
    assert "You are signed in" in page.text


async def test_plex_is_told_who_asks(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """Plex shows the application and the bridge to the person who approves. No browser gets a PIN's id or code."""
    plex_url = await browser.go_to_plex(films.make_url())
    assert "Films%20at%20auth.example.test" in plex_url
    assert "forwardUrl=https%3A%2F%2Fauth.example.test%2Fplex%2Freturn" in plex_url
    assert "X-Plex-Token" not in plex_url


async def test_a_flood_of_authorization_requests_creates_no_pins(tested: BridgeUnderTest, films: Application) -> None:
    """A GET creates nothing at Plex; only the button does."""
    for _ in range(20):
        assert 200 == (await Browser(tested).get(films.make_url())).status_code
    assert 0 == len(tested.local_plex.requests)


async def test_plex_is_down(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """While Plex does not answer, nobody new gets in, and the page says why."""
    page = await browser.get(films.make_url())
    tested.local_plex.refuse_next("POST /api/v2/pins", status=503, times=10)
    answer = await browser.submit(find_form(page, "/sign-in"))
    assert 503 == answer.status_code
    assert "Plex does not answer" in answer.text


async def test_without_approval(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """A person who denies at Plex and comes back gets a page, and no session."""
    plex_url = await browser.go_to_plex(films.make_url())
    fragment = urlsplit(plex_url).fragment
    code = dict(each.split("=") for each in fragment.removeprefix("?").split("&"))["code"]
    tested.local_plex.deny(code)
    (transaction,) = [each for each in fragment.split("%3D") if "%" not in each and len(each) == 22]
    answer = await browser.get(f"/plex/return?transaction={transaction}")
    assert 400 == answer.status_code
    assert "Not approved" in answer.text
    assert "__Host-ticketstub-session" not in browser.http.cookies


async def test_the_identifier_names_the_server(tested: BridgeUnderTest) -> None:
    """The test's world has the server that the configuration names."""
    with tested.local_plex.client() as plex:
        assert ATTIC in {each.client_identifier for each in plex.resources()}
