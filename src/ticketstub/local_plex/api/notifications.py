"""The notifications of one media server: its open WebSockets, and what is sent to them.

Rule: a token is checked before the upgrade like that of any request, then once a second and before each notification.
So no client gets a notification after its token has ended. The number of open WebSockets is limited. Nothing happens on
a local media server by itself: notifications come from a tester's command only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ticketstub.local_plex.api.principal import BUSY_ERRORS
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.response import WebSocketResponse
from ticketstub.refusals import Refusal, ServerError

if TYPE_CHECKING:
    from ticketstub.local_plex.http.websocket import WebSocket

MAX_SOCKETS = 100
"""How many WebSockets of one media server may be open (else 503, our choice)."""
CHECK_SECONDS = 1.0
"""How often the token of an open WebSocket is checked."""
DEFAULT_FILTERS = "-log"
"""All notifications but those of the log (documented)."""

NOTIFICATION_MEMBERS = {
    "account": "AccountUpdateNotification",
    "activity": "ActivityNotification",
    "backgroundProcessingQueue": "BackgroundProcessingQueueEventNotification",
    "playing": "PlaySessionStateNotification",
    "preference": "Setting",
    "progress": "ProgressNotification",
    "reachability": "ReachabilityNotification",
    "status": "StatusNotification",
    "timeline": "TimelineEntry",
    "transcodeSession.end": "TranscodeSession",
    "transcodeSession.start": "TranscodeSession",
    "transcodeSession.update": "TranscodeSession",
}
"""The member of a `NotificationContainer` with the items, by the notification's type (observed)."""


class _Subscription(msgspec.Struct, frozen=True):
    request: IncomingRequest
    filters: str

    def includes(self, kind: str) -> bool:
        """Return whether the client wants this type: one of a list, or all but those of a list after a `-`."""
        names = self.filters.removeprefix("-").split(",")
        return not self.filters or (kind in names) != self.filters.startswith("-")


class NotificationSockets:
    """The open WebSockets of one media server.

    Args:
        instance: the local Plex.
        authenticate: checks the token of a request; raises a `Refusal`.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        instance: Instance,
        authenticate: Callable[[IncomingRequest], Awaitable[object]],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._instance = instance
        self._authenticate = authenticate
        self._sleep = sleep
        self._open: dict[WebSocket, _Subscription] = {}
        self._is_watching = False

    def answer(self, request: IncomingRequest) -> WebSocketResponse:
        """Answer a handshake.

        Raises:
            BadRequest: it is no valid one.
            ServerError: too many WebSockets are open (503).
        """
        from ticketstub.local_plex.http.websocket import WebSocket  # loaded when needed

        if len(self._open) >= MAX_SOCKETS:
            raise ServerError("The server cannot handle the request", status=503, code=1013)
        socket = WebSocket(request)
        filters = request.query.get("filters", DEFAULT_FILTERS)
        return WebSocketResponse(socket, lambda: self._add(socket, _Subscription(request, filters)))

    async def send(self, kind: str, items: Sequence[Mapping[str, object]], member: str) -> int:
        """Send a notification to the clients that want its type, and return how many they are.

        Args:
            kind: its type.
            items: what happened.
            member: the member of the `NotificationContainer` that holds the items.
        """
        text = msgspec.json.encode(
            {"NotificationContainer": {"type": kind, "size": len(items), member: items}}
        ).decode()
        count = 0
        for socket, subscription in list(self._open.items()):
            if subscription.includes(kind) and await self._check_token(socket, subscription):
                socket.send(text)
                count += 1
        return count

    def close(self, reason: str) -> None:
        """Close all of them."""
        from ticketstub.local_plex.http.websocket import GOING_AWAY  # loaded when needed

        for socket in list(self._open):
            socket.close(GOING_AWAY, reason)

    def _add(self, socket: WebSocket, subscription: _Subscription) -> None:
        self._open[socket] = subscription
        if not self._is_watching:
            self._instance.run_in_background(self._watch_tokens())
        socket.on_close = lambda: self._remove(socket)

    def _remove(self, socket: WebSocket) -> None:
        self._open.pop(socket, None)

    async def _watch_tokens(self) -> None:
        """Close the WebSockets whose tokens have ended, for as long as there are any."""
        self._is_watching = True
        try:
            while self._open:
                await self._sleep(CHECK_SECONDS)
                for socket, subscription in list(self._open.items()):
                    with contextlib.suppress(*BUSY_ERRORS):  # the next check decides
                        await self._check_token(socket, subscription)
        finally:
            self._is_watching = False

    async def _check_token(self, socket: WebSocket, subscription: _Subscription) -> bool:
        """Return whether a token is still valid, and close the WebSocket if it is not."""
        from ticketstub.local_plex.http.websocket import POLICY_VIOLATION  # loaded when needed

        try:
            await self._authenticate(subscription.request)
        except Refusal:
            socket.close(POLICY_VIOLATION, "the token is no longer valid")
            return False
        return True
