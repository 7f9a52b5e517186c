"""The pages of plex.tv's port: their paths, and what every form must contain.

Rule: a page is found by its exact path, before the API's routes. A GET changes nothing. A POST must be a form, come
from a page of this site and contain that browser's token; otherwise nothing happens. Other origins can read no page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple

from ticketstub.dns import is_loopback
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import FORM_TYPE, IncomingRequest
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages import account, approval, sign_in, start
from ticketstub.local_plex.pages.browser import BrowserSession
from ticketstub.local_plex.pages.context import PageContext, SignInRequired, load_static_files, render_template
from ticketstub.refusals import Forbidden, Refusal

PageHandler = Callable[[PageContext], Awaitable[OutgoingResponse]]

_MESSAGES = {
    400: "The browser sent a malformed request.",
    403: "The form has expired or came from another site. Nothing was changed. Open the page again.",
    404: "This page does not exist.",
    405: "This page does not support that method.",
    408: "The browser took too long to send the form.",
    413: "The form is too large.",
    415: "Only forms are accepted here.",
    429: "Too many attempts. Wait a moment, then try again.",
    503: "The local Plex is overloaded. Wait a moment, then try again.",
}
_UNEXPECTED_ERROR = "An error occurred in the local Plex. Its log has the details."


class Page(NamedTuple):
    """The handlers of a page: one shows it, one processes its form."""

    show: PageHandler | None = None
    submit: PageHandler | None = None


_AUTH_PAGE = Page(approval.show_approval, approval.submit_decision)
_LINK_PAGE = Page(approval.show_link_form, approval.submit_code)
_CLAIM_PAGE = Page(account.show_claim, account.create_claim_token)
PAGES = {
    start.PATH: Page(start.show_start, start.sign_in_without_password),
    "/auth": _AUTH_PAGE,
    "/auth/": _AUTH_PAGE,
    "/auth/done": Page(approval.show_done),
    "/link": _LINK_PAGE,
    "/link/": _LINK_PAGE,
    "/pin": _LINK_PAGE,
    "/pin/": _LINK_PAGE,
    "/claim": _CLAIM_PAGE,
    "/claim/": _CLAIM_PAGE,
    "/sign-in": Page(sign_in.show_sign_in, sign_in.submit_sign_in),
    "/sign-out": Page(submit=sign_in.sign_out),
    "/account": Page(account.show_account),
    "/account/devices": Page(account.show_devices, account.remove_device),
    "/account/home": Page(account.show_home, account.switch_user),
}
"""The pages by path."""


class Pages:
    """The pages of one local Plex.

    Args:
        instance: the local Plex.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def is_page_request(self, request: IncomingRequest) -> bool:
        """Tell whether a request is for a page or one of its files.

        The start page answers browsers only, and only if their Host is this machine: see `start`.
        """
        if request.path != start.PATH:
            return request.path in PAGES or request.path in load_static_files()
        accepts_html = b"text/html" in request.get_header(b"accept").lower()
        return self._instance.overview is not None and accepts_html and is_loopback(request.host_name or "")

    async def answer(self, request: IncomingRequest) -> OutgoingResponse:
        """Answer a request for a page; raises a `Refusal`, or what stores and passwords raise."""
        request.path_template = request.path
        if file := load_static_files().get(request.path):
            return file if request.method == "GET" else self._render_method_not_allowed("GET, HEAD")
        page = PAGES[request.path]
        handler = {"GET": page.show, "POST": page.submit}.get(request.method)
        if handler is None:
            allowed = [*(["GET", "HEAD"] if page.show else []), *(["POST"] if page.submit else [])]
            return self._render_method_not_allowed(", ".join(allowed))
        browser = BrowserSession(self._instance, request)
        if request.method == "POST":
            _check_form(request, browser)
        await browser.load_account()
        context = PageContext(self._instance, request, browser)
        try:
            return await handler(context)
        except SignInRequired as error:
            return context.redirect("/sign-in", **{"continue": error.continue_to})

    def render_error(self, status: int) -> OutgoingResponse:
        """Render an error page."""
        message = _MESSAGES.get(status)
        return render_template(
            "message.html",
            status,
            title=HTTPStatus(status).phrase if message else "Something went wrong",
            paragraphs=[message or _UNEXPECTED_ERROR],
            links=[("/account", "Account")],
            account_name="",
        )

    def _render_method_not_allowed(self, allowed_methods: str) -> OutgoingResponse:
        response = self.render_error(405)
        response.headers = [*response.headers, (b"allow", allowed_methods.encode())]
        return response


def _check_form(request: IncomingRequest, browser: BrowserSession) -> None:
    """Refuse a POST that is not a form (415), or comes from another site or browser (403)."""
    if request.media_type != FORM_TYPE:
        raise Refusal("Only forms are accepted", status=415, code=1999)
    form_token = request.body_parameters.get("form_token", "")
    if not browser.is_same_origin() or not browser.is_valid_proof(form_token, "form"):
        raise Forbidden
