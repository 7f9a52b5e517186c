"""One page being asked for, as its handler sees it.

Rule: a handler takes a visit and returns an answer made by it, so that no page goes out without its cookie, its form
token and the name of who is signed in. Who must sign in first is sent to the sign-in page, and comes back to a page of
this site or to none. What clients say of themselves is somebody else's text: printable, and at most 128 characters.
"""

from __future__ import annotations

import re
from urllib.parse import urlencode

from ticketstub.errors import sanitize_text
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages import rendering
from ticketstub.local_plex.pages.browser import BrowserSession
from ticketstub.local_plex.storage.base import AccountRow

_LOCAL_PATH = re.compile(
    r"/(?:auth|link|claim|account(?:/devices|/home)?)(?:\?[A-Za-z0-9%&=+._~-]*)?", re.ASCII
).fullmatch


_MAX_LENGTH = 128
_UNITS = ((24 * 3600, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


class SignInRequired(Exception):
    """The page is for somebody who is signed in.

    Attributes:
        continue_to: where to go on afterwards.
    """

    def __init__(self, continue_to: str) -> None:
        super().__init__()
        self.continue_to = continue_to


class PageContext:
    """One request for a page.

    Attributes:
        instance: the local Plex.
        request: the request.
        browser: who sent it.
    """

    __slots__ = ("browser", "instance", "request")

    def __init__(self, instance: Instance, request: IncomingRequest, browser: BrowserSession) -> None:
        self.instance = instance
        self.request = request
        self.browser = browser

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters: the form's for a POST, else the query's."""
        return self.request.body_parameters if self.request.method == "POST" else self.request.query

    def require_account(self, path: str, **query: str) -> AccountRow:
        """Return who is signed in; raises `SignInRequired` with this place to come back to."""
        if self.browser.account is None:
            raise SignInRequired(build_path(path, query))
        return self.browser.account

    def render_page(self, template: str, status: int = 200, **values: object) -> OutgoingResponse:
        """Make a page."""
        account = self.browser.account
        account_name = clean_text(account.record.username or account.record.title) if account else ""
        common_values = {"me": account_name, "form_token": self.browser.form_token, "here": self.request.path}
        return self._add_cookie(rendering.render_page(template, status, **common_values, **values))

    def redirect(self, path: str, **query: str) -> OutgoingResponse:
        """Send the browser to another page of this site."""
        return self._add_cookie(rendering.build_redirect(build_path(path, query)))

    def redirect_to_continue(self, default: str = "/account") -> OutgoingResponse:
        """Send the browser where the form says it was going, if that is a page of this site."""
        continue_to = self.parameters.get("continue", "")
        return self._add_cookie(rendering.build_redirect(continue_to if _LOCAL_PATH(continue_to) else default))

    def _add_cookie(self, response: OutgoingResponse) -> OutgoingResponse:
        if self.browser.new_cookie is not None:
            response.headers = [*response.headers, (b"set-cookie", self.browser.new_cookie.encode("ascii"))]
        return response


def build_path(path: str, query: dict[str, str]) -> str:
    """Write a place on this site."""
    return f"{path}?{urlencode(query)}" if query else path


def clean_text(text: str | None) -> str:
    """Make somebody else's text fit to show; empty where there is none."""
    return sanitize_text(text or "")[:_MAX_LENGTH]


def format_ago(seconds: int) -> str:
    """Say how long ago something was: `23 seconds ago`."""
    return f"{format_duration(seconds)} ago" if seconds > 0 else "just now"


def format_duration(seconds: int) -> str:
    """Say how long something takes, in one unit, rounded down: `2 minutes`."""
    for size, unit in _UNITS:
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return "a moment"


def format_wait(seconds: int) -> str:
    """Say how long to wait, in one unit, rounded up."""
    size = next((size for size, _unit in _UNITS if seconds >= size), 1)
    return format_duration(-(-seconds // size) * size)
