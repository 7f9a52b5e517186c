"""The transports into a program of this very process: an ASGI application on an event loop of another thread.

Rule: as every transport: one request, one reply, or one error; no socket is opened. Only the places that the
application stands for are reached, anything else is as a closed port. A loop that ended is a server that was stopped,
and a reply that does not end a connection that was cut. Reads no proxy, no name, no certificate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as Late
from typing import Literal, cast
from urllib.parse import unquote

from ticketstub.client.transports.base import (
    MAX_WAIT,
    METHODS_WITH_LENGTH,
    AsyncTransport,
    Transport,
    make_closed_early_error,
    make_cut_off_error,
    make_malformed_error,
    make_timeout_error,
    prepare_request,
    read_fields,
)
from ticketstub.errors import Unreachable
from ticketstub.messages import MAX_BODY_SIZE, Origin, Request, Response

Message = MutableMapping[str, object]
Application = Callable[
    [MutableMapping[str, object], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]
"""An ASGI application."""

Reachability = Literal["answers", "refused", "silent"]
"""What comes of connecting to a host and port: an answer, a refused connection, or nothing at all."""


class InProcessApp:
    """An application, and where it runs.

    Args:
        app: that one.
        loop: the event loop that it runs on, in a thread of its own.
        get_reachability: tells what comes of connecting to a host and port.
        default_headers: fields that its listener would add to each reply.
    """

    def __init__(
        self,
        app: Application,
        loop: asyncio.AbstractEventLoop,
        get_reachability: Callable[[str, int], Reachability],
        default_headers: dict[str, str] | None = None,
    ) -> None:
        self._app = app
        self._loop = loop
        self._get_reachability = get_reachability
        self._default_headers = default_headers or {}

    def submit(
        self, request: Request, deadline: float, connect_timeout: float
    ) -> tuple[Origin, Future[Response], float, bool]:
        """Hand a request over.

        Returns:
            Where it goes, the reply to come, the seconds that are left for it, and whether it has arrived.

        Raises:
            TimedOut: the deadline is over.
            Unreachable: nothing listens there, or the loop has ended.
            ValueError: it cannot be sent.
        """
        origin, target, fields, left = prepare_request(request, deadline)
        scope = _build_scope(request, origin, target, fields)
        reachability = self._get_reachability(origin.host, origin.port)
        if reachability == "refused":
            raise _make_refused_error(origin)
        is_sent = reachability == "answers"
        response = self._run_app(scope, request.body, origin) if is_sent else _wait_unanswered(origin)
        left = left if is_sent else min(left, connect_timeout)
        try:
            return origin, asyncio.run_coroutine_threadsafe(response, self._loop), left, is_sent
        except RuntimeError:  # the loop is closed
            response.close()
            raise _make_refused_error(origin) from None

    async def _run_app(self, scope: MutableMapping[str, object], body: bytes, origin: Origin) -> Response:
        reply = _AppReply(body)
        await self._app(scope, reply.receive, reply.send)
        if not reply.started:
            raise make_closed_early_error(origin)
        if not reply.ended:
            raise make_cut_off_error(origin)
        if len(reply.body) > MAX_BODY_SIZE:
            raise make_malformed_error(origin, f"it is larger than {MAX_BODY_SIZE} bytes")
        return Response(reply.status, {**self._default_headers, **read_fields(reply.fields)}, bytes(reply.body))


async def _wait_unanswered(origin: Origin) -> Response:
    """Wait for a connection that does not come about."""
    await asyncio.sleep(MAX_WAIT)
    raise make_timeout_error(origin, sent=False)


class _AppReply:
    """The application's side of one exchange."""

    def __init__(self, body: bytes) -> None:
        self._body_parts: list[bytes] = [body]
        self.started = False
        self.ended = False
        self.status = 0
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = bytearray()

    async def receive(self) -> Message:
        if self._body_parts:
            return {"type": "http.request", "body": self._body_parts.pop(), "more_body": False}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = cast("int", message["status"])
            self.fields = cast("list[tuple[bytes, bytes]]", message.get("headers", []))
            return
        self.body += cast("bytes", message.get("body", b""))
        self.ended = not message.get("more_body", False)


class InProcessTransport(Transport):
    """Sends for `Plex` into this process; see `base.Transport`.

    Args:
        app: the application.
    """

    def __init__(self, app: InProcessApp) -> None:
        self._app = app

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`."""
        origin, reply, left, sent = self._app.submit(request, deadline, connect_timeout)
        try:
            return reply.result(left)
        except Late:
            reply.cancel()
            raise make_timeout_error(origin, sent=sent) from None
        except CancelledError:
            raise make_closed_early_error(origin) from None
        except BaseException:  # Ctrl-C
            reply.cancel()
            raise


class AsyncInProcessTransport(AsyncTransport):
    """Sends for `AsyncPlex` into this process, from whatever event loop; see `base.AsyncTransport`.

    Args:
        app: the application.
    """

    def __init__(self, app: InProcessApp) -> None:
        self._app = app

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.AsyncTransport.send`."""
        origin, reply, left, sent = self._app.submit(request, deadline, connect_timeout)
        try:
            async with asyncio.timeout(left):
                return await asyncio.wrap_future(reply)
        except TimeoutError:
            raise make_timeout_error(origin, sent=sent) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            # Either the task itself is to end, or the server did.
            if not reply.cancelled() or (task is not None and task.cancelling()):
                raise
            raise make_closed_early_error(origin) from None


def _make_refused_error(origin: Origin) -> Unreachable:
    hint = "is the local Plex still running, and is this an address of it?"
    return Unreachable(f"{origin} cannot be reached: connection refused", sent=False, hint=hint)


def _build_scope(
    request: Request, origin: Origin, target: str, header_fields: list[tuple[bytes, bytes]]
) -> MutableMapping[str, object]:
    fields = [(name.lower(), value) for name, value in header_fields]
    if request.body or request.method in METHODS_WITH_LENGTH:
        fields.append((b"content-length", b"%d" % len(request.body)))
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "headers": [(b"host", origin.host_header.encode("ascii")), *fields],
        "client": ("127.0.0.1", 1),
        "server": (origin.host, origin.port),
    }
