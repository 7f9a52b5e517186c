"""The ASGI application behind all ports of a local Plex: limits, errors and the log, the same for every request.

Rule: every request gets a reply from the site of its port, and internal errors show no details. The port alone selects
the site; the Host field does not. No framework is involved: the calls are the router, and a library's request class
would cost more than everything else together.
"""

from __future__ import annotations

import itertools
import logging
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from functools import lru_cache
from time import perf_counter, time
from typing import Protocol

from ticketstub.local_plex.http.request import ClientDisconnected, IncomingRequest, Receive, Scope, Send
from ticketstub.local_plex.http.response import OutgoingResponse, WebSocketResponse
from ticketstub.local_plex.settings import Settings
from ticketstub.protocol.codec import Format
from ticketstub.refusals import BadRequest, Refusal, ServerError

OnAnswer = Callable[[str, str, int, float, str], None]
"""Called for each reply with method, path of the route (`-` if there is none), status, milliseconds, request id."""

RequestHandler = Callable[[IncomingRequest], Awaitable[OutgoingResponse]]
"""Answers a request whose head and body were read."""

_log = logging.getLogger("ticketstub.local_plex")


class Site(Protocol):
    """What answers the requests of a port: plex.tv, a media server, or the control API."""

    default_format: Format
    has_trace_headers: bool
    busy_errors: tuple[type[Exception], ...]
    """What it raises if it is overloaded: the client gets a 503."""

    async def answer(self, request: IncomingRequest) -> OutgoingResponse:
        """Answer a request, or raise a `Refusal`."""
        ...

    def write_refusal(self, refusal: Refusal, request: IncomingRequest) -> OutgoingResponse:
        """Write a refusal in this site's format."""
        ...


class App:
    """The application.

    Args:
        plex_tv: answers on every port that is not a media server's.
        media_servers: the media servers' sites by port.
        settings: the limits.
        on_answer: called for each reply.
        clock: seconds since 1970, for the Date field.
    """

    def __init__(
        self,
        plex_tv: Site,
        media_servers: Mapping[int, Site],
        settings: Settings,
        on_answer: OnAnswer | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self._plex_tv = plex_tv
        self._media_servers = media_servers
        self._settings = settings
        self._on_answer = on_answer
        # Request ids have the form of plex.tv's: a random start for each instance, then a counter.
        start = str(uuid.uuid4())[:24]
        self._request_ids = (f"{start}{number:012x}" for number in itertools.count(1))
        self._clock = clock
        self.open_websocket: Callable[[Scope, WebSocketResponse], bool] = lambda _scope, _response: False
        """Gives a WebSocket the connection of its request, if that can be had; the HTTP server does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see the ASGI specification."""
        if scope["type"] != "http":
            return
        started_at = perf_counter()
        site = self._media_servers.get(scope["server"][1], self._plex_tv)
        request = IncomingRequest(scope, site.default_format)
        try:
            answer = await self._answer_safely(site, request, scope, receive)
        except ClientDisconnected:
            return
        if isinstance(answer, WebSocketResponse):
            if self.open_websocket(scope, answer):
                self._report(request, answer.status, started_at, next(self._request_ids))
                return
            answer = site.write_refusal(BadRequest(), request)
        await self._send(answer, request, site, started_at, send)

    async def _answer_safely(
        self,
        site: Site,
        request: IncomingRequest,
        scope: Scope,
        receive: Receive,
        handler: RequestHandler | None = None,
    ) -> OutgoingResponse:
        """Answer a request whatever happens; raises only `ClientDisconnected`."""
        try:
            request.parse_head(scope["headers"], self._settings.max_head_bytes)
            await request.read_body(receive, self._settings)
            return await (handler or site.answer)(request)
        except ClientDisconnected:
            raise
        except Refusal as error:
            refusal = error
        except site.busy_errors:
            refusal = ServerError("The server cannot handle the request", status=503, code=1013)
        except Exception as error:  # noqa: BLE001  # the client always gets a reply, without details
            _log.error("%s %s failed: %s", request.method, request.path_template, _describe_failure(error))
            refusal = ServerError()
        answer = site.write_refusal(refusal, request)
        if refusal.status == 503:
            answer.headers = [*answer.headers, (b"retry-after", b"1")]
        return answer

    async def _send(
        self, answer: OutgoingResponse, request: IncomingRequest, site: Site, started_at: float, send: Send
    ) -> None:
        request_id = next(self._request_ids)
        headers = [*answer.headers, (b"date", _format_date(int(self._clock())))]
        if answer.status != 204:  # which has no body (RFC 9110, 8.6)
            headers.append((b"content-length", b"%d" % len(answer.body)))
        if site.has_trace_headers:
            runtime = b"%.6f" % (perf_counter() - started_at)
            headers += [(b"x-request-id", request_id.encode()), (b"x-runtime", runtime)]
        if answer.closes_connection or not request.keep_alive:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if request.is_head else answer.body})
        self._report(request, answer.status, started_at, request_id)

    def _report(self, request: IncomingRequest, status: int, started_at: float, request_id: str) -> None:
        if self._on_answer is not None:
            method, milliseconds = "HEAD" if request.is_head else request.method, (perf_counter() - started_at) * 1000
            self._on_answer(method, request.path_template, status, milliseconds, request_id)


@lru_cache(maxsize=2)
def _format_date(second: int) -> bytes:
    """Format a Date field (RFC 9110, 5.6.7), at most once a second.

    The date comes from the instance's clock, even if that was moved: clients learn Plex's time from it, to which the
    end of a PIN and the times of a device JWT relate.
    """
    return formatdate(second, usegmt=True).encode()


def _describe_failure(error: BaseException) -> str:
    """Say what went wrong and where, without the message, which may hold what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    path = " > ".join(f"{frame.filename.rpartition('ticketstub')[2]}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__} at {path}"
