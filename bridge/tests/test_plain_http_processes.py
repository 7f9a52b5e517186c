"""A served bridge and an application of plain HTTP: every header of every answer, and values that nobody expects."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from bridge_tests.bridges import BOOKS, OTHER_SECRET, PHONE, SECRET
from bridge_tests.clusters import run_cluster
from bridge_tests.plain import FORM, PlainApplication, PlainBrowser, encode, post, send
from bridge_tests.processes import ServedBridge, run_bridge_command
from bridge_tests.replicas import DATABASES
from ticketstub.testing import local_plex
from ticketstub_bridge.sealing import digest

PRIVATE = {"cache-control": "no-store", "pragma": "no-cache", "vary": "Origin", "content-type": "application/json"}
PUBLIC = {"cache-control": "public, max-age=300", "vary": "Origin", "content-type": "application/json"}
REDIRECT = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
HOME = "https://home.example.test/callback"
SIGNED_OUT = "https://home.example.test/signed-out"


class _Listener(BaseHTTPRequestHandler):
    received: list[tuple[dict[str, str], dict[str, str]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.received.append(({name.lower(): value for name, value in self.headers.items()}, dict(parse_qsl(body))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Say nothing."""


class Scene:
    """A bridge, its applications, and a browser.

    Attributes:
        logouts: the logout requests that the application "home" got: headers and form.
    """

    def __init__(self, served: ServedBridge, logouts: list[tuple[dict[str, str], dict[str, str]]]) -> None:
        self.served = served
        self.logouts = logouts
        self.home = PlainApplication(served, "home", SECRET, HOME)
        self.phone = PlainApplication(served, "phone", None, PHONE)
        self.books = PlainApplication(served, "books", OTHER_SECRET, BOOKS)
        self.browser = PlainBrowser(served)

    def sign_in(self, application: PlainApplication, **changes: str) -> dict[str, Any]:
        """Sign in, and return the tokens."""
        answer = self.browser.sign_in(self.browser.get("/authorize", application.make_request(**changes)))
        assert REDIRECT | {"location": answer.location} == answer.headers
        tokens = application.redeem(answer)
        assert (200, PRIVATE) == (tokens.status, tokens.headers)
        return dict(tokens.json)

    def read_userinfo(self, token: str) -> int:
        return send(self.served, "GET", "/userinfo", [("Authorization", f"Bearer {token}")]).status


@pytest.fixture(scope="module", params=DATABASES)
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A served bridge on each kind of database."""
    handler = type("Listener", (_Listener,), {"received": []})
    with ExitStack() as stack, ThreadingHTTPServer(("127.0.0.1", 0), handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        stack.callback(listener.shutdown)
        database = stack.enter_context(run_cluster()).create_database() if request.param == "postgresql" else None
        more = f"""
            [[client]]
            id = "home"
            name = "Home"
            secret_hash = "{digest(SECRET)}"
            redirect_uris = ["{HOME}"]
            post_logout_redirect_uris = ["{SIGNED_OUT}"]
            backchannel_logout_uri = "http://127.0.0.1:{listener.server_port}/back-channel"
        """
        folder = tmp_path_factory.mktemp("bridge")
        served = ServedBridge(stack.enter_context(local_plex()), folder, database, more=more)
        stack.callback(served.kill)
        served.start()
        yield Scene(served, handler.received)


def test_what_is_published(scene: Scene) -> None:
    """Discovery and keys have exactly these headers, by GET and by HEAD."""
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks"):
        for method in ("GET", "HEAD"):
            answer = send(scene.served, method, path)
            assert (200, PUBLIC) == (answer.status, answer.headers)
            assert (method == "HEAD") == (answer.body == b"")


def test_tokens(scene: Scene) -> None:
    """ID tokens verify with cryptography alone, and say who signed in, when, where and for whom."""
    served, home = scene.served, scene.home
    began = time.time()
    tokens = scene.sign_in(home, scope="openid email offline_access")
    header, claims = home.verify(tokens["id_token"])
    assert {"typ", "alg", "kid"} == set(header)
    assert (served.url, "home", home.nonce) == (claims["iss"], claims["aud"], claims["nonce"])
    assert began - 1 < claims["auth_time"] <= claims["iat"] < claims["exp"] < began + 3600
    assert encode(hashlib.sha256(tokens["access_token"].encode()).digest()[:16]) == claims["at_hash"]
    eddsa = scene.sign_in(scene.books)
    header, other = scene.books.verify(eddsa["id_token"])
    assert ("EdDSA", claims["sub"]) == (header["alg"], other["sub"])
    assert encode(hashlib.sha512(eddsa["access_token"].encode()).digest()[:32]) == other["at_hash"]
    assert claims["sub"] == scene.phone.verify(scene.sign_in(scene.phone)["id_token"])[1]["sub"]


def test_the_life_of_a_grant(scene: Scene) -> None:
    """Userinfo, refresh and revocation have exactly these headers, and so have their errors."""
    served, home = scene.served, scene.home
    tokens = scene.sign_in(home, scope="openid email offline_access")
    _, claims = home.verify(tokens["id_token"])
    bearer = [("Authorization", f"Bearer {tokens['access_token']}")]
    for answer in (
        send(served, "GET", "/userinfo", bearer),
        send(served, "POST", "/userinfo", bearer),
        post(served, "/userinfo", {"access_token": tokens["access_token"]}),
    ):
        assert (200, PRIVATE, claims["sub"]) == (answer.status, answer.headers, answer.json["sub"])
    challenge = f'Bearer realm="{served.url}"'
    answer = send(served, "GET", "/userinfo")
    assert (401, PRIVATE | {"www-authenticate": challenge}) == (answer.status, answer.headers)
    answer = send(served, "GET", "/userinfo", [("Authorization", "Bearer x")])
    assert PRIVATE | {"www-authenticate": f'{challenge}, error="invalid_token"'} == answer.headers

    answer = post(served, "/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
    assert (401, "invalid_client") == (answer.status, answer.json["error"])
    assert PRIVATE | {"www-authenticate": f'Basic realm="{served.url}"'} == answer.headers
    answer = home.ask_for_tokens(grant_type="refresh_token", refresh_token="x")
    assert (400, PRIVATE, "invalid_grant") == (answer.status, answer.headers, answer.json["error"])
    renewed = home.ask_for_tokens(grant_type="refresh_token", refresh_token=tokens["refresh_token"], scope="openid")
    assert (200, PRIVATE, "openid") == (renewed.status, renewed.headers, renewed.json["scope"])
    assert claims["auth_time"] == home.verify(renewed.json["id_token"])[1]["auth_time"]
    answer = post(served, "/revoke", {"token": renewed.json["refresh_token"]}, home.headers)
    nothing = {name: value for name, value in PRIVATE.items() if name != "content-type"}
    assert (200, nothing, b"") == (answer.status, answer.headers, answer.body)
    assert 401 == scene.read_userinfo(renewed.json["access_token"])


def test_signing_out(scene: Scene) -> None:
    """After a rotation of the keys an old ID token signs out, and the application gets its logout token."""
    served, home, browser = scene.served, scene.home, scene.browser
    tokens = scene.sign_in(home)
    assert run_bridge_command("keys", "rotate", "--folder", str(served.folder)).returncode == 0
    parameters = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": SIGNED_OUT, "state": "s +&é"}
    answer = browser.get("/logout", parameters)
    assert (303, {"state": "s +&é"}) == (answer.status, answer.query)
    assert answer.location.startswith(f"{SIGNED_OUT}?")
    answer = browser.get("/authorize", home.make_request(prompt="none"))
    assert {"error": "login_required", "state": home.state, "iss": served.url} == answer.query
    ends = time.monotonic() + 30
    while not scene.logouts:
        assert time.monotonic() < ends, served.log.read_text()
        time.sleep(0.05)
    ((headers, form),) = scene.logouts
    assert (FORM, {"logout_token"}) == (headers["content-type"], set(form))
    header, told = home.verify(form["logout_token"])
    _, session = home.verify(tokens["id_token"])
    assert ("logout+jwt", "RS256") == (header["typ"], header["alg"])
    names = ("iss", "aud", "sub", "sid")
    assert [session[name] for name in names] == [told[name] for name in names]


JWTS = [
    "a.b.c",
    "W10.e30.AA",
    "bnVsbA.bnVsbA.AA",
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOjF9.e30.AA",
    "eyJhbGciOiJIUzI1NiJ9.e30.AA",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6MX0.e30.AA",
    "eyJhbGciOiJSUzI1NiIsImNyaXQiOlsieCJdfQ.e30.AA",
]
"""Not quite: an empty list and null as header, alg none, alg 1, HS256, kid 1, crit."""

LONG = ["A" * length for length in (43, 200, 5000)]
ODD = [
    "",
    " ",
    "x",
    "-1",
    "é",
    "\U0001f600",
    "\n",
    "\0",
    "\x7f",
    "%",
    "%00",
    "\\",
    "//x",
    "' OR 1=1 --",
    "{}",
    *LONG,
    *JWTS,
]
AUTHORIZE = {"client_id": "home", "redirect_uri": HOME, "response_type": "code", "scope": "openid", "state": "s"}
CREDENTIALS = {"client_id": "home", "client_secret": SECRET}
CODE = {"grant_type": "authorization_code", "code": "x", "redirect_uri": HOME, "code_verifier": "v" * 43}
REFRESH = {"grant_type": "refresh_token", "refresh_token": "x", "scope": "openid"}
REQUESTS: list[tuple[str, str, dict[str, str], str]] = [
    ("GET", "/authorize", AUTHORIZE, "nonce prompt max_age code_challenge id_token_hint claims request response_mode"),
    ("POST", "/authorize", AUTHORIZE, "nonce login_hint"),
    ("POST", "/token", CODE | CREDENTIALS, "client_assertion"),
    ("POST", "/token", REFRESH | CREDENTIALS, ""),
    ("POST", "/revoke", {"token": "x"} | CREDENTIALS, "token_type_hint"),
    ("POST", "/userinfo", {}, "access_token"),
    ("GET", "/logout", {"client_id": "home"}, "id_token_hint post_logout_redirect_uri state"),
    ("POST", "/logout", {"client_id": "home"}, "id_token_hint post_logout_redirect_uri state form_token"),
    ("GET", "/continue", {}, "transaction"),
    ("GET", "/plex/return", {}, "transaction"),
    ("POST", "/consent", {}, "transaction form_token decision"),
    ("POST", "/sign-in", AUTHORIZE, "form_token"),
    ("POST", "/account", {}, "sid all form_token"),
    ("GET", "/.well-known/webfinger", {"resource": "acct:x@example.org"}, "rel"),
]
TOLD = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "unsupported_grant_type",
    "invalid_token",
}


def test_no_value_breaks_an_endpoint(scene: Scene) -> None:
    """Whatever a parameter holds, it is answered; errors have their form, and redirects their state."""
    scene.sign_in(scene.home)
    cookies = ("Cookie", "; ".join(f"{name}={value}" for name, value in scene.browser.cookies.items()))
    for method, path, usual, more in REQUESTS:
        for name in [*usual, *more.split()]:
            for value in ODD:
                given = usual | {name: value}
                content = urlencode(given)
                where = f"{method} {path}?{content}"
                if method == "GET":
                    answer = send(scene.served, "GET", f"{path}?{content}", [cookies])
                else:
                    answer = send(scene.served, "POST", path, [("Content-Type", FORM), cookies], content)
                assert answer.status < 500, where
                if path in {"/token", "/revoke"} and answer.status != 200:
                    assert answer.json["error"] in TOLD, where
                if answer.location.startswith(f"{HOME}?"):
                    assert scene.served.url == answer.query["iss"], where
                    assert given["state"] == answer.query.get("state", ""), where
                    assert ("code" in answer.query) != ("error" in answer.query), where
    failures = [each for each in scene.served.read_log() if each.get("status", 0) >= 500 or each["event"] == "failure"]
    assert [] == failures
