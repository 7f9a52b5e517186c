"""The pages as a place: which there are, and what every form must bring.

Rule: a page is found by its exact path, before the API's routes. GET changes nothing. A POST is a form, comes from a
page of this site and holds that browser's token, or nothing happens. No answer here lets another origin read it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple

from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.pages import account, approval, rendering, sign_in, start
from ticketstub.local_plex.pages.browser import Browser
from ticketstub.local_plex.pages.visit import PageVisit, SignInFirst
from ticketstub.refusals import Forbidden, Refusal

Handler = Callable[[PageVisit], Awaitable[Answer]]

_FORM = b"application/x-www-form-urlencoded"
_TEXTS = {
    400: "What the browser sent could not be read.",
    403: "The form is too old, or it came from somewhere else. Nothing was done: open the page again.",
    404: "There is nothing at this address.",
    405: "This address cannot be asked for in that way.",
    408: "The browser took too long to send the form.",
    413: "The form is too large.",
    415: "Only forms are taken here.",
    429: "This was tried too often. Wait a moment, then try again.",
    503: "Too much is going on at once. Wait a moment, then try again.",
}
_ELSE = "Something went wrong in the local Plex. Its log says where."


class Page(NamedTuple):
    """A page: what shows it, and what takes its form."""

    show: Handler | None = None
    take: Handler | None = None

    @property
    def allowed(self) -> str:
        """The methods that it takes."""
        return ", ".join([*(["GET", "HEAD"] if self.show else []), *(["POST"] if self.take else [])])


_AUTH, _LINK = Page(approval.show, approval.decide), Page(approval.show_link, approval.take_link)
PAGES = {
    start.PATH: Page(start.show, start.take),
    "/auth": _AUTH,
    "/auth/": _AUTH,
    "/auth/done": Page(approval.done),
    "/link": _LINK,
    "/link/": _LINK,
    "/pin": _LINK,
    "/pin/": _LINK,
    "/claim": Page(account.show_claim, account.take_claim),
    "/claim/": Page(account.show_claim, account.take_claim),
    "/sign-in": Page(sign_in.show, sign_in.take),
    "/sign-out": Page(take=sign_in.sign_out),
    "/account": Page(account.show),
    "/account/devices": Page(account.show_devices, account.remove_device),
    "/account/home": Page(account.show_home, account.switch),
}


def has(instance: Instance, asked: Asked) -> bool:
    """Tell whether a request is for one of the pages."""
    if asked.path == start.PATH:
        return instance.overview is not None and start.is_asked_for(asked)
    return asked.path in PAGES or asked.path in rendering.static_files()


async def answer(instance: Instance, asked: Asked) -> Answer:
    """Answer a request for one of the pages; raises a `Refusal`, or what stores and passwords raise."""
    asked.template = asked.path
    if file := rendering.static_files().get(asked.path):
        return file if asked.method == "GET" else _wrong_method("GET, HEAD")
    page = PAGES[asked.path]
    handler = {"GET": page.show, "POST": page.take}.get(asked.method)
    if handler is None:
        return _wrong_method(page.allowed)
    browser = Browser(instance, asked)
    if asked.method == "POST":
        _check_form(asked, browser)
    await browser.recognise()
    visit = PageVisit(instance, asked, browser)
    try:
        return await handler(visit)
    except SignInFirst as first:
        return visit.go("/sign-in", **{"continue": first.then})


def _check_form(asked: Asked, browser: Browser) -> None:
    """Refuse a POST that is no form (415), comes from elsewhere or is not this browser's (403)."""
    if asked.header(b"content-type").partition(b";")[0].strip().lower() != _FORM:
        raise Refusal("Only forms are taken", status=415, code=1999)
    if not browser.is_here() or not browser.proves(asked.fields.get("form_token", ""), "form"):
        raise Forbidden


def _wrong_method(allowed: str) -> Answer:
    answer = refused(405)
    answer.headers = [*answer.headers, (b"allow", allowed.encode())]
    return answer


def refused(status: int) -> Answer:
    """Say no on a page."""
    known = status in _TEXTS
    title = HTTPStatus(status).phrase if known else "That did not work"
    values: dict[str, object] = {"me": "", "form_token": "", "here": "", "ways": [("/account", "Account")]}
    return rendering.page("message.html", status, title=title, texts=[_TEXTS.get(status, _ELSE)], **values)
