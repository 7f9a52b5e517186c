"""What the browser tests share: a small world, the app that wants to sign in, and a tab that is watched.

Rule: the app speaks raw HTTP, as any client in any language would; of the library only the world's reader is used.
"""

import http.client
import json
import re
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from argon2 import PasswordHasher
from playwright.sync_api import ConsoleMessage, Page, Request, WebError

from tests.local_plex.asking import code_at
from ticketstub.local_plex.local_plex import LocalPlex

START = 1_795_000_000
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DP"
PASSWORD = "paper-lantern-42"
CLIENT = "demo-client-7c1f"
# A cheap hash: 20 ms for each account of each test would add up.
_HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD, salt=b"0123456789abcdef")
WORLD: dict[str, Any] = {
    "account": [
        {"username": "mira_quill", "email": "mira@example.test", "password_hash": _HASH},
        {"username": "vera", "email": "vera@example.test", "password_hash": _HASH, "verification_secret": SECRET},
        {"username": "sam", "email": "sam@example.test", "password_hash": _HASH},
    ],
    "home": [
        {
            "name": "Quill home",
            "admin": "mira_quill",
            "member": [{"account": "sam"}],
            "managed": [{"title": "Pip", "passcode": "4711"}],
        }
    ],
}


class Clock:
    """Seconds since 1970, which stand still until a test moves them."""

    def __init__(self) -> None:
        self.now: float = START

    def __call__(self) -> float:
        return self.now

    def code(self) -> str:
        """The verification code of vera right now."""
        return code_at(self.now, SECRET)


class CreatedPin(NamedTuple):
    """A PIN, as its app sees it."""

    id: int
    code: str


class App:
    """A program that wants to be signed in.

    Args:
        plex: the local Plex that it is pointed at.
        description: what it says of itself, `Product="Demo App"`.
    """

    def __init__(self, plex: LocalPlex, client: str = CLIENT, **description: str) -> None:
        self.plex = plex
        self.client = client
        fields = {"Product": "Demo App", "Device-Name": "Living room", "Platform": "Linux", "Version": "1.2.0"}
        self.headers = {f"X-Plex-{name}": value for name, value in (fields | description).items() if value}

    def ask(self, method: str, path: str, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(urlsplit(self.plex.url).netloc, timeout=60)
        try:
            sent = {"Accept": "application/json", "X-Plex-Client-Identifier": self.client, **self.headers, **headers}
            connection.request(method, path, headers=sent)
            response = connection.getresponse()
            body = response.read()
            return response.status, json.loads(body) if body else None
        finally:
            connection.close()

    def pin(self, *, strong: bool = True) -> CreatedPin:
        status, pin = self.ask("POST", f"/api/v2/pins?strong={'true' if strong else 'false'}")
        assert 201 == status, pin
        return CreatedPin(pin["id"], pin["code"])

    def token(self, pin: CreatedPin) -> str | None:
        status, found = self.ask("GET", f"/api/v2/pins/{pin.id}")
        assert 200 == status, found
        token: str | None = found["authToken"]
        return token

    def whoami(self, token: str) -> str | None:
        """The user name behind a token; `None` if the token is not valid."""
        status, account = self.ask("GET", "/api/v2/user", **{"X-Plex-Token": token})
        assert status in {200, 401}, account
        return account["username"] if status == 200 else None

    def auth_url(self, pin: CreatedPin, opening: str = "/auth#?", *, encoded: bool = True, **more: str) -> str:
        """Build the Auth App URL; with `encoded=False` without percent-encoding, as some clients send it."""
        facts = {"clientID": self.client, "code": pin.code, "context[device][product]": "Demo App", **more}
        plain = "&".join(f"{name}={value}" for name, value in facts.items())
        return f"{self.plex.url}{opening}{urlencode(facts) if encoded else plain}"


class Tab:
    """A tab of a browser; it records foreign URLs and complaints of the console.

    Args:
        page: the browser's page, with its own cookies.
        plex: the local Plex.
    """

    def __init__(self, page: Page, plex: LocalPlex) -> None:
        self.context = page.context
        self.plex = plex
        self.allowed = {urlsplit(plex.url).netloc}
        self.foreign_urls: list[str] = []
        self.complaints: list[str] = []
        self._watches = {"request": self._on_request, "console": self._on_console, "weberror": self._on_error}
        for event, watch in self._watches.items():
            self.context.on(event, watch)  # type: ignore[call-overload]  # each of these events, and what it gives
        self.page = page
        self.page.set_default_timeout(5000)

    def stop_watching(self) -> None:
        """Stop recording: the next test may use the page."""
        for event, watch in self._watches.items():
            self.context.remove_listener(event, watch)

    def open(self, place: str) -> None:
        self.page.goto(place if place.startswith("http") else self.plex.url + place)

    def sign_in(self, login: str = "mira_quill", password: str = PASSWORD) -> None:
        self.page.get_by_label("User name or e-mail address").fill(login)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def signed_in(self, login: str = "mira_quill") -> "Tab":
        """Sign in without the page, for tests of other pages: as its form would, and much faster."""
        place, browser = f"{self.plex.url}/sign-in", self.context.request
        held = re.search('name="form_token" value="([0-9a-f]{64})"', browser.get(place).text())
        assert held
        form = {"login": login, "password": PASSWORD, "form_token": held[1]}
        answer = browser.post(place, form=form, headers={"Origin": self.plex.url}, max_redirects=0)
        assert 303 == answer.status
        return self

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name).click()

    @property
    def title(self) -> str:
        return self.page.locator("h1").inner_text()

    @property
    def text(self) -> str:
        return self.page.locator("main").inner_text()

    def _on_request(self, request: Request) -> None:
        if urlsplit(request.url).netloc not in self.allowed:
            self.foreign_urls.append(request.url)

    def _on_error(self, error: WebError) -> None:
        self.complaints.append(str(error.error))

    def _on_console(self, message: ConsoleMessage) -> None:
        # A page that is itself a 4xx is one line in the console; so is nothing else.
        if "Failed to load resource" in message.text and "/static/" not in str(message.location):
            return
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)
