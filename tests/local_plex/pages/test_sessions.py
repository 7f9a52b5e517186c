"""S8 and S10 over plain HTTP: cookies, sessions, and forms that come from elsewhere; signing in by the page."""

import pytest

from tests.local_plex.asking import PASSWORDS, Clock, ask, code_at
from tests.local_plex.conftest import Start
from tests.local_plex.counting import verifications
from tests.local_plex.pages.browsing import Browser, html
from tests.local_plex.pages.conftest import MakePin, auth
from ticketstub.testing import LocalPlexController

PLANTED = "A" * 43


def value(cookie: str) -> str:
    return cookie.partition("=")[2]


def test_cookie(browser: Browser) -> None:
    """S8: a cookie is 256 random bits, and neither scripts nor other sites' forms can use it."""
    header = browser.get("/sign-in").headers["set-cookie"]
    name, _, rest = header.partition("=")
    assert name.startswith("ticketstub-")
    text, *facts = rest.split("; ")
    assert 43 == len(text)
    assert ["Path=/", "HttpOnly", "SameSite=Lax"] == facts


def test_planted_cookie_never_becomes_signed_in(browser: Browser, plex: LocalPlexController) -> None:
    """S8: a sign-in creates a new cookie; a planted one never becomes signed in."""
    browser.get("/sign-in")
    planted = f"{browser.cookie.partition('=')[0]}={PLANTED}"
    browser.cookie = planted
    form = html(browser.get("/sign-in")).form("/sign-in")
    assert planted == browser.cookie
    assert 303 == browser.post("/sign-in", form | {"login": "tom", "password": PASSWORDS["tom"]}).status
    assert planted != browser.cookie
    assert 200 == browser.get("/account").status
    assert 303 == ask(plex.url, "GET", "/account", {"Cookie": planted}).status


def test_old_cookie_is_dead_after_signing_in_again_and_out(plex: LocalPlexController, browser: Browser) -> None:
    """S8: each sign-in and sign-out ends the previous session and changes the cookie."""
    seen = [browser.signed_in("tom").cookie]
    page = browser.page("/account")
    browser.post("/sign-in", page.form("/sign-out") | {"login": "digits", "password": PASSWORDS["digits"]})
    seen.append(browser.cookie)
    assert 303 == browser.send("/account", "/sign-out").status
    assert 3 == len({*seen, browser.cookie})
    for cookie in (*seen, browser.cookie):
        assert 303 == ask(plex.url, "GET", "/account", {"Cookie": cookie}).status


def test_session_lives_twelve_hours_at_most(start: Start) -> None:
    """S8: a session ends after twelve hours, used or not."""
    clock = Clock()
    browser = Browser(start(clock=clock)).signed_in("tom")
    clock.now += 12 * 3600 - 1
    assert 200 == browser.get("/account").status
    clock.now += 1
    assert 303 == browser.get("/account").status


def test_session_survives_a_restart(start: Start, tmp_path) -> None:
    """The database has sessions, but no cookies."""
    database = f"sqlite:///{tmp_path / 'local.db'}"
    plex = start(db=database)
    browser = Browser(plex).signed_in("tom")
    written = b"".join(path.read_bytes() for path in tmp_path.glob("local.db*"))
    assert value(browser.cookie).encode() not in written


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Origin": ""}, 303),
        ({"Sec_Fetch_Site": ""}, 303),
        ({"Origin": "", "Sec_Fetch_Site": ""}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://evil.example", "Sec_Fetch_Site": ""}, 403),
        ({"Origin": "", "Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "none"}, 403),
        ({"Cookie": ""}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content_Type": ""}, 415),
        ({"Content_Type": "text/plain", "Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded; charset=UTF-8"}, 303),
    ],
)
def test_forms_from_elsewhere(
    headers: dict[str, str], status: int, signed_in: Browser, make_pin: MakePin, token_of
) -> None:
    """S10: an approval must be a form from a page of this site, with this browser's cookie."""
    pin = make_pin()
    form = html(signed_in.get(auth(pin))).form("/auth")
    answer = signed_in.post("/auth", form | {"decision": "approve"}, **headers)
    assert status == answer.status
    assert (status == 303) == (token_of(pin) is not None)


@pytest.mark.parametrize("token", ["", "0" * 64, "0" * 63, "é", None])
def test_form_token(
    token: str | None, signed_in: Browser, plex: LocalPlexController, make_pin: MakePin, token_of
) -> None:
    """S10: a form without its token, or with another browser's, does nothing."""
    pin = make_pin()
    form = html(signed_in.get(auth(pin))).form("/auth") | {"decision": "approve"}
    others = Browser(plex).page("/sign-in").form("/sign-in")["form_token"]
    answer = signed_in.post("/auth", form | {"form_token": others if token is None else token})
    assert 403 == answer.status
    assert "Nothing was changed" in html(answer).text
    assert token_of(pin) is None


@pytest.mark.parametrize("body", ['{"form_token": "x"}', "[]", '""'])
@pytest.mark.parametrize(
    "path", ["/auth", "/link", "/sign-in", "/sign-out", "/claim", "/account/devices", "/account/home"]
)
def test_json_is_no_form(path: str, body: str, signed_in: Browser) -> None:
    """S10: every page refuses JSON, even if it is labelled as plain text."""
    for kind in ("text/plain", "application/json"):
        headers = {"Cookie": signed_in.cookie, "Origin": signed_in.url, "Content-Type": kind}
        answer = ask(signed_in.url, "POST", path, headers, body)
        assert answer.status in ({415} if kind == "text/plain" or body != "[]" else {400})


def test_wrong_sign_ins_look_alike(plex: LocalPlexController) -> None:
    """S3: unknown, wrong, disabled and passwordless logins get one reply, and each costs one verification."""
    bodies = set[str]()
    for login in ("nobody", "tom", "gone", "silent"):
        before = verifications(plex)
        answer = Browser(plex).sign_in(login, "wrong-password-1")
        assert 401 == answer.status
        assert 1 == verifications(plex) - before
        bodies.add(html(answer).text.replace(login, "X"))
    assert 1 == len(bodies)
    before = verifications(plex)
    Browser(plex).signed_in("tom")
    assert 1 == verifications(plex) - before


def test_sign_in_by_mail_address_only(browser: Browser) -> None:
    """Only a client with the right password learns that an account signs in by e-mail address only."""
    assert "e-mail address only" in html(browser.sign_in("elsa")).text
    assert 303 == browser.sign_in("elsa@example.test", PASSWORDS["elsa"]).status


def test_code_at_the_end_of_the_password(browser: Browser, clock: Clock) -> None:
    """The password may end in the six digits of the code, as over the API."""
    clock.now += 60
    assert 303 == browser.sign_in("vera", PASSWORDS["vera"] + code_at(clock.now)).status


def test_code_step_costs_no_second_verification(browser: Browser, plex: LocalPlexController, clock: Clock) -> None:
    """A sign-in with a code costs one verification, and a code works once."""
    clock.now += 60
    before = verifications(plex)
    page = html(browser.sign_in("vera"))
    assert "also needs a verification code" in page.text
    assert PASSWORDS["vera"] not in str(page.forms)
    form = page.form("/sign-in") | {"verificationCode": code_at(clock.now)}
    assert 303 == browser.post("/sign-in", form).status
    assert 1 == verifications(plex) - before
    other = Browser(plex)
    form = html(other.sign_in("vera")).form("/sign-in") | {"verificationCode": form["verificationCode"]}
    again = other.post("/sign-in", form)
    assert 401 == again.status
    assert "already used" in html(again).text


def test_proof_of_a_password(browser: Browser, plex: LocalPlexController, clock: Clock) -> None:
    """The proof is valid for this browser and account, for five minutes."""
    clock.now += 60
    form = html(browser.sign_in("vera")).form("/sign-in")
    stranger = Browser(plex)
    theirs = stranger.page("/sign-in").form("/sign-in")["form_token"]
    code = {"verificationCode": code_at(clock.now)}
    assert 401 == stranger.post("/sign-in", form | code | {"form_token": theirs}).status
    for wrong in ({"account": "10500123"}, {"until": "9999999999"}, {"proof": "0" * 64}, {"account": "x"}):
        answer = browser.post("/sign-in", form | code | wrong)
        assert 401 == answer.status
        assert "Sign in again" in html(answer).text
    clock.now += 300
    code = {"verificationCode": code_at(clock.now)}
    assert 401 == browser.post("/sign-in", form | code).status


def test_lock_out_is_the_same_as_over_the_api(start: Start) -> None:
    """S12: after ten wrong passwords the page says how long to wait, even for the right one, and approves nothing."""
    plex = start(clock=Clock())
    inside = Browser(plex).signed_in("tom")
    browser = Browser(plex)
    for _ in range(10):
        assert 401 == browser.sign_in("tom", "wrong").status
    answer = browser.sign_in("TOM@example.test", PASSWORDS["tom"])
    assert 429 == answer.status
    assert "Wait 15 minutes" in html(answer).text
    headers = {"X-Plex-Client-Identifier": "x", "Accept": "application/json"}
    pin = ask(plex.url, "POST", "/api/v2/pins?strong=true", headers).json
    form = html(inside.get(auth(pin))).form("/auth")
    assert 429 == inside.post("/auth", form | {"decision": "approve"}).status


def test_link_code_limit(start: Start) -> None:
    """S12: after five wrong link codes the page says how long to wait; right codes cost nothing."""
    plex = start(clock=Clock())
    browser = Browser(plex).signed_in("tom")
    headers = {"X-Plex-Client-Identifier": "x", "Accept": "application/json"}
    code = ask(plex.url, "POST", "/api/v2/pins", headers).json["code"]
    wrong = "AAAA" if code != "AAAA" else "BBBB"
    for typed in (wrong, code, code.lower(), f"{code[:2]}-{code[2:]} ", wrong, code, "", "toolong1", wrong):
        answer = browser.send("/link", "/link", pin=typed)
        assert answer.status == (303 if typed.strip(" ").replace("-", "").upper() == code else 404)
    answer = browser.send("/link", "/link", pin=code)
    assert 429 == answer.status
    assert "Wait 15 minutes" in html(answer).text


def test_no_secret_in_a_page_or_address(signed_in: Browser, make_pin: MakePin, token_of) -> None:
    """No page or redirect of an approval contains the app's token, the PIN's id or the session."""
    pin = make_pin()
    form = html(signed_in.get(auth(pin, forwardUrl="http://127.0.0.1:1/done"))).form("/auth")
    answer = signed_in.post("/auth", form | {"decision": "approve"})
    done = signed_in.get(answer.headers["location"])
    token = token_of(pin)
    assert token
    for text in (answer.headers["location"], done.body.decode(), signed_in.get("/account/devices").body.decode()):
        for secret in (token, str(pin["id"]), value(signed_in.cookie)):
            assert secret not in text
