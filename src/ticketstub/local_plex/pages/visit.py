"""One page being asked for, as its handler sees it.

Rule: a handler takes a visit and returns an answer made by it, so that no page goes out without its cookie, its form
token and the name of who is signed in. Who must sign in first is sent to the sign-in page, and comes back to a page of
this site or to none. What clients say of themselves is somebody else's text: printable, and at most 128 characters.
"""

from __future__ import annotations

import re
from urllib.parse import urlencode

from ticketstub.errors import printable
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.pages import rendering
from ticketstub.local_plex.pages.browser import Browser
from ticketstub.local_plex.storage.base import AccountRow

_LOCAL = re.compile(r"/(?:auth|link|claim|account(?:/devices|/home)?)(?:\?[A-Za-z0-9%&=+._~-]*)?", re.ASCII).fullmatch


_LONGEST = 128
_UNITS = ((24 * 3600, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


class SignInFirst(Exception):
    """The page is for somebody who is signed in.

    Attributes:
        then: where to go on afterwards.
    """

    def __init__(self, then: str) -> None:
        super().__init__()
        self.then = then


class PageVisit:
    """One request for a page.

    Attributes:
        instance: the local Plex.
        asked: the request.
        browser: who sent it.
    """

    __slots__ = ("asked", "browser", "instance")

    def __init__(self, instance: Instance, asked: Asked, browser: Browser) -> None:
        self.instance = instance
        self.asked = asked
        self.browser = browser

    @property
    def given(self) -> dict[str, str]:
        """The parameters: the form's for a POST, else the query's."""
        return self.asked.fields if self.asked.method == "POST" else self.asked.query

    def account(self, path: str, **query: str) -> AccountRow:
        """Return who is signed in; raises `SignInFirst` with this place to come back to."""
        if self.browser.account is None:
            raise SignInFirst(place(path, query))
        return self.browser.account

    def page(self, template: str, status: int = 200, **values: object) -> Answer:
        """Make a page."""
        account = self.browser.account
        me = shown(account.record.username or account.record.title) if account else ""
        shared = {"me": me, "form_token": self.browser.form_token, "here": self.asked.path}
        return self._with_cookie(rendering.page(template, status, **shared, **values))

    def go(self, path: str, **query: str) -> Answer:
        """Send the browser to another page of this site."""
        return self._with_cookie(rendering.redirect(place(path, query)))

    def go_on(self, otherwise: str = "/account") -> Answer:
        """Send the browser where the form says it was going, if that is a page of this site."""
        then = self.given.get("continue", "")
        return self._with_cookie(rendering.redirect(then if _LOCAL(then) else otherwise))

    def _with_cookie(self, answer: Answer) -> Answer:
        if self.browser.cookie is not None:
            answer.headers = [*answer.headers, (b"set-cookie", self.browser.cookie.encode("ascii"))]
        return answer


def place(path: str, query: dict[str, str]) -> str:
    """Write a place on this site."""
    return f"{path}?{urlencode(query)}" if query else path


def shown(text: str | None) -> str:
    """Make somebody else's text fit to show; empty where there is none."""
    return printable(text or "")[:_LONGEST]


def ago(seconds: int) -> str:
    """Say how long ago something was: `23 seconds ago`."""
    return f"{span(seconds)} ago" if seconds > 0 else "just now"


def span(seconds: int) -> str:
    """Say how long something takes, in one unit, rounded down: `2 minutes`."""
    for size, unit in _UNITS:
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return "a moment"


def wait(seconds: int) -> str:
    """Say how long to wait, in one unit, rounded up."""
    size = next((size for size, _unit in _UNITS if seconds >= size), 1)
    return span(-(-seconds // size) * size)
