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

from ticketstub.client.transports.failures import closed_early, cut_off, malformed, timed_out
from ticketstub.client.transports.heads import HAVE_LENGTH, LONGEST, AsyncSleeping, Sleeping, prepare, read_fields
from ticketstub.errors import Unreachable
from ticketstub.messages import MAX_BODY, Place, Request, Response

Message = MutableMapping[str, object]
Application = Callable[
    [MutableMapping[str, object], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]
"""An ASGI application."""

Reach = Literal["answers", "refused", "silent"]
"""What comes of connecting to a host and port: an answer, a refused connection, or nothing at all."""


class Loopback:
    """An application, and where it runs.

    Args:
        app: that one.
        loop: the event loop that it runs on, in a thread of its own.
        reach: tells what comes of connecting to a host and port.
        always: fields that its listener would add to each reply.
    """

    def __init__(
        self,
        app: Application,
        loop: asyncio.AbstractEventLoop,
        reach: Callable[[str, int], Reach],
        always: dict[str, str] | None = None,
    ) -> None:
        self._app = app
        self._loop = loop
        self._reach = reach
        self._always = always or {}

    def begin(
        self, request: Request, deadline: float, connect_timeout: float
    ) -> tuple[Place, Future[Response], float, bool]:
        """Hand a request over.

        Returns:
            Where it goes, the reply to come, the seconds that are left for it, and whether it has arrived.

        Raises:
            TimedOut: the deadline is over.
            Unreachable: nothing listens there, or the loop has ended.
            ValueError: it cannot be sent.
        """
        place, target, fields, left = prepare(request, deadline)
        scope = _scope(request, place, target, fields)
        reach = self._reach(place.host, place.port)
        if reach == "refused":
            raise _refused(place)
        is_sent = reach == "answers"
        answered = self._answered(scope, request.body, place) if is_sent else _nothing(place)
        left = left if is_sent else min(left, connect_timeout)
        try:
            return place, asyncio.run_coroutine_threadsafe(answered, self._loop), left, is_sent
        except RuntimeError:  # the loop is closed
            answered.close()
            raise _refused(place) from None

    async def _answered(self, scope: MutableMapping[str, object], body: bytes, place: Place) -> Response:
        reply = _Reply(body)
        await self._app(scope, reply.receive, reply.send)
        if not reply.started:
            raise closed_early(place)
        if not reply.ended:
            raise cut_off(place)
        if len(reply.body) > MAX_BODY:
            raise malformed(place, f"it is larger than {MAX_BODY} bytes")
        return Response(reply.status, {**self._always, **read_fields(reply.fields)}, bytes(reply.body))


async def _nothing(place: Place) -> Response:
    """Wait for a connection that does not come about."""
    await asyncio.sleep(LONGEST)
    raise timed_out(place, sent=False)


class _Reply:
    """The application's side of one exchange."""

    def __init__(self, body: bytes) -> None:
        self._to_read: list[bytes] = [body]
        self.started = False
        self.ended = False
        self.status = 0
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = bytearray()

    async def receive(self) -> Message:
        if self._to_read:
            return {"type": "http.request", "body": self._to_read.pop(), "more_body": False}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = cast("int", message["status"])
            self.fields = cast("list[tuple[bytes, bytes]]", message.get("headers", []))
            return
        self.body += cast("bytes", message.get("body", b""))
        self.ended = not message.get("more_body", False)


class LoopbackTransport(Sleeping):
    """Sends for `Plex` into this process; see `base.Transport`.

    Args:
        loopback: the application.
    """

    def __init__(self, loopback: Loopback) -> None:
        self._loopback = loopback

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`."""
        place, reply, left, sent = self._loopback.begin(request, deadline, connect_timeout)
        try:
            return reply.result(left)
        except Late:
            reply.cancel()
            raise timed_out(place, sent=sent) from None
        except CancelledError:
            raise closed_early(place) from None
        except BaseException:  # Ctrl-C
            reply.cancel()
            raise


class AsyncLoopbackTransport(AsyncSleeping):
    """Sends for `AsyncPlex` into this process, from whatever event loop; see `base.AsyncTransport`.

    Args:
        loopback: the application.
    """

    def __init__(self, loopback: Loopback) -> None:
        self._loopback = loopback

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.AsyncTransport.send`."""
        place, reply, left, sent = self._loopback.begin(request, deadline, connect_timeout)
        try:
            async with asyncio.timeout(left):
                return await asyncio.wrap_future(reply)
        except TimeoutError:
            raise timed_out(place, sent=sent) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            # Either the task itself is to end, or the server did.
            if not reply.cancelled() or (task is not None and task.cancelling()):
                raise
            raise closed_early(place) from None


def _refused(place: Place) -> Unreachable:
    hint = "is the local Plex still running, and is this an address of it?"
    return Unreachable(f"{place} cannot be reached: connection refused", sent=False, hint=hint)


def _scope(
    request: Request, place: Place, target: str, given: list[tuple[bytes, bytes]]
) -> MutableMapping[str, object]:
    fields = [(name.lower(), value) for name, value in given]
    if request.body or request.method in HAVE_LENGTH:
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
        "headers": [(b"host", place.host_header.encode("ascii")), *fields],
        "client": ("127.0.0.1", 1),
        "server": (place.host, place.port),
    }
