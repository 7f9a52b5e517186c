"""The pages as a place: which there are, and what every form must bring.

Rule: a page is found by its exact path, before the API's routes. GET changes nothing. A POST is a form, comes from a
page of this site and holds that browser's token, or nothing happens. No answer here lets another origin read it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple

from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages import account, approval, rendering, sign_in, start
from ticketstub.local_plex.pages.browser import BrowserSession
from ticketstub.local_plex.pages.visit import PageContext, SignInRequired
from ticketstub.refusals import Forbidden, Refusal

PageHandler = Callable[[PageContext], Awaitable[OutgoingResponse]]

_FORM_TYPE = b"application/x-www-form-urlencoded"
_MESSAGES = {
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
_UNEXPECTED_ERROR = "Something went wrong in the local Plex. Its log says where."


class Page(NamedTuple):
    """A page: what shows it, and what takes its form."""

    show: PageHandler | None = None
    submit: PageHandler | None = None

    @property
    def allowed_methods(self) -> str:
        """The methods that it takes."""
        return ", ".join([*(["GET", "HEAD"] if self.show else []), *(["POST"] if self.submit else [])])


_AUTH_PAGE, _LINK_PAGE = (
    Page(approval.show_approval, approval.submit_decision),
    Page(approval.show_link_form, approval.submit_code),
)
PAGES = {
    start.PATH: Page(start.show_start, start.sign_in_without_password),
    "/auth": _AUTH_PAGE,
    "/auth/": _AUTH_PAGE,
    "/auth/done": Page(approval.show_done),
    "/link": _LINK_PAGE,
    "/link/": _LINK_PAGE,
    "/pin": _LINK_PAGE,
    "/pin/": _LINK_PAGE,
    "/claim": Page(account.show_claim, account.create_claim_token),
    "/claim/": Page(account.show_claim, account.create_claim_token),
    "/sign-in": Page(sign_in.show_sign_in, sign_in.submit_sign_in),
    "/sign-out": Page(submit=sign_in.sign_out),
    "/account": Page(account.show_account),
    "/account/devices": Page(account.show_devices, account.remove_device),
    "/account/home": Page(account.show_home, account.switch_user),
}


def is_page_request(instance: Instance, request: IncomingRequest) -> bool:
    """Tell whether a request is for one of the pages."""
    if request.path == start.PATH:
        return instance.overview is not None and start.is_start_page_request(request)
    return request.path in PAGES or request.path in rendering.load_static_files()


async def answer(instance: Instance, request: IncomingRequest) -> OutgoingResponse:
    """Answer a request for one of the pages; raises a `Refusal`, or what stores and passwords raise."""
    request.path_template = request.path
    if file := rendering.load_static_files().get(request.path):
        return file if request.method == "GET" else _render_method_not_allowed("GET, HEAD")
    page = PAGES[request.path]
    handler = {"GET": page.show, "POST": page.submit}.get(request.method)
    if handler is None:
        return _render_method_not_allowed(page.allowed_methods)
    browser = BrowserSession(instance, request)
    if request.method == "POST":
        _check_form(request, browser)
    await browser.load_account()
    context = PageContext(instance, request, browser)
    try:
        return await handler(context)
    except SignInRequired as error:
        return context.redirect("/sign-in", **{"continue": error.continue_to})


def _check_form(request: IncomingRequest, browser: BrowserSession) -> None:
    """Refuse a POST that is no form (415), comes from elsewhere or is not this browser's (403)."""
    if request.get_header(b"content-type").partition(b";")[0].strip().lower() != _FORM_TYPE:
        raise Refusal("Only forms are taken", status=415, code=1999)
    if not browser.is_same_origin() or not browser.is_valid_proof(
        request.body_parameters.get("form_token", ""), "form"
    ):
        raise Forbidden


def _render_method_not_allowed(allowed_methods: str) -> OutgoingResponse:
    response = render_error(405)
    response.headers = [*response.headers, (b"allow", allowed_methods.encode())]
    return response


def render_error(status: int) -> OutgoingResponse:
    """Say no on a page."""
    is_known = status in _MESSAGES
    title = HTTPStatus(status).phrase if is_known else "That did not work"
    values: dict[str, object] = {"me": "", "form_token": "", "here": "", "ways": [("/account", "Account")]}
    return rendering.render_page(
        "message.html", status, title=title, texts=[_MESSAGES.get(status, _UNEXPECTED_ERROR)], **values
    )
