"""Each page over plain HTTP: status, header fields, forms, and what it never does."""

import re

import pytest

from tests.local_plex.asking import Clock, ask, get
from tests.local_plex.pages.browsing import Browser, Html, html
from tests.local_plex.pages.conftest import MakePin, auth
from tests.tables import every
from ticketstub.testing import LocalPlexController

OPEN = ["/auth", "/auth/", "/sign-in", "/auth?resetPassword="]
CLOSED = ["/link", "/link/", "/pin", "/claim", "/account", "/account/devices", "/account/home"]
STATIC = {
    "/static/pages.css": "text/css; charset=utf-8",
    "/static/fragment.js": "text/javascript; charset=utf-8",
    "/static/icon.svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


@every("path", [*OPEN, *CLOSED])
def test_headers_of_every_page(path: str, signed_in: Browser) -> None:
    """S24: a page is not cached or framed, loads only its own style and script, and is readable by no other origin."""
    answer = signed_in.get(path)
    fields = answer.headers
    assert POLICY == fields["content-security-policy"]
    assert "no-store" == fields["cache-control"]
    assert "Cookie" == fields["vary"]
    assert "same-origin" == fields["referrer-policy"]
    assert "nosniff" == fields["x-content-type-options"]
    assert "DENY" == fields["x-frame-options"]
    assert "local" == fields["x-ticketstub"]
    assert "access-control-allow-origin" not in fields
    assert "etag" not in fields


@every("path", [*(path for path in OPEN if path != "/sign-in"), *CLOSED])
def test_every_page_is_a_sound_document(path: str, signed_in: Browser) -> None:
    """A page says that it is not Plex, and has a language, a title, one heading, one main part and labelled fields."""
    page = html(signed_in.get(path))
    assert "Local stand-in, not Plex. Never type your real Plex password here." in page.text
    assert ("html", {"lang": "en"}) in page.tags
    for once in ("title", "h1", "main", "header", "footer"):
        assert 1 == sum(tag == once for tag, _facts in page.tags), once
    labelled = {facts.get("for") for tag, facts in page.tags if tag == "label"}
    fields = [facts for tag, facts in page.tags if tag == "input" and facts.get("type") != "hidden"]
    assert {facts.get("id") for facts in fields} <= labelled
    assert [] == [
        facts for _tag, facts in page.tags if "style" in facts or any(name.startswith("on") for name in facts)
    ]


@every("path", [*OPEN, *CLOSED])
def test_nothing_comes_from_elsewhere(path: str, browser: Browser) -> None:
    """No page loads, links to or sends anything to another site."""
    page = browser.page(path)
    for place in [*page.loads, *page.links]:
        assert re.fullmatch("#main|/[a-z].*", place), place
    assert page.actions == [action for action in page.actions if action.startswith("post /")]


@pytest.mark.parametrize("path", CLOSED)
def test_who_is_not_signed_in_is_sent_to_sign_in(path: str, browser: Browser) -> None:
    """A page that requires an account redirects to the sign-in page, and from there back."""
    answer = browser.get(path)
    assert 303 == answer.status
    there = answer.headers["location"]
    assert there.startswith("/sign-in?continue=%2F")
    page = html(browser.get(there))
    signed = browser.post("/sign-in", page.form("/sign-in") | {"login": "tom", "password": "rainy-harbour-17"})
    assert 303 == signed.status
    assert path.rstrip("/").replace("/pin", "/link") == signed.headers["location"]


@pytest.mark.parametrize(
    "then",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/account/../x", "/auth?a=b#c", "/link\r\nX: y", ""],
)
def test_sign_in_goes_on_within_the_site_only(then: str, browser: Browser) -> None:
    """S7: a sign-in continues to one of our pages, or else to the account's page."""
    answer = browser.sign_in("tom", **{"continue": then})
    assert 303 == answer.status
    assert "/account" == answer.headers["location"]


@pytest.mark.parametrize(("path", "kind"), STATIC.items())
def test_static_files(path: str, kind: str, plex: LocalPlexController) -> None:
    """Style, script and icon are served with their types and the same strict fields, and set no cookie."""
    answer = ask(plex.url, "GET", path)
    assert (200, kind, POLICY) == (
        answer.status,
        answer.headers["content-type"],
        answer.headers["content-security-policy"],
    )
    assert "set-cookie" not in answer.headers
    assert b"http" not in answer.body.replace(b"http://www.w3.org/2000/svg", b"")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/auth", "GET, HEAD, POST"),
        ("OPTIONS", "/link", "GET, HEAD, POST"),
        ("GET", "/sign-out", "POST"),
        ("POST", "/account", "GET, HEAD"),
        ("DELETE", "/static/pages.css", "GET, HEAD"),
    ],
)
def test_other_methods(method: str, path: str, allowed: str, plex: LocalPlexController) -> None:
    """A page lists the methods that it supports, also in a preflight."""
    answer = ask(plex.url, method, path)
    assert 405 == answer.status
    assert allowed == answer.headers["allow"]
    assert "access-control-allow-origin" not in answer.headers


def test_head(plex: LocalPlexController) -> None:
    """HEAD returns the header fields of GET without the page."""
    answer = ask(plex.url, "HEAD", "/sign-in")
    assert (200, b"") == (answer.status, answer.body)


def test_what_cannot_be_read_is_refused_on_a_page(plex: LocalPlexController) -> None:
    """A browser gets refusals as HTML, even if the request could not be parsed."""
    for path, status in (("/link?pin=%ff", 400), (f"/auth?code={'x' * 17_000}", 431)):
        answer = ask(plex.url, "GET", path)
        assert status == answer.status
        assert "text/html; charset=utf-8" == answer.headers["content-type"]


def test_the_api_sets_no_cookie(plex: LocalPlexController, browser: Browser) -> None:
    """Replies of the API set no cookies, and a browser's session is not a token there."""
    browser.signed_in("tom")
    answer = ask(plex.url, "GET", "/api/v2/user", {"Cookie": browser.cookie, "X-Plex-Client-Identifier": "x"})
    assert 401 == answer.status
    assert "set-cookie" not in answer.headers
    value = browser.cookie.partition("=")[2]
    assert 401 == get(plex.url, "/api/v2/user", value).status


def test_approval_page_says_who_asks(signed_in: Browser, make_pin: MakePin, clock: Clock) -> None:
    """S10: the page names product, device, platform, version, address and time, warns, and offers to deny."""
    said = {"Device_Name": "Living room", "Platform": "Linux", "Platform_Version": "6.1", "Version": "1.2.0"}
    pin = make_pin(**said)
    clock.now += 23
    text = html(signed_in.get(auth(pin))).text
    for part in (
        "Demo App",
        "Device Living room",
        "Platform Linux 6.1",
        "Version 1.2.0",
        "Address 127.0.0.1",
        "Asked 23 seconds ago",
        "If you approve, it can act as mira_quill",
        "Someone may be trying to trick you: approve only if you started this yourself.",
        "Approve Deny",
    ):
        assert part in text


def test_what_the_pin_says_counts_before_what_the_url_says(signed_in: Browser, make_pin: MakePin) -> None:
    """A URL fills gaps in what a client said of itself, and replaces nothing."""
    pin = make_pin()
    context = {"context[device][product]": "Your Bank", "context[device][deviceName]": "Kitchen"}
    text = html(signed_in.get(auth(pin, **context))).text
    assert "Demo App" in text
    assert "Your Bank" not in text
    assert "Device Kitchen" in text


@pytest.mark.parametrize(
    "place", ["/auth?code={code}", "/auth?clientID=other&code={code}", "/auth?clientID={client}&code=xxxxx"]
)
def test_code_of_another_client(place: str, signed_in: Browser, make_pin: MakePin) -> None:
    """A code with a missing or wrong client is not found, like one that never existed."""
    pin = make_pin()
    answer = signed_in.get(place.format(code=pin["code"], client=pin["clientIdentifier"]))
    assert 404 == answer.status
    assert "Not found or expired" in html(answer).text


def test_looking_at_pages_changes_nothing(
    signed_in: Browser, make_pin: MakePin, token_of, plex: LocalPlexController
) -> None:
    """S10: opening pages, however often, changes no PIN, signs nobody out and removes nothing."""
    strong, typed = make_pin(), make_pin(strong=False)
    for place in (
        *OPEN,
        *CLOSED,
        auth(strong),
        auth(typed),
        f"{auth(strong)}&decision=approve",
        f"/link?pin={typed['code']}",
        f"/auth/done?outcome=approve&product=x&forwardUrl=&proof={'0' * 64}",
        "/sign-out",
        "/account/devices?id=1&removed=yes",
    ):
        for _ in range(2):
            assert signed_in.get(place).status in {200, 303, 405}, place
    assert token_of(strong) is None
    assert token_of(typed) is None
    assert 200 == signed_in.get("/account").status


def test_code_is_filled_in_and_not_taken(signed_in: Browser, make_pin: MakePin, token_of) -> None:
    """S10: a code in the URL is shown in upper case, and only the submitted form continues."""
    pin = make_pin(strong=False)
    page = html(signed_in.get(f"/link?pin={pin['code'].lower()}"))
    assert pin["code"] == page.form("/link")["pin"]
    answer = signed_in.post("/link", page.form("/link"))
    assert 303 == answer.status
    assert token_of(pin) is None


def test_only_who_saw_the_page_approves(signed_in: Browser, make_pin: MakePin, token_of) -> None:
    """An approval needs our proof that this browser was shown the page for this code."""
    pin, other = make_pin(), make_pin(client="another-client")
    form = html(signed_in.get(auth(pin))).form("/auth")
    for wrong in ({"checked": ""}, {"checked": "0" * 64}, {"code": other["code"], "clientID": "another-client"}):
        assert 403 == signed_in.post("/auth", form | {"decision": "approve"} | wrong).status
    assert token_of(pin) is None
    assert 400 == signed_in.post("/auth", form).status
    assert 303 == signed_in.post("/auth", form | {"decision": "approve"}).status
    assert token_of(pin)
    assert 404 == signed_in.post("/auth", form | {"decision": "approve"}).status


def test_what_happened_is_told_to_who_did_it_only(signed_in: Browser) -> None:
    """A link cannot forge the page that says `Approved`."""
    place = f"/auth/done?outcome=approve&product=Your+Bank&forwardUrl=&proof={'0' * 64}"
    answer = signed_in.get(place)
    assert (303, "/account") == (answer.status, answer.headers["location"])


def test_devices_of_others_stay(signed_in: Browser, plex: LocalPlexController, make_pin: MakePin, token_of) -> None:
    """S21: the form removes no device of another account, and replies as for a device that never existed."""
    pin = make_pin()
    form = html(signed_in.get(auth(pin))).form("/auth")
    signed_in.post("/auth", form | {"decision": "approve"})
    token = token_of(pin)
    listed = html(signed_in.get("/account/devices"))
    ids = [held["id"] for held in listed.forms if "id" in held]
    assert ids
    tom = Browser(plex).signed_in("tom")
    held = tom.page("/link").form("/link")
    for number in (*ids, "0", "-1", "99999999999999999999", "x", ""):
        answer = tom.post("/account/devices", {"form_token": held["form_token"], "id": number})
        assert "/account/devices?removed=no" == answer.headers["location"]
    assert 200 == get(plex.url, "/api/v2/user", token).status


def test_page_parser_sees_what_is_wrong() -> None:
    """The tests' own parser notices an element that is not closed."""
    assert ["p"] == Html("<p>").open
