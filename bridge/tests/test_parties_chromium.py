"""Independent relying parties, unmodified, with a served bridge and a person in Chromium.

Each signs in, refreshes, reads userinfo, logs out by its own request (RP-initiated), and is logged out when the person
ends the session at the bridge (back-channel).
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Page, sync_playwright

from bridge_tests.parties import HOME, Echo, TlsFront, give_up, load_environments, require, run_program
from bridge_tests.processes import ServedBridge, find_port, run_bridge_command
from ticketstub.testing import LocalPlexController
from ticketstub_bridge.sealing import digest

SECRET = "made-up-secret-of-a-party-0123456789-abcdef"
SCOPE = "openid profile email groups offline_access"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_SECONDS = 30

Environments = load_environments()


@pytest.fixture
def page() -> Iterator[Page]:
    """A tab of Chromium. The bridge's certificate is a test's own."""
    program = require("chromium", "chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = chromium.new_context(ignore_https_errors=True).new_page()
        page.set_default_timeout(_SECONDS * 1000)
        yield page
        chromium.close()


class Scene:
    """A bridge behind TLS with one application, and a person's tab.

    Args:
        local_plex: the bridge's Plex.
        folder: a folder of the test's own.
        page: the tab.
        stack: ends what is started.
    """

    def __init__(self, local_plex: LocalPlexController, folder: Path, page: Page, stack: ExitStack) -> None:
        self.local_plex = local_plex
        self.folder = folder
        self.page = page
        self.stack = stack
        self.port = find_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log: Path | None = None

    def serve_bridge(
        self,
        *,
        is_public: bool = False,
        callback: str = "/callback",
        signed_out: str = "/signed-out",
        back_channel: str | None = "/back-channel",
        signing: str = "RS256",
    ) -> None:
        """Serve a bridge that knows the party."""
        lines = [
            "[[client]]",
            'id = "party"',
            'name = "Party"',
            f'redirect_uris = ["{self.url}{callback}"]',
            f'post_logout_redirect_uris = ["{self.url}{signed_out}"]',
            f'signing = "{signing}"',
        ]
        if not is_public:
            lines.append(f'secret_hash = "{digest(SECRET)}"')
        if back_channel:
            lines.append(f'backchannel_logout_uri = "{self.url}{back_channel}"')
        self.bridge = ServedBridge(self.local_plex, self.folder / "bridge", more="\n".join(lines))
        self.front = TlsFront(self.bridge.port, self.folder)
        path = self.bridge.folder / "bridge.toml"
        path.write_text(path.read_text().replace(self.bridge.url, self.front.url))
        self.stack.callback(self.bridge.kill)
        self.bridge.start()
        self.stack.enter_context(self.front.run())

    def run(self, command: list[str], *, ready: str = "/", **more: str) -> None:
        """Run the party's program, with more variables."""
        authority = str(self.front.authority)
        environment = {
            "PARTY_ISSUER": self.front.url,
            "PARTY_CLIENT_ID": "party",
            "PARTY_CLIENT_SECRET": SECRET,
            "PARTY_URL": self.url,
            "PARTY_PORT": str(self.port),
            **dict.fromkeys(("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), authority),
            **more,
        }
        program = run_program(command, self.url + ready, self.folder, environment)
        self.log = self.stack.enter_context(program)

    def open(self, path: str) -> None:
        self.page.goto(path if "://" in path else self.url + path)

    def read(self, path: str | None = None) -> dict[str, Any]:
        """Return the JSON that the tab shows, after opening a page of the party."""
        if path is not None:
            self.open(path)
        assert self.page.url.startswith(self.url), self.page.locator("body").inner_text()
        text = self.page.locator("body").inner_text()
        try:
            return dict(json.loads(text))
        except ValueError:
            raise AssertionError(f"{text}\n{self.log.read_text() if self.log else ''}") from None

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def sign_in(
        self, path: str = "/login", *, ends_at: str = "/", consents: bool = True, knows_plex: bool = False
    ) -> None:
        """Sign in as Tom, from a page of the party through the bridge and Plex back to the party."""
        self.open(path)
        self.press("Continue to Plex")
        if not knows_plex:
            self.page.get_by_label("User name or e-mail address").fill("tom")
            self.page.get_by_label("Password").fill("rainy-harbour-17")
            self.press("Sign in")
        self.press("Approve")
        if consents:
            self.press("Continue")
        self.page.wait_for_url(f"{self.url}{ends_at}")

    def end_session_at_bridge(self, button: str = "Sign out Chrome on Linux") -> None:
        """Sign out on the bridge's own page."""
        self.page.goto(f"{self.front.url}/account")
        self.press(button)
        self.page.get_by_role("heading", name="You are signed out").wait_for()

    def is_signed_in_at_bridge(self) -> bool:
        self.page.goto(f"{self.front.url}/account")
        return self.page.get_by_role("heading", name="You are signed in").count() == 1

    def wait_until(self, is_true: Callable[[], bool]) -> None:
        ends = time.monotonic() + _SECONDS
        while not is_true():
            assert time.monotonic() < ends, self.bridge.log.read_text()
            time.sleep(0.2)

    def check_program(self, *, consents_again: bool = False) -> None:
        """Do everything that a party can, with one of the programs in tests/parties that are applications."""
        self.sign_in()
        state = self.read()
        assert "tom" == state["claims"]["preferred_username"] == state["userinfo"]["preferred_username"]
        assert ["attic:friend"] == state["userinfo"]["groups"]
        assert state["claims"]["sub"] == state["userinfo"]["sub"]
        assert 0 == state["refreshed"]
        assert [1, 2] == [self.read("/refresh")["refreshed"] for _ in range(2)]
        assert {"signed_out": "s1"} == self.read("/logout")
        assert self.read("/")["claims"] is None
        assert not self.is_signed_in_at_bridge()
        self.sign_in(knows_plex=True, consents=consents_again)
        assert self.read()["claims"]["sid"] != state["claims"]["sid"]
        self.end_session_at_bridge()
        self.wait_until(lambda: self.read("/")["claims"] is None)
        delivered = [each for each in self.bridge.read_log() if each["event"].startswith("logout_")]
        assert [] == delivered  # nothing was given up


@pytest.fixture
def scene(local_plex: LocalPlexController, tmp_path: Path, page: Page) -> Iterator[Scene]:
    """A bridge to be served, and a tab."""
    with ExitStack() as stack:
        yield Scene(local_plex, tmp_path, page, stack)


def make(environment: Callable[..., list[str]], party: str, *tools: str, **options: str) -> list[str]:
    """Return the command of a party, whose environment is made when it is not there."""
    try:
        return environment(party, *tools, home=HOME, **options)
    except Environments.CannotSetUp as error:
        give_up(f"{party}: {error}")
        raise


def test_forms_of_another_site(scene: Scene) -> None:
    """Another site's form, which comes without the session's cookie, is answered all the same, and ends nothing."""
    echo = Echo()
    scene.stack.enter_context(echo.run())
    scene.url = echo.url
    scene.serve_bridge()
    fields = {"client_id": "party", "redirect_uri": f"{echo.url}/callback", "response_type": "code", "scope": "openid"}

    def submit(path: str, **values: str) -> None:
        scene.open("/")
        inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in values.items())
        scene.page.set_content(
            f'<form method="post" action="{scene.front.url}{path}">{inputs}<button>Go</button></form>'
        )
        scene.press("Go")

    scene.sign_in(f"{scene.front.url}/authorize?{urlencode(fields)}", ends_at="/callback*")
    submit("/authorize", **fields, prompt="none")
    scene.page.wait_for_url(f"{echo.url}/callback*")
    assert "?code=" in scene.page.url
    submit("/logout", client_id="party", post_logout_redirect_uri=f"{echo.url}/signed-out")
    scene.page.get_by_role("heading", name="Sign out?").wait_for()
    assert scene.is_signed_in_at_bridge()


def test_an_application_that_leads_on_to_another_origin(scene: Scene) -> None:
    """After consent and after sign-out, the application may send the person on to an address of its own choice."""
    films = Echo()
    scene.stack.enter_context(films.run())
    gate = Echo(leads_to=f"{films.url}/arrived")
    scene.stack.enter_context(gate.run())
    scene.url = gate.url
    scene.serve_bridge()
    fields = {"client_id": "party", "redirect_uri": f"{gate.url}/callback", "response_type": "code", "scope": "openid"}
    scene.open(f"{scene.front.url}/authorize?{urlencode(fields)}")
    scene.press("Continue to Plex")
    scene.page.get_by_label("User name or e-mail address").fill("tom")
    scene.page.get_by_label("Password").fill("rainy-harbour-17")
    scene.press("Sign in")
    scene.press("Approve")
    scene.press("Continue")
    scene.page.wait_for_url(f"{films.url}/arrived")
    fields = {"client_id": "party", "post_logout_redirect_uri": f"{gate.url}/signed-out"}
    scene.open(f"{scene.front.url}/logout?{urlencode(fields)}")
    scene.press("Sign out")
    scene.page.wait_for_url(f"{films.url}/arrived")
    assert not scene.is_signed_in_at_bridge()


def test_authlib(scene: Scene) -> None:
    """Authlib's client for Flask, with a secret in the header."""
    command = make(Environments.python_environment, "authlib_1_9_10")
    scene.serve_bridge()
    scene.run(command)
    scene.check_program()


def test_openid_client(scene: Scene) -> None:
    """The package openid-client, with a percent-encoded secret in the header; a revoked token is refused."""
    node, npm = require("node", "nodejs"), require("npm", "npm")
    command = make(Environments.node_environment, "openid_client_6_9_0", node, npm)
    scene.serve_bridge()
    scene.run(command)
    scene.check_program()
    scene.sign_in(knows_plex=True, consents=False)
    assert "OAUTH_WWW_AUTHENTICATE_CHALLENGE" == scene.read("/revoke")["cause"]


def test_oauth4webapi(scene: Scene) -> None:
    """The package oauth4webapi, as a public application, by the document of RFC 8414; a revoked token is refused.

    Its address is on loopback, where it could be any program: the person is asked each time.
    """
    node, npm = require("node", "nodejs"), require("npm", "npm")
    command = make(Environments.node_environment, "oauth4webapi_3_8_8", node, npm)
    scene.serve_bridge(is_public=True)
    scene.run(command)
    scene.check_program(consents_again=True)
    scene.sign_in(knows_plex=True)
    assert "OAUTH_WWW_AUTHENTICATE_CHALLENGE" == scene.read("/revoke")["cause"]


def test_go_oidc(scene: Scene) -> None:
    """Go's go-oidc and oauth2, with ID tokens and logout tokens that EdDSA signs."""
    command = make(Environments.go_environment, "go_oidc_3_21_0", require("go", "golang-go"))
    scene.serve_bridge(signing="EdDSA")
    scene.run(command)
    scene.check_program()


def test_oauth2_proxy(scene: Scene) -> None:
    """oauth2-proxy takes no logout tokens: it notices at its next refresh that the person has signed out everywhere."""
    party, package = "oauth2_proxy_7_15_6", "github.com/oauth2-proxy/oauth2-proxy/v7"
    command = make(Environments.go_environment, party, require("go", "golang-go"), package=package)
    scene.serve_bridge(callback="/oauth2/callback", back_channel=None)
    echo = Echo()
    scene.stack.enter_context(echo.run())
    variables = {
        "HTTP_ADDRESS": f"127.0.0.1:{scene.port}",
        "OIDC_ISSUER_URL": scene.front.url,
        "CLIENT_ID": "party",
        "CLIENT_SECRET": SECRET,
        "REDIRECT_URL": f"{scene.url}/oauth2/callback",
        "COOKIE_SECRET": "made-up-cookie-secret-of-a-test!",
        "UPSTREAMS": echo.url,
        "WHITELIST_DOMAINS": scene.front.url.removeprefix("https://"),
    }
    config = str(HOME / party / "proxy.cfg")
    environment = {f"OAUTH2_PROXY_{name}": value for name, value in variables.items()}
    scene.run([*command, f"--config={config}"], ready="/ping", **environment)
    scene.sign_in("/films", ends_at="/films")
    headers = scene.read()
    assert ("tom", "attic:friend") == (headers["x-forwarded-preferred-username"], headers["x-forwarded-groups"])
    scene.open("/oauth2/userinfo")
    assert "tom" == scene.read()["preferredUsername"]
    token = headers["x-forwarded-access-token"]
    scene.wait_until(lambda: scene.read("/films")["x-forwarded-access-token"] != token)
    after = quote(f"{scene.url}/signed-out", safe="")
    log_out = f"{scene.front.url}/logout?id_token_hint={{id_token}}&post_logout_redirect_uri={after}"
    scene.page.goto(f"{scene.url}/oauth2/sign_out?rd={quote(log_out, safe='')}")
    scene.page.get_by_role("button", name="Continue to Plex").wait_for()  # back here, and signed out
    assert not scene.is_signed_in_at_bridge()
    scene.sign_in("/films", ends_at="/films", knows_plex=True, consents=False)
    scene.end_session_at_bridge("Sign out everywhere")

    def is_signed_in() -> bool:
        scene.open("/films")
        return scene.page.url.startswith(scene.url)

    scene.wait_until(lambda: not is_signed_in())


def test_mod_auth_openidc(scene: Scene) -> None:
    """Apache's mod_auth_openidc, in front of an application."""
    apache = require("apache2", "apache2")
    if not Path("/usr/lib/apache2/modules/mod_auth_openidc.so").exists():
        give_up("needs mod_auth_openidc: apt install libapache2-mod-auth-openidc")
    callback = "/protected/callback"
    scene.serve_bridge(callback=callback, back_channel=f"{callback}?logout=backchannel")
    echo = Echo()
    scene.stack.enter_context(echo.run())
    folder = Path(tempfile.mkdtemp(prefix="bridge-apache-"))
    scene.stack.callback(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)  # Apache's workers are another user; a test's folder is its own user's
    authority = shutil.copy(scene.front.authority, folder)
    more = {"PARTY_UPSTREAM": echo.url, "PARTY_FOLDER": str(folder), "PARTY_PASSPHRASE": "made-up-passphrase"}
    command = [apache, "-f", str(HOME / "mod_auth_openidc" / "apache.conf"), "-DFOREGROUND"]
    scene.run(command, ready="/signed-out", **more, PARTY_AUTHORITY=str(authority))

    def is_signed_in() -> bool:
        scene.open("/protected/app")
        return scene.page.url.startswith(scene.url)

    scene.sign_in("/protected/app", ends_at="/protected/app")
    headers = scene.read()
    assert ("tom", "attic:friend") == (headers["oidc_claim_preferred_username"], headers["oidc_claim_groups"])
    before = scene.read(f"{callback}?info=json")
    assert "tom" == before["userinfo"]["preferred_username"] == before["id_token"]["preferred_username"]
    back = quote(f"{scene.url}/protected/app", safe="")
    scene.open(f"{callback}?refresh={back}&access_token={quote(before['access_token'])}")
    assert f"{scene.url}/protected/app" == scene.page.url  # without ?error_code=
    after = scene.read(f"{callback}?info=json")
    for name in ("access_token", "refresh_token"):
        assert before[name] != after[name]
    scene.open(f"{callback}?logout={quote(f'{scene.url}/signed-out', safe='')}")
    assert f"{scene.url}/signed-out" == scene.page.url
    assert not scene.is_signed_in_at_bridge()
    assert not is_signed_in()
    scene.sign_in("/protected/app", ends_at="/protected/app", knows_plex=True, consents=False)
    assert is_signed_in()
    scene.end_session_at_bridge()
    scene.wait_until(lambda: not is_signed_in())


def add_by_preset(scene: Scene, name: str) -> str:
    """Add the party to the running bridge as its administrator does; returns the settings that the command prints."""
    scene.serve_bridge()
    options = ["--preset", name, "--address", scene.url, "--folder", str(scene.bridge.folder)]
    added = run_bridge_command("client", "add", "by-preset", *options)
    assert "The running bridge uses it now" in added.stdout, added.stderr
    return added.stdout.partition(":\n\n")[2].partition("\n\nThe running bridge")[0]


def test_preset_of_oauth2_proxy(scene: Scene) -> None:
    """oauth2-proxy signs people in with the settings that `client add --preset oauth2-proxy` prints."""
    party, package = "oauth2_proxy_7_15_6", "github.com/oauth2-proxy/oauth2-proxy/v7"
    command = make(Environments.go_environment, party, require("go", "golang-go"), package=package)
    settings, echo = add_by_preset(scene, "oauth2-proxy"), Echo()
    scene.stack.enter_context(echo.run())
    path = scene.folder / "oauth2-proxy.cfg"
    own = f'http_address = "127.0.0.1:{scene.port}"\ncookie_secure = false\n'
    path.write_text(settings.replace("http://127.0.0.1:8080/", echo.url) + "\n" + own)
    scene.run([*command, f"--config={path}"], ready="/ping")
    scene.sign_in("/films", ends_at="/films")
    headers = scene.read()
    assert ("tom", "attic:friend") == (headers["x-forwarded-preferred-username"], headers["x-forwarded-groups"])
    assert "tom@example.test" == headers["x-forwarded-email"]


def test_preset_of_apache(scene: Scene) -> None:
    """Apache signs people in with the settings that `client add --preset apache` prints, and takes logout tokens."""
    apache = require("apache2", "apache2")
    if not Path("/usr/lib/apache2/modules/mod_auth_openidc.so").exists():
        give_up("needs mod_auth_openidc: apt install libapache2-mod-auth-openidc")
    settings, echo = add_by_preset(scene, "apache"), Echo()
    scene.stack.enter_context(echo.run())
    folder = Path(tempfile.mkdtemp(prefix="bridge-apache-"))
    scene.stack.callback(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)  # Apache's workers are another user; a test's folder is its own user's
    authority = shutil.copy(scene.front.authority, folder)
    base = (HOME / "mod_auth_openidc" / "apache.conf").read_text().partition("OIDCProviderMetadataURL")[0]
    own = f"OIDCCABundlePath {authority}\nOIDCCookieSameSite On\nProxyPass /oidc !\nProxyPass / {echo.url}/\n"
    (folder / "apache.conf").write_text(base + settings + "\n" + own)
    scene.run([apache, "-f", str(folder / "apache.conf"), "-DFOREGROUND"], PARTY_FOLDER=str(folder))
    scene.sign_in("/films", ends_at="/films")
    headers = scene.read()
    assert ("tom", "attic:friend") == (headers["oidc_claim_preferred_username"], headers["oidc_claim_groups"])
    scene.end_session_at_bridge()

    def is_signed_out() -> bool:
        scene.open("/films")
        return scene.page.get_by_role("button", name="Continue to Plex").count() == 1

    scene.wait_until(is_signed_out)
