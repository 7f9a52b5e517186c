"""The bridge as an ASGI application: its routes, what happens around each request, and its background work.

Rule: a request that the database cannot answer gets 503, never a guess. Errors show nothing but that they happened. The
log names the route, never the URL.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import Histogram
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ticketstub_bridge import endpoints, interaction
from ticketstub_bridge.authorization import make_silent_error
from ticketstub_bridge.core import Bridge, Overloaded
from ticketstub_bridge.logout import keep_delivering, log_out
from ticketstub_bridge.observing import log, log_failure
from ticketstub_bridge.pages import COMMON_HEADERS, STATIC_FILES
from ticketstub_bridge.recheck import check_due
from ticketstub_bridge.requests import BadBody, get_bridge, read_query, redirect
from ticketstub_bridge.sealing import make_identifier

_FORWARDED = frozenset({"x-forwarded-for", "x-forwarded-host", "forwarded", "via", "x-real-ip"})


_COUNTED_ONLY = frozenset({"/livez", "/readyz", "/metrics", "/userinfo"})
"""Routes that are asked so often that their successes are counted, but not logged."""


async def check_alive(_request: Request) -> Response:
    """Say that the process answers."""
    return PlainTextResponse("alive\n")


async def check_ready(request: Request) -> Response:
    """Say whether requests can be answered: the database is there, and the process is not about to end."""
    bridge = get_bridge(request)
    if bridge.is_draining:
        return PlainTextResponse("draining\n", 503)
    await bridge.run(bridge.database.get_time)
    return PlainTextResponse("ready\n")


async def show_metrics(request: Request) -> Response:
    """Return the metrics; not to requests that came through a proxy, which are the public's."""
    if not _FORWARDED.isdisjoint(request.headers.keys()):
        return PlainTextResponse("not found\n", 404)
    return Response(get_bridge(request).metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def show_static_file(request: Request) -> Response:
    """Return the style or the icon."""
    content, media_type = STATIC_FILES.get(request.path_params["name"], (None, None))
    if content is None:
        return PlainTextResponse("not found\n", 404)
    return Response(content, headers={"Cache-Control": "public, max-age=3600", **COMMON_HEADERS}, media_type=media_type)


async def answer_head(_request: Request) -> Response:
    """Answer HEAD without doing what a GET does: link previews and mail scanners send it, and must use nothing up."""
    return HTMLResponse(headers={"Cache-Control": "no-store", **COMMON_HEADERS})


async def go_to_account(_request: Request) -> Response:
    """Lead from the bare address to the person's sessions."""
    return RedirectResponse("/account", 303)


ROUTES = [
    Route("/userinfo", endpoints.show_userinfo, methods=["GET", "POST"]),  # first: it is asked most
    Route("/.well-known/openid-configuration", endpoints.show_metadata, methods=["GET"]),
    Route("/.well-known/oauth-authorization-server", endpoints.show_metadata, methods=["GET"]),
    Route("/.well-known/webfinger", endpoints.show_webfinger, methods=["GET"]),
    Route("/jwks", endpoints.show_keys, methods=["GET"]),
    Route("/token", endpoints.issue_tokens, methods=["POST"]),
    Route("/revoke", endpoints.revoke_token, methods=["POST"]),
    *(
        Route(path, endpoints.answer_preflight, methods=["OPTIONS"])
        for path in (
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
            "/jwks",
            "/token",
            "/userinfo",
            "/revoke",
        )
    ),
    *(  # before the routes of GET, to which Starlette adds HEAD
        Route(path, answer_head, methods=["HEAD"]) for path in ("/authorize", "/plex/return", "/continue", "/logout")
    ),
    Route("/authorize", interaction.authorize, methods=["GET", "POST"]),
    Route("/sign-in", interaction.begin_sign_in, methods=["POST"]),
    Route("/plex/return", interaction.return_from_plex, methods=["GET"]),
    Route("/continue", interaction.continue_sign_in, methods=["GET"]),
    Route("/consent", interaction.decide_consent, methods=["POST"]),
    Route("/account", interaction.show_account, methods=["GET"]),
    Route("/account", interaction.end_own_sessions, methods=["POST"]),
    Route("/logout", log_out, methods=["GET", "POST"]),
    Route("/livez", check_alive, methods=["GET"]),
    Route("/readyz", check_ready, methods=["GET"]),
    Route("/metrics", show_metrics, methods=["GET"]),
    Route("/static/{name}", show_static_file, methods=["GET"]),
    Route("/", go_to_account, methods=["GET"]),
]


_PATHS = frozenset(route.path for route in ROUTES)


def create_app(bridge: Bridge, *, with_background: bool = True) -> Starlette:
    """Return the ASGI application of a bridge.

    Args:
        bridge: the bridge.
        with_background: whether to check memberships and tell applications while the application runs.
    """

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        tasks = [asyncio.create_task(each) for each in _list_work(bridge)] if with_background else []
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bridge.close()

    app = Starlette(
        routes=ROUTES,
        lifespan=lifespan,
        exception_handlers={
            SQLAlchemyError: _answer_unavailable,
            Overloaded: _answer_unavailable,
            BadBody: _answer_bad_body,
            405: _answer_wrong_method,
        },
    )
    app.router.redirect_slashes = False  # its redirects take scheme and host from the request
    app.state.bridge = bridge
    app.add_middleware(endpoints.UserinfoMiddleware, bridge=bridge, answer_unavailable=_answer_unavailable)
    app.add_middleware(RequestLog, bridge=bridge)
    return app


class RequestLog:
    """Logs and measures each request by its route, gives each answer an id, and answers what failed."""

    def __init__(self, app: ASGIApp, bridge: Bridge) -> None:
        self._app = app
        self._bridge = bridge
        self._prefix = make_identifier()
        self._count = itertools.count(1)
        self._series: dict[tuple[str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, answered = time.perf_counter(), {"status": 0}
        request_id = f"{self._prefix}-{next(self._count)}"

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered["status"] = message["status"]
                message.setdefault("headers", []).append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception as error:
            log_failure("failure", error, route=_get_route(scope), id=request_id)
            if answered["status"]:
                raise  # half an answer is sent: the server ends the connection
            response = _answer_error(Request(scope), 500, "Something went wrong", "server_error")
            await response(scope, receive, send_and_note)
        finally:
            seconds, route, status = time.perf_counter() - started, _get_route(scope), answered["status"] or 500
            self._observe(route, status, seconds)
            if not (route in _COUNTED_ONLY and status == 200):
                log(
                    "request",
                    method=scope["method"],
                    route=route,
                    status=status,
                    ms=round(seconds * 1000, 1),
                    id=request_id,
                )

    def _observe(self, route: str, status: int, seconds: float) -> None:
        if (route, status) not in self._series:
            self._series[route, status] = self._bridge.metrics.requests.labels(route, str(status))
        self._series[route, status].observe(seconds)


def _get_route(scope: Scope) -> str:
    if scope["path"] in _PATHS:
        return str(scope["path"])
    return next((route.path for route in ROUTES if route.matches(scope)[0] is not Match.NONE), "other")


def _answer_unavailable(request: Request, error: Exception) -> Response:
    log_failure("database_unavailable" if isinstance(error, SQLAlchemyError) else "overloaded", error)
    return _answer_error(request, 503, "Not available", "temporarily_unavailable")


def _answer_wrong_method(request: Request, _error: Exception) -> Response:
    """Name the methods of all routes of this address; Starlette knows those of the first one only."""
    routes = [route for route in ROUTES if route.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in routes for method in route.methods or ()}
    return PlainTextResponse("Method Not Allowed", 405, {"Allow": ", ".join(sorted(methods))})


def _answer_bad_body(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, BadBody) else 400
    return _answer_error(request, status, "This request cannot be read", "invalid_request")


def _answer_error(request: Request, status: int, title: str, code: str) -> Response:
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": "5"} if status == 503 else {})
    if request.url.path in {"/token", "/userinfo", "/revoke", "/jwks"}:
        return endpoints.answer_error(request, status, code, headers)
    if status >= 500 and request.url.path == "/authorize":
        url = make_silent_error(get_bridge(request), read_query(request), code)
        if url is not None:
            return redirect(url)
    text = "Try again in a moment." if status >= 500 else "Begin again in the application."
    response = get_bridge(request).pages.render_message(title, [text], status=status)
    response.headers.update(headers)
    return response


def _list_work(bridge: Bridge) -> list[Any]:
    async def check() -> None:
        await check_due(bridge)

    async def delete() -> None:
        await bridge.run(bridge.store.delete_old)

    return [_repeat(check, 30.0), keep_delivering(bridge), _repeat(delete, 3600.0)]


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Do something again and again. A failure is logged, and does not end it."""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # whatever it was, the next round may succeed
            log_failure("background_work_failed", error)
        await asyncio.sleep(seconds)
