"""The ASGI application behind all ports of a local Plex: limits, errors and the log, the same for every request.

Rule: whatever a client sends gets an answer of the place it asked, and nothing that goes wrong inside shows. The port
a request came in on says which place that is; its Host is never looked at. There is no framework underneath: the
calls are the router, and a request object of a library would cost more than all the rest.
"""

from __future__ import annotations

import itertools
import logging
import traceback
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from email.utils import formatdate
from functools import lru_cache
from time import perf_counter, time
from typing import Protocol

from ticketstub.local_plex.domain.passwords import Overloaded
from ticketstub.local_plex.http.bodies import BodyReader, ClientDisconnected
from ticketstub.local_plex.http.request import Headers, IncomingRequest, Receive, Scope, Send
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.storage.base import StoreUnavailable
from ticketstub.protocol.codec import Format
from ticketstub.refusals import Refusal, ServerError

OnAnswer = Callable[[str, str, int, float, str], None]
"""Told of each answer: method, path of the route (`-` where there is none), status, milliseconds, request id."""

RequestHandler = Callable[[IncomingRequest], Awaitable[OutgoingResponse]]
"""Answers a request whose head and body were read."""

_log = logging.getLogger("ticketstub.local_plex")


class Site(Protocol):
    """A place that answers requests: plex.tv, or a media server."""

    default_format: Format
    has_trace_headers: bool

    async def answer(self, request: IncomingRequest) -> OutgoingResponse:
        """Answer a request, or raise the refusal."""
        ...

    def write_refusal(self, refusal: Refusal, request: IncomingRequest) -> OutgoingResponse:
        """Write a refusal as this place does."""
        ...


class App:
    """The application.

    Args:
        plex_tv: answers on every port that is no media server's.
        media_servers: by port.
        settings: the limits.
        on_answer: told of each answer.
        clock: seconds since 1970, for the Date of answers.
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
        self._max_head_bytes = settings.max_head_bytes
        self._bodies = BodyReader(settings.max_body_bytes, settings.body_seconds)
        self._on_answer = on_answer
        self._request_ids = _generate_request_ids()
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see the ASGI specification."""
        if scope["type"] != "http":
            return
        started_at = perf_counter()
        address: tuple[str, int] = scope["server"]  # type: ignore[assignment]  # ASGI: host and port
        site = self._media_servers.get(address[1], self._plex_tv)
        request = IncomingRequest(scope, site.default_format)
        try:
            answer = await self._answer_safely(site, request, scope, receive)
        except ClientDisconnected:
            return
        await self._send(answer, request, site, started_at, send)

    async def _answer_safely(
        self,
        site: Site,
        request: IncomingRequest,
        scope: Scope,
        receive: Receive,
        handler: RequestHandler | None = None,
    ) -> OutgoingResponse:
        """Answer, whatever happens, unless nobody is left to answer (`ClientDisconnected`)."""
        try:
            request.parse_head(scope["headers"], self._max_head_bytes)  # type: ignore[arg-type]  # ASGI: pairs of bytes
            await self._bodies.read(request, receive)
            return await (handler or site.answer)(request)
        except ClientDisconnected:
            raise
        except Refusal as refusal:
            return _add_retry_after(site.write_refusal(refusal, request), refusal)
        except (Overloaded, StoreUnavailable):
            busy = ServerError("The server cannot handle the request", status=503, code=1013)
            return _add_retry_after(site.write_refusal(busy, request), busy)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client gets an answer and no details
            _log.error(
                "%s %s failed: %s", request.method, request.path_template, _describe_failure(error)
            )  # see _places
            return site.write_refusal(ServerError(), request)

    async def _send(
        self, answer: OutgoingResponse, request: IncomingRequest, site: Site, started_at: float, send: Send
    ) -> None:
        request_id = next(self._request_ids)
        headers = [*answer.headers, (b"date", _format_date(int(self._clock())))]
        if answer.status != 204:  # which has none (RFC 9110, 8.6)
            headers.append((b"content-length", b"%d" % len(answer.body)))
        if site.has_trace_headers:
            headers.append((b"x-request-id", request_id.encode()))
            headers.append((b"x-runtime", b"%.6f" % (perf_counter() - started_at)))
        if answer.closes_connection or not request.keep_alive:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if request.is_head else answer.body})
        if self._on_answer is not None:
            milliseconds = (perf_counter() - started_at) * 1000
            method = "HEAD" if request.is_head else request.method
            self._on_answer(method, request.path_template, answer.status, milliseconds, request_id)


@lru_cache(maxsize=2)
def _format_date(second: int) -> bytes:
    """Write a Date (RFC 9110, 5.6.7), once a second.

    It is by the instance's own clock: a client learns from it what Plex's clock shows (a PIN's end, the time in a
    device JWT), also where that one is moved.
    """
    return formatdate(second, usegmt=True).encode()


def _add_retry_after(answer: OutgoingResponse, refusal: Refusal) -> OutgoingResponse:
    """Add what goes with some refusals wherever they happen."""
    if refusal.status == 503:
        retry: Headers = [(b"retry-after", b"1")]
        answer.headers = [*answer.headers, *retry]
    return answer


def _describe_failure(error: BaseException) -> str:
    """Say what went wrong and where, without the message: that may hold what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    path = " > ".join(f"{frame.filename.rpartition('ticketstub')[2]}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__} at {path}"


def _generate_request_ids() -> Iterator[str]:
    """Number the answers, in the shape of plex.tv's ids: one random start an instance, then counting."""
    start = str(uuid.uuid4())[:24]
    return (f"{start}{number:012x}" for number in itertools.count(1))
