"""What applications read: discovery, keys, userinfo, WebFinger, and every answer's form."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from authlib.oidc.discovery import OpenIDProviderMetadata
from msgspec import structs
from sqlalchemy import text

from bridge_tests.bridges import BOOKS, FILMS, PHONE, SECRET, URL, BridgeUnderTest, basic, get_query
from bridge_tests.browsing import Application, Browser, find_form
from ticketstub_bridge.storage import Database

PHONE_ORIGIN = "https://phone.example.test"


async def test_discovery(tested: BridgeUnderTest) -> None:
    """Both discovery documents are valid by Authlib's own check, and every address in them answers."""
    async with tested.http() as http:
        answer = await http.get("/.well-known/openid-configuration")
        assert answer.json() == (await http.get("/.well-known/oauth-authorization-server")).json()
        metadata = answer.json()
        OpenIDProviderMetadata(metadata).validate()
        assert URL == metadata["issuer"]
        assert ["S256"] == metadata["code_challenge_methods_supported"]
        for name, url in metadata.items():
            if name.endswith(("_endpoint", "_uri")):
                assert url.startswith(URL)
                assert 404 != (await http.post(url)).status_code


async def test_keys_hold_nothing_private(tested: BridgeUnderTest) -> None:
    """The published keys are public ones, each with its name, use and algorithm."""
    async with tested.http() as http:
        for key in (await http.get("/jwks")).json()["keys"]:
            assert {"kid", "use", "alg", "kty"} <= set(key)
            assert set() == {"d", "p", "q", "dp", "dq", "qi"} & set(key)


async def test_keys_rotate_with_an_overlap(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """After a rotation old tokens still verify, new ones are signed by the new key, and the old key goes in time."""
    old = (await films.redeem(await browser.sign_in(films.make_url())))["id_token"]
    before = {key["kid"] for key in tested.bridge.keys.list_public()}
    assert 2 == len(tested.bridge.keys.rotate(tested.bridge.config.lifetimes.key_overlap))
    new = (await films.redeem(await browser.sign_in_again(films.make_url())))["id_token"]
    assert await films.verify(old)
    assert await films.verify(new)
    assert old.partition(".")[0] != new.partition(".")[0]
    tested.advance(31 * 86400)
    assert set() == before & {key["kid"] for key in tested.bridge.keys.list_public()}


@pytest.mark.parametrize(
    ("query", "status", "links"),
    [
        ("resource=acct:tom@example.org&rel=http://openid.net/specs/connect/1.0/issuer", 200, 1),
        ("resource=acct:tom@example.org", 200, 1),
        ("resource=https://auth.example.test/tom", 200, 1),
        ("resource=http://localhost:8180", 200, 1),
        ("resource=acct:tom@example.org&rel=other", 200, 0),
        ("", 400, None),
        ("resource=tom", 400, None),
        ("resource=acct:tom@example.org&resource=acct:mira@example.org", 400, None),
    ],
)
async def test_webfinger(tested: BridgeUnderTest, query: str, status: int, links: int | None) -> None:
    """WebFinger names this issuer for any address, as Tailscale asks."""
    async with tested.http() as http:
        answer = await http.get(f"/.well-known/webfinger?{query}")
    assert status == answer.status_code
    if links is not None:
        assert "application/jrd+json" == answer.headers["content-type"]
        assert [URL] * links == [each["href"] for each in answer.json()["links"]]


async def test_userinfo(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """Userinfo takes the token from the header or a form, and its errors are those of RFC 6750."""
    token = (await films.redeem(await browser.sign_in(films.make_url())))["access_token"]
    async with tested.http() as http:
        by_header = await http.get("/userinfo", headers={"Authorization": f"bearer {token}"})
        by_form = await http.post("/userinfo", data={"access_token": token})
        assert by_header.json() == by_form.json()
        assert "no-store" == by_header.headers["cache-control"]
        for headers, challenge in (
            ({}, ""),
            ({"Authorization": "Bearer wrong"}, ', error="invalid_token"'),
            ({"Authorization": "Bearer"}, ', error="invalid_token"'),
            ({"Authorization": f"Basic {token}"}, ""),
        ):
            answer = await http.get("/userinfo", headers=headers)
            assert (401, f'Bearer realm="{URL}"{challenge}') == (answer.status_code, answer.headers["www-authenticate"])
        for headers, body in (({"Authorization": f"Bearer {token}"}, 1), ({}, 2)):
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await http.post(
                "/userinfo", content="&".join([f"access_token={token}"] * body), headers=headers | form
            )
            assert (400, "invalid_request") == (answer.status_code, answer.json()["error"])
        for status, content in ((400, "access_token=%FF"), (413, "x" * 70_000)):
            answer = await http.post("/userinfo", content=content, headers=form)
            assert (status, "invalid_request") == (answer.status_code, answer.json()["error"])
        assert 401 == (await http.get(f"/userinfo?access_token={token}")).status_code
    tested.advance(601)
    assert 401 == (await films.userinfo(token)).status_code


async def test_an_answer_of_a_moment_ago_is_the_same(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """Within a second userinfo answers without the database, with the same bytes and headers."""
    token = (await films.redeem(await browser.sign_in(films.make_url())))["access_token"]
    async with tested.http() as http:
        headers = {"Authorization": f"Bearer {token}"}
        answers = [await http.get("/userinfo", headers=headers) for _ in range(2)]
        described = [(each.status_code, each.content, sorted(each.headers.items())) for each in answers]
        for each in described:
            each[2].remove(next(pair for pair in each[2] if pair[0] == "x-request-id"))
        assert described[0] == described[1]
        other = Database(tested.bridge.config.database)  # another replica's, whose writes this one cannot notice
        with other.write() as connection:
            connection.execute(text("ALTER TABLE access_tokens RENAME TO away"))
        other.close()
        assert 200 == (await http.get("/userinfo", headers=headers)).status_code
        page = await http.get("/userinfo", headers=headers | {"Origin": PHONE_ORIGIN})
        assert (200, PHONE_ORIGIN) == (page.status_code, page.headers["access-control-allow-origin"])
        assert 503 == (await http.get("/userinfo", headers={"Authorization": f"Bearer {token}x"})).status_code
        tested.advance(1.5)
        assert 503 == (await http.get("/userinfo", headers=headers)).status_code


@pytest.mark.parametrize("ending", ["revocation", "sign-out", "configuration", "expiry", "removal"])
async def test_no_answer_outlives_what_this_process_ends(
    tested: BridgeUnderTest, browser: Browser, films: Application, ending: str
) -> None:
    """A revocation, sign-out, removal, expiry or other configuration counts at the very next request."""
    token = (await films.redeem(await browser.sign_in(films.make_url())))["access_token"]
    assert 200 == (await films.userinfo(token)).status_code
    match ending:
        case "revocation":
            async with tested.http() as http:
                await http.post("/revoke", data={"token": token}, headers=basic("films", SECRET))
        case "sign-out":
            await browser.submit(find_form(await browser.get("/account"), "/account"))
        case "configuration":
            account_id = tested.store.people.find("tom").account_id
            tested.bridge.reload(structs.replace(tested.bridge.config, deny=frozenset({account_id})))
        case "expiry":
            tested.advance(599.5)
            assert 200 == (await films.userinfo(token)).status_code
            tested.advance(0.6)
        case "removal":
            tested.store.people.record_loss(tested.store.people.find("tom").sub)
    assert 401 == (await films.userinfo(token)).status_code


async def test_token_errors_are_exact(tested: BridgeUnderTest) -> None:
    """Each error of the token endpoint has its name, is JSON and is not cached."""
    async with tested.http() as http:
        for form, status, error in (
            ({}, 400, "invalid_request"),
            ({"grant_type": "password"}, 400, "unsupported_grant_type"),
            ({"grant_type": "authorization_code"}, 400, "invalid_request"),
            ({"grant_type": "authorization_code", "code": "x"}, 400, "invalid_grant"),
            ({"grant_type": "refresh_token"}, 400, "invalid_request"),
            ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
            ({"grant_type": "refresh_token", "refresh_token": "x", "client_secret": SECRET}, 400, "invalid_request"),
        ):
            answer = await http.post("/token", data=form, headers=basic("films", SECRET))
            assert (status, error) == (answer.status_code, answer.json()["error"]), form
            assert "no-store" == answer.headers["cache-control"]
        wrong = await http.post("/token", data={"grant_type": "authorization_code"}, headers=basic("films", "no"))
        assert 401 == wrong.status_code
        assert wrong.headers["www-authenticate"].startswith("Basic")
        headers = basic("films", SECRET) | {"Content-Type": "application/x-www-form-urlencoded"}
        twice = await http.post("/token", content="grant_type=x&grant_type=x", headers=headers)
        assert "invalid_request" == twice.json()["error"]
        assert 405 == (await http.get("/token")).status_code


async def test_both_ways_to_authenticate(tested: BridgeUnderTest, browser: Browser, films: Application) -> None:
    """A secret in the form works as one in the header."""
    answer = await browser.sign_in(films.make_url())
    form = {
        "grant_type": "authorization_code",
        "code": get_query(answer)["code"],
        "redirect_uri": FILMS,
        "code_verifier": films.verifier,
        "client_id": "films",
        "client_secret": SECRET,
    }
    async with tested.http() as http:
        assert 200 == (await http.post("/token", data=form)).status_code


async def test_pages_of_public_applications_may_call(tested: BridgeUnderTest) -> None:
    """CORS: a public application's origin may read; an application with a secret has no page that should."""
    async with tested.http() as http:
        for path in ("/.well-known/openid-configuration", "/jwks", "/token", "/userinfo", "/revoke"):
            for origin, is_allowed in ((PHONE_ORIGIN, True), ("https://films.example.test", False), ("null", False)):
                for method in ("OPTIONS", "GET" if path not in {"/token", "/revoke"} else "POST"):
                    answer = await http.request(method, path, headers={"Origin": origin})
                    assert is_allowed == (answer.headers.get("access-control-allow-origin") == origin), (path, method)
                    assert "Origin" in answer.headers["vary"]
        data = {"client_id": "phone", "token": "unknown"}
        revoked = await http.post("/revoke", data=data, headers={"Origin": PHONE_ORIGIN})
        assert (200, PHONE_ORIGIN) == (revoked.status_code, revoked.headers.get("access-control-allow-origin"))
        refused = await http.get("/userinfo", headers={"Origin": PHONE_ORIGIN})
        assert "WWW-Authenticate" == refused.headers["access-control-expose-headers"]


async def test_an_origin_is_compared_as_browsers_write_it(make_bridge: Callable[..., BridgeUnderTest]) -> None:
    """CORS: capitals and https's own port in a redirect address do not keep its page from calling."""
    tested = make_bridge(**{PHONE: PHONE.replace("phone.example.test", "Phone.example.test:443")})
    async with tested.http() as http:
        answer = await http.get("/jwks", headers={"Origin": PHONE_ORIGIN})
        assert PHONE_ORIGIN == answer.headers["access-control-allow-origin"]


async def test_authorization_requests_may_be_posted(tested: BridgeUnderTest, browser: Browser) -> None:
    """The authorization endpoint takes forms, as OpenID Connect requires."""
    form = {"client_id": "films", "redirect_uri": FILMS, "response_type": "code", "scope": "openid what-is-this"}
    page = await browser.follow(await browser.http.post("/authorize", data=form))
    assert "Continue to Plex" in page.text
    assert BOOKS not in page.text + PHONE
    page = await browser.http.post("/authorize", data=form | {"claims": "x" * 4000})  # too long for an address
    assert "Continue to Plex" in page.text


async def test_without_the_database_nothing_is_answered(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A request that the database cannot answer gets 503 with Retry-After, never 200; being alive is another thing."""
    token = (await films.redeem(await browser.sign_in(films.make_url())))["access_token"]
    async with tested.http() as http:
        assert 200 == (await http.get("/readyz")).status_code
        with tested.database.write() as connection:
            for table in ("access_tokens", "refresh_tokens", "codes", "sessions", "signing_keys"):
                connection.execute(text(f"ALTER TABLE {table} RENAME TO {table}_away"))
        for path in ("/userinfo", "/jwks"):
            answer = await http.get(path, headers={"Authorization": f"Bearer {token}", "Origin": PHONE_ORIGIN})
            assert (503, "temporarily_unavailable", "5", PHONE_ORIGIN) == (
                answer.status_code,
                answer.json()["error"],
                answer.headers["retry-after"],
                answer.headers["access-control-allow-origin"],
            )
        form = {"grant_type": "authorization_code", "code": "x"}
        assert 503 == (await http.post("/token", data=form, headers=basic("films", SECRET))).status_code
        assert 200 == (await http.get("/livez")).status_code
    for path in ("/account", films.make_url()):
        assert 503 == (await browser.get(path)).status_code
    silent = await browser.get(films.make_url(prompt="none", state="s"))  # must show no page (RFC 6749, 4.1.2.1)
    assert silent.headers["location"].startswith(f"{FILMS}?")
    assert {"error": "temporarily_unavailable", "state": "s", "iss": URL} == get_query(silent.headers["location"])
    assert 503 == (await browser.get(films.make_url(prompt="none", redirect_uri="https://evil.test/"))).status_code


async def test_draining(tested: BridgeUnderTest) -> None:
    """A bridge that is about to end says that it is not ready, and still answers."""
    tested.bridge.is_draining = True
    async with tested.http() as http:
        assert 503 == (await http.get("/readyz")).status_code
        assert 200 == (await http.get("/jwks")).status_code


@pytest.mark.parametrize("rounds", [pytest.param(3, id="short"), pytest.param(200, id="long", marks=pytest.mark.long)])
async def test_one_of_64_redemptions_over_http_wins(tested: BridgeUnderTest, rounds: int) -> None:
    """Of 64 requests that redeem one code at once exactly one gets tokens, and they no longer work afterwards."""
    films, browser = Application(tested, scope="openid offline_access"), Browser(tested)
    answer = await browser.sign_in(films.make_url())
    async with tested.http() as http:
        for _ in range(rounds):
            form = {
                "grant_type": "authorization_code",
                "code": get_query(answer)["code"],
                "redirect_uri": FILMS,
                "code_verifier": films.verifier,
            }
            calls = [http.post("/token", data=form, headers=basic("films", SECRET)) for _ in range(64)]
            answers = await asyncio.gather(*calls)
            winners = [each for each in answers if each.status_code == 200]
            assert 1 == len(winners)
            assert {"invalid_grant"} == {each.json()["error"] for each in answers if each.status_code != 200}
            assert 401 == (await films.userinfo(winners[0].json()["access_token"])).status_code
            answer = await browser.sign_in_again(films.make_url())


@pytest.mark.parametrize("rounds", [pytest.param(3, id="short"), pytest.param(200, id="long", marks=pytest.mark.long)])
async def test_one_of_64_refreshes_over_http_wins(tested: BridgeUnderTest, rounds: int) -> None:
    """Of 64 requests that use one refresh token at once exactly one gets tokens, and the grant ends."""
    films, browser = Application(tested, scope="openid offline_access"), Browser(tested)
    answer = await browser.sign_in(films.make_url())
    async with tested.http() as http:
        for _ in range(rounds):
            tokens = await films.redeem(answer)
            form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
            calls = [http.post("/token", data=form, headers=basic("films", SECRET)) for _ in range(64)]
            answers = await asyncio.gather(*calls)
            winners = [each.json() for each in answers if each.status_code == 200]
            assert 1 == len(winners)
            form["refresh_token"] = winners[0]["refresh_token"]
            late = await http.post("/token", data=form, headers=basic("films", SECRET))
            assert "invalid_grant" == late.json()["error"]
            answer = await browser.sign_in_again(films.make_url())


@pytest.mark.parametrize("path", ["/jwks", "/readyz"])
async def test_a_failure_has_the_id_that_the_log_names(
    tested: BridgeUnderTest, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """What fails unexpectedly is 500 with x-request-id; the log has that id, and not the message of the failure."""

    def fail(*_arguments: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(tested.bridge, "run", fail)
    with caplog.at_level("INFO", "ticketstub_bridge"):
        async with tested.http() as http:
            answer = await http.get(path)
    assert 500 == answer.status_code
    logged = {each.getMessage(): each.fields for each in caplog.records}  # type: ignore[attr-defined]  # ours
    assert {answer.headers["x-request-id"]} == {logged[event]["id"] for event in ("failure", "request")}
    assert (500, "RuntimeError") == (logged["request"]["status"], logged["failure"]["error"])
    assert "a secret" not in answer.text + caplog.text


async def test_a_reload_keeps_what_needs_a_restart(tested: BridgeUnderTest) -> None:
    """A reload says that a new url needs a restart, and the issuer stays; the rest of the file counts at once."""
    config = tested.bridge.config
    assert ["url"] == tested.bridge.reload(structs.replace(config, url="https://new.example.test", grace=5))
    assert (URL, 5) == (tested.bridge.config.url, tested.bridge.config.grace)
    async with tested.http() as http:
        assert URL == (await http.get("/.well-known/openid-configuration")).json()["issuer"]
    assert [] == tested.bridge.reload(config)
