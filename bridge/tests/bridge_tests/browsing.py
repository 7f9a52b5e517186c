"""A browser without scripts, and an application that signs people in with Authlib's client."""

from __future__ import annotations

import secrets
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.jwk import KeySet

from bridge_tests.bridges import FILMS, SECRET, BridgeUnderTest, get_query


class Form:
    """A form of a page: where it goes, its hidden fields, and its buttons."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.fields: dict[str, str] = {}
        self.buttons: list[dict[str, str]] = []


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            assert "post" == given["method"]
            self.forms.append(Form(given["action"]))
        elif tag == "input":
            self.forms[-1].fields.setdefault(given["name"], given["value"])
        elif tag == "button":
            self.forms[-1].buttons.append(given)


def find_form(page: httpx.Response, action: str) -> Form:
    """Return the first form of a page that goes to an address."""
    parser = _Forms()
    parser.feed(page.text)
    return next(form for form in parser.forms if form.action == action)


class Browser:
    """A person's browser.

    Args:
        tested: the bridge that it visits.
    """

    def __init__(self, tested: BridgeUnderTest) -> None:
        self.tested = tested
        self.http = tested.http(headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})

    async def get(self, url: str, **options: Any) -> httpx.Response:
        return await self.http.get(url, **options)

    async def submit(self, form: Form, **fields: str) -> httpx.Response:
        headers = {"Origin": self.tested.url, "Sec-Fetch-Site": "same-origin"}
        return await self.http.post(form.action, data=form.fields | fields, headers=headers)

    async def go_to_plex(self, url: str) -> str:
        """Open an authorization URL and continue to Plex; returns Plex's address."""
        page = await self.get(url)
        assert 200 == page.status_code, page.text
        answer = await self.submit(find_form(page, "/sign-in"))
        assert 303 == answer.status_code, answer.text
        return answer.headers["location"]

    def approve(self, plex_url: str, person: str | int) -> str:
        """Approve at Plex; returns where Plex sends the browser."""
        parameters = parse_qs(urlsplit(plex_url).fragment.removeprefix("?"))
        self.tested.local_plex.approve(parameters["code"][0], person)
        return parameters["forwardUrl"][0]

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Follow redirects on the bridge; stops at a page, or at a redirect to elsewhere."""
        while answer.is_redirect and answer.headers["location"].startswith(("/", self.tested.url)):
            answer = await self.get(answer.headers["location"])
        return answer

    async def arrive(self, url: str, person: str | int) -> httpx.Response:
        """Sign in at Plex for an authorization URL; returns the consent page, or the redirect to the application."""
        plex_url = await self.go_to_plex(url)
        return await self.follow(await self.get(self.approve(plex_url, person)))

    async def allow(self, page: httpx.Response) -> str:
        """Consent; returns where the browser is sent."""
        assert 200 == page.status_code, page.text
        answer = await self.submit(find_form(page, "/consent"), decision="allow")
        assert 303 == answer.status_code, answer.text
        return answer.headers["location"]

    async def sign_in(self, url: str, person: str | int = "tom") -> str:
        """Sign in and consent; returns the application's address with the code."""
        answer = await self.arrive(url, person)
        return answer.headers["location"] if answer.is_redirect else await self.allow(answer)

    async def sign_in_again(self, url: str) -> str:
        """Go on in a session to a further application, and consent if asked."""
        answer = await self.follow(await self.get(url))
        return answer.headers["location"] if answer.is_redirect else await self.allow(answer)


class Application:
    """An application that signs people in.

    Args:
        tested: the bridge.
        client_id, secret, redirect_uri: its registration.
        scope: what it asks for.
    """

    def __init__(
        self,
        tested: BridgeUnderTest,
        client_id: str = "films",
        secret: str | None = SECRET,
        redirect_uri: str = FILMS,
        scope: str = "openid profile email groups",
    ) -> None:
        self.tested = tested
        self.client_id = client_id
        self.redirect_uri = redirect_uri
        self.verifier = secrets.token_urlsafe(48)
        self.nonce = secrets.token_urlsafe(16)
        self.client = AsyncOAuth2Client(
            client_id,
            secret,
            scope=scope,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            token_endpoint=f"{tested.url}/token",
            transport=tested.transport(),
        )

    def make_url(self, **parameters: str) -> str:
        """Return an authorization URL with S256."""
        url, _ = self.client.create_authorization_url(
            f"{self.tested.url}/authorize", code_verifier=self.verifier, nonce=self.nonce, **parameters
        )
        return str(url)

    async def redeem(self, answer: str) -> dict[str, Any]:
        """Exchange the code of an answer for tokens, after the checks that an application owes."""
        parameters = get_query(answer)
        assert self.tested.url == parameters["iss"]
        return dict(
            await self.client.fetch_token(
                f"{self.tested.url}/token", authorization_response=answer, code_verifier=self.verifier
            )
        )

    async def verify(self, id_token: str) -> dict[str, Any]:
        """Return the claims of an ID token, verified with the published keys."""
        async with self.tested.http() as http:
            keys = KeySet.import_key_set((await http.get("/jwks")).json())
        claims = jwt.decode(id_token, keys, algorithms=["RS256", "EdDSA"]).claims
        assert (self.tested.url, self.client_id) == (claims["iss"], claims["aud"])
        return dict(claims)

    async def userinfo(self, access_token: str) -> httpx.Response:
        async with self.tested.http() as http:
            return await http.get("/userinfo", headers={"Authorization": f"Bearer {access_token}"})

    async def refresh(self, refresh_token: str) -> dict[str, Any]:
        return dict(await self.client.refresh_token(f"{self.tested.url}/token", refresh_token=refresh_token))
