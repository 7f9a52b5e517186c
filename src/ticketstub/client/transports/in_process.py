"""The transports to a program in this process: an ASGI application on an event loop of another thread.

Rule: one request gives one response or one error, and no socket is opened. Only the hosts and ports that the
application serves are reachable; any other is like a closed port. A closed event loop is reported like a stopped
server, and an unfinished response like a lost connection. No proxy, name look-up or certificate is involved.
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
    encode_fields,
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
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
"""An ASGI application."""

Reachability = Literal["answers", "refused", "silent"]
"""The result of connecting to a host and port: an answer, a refused connection, or silence."""


class InProcessApp:
    """An application, and the event loop that it runs on.

    Args:
        app: the application.
        loop: its event loop, in a thread of its own.
        get_reachability: returns the result of connecting to a host and port.
        default_headers: fields that the application's listener would add to each response.
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
        """Pass a request to the application.

        Returns:
            The request's origin, its future response, the seconds that remain for it, and whether it has arrived.

        Raises:
            TimedOut: the deadline has passed.
            Unreachable: nothing listens there, or the event loop has ended.
            ValueError: the request cannot be sent.
        """
        origin, target, remaining = prepare_request(request, deadline)
        reachability = self._get_reachability(origin.host, origin.port)
        if reachability == "refused":
            raise _make_refused_error(origin)
        is_sent = reachability == "answers"
        response = (
            self._run_app(_build_scope(request, origin, target), request.body, origin)
            if is_sent
            else _wait_unanswered(origin)
        )
        remaining = remaining if is_sent else min(remaining, connect_timeout)
        try:
            return origin, asyncio.run_coroutine_threadsafe(response, self._loop), remaining, is_sent
        except RuntimeError:  # the loop is closed
            response.close()
            raise _make_refused_error(origin) from None

    async def _run_app(self, scope: Message, body: bytes, origin: Origin) -> Response:
        received: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[Message] = []

        async def receive() -> Message:
            return received.pop() if received else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        if not sent:
            raise make_closed_early_error(origin)
        head, *parts = sent
        if not parts or parts[-1].get("more_body"):
            raise make_cut_off_error(origin)
        content = b"".join(cast("bytes", part.get("body", b"")) for part in parts)
        if len(content) > MAX_BODY_SIZE:
            raise make_malformed_error(origin, f"it is larger than {MAX_BODY_SIZE} bytes")
        fields = cast("list[tuple[bytes, bytes]]", head.get("headers", []))
        return Response(cast("int", head["status"]), {**self._default_headers, **read_fields(fields)}, content)


async def _wait_unanswered(origin: Origin) -> Response:
    """Wait like a connection attempt that nobody answers."""
    await asyncio.sleep(MAX_WAIT)
    raise make_timeout_error(origin, sent=False)


class InProcessTransport(Transport):
    """Sends for `Plex` to an application in this process.

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
    """Sends for `AsyncPlex` to an application in this process, from any event loop.

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
            if not reply.cancelled() or (task is not None and task.cancelling()):  # it is the task that was cancelled
                raise
            raise make_closed_early_error(origin) from None


def _make_refused_error(origin: Origin) -> Unreachable:
    return Unreachable(
        f"{origin} cannot be reached: connection refused",
        sent=False,
        hint="is the local Plex still running, and is this an address of it?",
        reason="refused",
    )


def _build_scope(request: Request, origin: Origin, target: str) -> Message:
    fields = [(name.lower(), value) for name, value in encode_fields(request)]
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
