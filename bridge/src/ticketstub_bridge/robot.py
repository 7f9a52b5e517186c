"""Signing people in without a screen: for tests, in any language, beside a local Plex.

Rule: everything here is for a bridge of `run_bridge`, on loopback. It uses the bridge as a browser does: the same
requests, forms and cookies, and an approval at the local Plex. Nothing of the bridge is bypassed.
"""

from __future__ import annotations

import hmac
import http.client
from collections.abc import Awaitable, Callable, Mapping
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ticketstub.testing import LocalPlexController

_AGENT = "Ticketstub robot"
_MAX_STEPS = 12
_TIMEOUT = 30


class SignInRefused(Exception):
    """The bridge showed a page that ends the sign-in.

    Attributes:
        status: its HTTP status.
        title: its title.
    """

    def __init__(self, status: int, title: str) -> None:
        super().__init__(f"the bridge answered {status}: {title}")
        self.status = status
        self.title = title


class RobotBrowser:
    """A browser that signs one person in.

    Args:
        url: the bridge.
        local_plex: its Plex.

    Attributes:
        cookies: what the bridge has set.
    """

    def __init__(self, url: str, local_plex: LocalPlexController) -> None:
        self._url = url
        self._local_plex = local_plex
        self.cookies: dict[str, str] = {}

    def sign_in(self, authorization_url: str, person: str | int) -> str:
        """Sign in and consent; returns the application's address that the browser is sent to, with code or error.

        Args:
            authorization_url: where the application sends its browser.
            person: an account of the local Plex: user name, e-mail address or id.

        Raises:
            SignInRefused: a page ended the sign-in, for example because the person has no access.
            ValueError: the URL is not of this bridge.
        """
        if not authorization_url.startswith(f"{self._url}/authorize?"):
            raise ValueError(f"an authorization URL of this bridge begins with {self._url}/authorize?")
        step = self._send("GET", authorization_url)
        for _ in range(_MAX_STEPS):
            if (address := step.location) is None:
                form = step.page.find_next()
                if form is None or step.status >= 400:
                    raise SignInRefused(step.status, step.page.title)
                step = self._send("POST", urljoin(self._url, form[0]), form[1])
            elif address.startswith(f"{self._local_plex.url}/"):
                step = self._send("GET", self._approve(address, person))
            elif address.startswith(f"{self._url}/"):
                step = self._send("GET", address)
            else:
                return address
        raise SignInRefused(step.status, "too many redirects")

    def _approve(self, plex_url: str, person: str | int) -> str:
        parameters = parse_qs(urlsplit(plex_url).fragment.removeprefix("?"))
        self._local_plex.approve(parameters["code"][0], person)
        return parameters["forwardUrl"][0]

    def _send(self, method: str, url: str, form: Mapping[str, str] | None = None) -> _Step:
        parts = urlsplit(url)
        headers = {"User-Agent": _AGENT, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=_TIMEOUT)
        try:
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request(method, target, urlencode(form) if form else None, headers)
            response = connection.getresponse()
            content = response.read().decode("utf-8", "replace")
        finally:
            connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        location = response.headers.get("Location") if 300 <= response.status < 400 else None
        return _Step(response.status, urljoin(url, location) if location else None, content)


class _Step:
    def __init__(self, status: int, location: str | None, content: str) -> None:
        self.status = status
        self.location = location
        self.page = _Page()
        self.page.feed(content)


class _Page(HTMLParser):
    """The title of a page, and its forms with their hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self._forms: dict[str, dict[str, str]] = {}
        self._current: dict[str, str] = {}
        self._is_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._is_title = tag == "title"
        if tag == "form":
            self._current = self._forms.setdefault(given.get("action", ""), {})
        elif tag == "input" and "name" in given:
            self._current.setdefault(given["name"], given.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._is_title:
            self.title = data.strip()
            self._is_title = False

    def find_next(self) -> tuple[str, dict[str, str]] | None:
        """Return the form that goes on: the consent, or else the way to Plex."""
        if "/consent" in self._forms:
            return "/consent", self._forms["/consent"] | {"decision": "allow"}
        return ("/sign-in", self._forms["/sign-in"]) if "/sign-in" in self._forms else None


class Robot:
    """Signs people in at a bridge, when asked or by itself.

    Args:
        url: the bridge.
        local_plex: its Plex.
        key: what the control address asks for.

    Attributes:
        person: who is signed in, without a page, as soon as an application sends a browser without a session;
            `None`: browsers see the bridge's pages.
    """

    def __init__(self, url: str, local_plex: LocalPlexController, key: str) -> None:
        self.person: str | int | None = None
        self._url = url
        self._local_plex = local_plex
        self._key = key

    def sign_in(self, authorization_url: str, person: str | int) -> tuple[str, dict[str, str]]:
        """Sign a person in with a new browser; returns the application's address and the bridge's cookies. Blocks."""
        browser = RobotBrowser(self._url, self._local_plex)
        return browser.sign_in(authorization_url, person), browser.cookies

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Return the bridge's application, before which `person` is signed in."""

        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and self.person is not None and scope["path"] == "/authorize":
                response = await self._answer(Request(scope), self.person)
                if response is not None:
                    await response(scope, receive, send)
                    return
            await app(scope, receive, send)

        return handle

    async def _answer(self, request: Request, person: str | int) -> Response | None:
        is_robot = request.headers.get("user-agent") == _AGENT
        if is_robot or request.method != "GET" or "ticketstub-session" in request.cookies:
            return None
        url = f"{self._url}/authorize?{request.url.query}"
        try:
            location, cookies = await anyio.to_thread.run_sync(self.sign_in, url, person)
        except SignInRefused:
            return None  # the browser sees the page itself
        response = RedirectResponse("/", 303)
        response.headers["location"] = location
        for name, value in cookies.items():
            response.set_cookie(name, value, path="/", httponly=True, samesite="lax")
        return response

    def create_control_app(self) -> Starlette:
        """Return the application of the control address: `POST /sign-in` and `POST /person`, both with JSON."""

        async def sign_in(request: Request) -> Response:
            wanted = msgspec.json.decode(await request.body(), type=_Wanted)
            try:
                location, _ = await anyio.to_thread.run_sync(self.sign_in, wanted.url, wanted.person)
            except SignInRefused as error:
                return JSONResponse({"error": error.title, "status": error.status}, 409)
            return JSONResponse({"location": location})

        async def set_person(request: Request) -> Response:
            self.person = msgspec.json.decode(await request.body(), type=_Person).person
            return Response(None, 204)

        async def answer_fault(_request: Request, error: Exception) -> Response:
            return JSONResponse({"error": str(error)}, 400)

        def guard(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
            async def handle(request: Request) -> Response:
                given = request.headers.get("authorization", "")
                if hmac.compare_digest(given.encode(), f"Bearer {self._key}".encode()):
                    return await handler(request)
                return JSONResponse({"error": "send Authorization: Bearer $BRIDGE_CONTROL_KEY"}, 401)

            return handle

        routes = {"/sign-in": sign_in, "/person": set_person}
        return Starlette(
            routes=[Route(path, guard(handler), methods=["POST"]) for path, handler in routes.items()],
            exception_handlers={ValueError: answer_fault, LookupError: answer_fault, msgspec.DecodeError: answer_fault},
        )


class _Wanted(msgspec.Struct):
    url: str
    person: str | int


class _Person(msgspec.Struct):
    person: str | int | None
