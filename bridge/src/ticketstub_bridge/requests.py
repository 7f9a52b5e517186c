"""What an HTTP request says: its parameters, cookies and origin, read once and strictly.

Rule: nothing is taken from Host or X-Forwarded-*: the bridge's address is the configuration's. Bodies and parameters
are limited before they are parsed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import cast
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ticketstub_bridge.core import Bridge
from ticketstub_bridge.people import may_come_in
from ticketstub_bridge.sealing import make_secret
from ticketstub_bridge.storage import Session

_MAX_BODY = 64 * 1024
_MAX_FIELDS = 64
_FORM = "application/x-www-form-urlencoded"
_SECRET_LENGTH = 43


class BadBody(Exception):
    """The body is not a form, or too large.

    Attributes:
        status: the HTTP status to answer with.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Parameters:
    """The parameters of a request.

    Attributes:
        values: each one's first value. Empty ones count as absent (RFC 6749, 3.1).
        repeated: the names of those that occur more than once.
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.values: dict[str, str] = {}
        for name, value in pairs:
            if value:
                self.values.setdefault(name, value)
        self.repeated = frozenset(name for name, number in Counter(name for name, _ in pairs).items() if number > 1)


def get_bridge(request: Request) -> Bridge:
    """Return the bridge that answers."""
    return cast("Bridge", request.app.state.bridge)


def read_query(request: Request) -> Parameters:
    """Return the parameters of the URL.

    Raises:
        BadBody: there are too many, or they are not text.
    """
    return _parse(request.scope["query_string"])


async def read_form(request: Request) -> Parameters:
    """Return the parameters of the body.

    Raises:
        BadBody: it is not a form, or too large.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise BadBody(415)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise BadBody(413)
    return _parse(body)


def _parse(content: bytes) -> Parameters:
    try:
        text = content.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise BadBody(400) from None
    if any("\0" in value for pair in pairs for value in pair):  # PostgreSQL has no such text
        raise BadBody(400)
    return Parameters(pairs)


def get_cookie_name(bridge: Bridge, name: str) -> str:
    """Return a cookie's full name. The prefix binds it to this host and to https; http is for loopback only."""
    return f"{'__Host-' if bridge.config.is_https else ''}ticketstub-{name}"


def get_browser(request: Request) -> tuple[str, bool]:
    """Return the secret of this browser, and whether it is a new one that must be set with `set_cookie`."""
    known = request.cookies.get(get_cookie_name(get_bridge(request), "browser"), "")
    return (known, False) if len(known) == _SECRET_LENGTH else (make_secret(), True)


def set_cookie(bridge: Bridge, response: Response, name: str, value: str, max_age: int | None = None) -> None:
    """Set a cookie of this host that scripts and other sites' requests do not get."""
    response.set_cookie(
        get_cookie_name(bridge, name),
        value,
        max_age=max_age,
        path="/",
        secure=bridge.config.is_https,
        httponly=True,
        samesite="lax",  # Plex and applications send the browser here
    )


def redirect(url: str) -> RedirectResponse:
    """Send the browser to another address, and keep this one to itself."""
    response = RedirectResponse("/", 303, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    response.headers["location"] = url  # as it is: Starlette would quote it anew
    return response


async def get_session(request: Request) -> Session | None:
    """Return the session of this browser, if it still counts and its person may still come in."""
    bridge = get_bridge(request)
    secret = request.cookies.get(get_cookie_name(bridge, "session"), "")
    if len(secret) != _SECRET_LENGTH:
        return None
    session = await bridge.run(bridge.store.sessions.find, secret)
    if session is None or not may_come_in(bridge.config, session.person.account_id, session.person.roles):
        return None
    return session


def needs_cookies(request: Request) -> bool:
    """Return whether a form came without the session's cookie, as all forms of other sites do (`SameSite=Lax`).

    If it is repeated as a GET, browsers send the cookie.
    """
    return request.method == "POST" and get_cookie_name(get_bridge(request), "session") not in request.cookies


def is_own_form(request: Request, form: Mapping[str, str], browser: str, purpose: str) -> bool:
    """Return whether a form was sent by a page of this bridge in this browser."""
    bridge = get_bridge(request)
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    return (
        (origin is None or origin == bridge.config.url)
        and site == "same-origin"
        and bridge.sealer.is_form_token(form.get("form_token", ""), browser, purpose)
    )


def get_address(request: Request) -> str:
    """Return the client's address, for the list of events. No decision depends on it.

    X-Forwarded-For is read only from trusted proxies, from the right: the last address that is not theirs.
    """
    networks = [ip_network(each) for each in get_bridge(request).config.trusted_proxies]
    address = request.client.host if request.client else ""
    forwarded = request.headers.get("x-forwarded-for", "").split(",")
    for candidate in reversed([each.strip() for each in forwarded]):
        try:
            if not any(ip_address(address) in network for network in networks):
                return address
            address = str(ip_address(candidate))
        except ValueError:
            return address
    return address


def get_browser_label(request: Request) -> str:
    """Return what the browser says it is, in a few words, for the list of sessions."""
    agent = request.headers.get("user-agent", "")
    program = next((name for mark, name in _PROGRAMS if mark in agent), "A browser")
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    return f"{program} on {system}" if system else program


_PROGRAMS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
