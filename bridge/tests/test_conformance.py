"""What OpenID Connect and OAuth 2.0 require of every answer, member by member.

The page docs/bridge/conformance.md lists the requirements; the tests it names are here and in the other files.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from bridge_tests.bridges import FILMS, OTHER_SECRET, PHONE, SECRET, URL, BridgeUnderTest, basic, get_query
from bridge_tests.browsing import Application, Browser, find_form

HERE = Path(__file__).parent
IS_DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]*").fullmatch
"""RFC 6749, 5.2."""

METADATA = {
    "issuer": URL,
    "authorization_endpoint": f"{URL}/authorize",
    "token_endpoint": f"{URL}/token",
    "userinfo_endpoint": f"{URL}/userinfo",
    "jwks_uri": f"{URL}/jwks",
    "revocation_endpoint": f"{URL}/revoke",
    "end_session_endpoint": f"{URL}/logout",
    "scopes_supported": ["openid", "profile", "email", "groups", "offline_access"],
    "response_types_supported": ["code"],
    "response_modes_supported": ["query"],
    "grant_types_supported": ["authorization_code", "refresh_token"],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["RS256", "EdDSA"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
    "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
    "claim_types_supported": ["normal"],
    "prompt_values_supported": ["none", "login", "consent", "select_account"],
    "code_challenge_methods_supported": ["S256"],
    "claims_parameter_supported": False,
    "request_parameter_supported": False,
    "request_uri_parameter_supported": False,
    "backchannel_logout_supported": True,
    "backchannel_logout_session_supported": True,
    "authorization_response_iss_parameter_supported": True,
}


async def test_the_metadata_is_exact(tested: BridgeUnderTest) -> None:
    """Both discovery documents say what the bridge does, and nothing else."""
    async with tested.http() as http:
        for name in ("openid-configuration", "oauth-authorization-server"):
            answer = await http.get(f"/.well-known/{name}")
            assert (200, "application/json") == (answer.status_code, answer.headers["content-type"])
            metadata = answer.json()
            claims = metadata.pop("claims_supported")
            assert METADATA == metadata
            assert len(claims) == len(set(claims))


async def test_the_answers_have_exact_members(tested: BridgeUnderTest, browser: Browser) -> None:
    """Token answers, ID tokens and userinfo have the members that are required, of the required types."""
    films = Application(tested, scope="openid profile email groups offline_access")
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    tokens.pop("expires_at")  # the client's own
    renewed = await films.refresh(tokens["refresh_token"])
    renewed.pop("expires_at")
    for each in (tokens, renewed):
        kinds = {name: type(value) for name, value in each.items()}
        texts = ("access_token", "refresh_token", "id_token", "scope", "token_type")
        assert dict.fromkeys(texts, str) | {"expires_in": int} == kinds
        assert "Bearer" == each["token_type"]
        claims = await films.verify(each["id_token"])
        times = ("exp", "iat", "auth_time")
        assert {int} == {type(claims[name]) for name in times}
        names = {"iss", "sub", "aud", "sid", "amr", "at_hash", "name", "preferred_username", "email", "email_verified"}
        assert names | {*times, "groups"} == set(claims) - {"nonce", "picture"}
        assert ("nonce" in claims) == (each is tokens)
        half = hashlib.sha256(each["access_token"].encode()).digest()[:16]
        assert base64.urlsafe_b64encode(half).decode().rstrip("=") == claims["at_hash"]
        assert claims["email_verified"] is True
        info = await films.userinfo(each["access_token"])
        assert "application/json" == info.headers["content-type"]
        assert {"sub", "name", "preferred_username", "email", "email_verified", "groups"} == set(info.json()) - {
            "picture"
        }
        async with tested.http() as http:
            supported = (await http.get("/.well-known/openid-configuration")).json()["claims_supported"]
        assert set(claims) | set(info.json()) <= set(supported)


async def test_a_scope_gives_its_claims_alone(tested: BridgeUnderTest, browser: Browser) -> None:
    """Userinfo has what the scopes ask for: sub alone for openid (OpenID Connect Core, 5.4)."""
    for scope, names in (
        ("openid", set()),
        ("email openid", {"email", "email_verified"}),
        ("openid profile", {"name", "preferred_username"}),
        ("openid groups address phone", {"groups"}),
    ):
        films = Application(tested, scope=scope)
        answer = await (browser.sign_in if scope == "openid" else browser.sign_in_again)(films.make_url())
        tokens = await films.redeem(answer)
        assert {"sub"} | names == set((await films.userinfo(tokens["access_token"])).json()) - {"picture"}
        assert [each for each in scope.split() if each not in {"address", "phone"}] == tokens["scope"].split()


async def test_what_is_optional_is_ignored(browser: Browser, films: Application) -> None:
    """Parameters that a provider may ignore, and unknown ones, change nothing."""
    optional = {
        "display": "popup",
        "ui_locales": "fr-CA fr",
        "claims_locales": "de",
        "acr_values": "1 2",
        "login_hint": "tom@example.test",
        "claims": '{"userinfo":{"name":{"essential":true}}}',
        "extra": "foobar",
        "response_mode": "query",
        "max_age": "4294967296000",
        "form_token": "x",
        "transaction": "y",
        "decision": "deny",
    }
    assert "id_token" in await films.redeem(await browser.sign_in(films.make_url(**optional)))


async def test_max_age_zero(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """max_age=0 asks for an approval each time, and is content with the one that follows."""
    first = await films.verify((await films.redeem(await browser.sign_in(films.make_url(max_age="0"))))["id_token"])
    tested.advance(5)
    answer = await browser.sign_in(films.make_url(max_age="0"))
    second = await films.verify((await films.redeem(answer))["id_token"])
    assert second["auth_time"] >= first["auth_time"] + 5
    assert "code" in get_query((await browser.get(films.make_url(max_age="10000"))).headers["location"])


async def test_nobody_but_the_hinted_person(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """With an id_token_hint nobody else is answered, not even after a sign-in (OpenID Connect Core, 3.1.2.2)."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    hint = tokens["id_token"]
    assert "code" in get_query(
        (await browser.get(films.make_url(prompt="none", id_token_hint=hint))).headers["location"]
    )
    other = Browser(tested)
    await other.sign_in(films.make_url(), "mira_quill")
    answer = await other.arrive(films.make_url(id_token_hint=hint, state="s"), "mira_quill")
    told = get_query(answer.headers["location"])
    assert ("login_required", "s", URL) == (told["error"], told["state"], told["iss"])
    assert "code" in get_query(await other.sign_in(films.make_url(id_token_hint=hint), "tom"))


async def test_a_hint_is_an_id_token_of_this_bridge(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A hint that this bridge did not issue is an error; so is a logout token, which it did."""
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    await browser.submit(find_form(await browser.get("/logout"), "/logout"))
    await tested.work()
    ((_, logout_token),) = tested.logouts
    for hint in ("x", tokens["id_token"][:-10], tokens["access_token"], logout_token):
        told = get_query((await browser.get(films.make_url(id_token_hint=hint))).headers["location"])
        assert "invalid_request" == told["error"]
    answer = await browser.get("/logout", params={"id_token_hint": logout_token})
    assert 400 == answer.status_code


FORM = {"grant_type": "authorization_code", "redirect_uri": FILMS}


@pytest.mark.parametrize(
    ("changes", "headers", "status", "error"),
    [
        ({"redirect_uri": FILMS + "/"}, {}, 400, "invalid_grant"),
        ({"redirect_uri": ""}, {}, 400, "invalid_grant"),
        ({"code_verifier": "v" * 43}, {}, 400, "invalid_grant"),
        ({"code_verifier": ""}, {}, 400, "invalid_request"),
        ({"code_verifier": "short"}, {}, 400, "invalid_request"),
        ({"code": ""}, {}, 400, "invalid_request"),
        ({"code": "é"}, {}, 400, "invalid_grant"),
        ({"client_id": "phone"}, {}, 400, "invalid_request"),
        ({}, basic("books", OTHER_SECRET), 400, "invalid_grant"),
        ({}, basic("films", OTHER_SECRET), 401, "invalid_client"),
        ({"client_id": "phone"}, basic("films", OTHER_SECRET), 401, "invalid_client"),
        ({"client_id": "phone"}, {"Authorization": "Bearer x"}, 401, "invalid_client"),
        ({"client_id": "nobody", "client_secret": "x"}, {"Authorization": ""}, 400, "invalid_request"),
    ],
)
async def test_the_token_endpoint_errs_exactly(
    browser: Browser,
    films: Application,
    tested: BridgeUnderTest,
    changes: dict[str, str],
    headers: dict[str, str],
    status: int,
    error: str,
) -> None:
    """Each fault has its error (RFC 6749, 5.2), in JSON that nobody caches, and the code can still be used after it."""
    answer = await browser.sign_in(films.make_url())
    form = FORM | {"code": get_query(answer)["code"], "code_verifier": films.verifier}
    async with tested.http() as http:
        told = await http.post("/token", data=form | changes, headers=basic("films", SECRET) | headers)
        assert (status, error) == (told.status_code, told.json()["error"])
        assert IS_DESCRIPTION(told.json().get("error_description", ""))
        assert {"error", "error_description"} >= set(told.json())
        assert ("application/json", "no-store") == (told.headers["content-type"], told.headers["cache-control"])
        assert (f'Basic realm="{URL}"' if status == 401 else None) == told.headers.get("www-authenticate")
        assert 200 == (await http.post("/token", data=form, headers=basic("films", SECRET))).status_code


async def test_secrets_may_be_percent_encoded(browser: Browser, films: Application, tested: BridgeUnderTest) -> None:
    """Id and secret in the header are form-encoded (RFC 6749, 2.3.1): some clients encode even the hyphen."""
    encoded = SECRET.replace("-", "%2D")
    form = FORM | {"code": get_query(await browser.sign_in(films.make_url()))["code"], "code_verifier": films.verifier}
    async with tested.http() as http:
        assert 200 == (await http.post("/token", data=form, headers=basic("%66ilms", encoded))).status_code


async def test_a_refresh_cannot_widen_the_scope(browser: Browser, tested: BridgeUnderTest) -> None:
    """More than was granted is invalid_scope (RFC 6749, 6), and the refresh token can still be used."""
    films = Application(tested, scope="openid offline_access")
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    async with tested.http() as http:
        for scope in ("openid email", "email"):
            told = await http.post("/token", data=form | {"scope": scope}, headers=basic("films", SECRET))
            assert (400, "invalid_scope") == (told.status_code, told.json()["error"])
    assert await films.refresh(tokens["refresh_token"])


async def test_revocation_is_exact(browser: Browser, tested: BridgeUnderTest) -> None:
    """Revoking answers 200 without content, also for what is unknown; hints are ignored; another's token stays."""
    films = Application(tested, scope="openid offline_access")
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    async with tested.http() as http:
        missing = await http.post("/revoke", headers=basic("films", SECRET), data={"token_type_hint": "access_token"})
        assert (400, "invalid_request") == (missing.status_code, missing.json()["error"])
        for data in ({"token": "unknown"}, {"token": tokens["access_token"]}, {"token": tokens["refresh_token"]}):
            answer = await http.post("/revoke", headers=basic("books", OTHER_SECRET), data=data)
            assert (200, b"") == (answer.status_code, answer.content)
        assert 200 == (await films.userinfo(tokens["access_token"])).status_code
        data = {"token": tokens["access_token"], "token_type_hint": "refresh_token"}
        assert 200 == (await http.post("/revoke", headers=basic("films", SECRET), data=data)).status_code
        assert 401 == (await films.userinfo(tokens["access_token"])).status_code
        renewed = await films.refresh(tokens["refresh_token"])
        data = {"token": renewed["refresh_token"], "token_type_hint": "what"}
        assert 200 == (await http.post("/revoke", headers=basic("films", SECRET), data=data)).status_code
        assert 401 == (await films.userinfo(renewed["access_token"])).status_code


async def test_a_scope_without_openid_reads_no_userinfo(browser: Browser, tested: BridgeUnderTest) -> None:
    """A token that a refresh has narrowed below openid is refused with insufficient_scope (RFC 6750, 3.1)."""
    films = Application(tested, scope="openid profile offline_access")
    tokens = await films.redeem(await browser.sign_in(films.make_url()))
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": "profile"}
    async with tested.http() as http:
        narrow = (await http.post("/token", data=form, headers=basic("films", SECRET))).json()
    assert "id_token" not in narrow
    told = await films.userinfo(narrow["access_token"])
    assert 403 == told.status_code
    assert f'Bearer realm="{URL}", error="insufficient_scope", scope="openid"' == told.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/token", "OPTIONS, POST"),
        ("GET", "/revoke", "OPTIONS, POST"),
        ("PUT", "/userinfo", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/jwks", "GET, HEAD, OPTIONS"),
        ("POST", "/.well-known/openid-configuration", "GET, HEAD, OPTIONS"),
        ("DELETE", "/authorize", "GET, HEAD, POST"),
        ("PATCH", "/account", "GET, HEAD, POST"),
        ("POST", "/static/pages.css", "GET, HEAD"),
    ],
)
async def test_other_methods_are_refused(tested: BridgeUnderTest, method: str, path: str, allowed: str) -> None:
    """A method that an endpoint does not have is 405, and the answer says exactly which it has."""
    async with tested.http() as http:
        answer = await http.request(method, path)
    assert (405, allowed) == (answer.status_code, answer.headers["allow"])


async def test_head_uses_nothing_up(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """HEAD returns no page, issues no code, takes no return from Plex, and signs nobody out."""

    async def ask(url: str) -> None:
        answer = await browser.http.head(url)
        assert (200, b"", "no-store") == (answer.status_code, answer.content, answer.headers["cache-control"])
        assert {"location", "set-cookie"}.isdisjoint(answer.headers)

    url = films.make_url()
    back = browser.approve(await browser.go_to_plex(url), "tom")
    await ask(back)
    page = await browser.get(back)
    assert 303 == page.status_code
    await ask(page.headers["location"])
    claims = await films.redeem(await browser.allow(await browser.follow(page)))
    await ask(url)  # a GET gets a code, since the person has consented
    await ask(f"/logout?id_token_hint={claims['id_token']}")
    assert "code" in get_query((await browser.get(url)).headers["location"])


@pytest.mark.parametrize(
    "path", ["/authorize/", "/token/", "/userinfo/", "/jwks/", "/.well-known/openid-configuration/"]
)
async def test_addresses_are_exact(tested: BridgeUnderTest, path: str) -> None:
    """An address with another slash is none, and nobody is redirected to what Host says, nor to http."""
    async with tested.http() as http:
        for method in ("GET", "POST"):
            answer = await http.request(method, f"{path}?x=1", headers={"Host": "evil.test"})
            assert (404, None) == (answer.status_code, answer.headers.get("location"))


@pytest.mark.parametrize("odd", ["%00", "%FF", "%C3%28", "%ED%A0%80"])
async def test_what_is_not_text_is_refused(tested: BridgeUnderTest, browser: Browser, odd: str) -> None:
    """What could not come back as it was sent, or not be stored, is an invalid request everywhere."""
    authorize = f"/authorize?client_id=films&redirect_uri={FILMS}&response_type=code&scope=openid"
    for path in (f"{authorize}&state={odd}", f"{authorize}&nonce={odd}", f"/continue?transaction={odd}"):
        answer = await browser.get(path)
        assert 400 == answer.status_code
        assert "location" not in answer.headers
    headers = basic("films", SECRET) | {"Content-Type": "application/x-www-form-urlencoded"}
    async with tested.http() as http:
        for path, form in (("/token", f"grant_type=refresh_token&refresh_token={odd}"), ("/revoke", f"token={odd}")):
            told = await http.post(path, content=form, headers=headers)
            assert (400, "invalid_request") == (told.status_code, told.json()["error"])


async def test_two_authorization_headers_are_refused(tested: BridgeUnderTest) -> None:
    """Of two headers that say who calls, none is chosen (RFC 6749, 2.3; RFC 6750, 2)."""
    async with tested.http() as http:
        twice = [*basic("films", SECRET).items(), *basic("books", OTHER_SECRET).items()]
        for path in ("/token", "/revoke"):
            told = await http.post(path, data={"grant_type": "refresh_token", "token": "x"}, headers=twice)
            assert (400, "invalid_request") == (told.status_code, told.json()["error"])
        told = await http.get("/userinfo", headers=[("Authorization", "Bearer x"), ("Authorization", "Bearer y")])
        assert 400 == told.status_code
        assert 'error="invalid_request"' in told.headers["www-authenticate"]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
async def test_other_bodies_are_refused(tested: BridgeUnderTest, content_type: str) -> None:
    """A body that is not a form is invalid_request."""
    content = json.dumps({"grant_type": "authorization_code", "code": "x"})
    async with tested.http() as http:
        for path in ("/token", "/revoke"):
            headers = basic("films", SECRET) | {"Content-Type": content_type}
            answer = await http.post(path, content=content, headers=headers)
            assert (400, "invalid_request") == (answer.status_code, answer.json()["error"])


async def test_errors_go_to_the_application_alone(browser: Browser) -> None:
    """Each error of the authorization endpoint has state, issuer and a printable description, and no other member."""
    base = {"client_id": "phone", "redirect_uri": PHONE, "state": "s"}
    good = {"response_type": "code", "scope": "openid", "code_challenge": "c" * 43, "code_challenge_method": "S256"}
    for changes in (
        {"response_type": 'tok"en\\é'},
        {"scope": '"\\é'},
        {"code_challenge": '"\\é'},
        {"code_challenge_method": '"\\é'},
        {"prompt": 'none "\\é'},
        {"max_age": "٣"},
        {"prompt": "none"},
        {"state": "a\nb"},
    ):
        answer = await browser.get("/authorize", params=base | good | changes)
        assert 303 == answer.status_code, changes
        told = get_query(answer.headers["location"])
        assert (base | changes)["state"] == told["state"]
        assert {"error", "state", "iss"} <= set(told) <= {"error", "error_description", "state", "iss"}
        assert IS_DESCRIPTION(told.get("error_description", ""))
        assert "no-store" == answer.headers["cache-control"]


async def test_the_posted_request_of_a_person_who_is_signed_in(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A form is answered like a query (OpenID Connect Core, 3.1.2.1), though it comes without the session's cookie.

    Browsers leave `SameSite=Lax` cookies out of another site's form, and send them when it is repeated as a GET.
    """
    await browser.sign_in(films.make_url())
    form = {"client_id": "films", "redirect_uri": FILMS, "response_type": "code", "scope": "openid", "nonce": "n +&é"}
    async with tested.http() as without_cookies:
        answer = await without_cookies.post("/authorize", data=form)
    assert (303, None) == (answer.status_code, answer.headers.get("set-cookie"))
    assert form == get_query(answer.headers["location"])
    for again in (await browser.get(answer.headers["location"]), await browser.http.post("/authorize", data=form)):
        assert again.headers["location"].startswith(FILMS)
        assert {"code", "iss"} == set(get_query(again.headers["location"]))


def test_the_page_names_tests_that_exist() -> None:
    """Each test that docs/bridge/conformance.md names exists, and each test here is named there."""
    page = (HERE.parents[1] / "docs" / "bridge" / "conformance.md").read_text("utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    sources = [path.read_text("utf-8") for path in HERE.glob("test_*.py")]
    defined = {name for text in sources for name in re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE)}
    assert set() == named - defined
    own = re.findall(r"^(?:async )?def (test_\w+)", Path(__file__).read_text("utf-8"), re.MULTILINE)
    assert set() == set(own) - named - {"test_the_page_names_tests_that_exist"}
