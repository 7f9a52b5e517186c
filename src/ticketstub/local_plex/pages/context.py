"""A request for a page, as its handler sees it, and the HTML that answers it.

Rule: everything that goes into a template is escaped. A page runs scripts of this site only, and no inline script or
style. It loads nothing from other sites, sends forms to this site only, and is neither framed nor cached. Referrers
stay on the site: `same-origin`, because with `no-referrer` browsers do not say that a form comes from this site.

A handler builds its response with `PageContext`, so that every page has its cookie, its form token and the name of the
account. If a page requires an account, the browser goes to the sign-in page and returns to a page of this site only.
What clients say of themselves is untrusted text: it is made printable and cut to 128 characters.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from ticketstub.errors import sanitize_text
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import Headers, IncomingRequest
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages.browser import BrowserSession
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.refusals import RateLimited, TooManyFailures

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent
_CONTENT_SECURITY_POLICY = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    b"frame-ancestors 'none'; base-uri 'none'"
)
_COMMON_HEADERS: Headers = [
    (b"content-security-policy", _CONTENT_SECURITY_POLICY),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_NO_STORE_HEADERS: Headers = [(b"cache-control", b"no-store"), (b"vary", b"Cookie"), *_COMMON_HEADERS]
_PAGE_HEADERS: Headers = [(b"content-type", b"text/html; charset=utf-8"), *_NO_STORE_HEADERS]
_MEDIA_TYPES = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8", ".svg": b"image/svg+xml"}
_LOCAL_PATH = re.compile(
    r"/(?:auth|link|claim|account(?:/devices|/home)?)(?:\?[A-Za-z0-9%&=+._~-]*)?", re.ASCII
).fullmatch
_MAX_LENGTH = 128
_UNITS = ((24 * 3600, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


class SignInRequired(Exception):
    """The page requires an account.

    Attributes:
        continue_to: the path to return to after the sign-in.
    """

    def __init__(self, continue_to: str) -> None:
        self.continue_to = continue_to


class PageContext(msgspec.Struct, frozen=True):
    """One request for a page.

    Attributes:
        instance: the local Plex.
        request: the request.
        browser: the browser that sent it.
    """

    instance: Instance
    request: IncomingRequest
    browser: BrowserSession

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters: the form's for a POST, else the query's."""
        return self.request.body_parameters if self.request.method == "POST" else self.request.query

    def require_account(self, path: str, **query: str) -> AccountRow:
        """Return the account that is signed in; raises `SignInRequired` with the path to return to."""
        if self.browser.account is None:
            raise SignInRequired(_build_path(path, query))
        return self.browser.account

    def render_page(self, template: str, status: int = 200, **values: object) -> OutgoingResponse:
        """Render a template with these values."""
        account = self.browser.account
        account_name = clean_text(account.record.username or account.record.title) if account else ""
        page = {"account_name": account_name, "form_token": self.browser.make_proof("form"), "path": self.request.path}
        return self._add_cookie(render_template(template, status, **page, **values))

    def redirect(self, path: str, **query: str) -> OutgoingResponse:
        """Redirect the browser to another page of this site."""
        return self._redirect_to(_build_path(path, query))

    def redirect_to_continue(self, default: str = "/account") -> OutgoingResponse:
        """Redirect the browser to the form's `continue` path, if that is a page of this site."""
        continue_to = self.parameters.get("continue", "")
        return self._redirect_to(continue_to if _LOCAL_PATH(continue_to) else default)

    def _redirect_to(self, location: str) -> OutgoingResponse:
        return self._add_cookie(
            OutgoingResponse(303, [(b"location", location.encode("ascii")), *_NO_STORE_HEADERS], b"")
        )

    def _add_cookie(self, response: OutgoingResponse) -> OutgoingResponse:
        if self.browser.new_cookie is not None:
            response.headers = [*response.headers, (b"set-cookie", self.browser.new_cookie.encode("ascii"))]
        return response


def render_template(template: str, status: int = 200, **values: object) -> OutgoingResponse:
    """Render a template to a page."""
    return OutgoingResponse(status, _PAGE_HEADERS, _load_templates().get_template(template).render(values).encode())


def allow_own_connections(headers: Headers) -> Headers:
    """Allow a page's script to send requests to this site, for codes that change."""
    policy = _CONTENT_SECURITY_POLICY + b"; connect-src 'self'"
    return [(name, policy if value is _CONTENT_SECURITY_POLICY else value) for name, value in headers]


@cache
def load_static_files() -> dict[str, OutgoingResponse]:
    """Return the files under `/static/` by path; the first call reads them all."""
    return {
        f"/static/{file.name}": OutgoingResponse(
            200,
            [(b"content-type", _MEDIA_TYPES[file.suffix]), (b"cache-control", b"no-cache"), *_COMMON_HEADERS],
            file.read_bytes(),
        )
        for file in (_HERE / "static").iterdir()
        if file.suffix in _MEDIA_TYPES
    }


@cache
def _load_templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # loaded with the first page

    loader = FileSystemLoader(_HERE / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _build_path(path: str, query: dict[str, str]) -> str:
    sent = urlencode({name: text for name, text in query.items() if text})
    return f"{path}?{sent}" if sent else path


def clean_text(text: str | None) -> str:
    """Make untrusted text printable and cut it; `None` becomes empty."""
    return sanitize_text(text or "")[:_MAX_LENGTH]


def format_ago(seconds: int) -> str:
    """Format how long ago something was: `23 seconds ago`."""
    return f"{format_duration(seconds)} ago" if seconds > 0 else "just now"


def format_duration(seconds: int) -> str:
    """Format a duration in one unit, rounded down: `2 minutes`."""
    number, unit = next(((seconds // size, unit) for size, unit in _UNITS if seconds >= size), (0, ""))
    return f"{number} {unit}{'' if number == 1 else 's'}" if unit else "a moment"


def format_wait(refusal: RateLimited | TooManyFailures) -> str:
    """Ask the user to wait as long as a refusal says, in one unit, rounded up: `Wait 2 minutes, then try again.`."""
    seconds = int(refusal.retry_after or 1)
    size = next((size for size, _unit in _UNITS if seconds >= size), 1)
    return f"Wait {format_duration(-(-seconds // size) * size)}, then try again."
