"""The attack list: each test is an attack, and shows that it fails, or what remains of it."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx2 as httpx
import pytest
from starlette.requests import Request

from bridge_tests.bridges import (
    ATTIC,
    BOOKS,
    FILMS,
    MIRA,
    OTHER_SECRET,
    PHONE,
    SECRET,
    URL,
    BridgeUnderTest,
    basic,
    get_query,
)
from bridge_tests.browsing import Application, Browser, find_form
from ticketstub import Token
from ticketstub_bridge.app import ROUTES
from ticketstub_bridge.observing import JsonFormatter
from ticketstub_bridge.requests import get_address

SESSION = "__Host-ticketstub-session"


async def ask_token(
    tested: BridgeUnderTest, client: tuple[str, str] = ("films", SECRET), **form: str
) -> httpx.Response:
    async with tested.http() as http:
        return await http.post("/token", data=form, headers=basic(*client))


async def redeem(tested: BridgeUnderTest, application: Application, answer: str, **changes: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "code": get_query(answer)["code"],
        "redirect_uri": application.redirect_uri,
        "code_verifier": application.verifier,
    }
    return await ask_token(tested, **{name: value for name, value in (form | changes).items() if value})


# Who comes in


async def assert_stays_out(tested: BridgeUnderTest, person: str | int) -> None:
    browser, films = Browser(tested), Application(tested)
    page = await browser.arrive(films.make_url(), person)
    assert 403 == page.status_code
    assert "has no access" in page.text
    assert SESSION not in browser.http.cookies
    assert [] == tested.store.people.list_all()


async def test_an_account_without_the_server_stays_out(tested: BridgeUnderTest) -> None:
    """An account with which the server is not shared gets no session, and its Plex token is revoked."""
    tested.local_plex.add_account("nobody_special")
    await assert_stays_out(tested, "nobody_special")
    assert "DELETE /api/v2/users/signout" in {f"{each.method} {each.path}" for each in tested.local_plex.requests}


@pytest.mark.ticketstub_world(
    {
        "account": [
            {"username": "mira_quill", "email": "mira@example.test", "id": MIRA},
            {"username": "impostor", "email": "impostor@example.test", "id": 666},
            {"username": "victim", "email": "victim@example.test", "id": 777},
        ],
        "media_server": [
            {"name": "Real", "machine_identifier": "a" * 40, "owner": "mira_quill"},
            {"name": "Attic", "machine_identifier": "b" * 40, "owner": "impostor"},
            {"name": "Twin", "machine_identifier": ATTIC, "owner": "impostor", "share": [{"account": "victim"}]},
        ],
    }
)
async def test_a_server_of_the_same_name_or_identifier_does_not_let_in(tested: BridgeUnderTest) -> None:
    """Who owns a server that is called like ours, or claims its very identifier, stays out with all their guests."""
    await assert_stays_out(tested, "impostor")
    await assert_stays_out(tested, "victim")


async def test_an_address_that_plex_has_not_confirmed_is_not_passed_on(tested: BridgeUnderTest) -> None:
    """Another person's address in one's own Plex account reaches no application, which might link accounts by it."""
    films = Application(tested)
    mallory = tested.local_plex.add_account("mallory", email="victim@example.test", confirmed=False)
    tested.local_plex.share("Attic", mallory.id)
    tokens = await films.redeem(await Browser(tested).sign_in(films.make_url(), mallory.id))
    for claims in (await films.verify(tokens["id_token"]), (await films.userinfo(tokens["access_token"])).json()):
        assert "mallory" == claims["preferred_username"]
        assert not {"email", "email_verified"} & set(claims)
    assert "victim@example.test" == tested.store.people.list_all()[0].email


async def test_no_endpoint_takes_a_plex_token(tested: BridgeUnderTest) -> None:
    """A Plex token of another application, offered anywhere and anyhow, signs nobody in and reaches no Plex."""
    stolen = tested.local_plex.token_for("tom").reveal()
    async with tested.http() as http:
        for route in ROUTES:
            path = route.path.replace("{name}", "pages.css")
            for headers in (
                {"X-Plex-Token": stolen},
                {"Authorization": f"Bearer {stolen}"},
                {"Cookie": f"{SESSION}={stolen}"},
            ):
                fields = {"X-Plex-Token": stolen, "token": stolen, "access_token": stolen, "code": stolen}
                await http.get(path, params=fields, headers=headers)
                await http.post(path, data=fields, headers=headers)
    assert [] == tested.store.people.list_all()
    assert [] == list(tested.local_plex.requests)


async def test_an_access_token_is_no_session(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """What an application holds signs nobody in to the bridge: neither its tokens nor its code are sessions."""
    answer = await browser.sign_in(films.make_url())
    tokens = await films.redeem(answer)
    session = browser.http.cookies[SESSION]
    async with tested.http() as http:
        for secret in (tokens["access_token"], tokens["id_token"], get_query(answer)["code"], session):
            page = await http.get("/account", headers={"Authorization": f"Bearer {secret}"})
            assert "Continue to Plex" in page.text
        assert 401 == (await http.get("/userinfo", headers={"Authorization": f"Bearer {session}"})).status_code


async def test_enumerated_pins_are_of_no_use(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """No parameter names a PIN: knowing the id and code of an approved one is of no use here."""
    plex_url = await browser.go_to_plex(films.make_url())
    pin = parse_qs(urlsplit(plex_url).fragment.removeprefix("?"))["code"][0]
    browser.approve(plex_url, "tom")
    attacker = Browser(tested)
    for name in ("transaction", "pin", "code", "id", "pin_id"):
        answer = await attacker.get(f"/plex/return?{name}={pin}")
        assert 400 == answer.status_code
        assert SESSION not in attacker.http.cookies


async def test_a_return_in_another_browser_ends_the_sign_in(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """Login CSRF: a link to a finished sign-in, opened by somebody else, signs in neither them nor the attacker."""
    back = browser.approve(await browser.go_to_plex(films.make_url()), "tom")
    victim = Browser(tested)
    await victim.get(films.make_url())
    assert 400 == (await victim.get(back)).status_code
    assert SESSION not in victim.http.cookies
    assert 400 == (await browser.get(back)).status_code
    assert SESSION not in browser.http.cookies


async def test_a_second_return_is_refused(browser: Browser, films: Application) -> None:
    """A return counts once, and only for five minutes."""
    back = browser.approve(await browser.go_to_plex(films.make_url()), "tom")
    assert 303 == (await browser.get(back)).status_code
    assert 400 == (await browser.get(back)).status_code
    late = browser.approve(await browser.go_to_plex(films.make_url(prompt="login")), "tom")
    browser.tested.advance(301)
    assert 400 == (await browser.get(late)).status_code


async def test_a_fixed_session_cookie_is_never_signed_in(browser: Browser, films: Application) -> None:
    """Session fixation: a cookie that was there before the sign-in is replaced, and stays worthless."""
    planted = "x" * 43
    browser.http.cookies.set(SESSION, planted, domain="auth.example.test")
    await browser.sign_in(films.make_url())
    assert planted not in [cookie.value for cookie in browser.http.cookies.jar]
    attacker = Browser(browser.tested)
    attacker.http.cookies.set(SESSION, planted, domain="auth.example.test")
    assert "Continue to Plex" in (await attacker.get("/account")).text


async def test_a_victim_who_approves_an_attackers_pin(tested: BridgeUnderTest, films: Application) -> None:
    """What remains: who approves at Plex what an attacker began, signs in the attacker, unless they return first.

    Plex names the application and the bridge to them, and the sign-in is good for five minutes and one return.
    """
    attacker, victim = Browser(tested), Browser(tested)
    plex_url = await attacker.go_to_plex(films.make_url())
    assert "context%5Bdevice%5D%5Bproduct%5D=Films%20at%20auth.example.test" in plex_url
    back = attacker.approve(plex_url, "tom")
    assert 400 == (await victim.get(back)).status_code
    assert 400 == (await attacker.get(back)).status_code
    plex_url = await attacker.go_to_plex(films.make_url())
    assert 303 == (await attacker.get(attacker.approve(plex_url, "tom"))).status_code
    assert SESSION in attacker.http.cookies


# Codes and tokens


async def test_a_code_is_redeemed_once_and_its_tokens_end_with_the_second_try(
    tested: BridgeUnderTest, browser: Browser
) -> None:
    """Replay: the second use of a code is refused, and revokes what the first gave."""
    films = Application(tested, scope="openid offline_access")
    answer = await browser.sign_in(films.make_url())
    tokens = (await redeem(tested, films, answer)).json()
    again = await redeem(tested, films, answer)
    assert (400, "invalid_grant") == (again.status_code, again.json()["error"])
    assert 401 == (await films.userinfo(tokens["access_token"])).status_code
    late = await ask_token(tested, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert "invalid_grant" == late.json()["error"]


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"redirect_uri": BOOKS},
        {"redirect_uri": ""},
        {"code": "y" * 43},
    ],
)
async def test_an_injected_code_is_refused(
    tested: BridgeUnderTest, browser: Browser, films: Application, changes: dict[str, str]
) -> None:
    """Code injection: a code belongs to its verifier and its address."""
    answer = await browser.sign_in(films.make_url())
    refused = await redeem(tested, films, answer, **changes)
    assert 400 == refused.status_code
    assert refused.json()["error"] in {"invalid_grant", "invalid_request"}


async def test_a_code_belongs_to_its_application(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """Mix-up: another application cannot redeem a code, and the answer names its issuer (RFC 9207)."""
    answer = await browser.sign_in(films.make_url())
    assert URL == get_query(answer)["iss"]
    form = {"grant_type": "authorization_code", "code": get_query(answer)["code"], "redirect_uri": FILMS}
    form["code_verifier"] = films.verifier
    stolen = await ask_token(tested, ("books", OTHER_SECRET), **form)
    assert "invalid_grant" == stolen.json()["error"]
    assert 200 == (await ask_token(tested, **form)).status_code


async def test_a_code_expires(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """A code is good for a minute."""
    answer = await browser.sign_in(films.make_url())
    tested.advance(61)
    assert "invalid_grant" == (await redeem(tested, films, answer)).json()["error"]


async def test_refresh_reuse_ends_everything_of_the_grant(tested: BridgeUnderTest, browser: Browser) -> None:
    """A refresh token that is used twice was stolen by somebody: all that came from it ends."""
    films = Application(tested, scope="openid offline_access")
    first = await films.redeem(await browser.sign_in(films.make_url()))
    second = await films.refresh(first["refresh_token"])
    reused = await ask_token(tested, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert "invalid_grant" == reused.json()["error"]
    assert 401 == (await films.userinfo(second["access_token"])).status_code
    late = await ask_token(tested, grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert "invalid_grant" == late.json()["error"]


async def test_a_refresh_token_belongs_to_its_application(tested: BridgeUnderTest, browser: Browser) -> None:
    """Another application can neither use nor revoke a refresh token."""
    films = Application(tested, scope="openid offline_access")
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    books = ("books", OTHER_SECRET)
    stolen = await ask_token(tested, books, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert "invalid_grant" == stolen.json()["error"]
    async with tested.http() as http:
        for token in (tokens["refresh_token"], tokens["access_token"]):
            assert 200 == (await http.post("/revoke", data={"token": token}, headers=basic(*books))).status_code
    assert 200 == (await films.userinfo(tokens["access_token"])).status_code
    assert await films.refresh(tokens["refresh_token"])


async def test_plex_is_not_asked_for_an_application_that_does_not_authenticate(
    tested: BridgeUnderTest, browser: Browser
) -> None:
    """Who has a refresh token, but not the secret of its application, reaches neither Plex nor the grant with it."""
    films = Application(tested, scope="openid offline_access")
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    asked = len(tested.local_plex.requests)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    for client, error in (
        (("films", "wrong"), "invalid_client"),
        (("nobody", SECRET), "invalid_client"),
        (("books", OTHER_SECRET), "invalid_grant"),
    ):
        assert error == (await ask_token(tested, client, **form)).json()["error"]
    assert asked == len(tested.local_plex.requests)
    assert await films.refresh(tokens["refresh_token"])
    assert asked < len(tested.local_plex.requests)


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        (basic("films", "wrong"), {}),
        (basic("unknown", SECRET), {}),
        ({}, {"client_id": "films"}),
        ({}, {"client_id": "films", "client_secret": OTHER_SECRET}),
        ({}, {}),
        ({"Authorization": "Basic /////w=="}, {}),
        ({"Authorization": "Basic !"}, {}),
        ({"Authorization": "Basic "}, {}),
        ({"Authorization": "Basic"}, {}),
        (basic("phone", "any"), {}),
    ],
)
async def test_an_application_authenticates(
    tested: BridgeUnderTest, headers: dict[str, str], form: dict[str, str]
) -> None:
    """Without the right secret nothing is answered but invalid_client."""
    async with tested.http() as http:
        data = {"grant_type": "authorization_code", "code": "x", **form}
        for path in ("/token", "/revoke"):
            answer = await http.post(path, data=data | {"token": "x"}, headers=headers)
            assert answer.status_code in {400, 401}
            assert "invalid_client" == answer.json()["error"]


# Authorization requests


REDIRECTS = [
    f"{FILMS}/",
    f"{FILMS}/..",
    f"{FILMS}x",
    f"{FILMS}?x=1",
    f"{FILMS}#x",
    FILMS.replace("https", "http"),
    FILMS.replace("/callback", ":8443/callback"),
    FILMS.replace("films.", "films.example.test@evil."),
    FILMS.replace("films.example.test", "films.example.test.evil.test"),
    FILMS.replace("/callback", "\\@evil.test/callback"),
    FILMS.replace("films", "FILMS"),
    FILMS.replace("/callback", "/%63allback"),
    "javascript:alert(1)",
    "data:text/html,x",
    "//films.example.test/callback",
    "/callback",
    BOOKS,
    "",
]


@pytest.mark.parametrize("uri", REDIRECTS)
async def test_only_the_exact_address_is_redirected_to(browser: Browser, uri: str) -> None:
    """An address that is not registered letter by letter gets a page, and no redirect, whatever else is wrong."""
    for extra in ("", "&prompt=none", "&response_type=token", "&scope="):
        url = f"/authorize?client_id=films&response_type=code&scope=openid&redirect_uri={quote(uri, safe='')}{extra}"
        answer = await browser.get(url)
        assert 400 == answer.status_code
        assert "location" not in answer.headers
        assert "evil" not in answer.text


async def test_an_unknown_application_gets_a_page(browser: Browser) -> None:
    """Without a known application nobody is redirected."""
    for client in ("", "nobody", "films&client_id=books"):
        url = f"/authorize?client_id={client}&response_type=code&scope=openid&redirect_uri={quote(FILMS, safe='')}"
        answer = await browser.get(url)
        assert 400 == answer.status_code
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("client", "parameters", "error"),
    [
        ("phone", {}, "invalid_request"),
        ("phone", {"code_challenge": "c" * 43}, "invalid_request"),
        ("phone", {"code_challenge": "c" * 43, "code_challenge_method": "plain"}, "invalid_request"),
        ("films", {"code_challenge": "c" * 43}, "invalid_request"),
        ("films", {"code_challenge": "c" * 43, "code_challenge_method": "plain"}, "invalid_request"),
        ("films", {"code_challenge": "c" * 42, "code_challenge_method": "S256"}, "invalid_request"),
        ("films", {"code_challenge": "c" * 44, "code_challenge_method": "S256"}, "invalid_request"),
        ("films", {"code_challenge": "c" * 43 + "\n", "code_challenge_method": "S256"}, "invalid_request"),
        ("films", {"code_challenge_method": "S256"}, "invalid_request"),
        ("films", {"response_type": "token"}, "unsupported_response_type"),
        ("films", {"response_type": "code id_token"}, "unsupported_response_type"),
        ("films", {"response_type": 'é"\\'}, "unsupported_response_type"),
        ("films", {"response_type": ""}, "invalid_request"),
        ("films", {"response_mode": "fragment"}, "invalid_request"),
        ("films", {"scope": "profile"}, "invalid_scope"),
        ("films", {"request": "x"}, "request_not_supported"),
        ("films", {"request_uri": "https://evil.test/"}, "request_uri_not_supported"),
        ("films", {"registration": "{}"}, "registration_not_supported"),
        ("films", {"prompt": "none login"}, "invalid_request"),
        ("films", {"max_age": "-1"}, "invalid_request"),
        ("films", {"max_age": "soon"}, "invalid_request"),
        ("films", {"nonce": "a\nb"}, "invalid_request"),
        ("films", {"nonce": "\x7f"}, "invalid_request"),
    ],
)
async def test_a_faulty_request_is_told_to_the_application(
    browser: Browser, client: str, parameters: dict[str, str], error: str
) -> None:
    """PKCE `plain`, a missing challenge of a public application, and whatever else is not supported: an exact error."""
    values = {"client_id": client, "redirect_uri": FILMS if client == "films" else PHONE, "state": "s&1"}
    values |= {"response_type": "code", "scope": "openid"} | parameters
    answer = await browser.get("/authorize", params=values)
    assert 303 == answer.status_code
    assert answer.headers["location"].startswith(values["redirect_uri"])
    told = get_query(answer.headers["location"])
    assert (error, "s&1", URL) == (told["error"], told["state"], told["iss"])


async def test_pkce_cannot_be_taken_out(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """Downgrade: a verifier for a code without a challenge is refused (RFC 9700, 4.8)."""
    url = f"/authorize?client_id=films&response_type=code&scope=openid&redirect_uri={quote(FILMS, safe='')}"
    answer = await browser.sign_in(url)
    assert 400 == (await redeem(tested, films, answer)).status_code
    assert 200 == (await redeem(tested, films, answer, code_verifier="")).status_code


@pytest.mark.parametrize("name", ["state", "nonce", "scope", "response_type", "code_challenge", "prompt"])
async def test_repeated_parameters_are_refused(browser: Browser, films: Application, name: str) -> None:
    """A parameter that occurs twice could mean two things: the request is refused."""
    answer = await browser.get(films.make_url(prompt="login") + f"&{name}=second")
    assert "invalid_request" == get_query(answer.headers["location"])["error"]
    assert ("state" in get_query(answer.headers["location"])) == (name != "state")


async def test_state_and_nonce_come_back_unchanged(browser: Browser, films: Application) -> None:
    """The application's own defences arrive as they were sent; without a state, none is made up."""
    odd = "a b+c%20&=;é\"'<>"
    answer = await browser.sign_in(films.make_url(state=odd))
    assert odd == get_query(answer)["state"]
    bare = f"/authorize?client_id=films&response_type=code&scope=openid&redirect_uri={quote(FILMS, safe='')}"
    told = get_query((await browser.get(bare)).headers["location"])
    assert {"code", "iss"} == set(told)


# The web


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.test"},
        {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "http", "X-Forwarded-For": "6.6.6.6"},
        {"Forwarded": "host=evil.test;proto=http"},
    ],
)
async def test_the_issuer_is_never_taken_from_a_request(
    tested: BridgeUnderTest, browser: Browser, films: Application, headers: dict[str, str]
) -> None:
    """Host and X-Forwarded-* change neither the issuer nor any address."""
    page = await browser.get(films.make_url(), headers=headers)
    form = find_form(page, "/sign-in")
    sent = {"Origin": URL, **headers}
    answer = await browser.http.post("/sign-in", data=form.fields, headers=sent)
    assert "evil" not in page.text + answer.headers["location"]
    async with tested.http() as http:
        metadata = await http.get("/.well-known/openid-configuration", headers=headers)
    assert URL == metadata.json()["issuer"]
    assert "evil" not in metadata.text


@pytest.mark.parametrize("path", ["/sign-in", "/consent", "/account"])
async def test_a_form_of_another_site_does_nothing(browser: Browser, films: Application, path: str) -> None:
    """CSRF: a form needs this browser's token, and must come from this site."""
    await browser.sign_in(films.make_url())
    page = await browser.get("/account")
    token = find_form(page, "/account").fields["form_token"]
    requests = len(browser.tested.local_plex.requests)
    for headers, form in (
        ({"Origin": "https://evil.test"}, {"form_token": token, "all": "yes"}),
        ({"Origin": "null"}, {"form_token": token, "all": "yes"}),
        ({"Sec-Fetch-Site": "cross-site"}, {"form_token": token, "all": "yes"}),
        ({"Origin": URL}, {"all": "yes"}),
        ({"Origin": URL}, {"form_token": "0" * 64, "all": "yes"}),
    ):
        assert 403 == (await browser.http.post(path, data=form, headers=headers)).status_code
    assert "You are signed in" in (await browser.get("/account")).text
    assert requests == len(browser.tested.local_plex.requests)


async def test_a_form_of_another_browser_does_nothing(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A form's token belongs to one browser and one purpose."""
    form = find_form(await browser.get(films.make_url()), "/sign-in")
    other = Browser(tested)
    await other.get(films.make_url())
    assert 403 == (await other.submit(form)).status_code


@pytest.mark.parametrize("address", ["http://127.0.0.1:3000/callback", "app.phone:/callback"])
async def test_another_program_gets_no_code_unasked(make_bridge: Any, address: str) -> None:
    """Any program can listen on loopback or claim a scheme: a public application there is asked about each time."""
    more = f'[[client]]\nid = "tool"\nredirect_uris = ["{address}", "https://tool.example.test/"]'
    browser = Browser(make_bridge(more=more))
    tool = Application(browser.tested, "tool", None, address)
    assert (await browser.sign_in(tool.make_url())).startswith(f"{address}?code=")
    page = await browser.follow(await browser.get(tool.make_url()))
    assert "<h1>Continue to tool as" in page.text
    assert (await browser.allow(page)).startswith(f"{address}?code=")
    told = get_query((await browser.get(tool.make_url(prompt="none"))).headers["location"])
    assert "consent_required" == told["error"]
    page = Application(browser.tested, "tool", None, "https://tool.example.test/")
    assert "code" in get_query((await browser.get(page.make_url(prompt="none"))).headers["location"])


async def test_open_redirects(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """After sign-in and sign-out the browser goes to registered addresses only."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    for uri in ("https://evil.test/", "//evil.test", "/\\evil.test", FILMS, "https://films.example.test/signed-out/"):
        for hint in ({"id_token_hint": tokens["id_token"]}, {"client_id": "films"}, {}):
            answer = await Browser(tested).get("/logout", params={"post_logout_redirect_uri": uri, **hint})
            assert 400 == answer.status_code
            assert "evil" not in answer.text


async def test_pages_cannot_be_framed(browser: Browser, films: Application) -> None:
    """Clickjacking: no page can be framed, runs a script, or loads anything from another site."""
    page = await browser.arrive(films.make_url(), "tom")
    for each in (page, await browser.get("/account"), await browser.get("/authorize")):
        policy = each.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "<script" not in each.text
        assert ("DENY", "nosniff") == (each.headers["x-frame-options"], each.headers["x-content-type-options"])
        assert "no-store" == each.headers["cache-control"]
        assert "same-origin" == each.headers["referrer-policy"]
    assert "form-action 'self' https://films.example.test" in page.headers["content-security-policy"]


async def test_names_are_text(tested: BridgeUnderTest, films: Application) -> None:
    """A name from Plex is shown as text, whatever it contains."""
    mallory = tested.local_plex.add_account("mallory", friendly_name="<script>alert(1)</script>")
    tested.local_plex.share("Attic", mallory.id)
    page = await Browser(tested).arrive(films.make_url(), mallory.id)
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_cookies_are_bound_to_this_host(browser: Browser, films: Application) -> None:
    """Every cookie has the __Host- prefix, and is closed to scripts and to other sites' requests."""
    back = browser.approve(await browser.go_to_plex(films.make_url()), "tom")
    cookies = (await browser.get(back)).headers.get_list("set-cookie")
    cookies += (await Browser(browser.tested).get(films.make_url())).headers.get_list("set-cookie")
    assert 2 == len(cookies)
    for cookie in cookies:
        assert cookie.startswith("__Host-ticketstub-")
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(cookie.split("; "))
        assert "Domain" not in cookie


async def test_secrets_stay_out_of_logs_urls_and_the_database(
    tested: BridgeUnderTest, browser: Browser, caplog: pytest.LogCaptureFixture, tmp_path
) -> None:
    """No code, token, cookie, secret or Plex token is in the log, in an address on the bridge, or in the database."""
    films = Application(tested, scope="openid offline_access")
    with caplog.at_level(logging.DEBUG, "ticketstub_bridge"):
        answer = await browser.sign_in(films.make_url())
        tokens = await films.redeem(answer)
        tokens |= await films.refresh(tokens["refresh_token"])
        await films.userinfo(tokens["access_token"])
        await ask_token(tested, grant_type="refresh_token", refresh_token="canary-in-a-form-0123456789")
    secrets = [
        get_query(answer)["code"],
        tokens["access_token"],
        tokens["refresh_token"],
        SECRET,
        "canary-in-a-form-0123456789",
        *(cookie.value or "" for cookie in browser.http.cookies.jar),
    ]
    log = "\n".join(JsonFormatter().format(record) for record in caplog.records)
    assert '"route": "/token"' in log
    (person,) = tested.store.people.list_all()
    plex_token = tested.bridge.plex.unseal_token(person.sub, person.plex_token)
    assert isinstance(plex_token, Token)
    stored = b"".join(each.read_bytes() for each in tmp_path.glob("bridge.db*"))
    for secret in [*secrets, plex_token.reveal()]:
        assert 20 <= len(secret)
        assert secret not in log
        assert secret.encode() not in stored


@pytest.mark.parametrize("place", ["GET /api/v2/friends", "GET /api/v2/home/users"])
async def test_the_friends_list_is_never_asked(tested: BridgeUnderTest, films: Application, place: str) -> None:
    """A friends endpoint that is down changes nothing: membership does not depend on it."""
    tested.local_plex.refuse_next(place, status=503, times=100)
    assert await films.redeem(await Browser(tested).sign_in(films.make_url(), "tom"))
    assert place not in {f"{each.method} {each.path}" for each in tested.local_plex.requests}


async def test_resources_down_lets_nobody_in(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """Without the list of servers nothing is known, and nobody new gets in."""
    back = browser.approve(await browser.go_to_plex(films.make_url()), "tom")
    tested.local_plex.refuse_next("GET /api/v2/resources", status=503, times=100)
    assert 503 == (await browser.get(back)).status_code
    assert SESSION not in browser.http.cookies


async def test_metrics_are_not_public(tested: BridgeUnderTest) -> None:
    """What came through a proxy does not get the metrics."""
    async with tested.http() as http:
        assert 200 == (await http.get("/metrics")).status_code
        assert 404 == (await http.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"})).status_code


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("127.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "6.6.6.6, 203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "6.6.6.6, 203.0.113.5, 127.0.0.1", "203.0.113.5"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "<script>", "127.0.0.1"),
        ("203.0.113.9", "6.6.6.6", "203.0.113.9"),
    ],
)
async def test_only_trusted_proxies_say_who_asks(make_bridge, peer: str, forwarded: str, address: str) -> None:
    """The address in the list of events is the last one that no trusted proxy has."""
    tested = make_bridge(top='trusted_proxies = ["127.0.0.1"]')
    scope = {
        "type": "http",
        "headers": [(b"x-forwarded-for", forwarded.encode())],
        "client": (peer, 1),
        "app": tested.app,
    }
    assert address == get_address(Request(scope))


async def test_oversized_and_odd_bodies(tested: BridgeUnderTest) -> None:
    """A body that is too large, not a form, or has too many fields is refused before anything is done with it."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with tested.http() as http:
        assert 413 == (await http.post("/token", content=b"a=" + b"x" * 70000, headers=form)).status_code
        assert (
            400 == (await http.post("/token", content=b"&".join(b"a=1" for _ in range(100)), headers=form)).status_code
        )
        assert 400 == (await http.post("/token", json={"grant_type": "refresh_token"})).status_code
        assert 415 == (await http.post("/sign-in", json={})).status_code
