"""The guard around a transport that the program brings itself.

Rule: whatever such a transport raises, or returns instead of a response, reaches the caller as a `PlexError` without
the original behind it, for that may hold the request. Mistakes in the request itself are found before it is called.
"""

from __future__ import annotations

from ticketstub.errors import MalformedReply, PlexError, Unreachable
from ticketstub.transports.base import AsyncTransport, Transport
from ticketstub.transports.failures import failed_client
from ticketstub.transports.heads import checked_fields
from ticketstub.wire.http import Place, Request, Response, destination


class GuardedTransport:
    """Sends for `Plex` through the program's own transport; see `base.Transport`."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`; `sent` is True wherever the transport itself does not say otherwise."""
        place = _checked(request)
        try:
            return _response(self._inner.send(request, deadline=deadline, connect_timeout=connect_timeout), place)
        except PlexError:
            raise
        except Exception as error:  # noqa: BLE001  # it is the program's own, and may raise anything
            failure = failed_client(place, error, sent=True)
        raise failure  # outside the handler: the foreign error must not become its context

    def sleep(self, seconds: float) -> None:
        """As `base.Transport.sleep`."""
        try:
            return self._inner.sleep(seconds)
        except PlexError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            failure = _cannot("wait", error)
        raise failure

    def close(self) -> None:
        """As `base.Transport.close`."""
        try:
            return self._inner.close()
        except PlexError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            failure = _cannot("close", error)
        raise failure


class AsyncGuardedTransport:
    """As `GuardedTransport`, awaited."""

    def __init__(self, inner: AsyncTransport) -> None:
        self._inner = inner

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `GuardedTransport.send`."""
        place = _checked(request)
        try:
            answer = await self._inner.send(request, deadline=deadline, connect_timeout=connect_timeout)
            return _response(answer, place)
        except PlexError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            failure = failed_client(place, error, sent=True)
        raise failure

    async def sleep(self, seconds: float) -> None:
        """As `base.AsyncTransport.sleep`."""
        try:
            return await self._inner.sleep(seconds)
        except PlexError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            failure = _cannot("wait", error)
        raise failure

    async def close(self) -> None:
        """As `base.AsyncTransport.close`."""
        try:
            return await self._inner.close()
        except PlexError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            failure = _cannot("close", error)
        raise failure


def _checked(request: Request) -> Place:
    """Return where a request goes.

    Raises:
        ValueError: it cannot be sent; the transport is not asked.
    """
    checked_fields(request)
    return destination(request.url)[0]


def _response(answer: object, place: Place) -> Response:
    if isinstance(answer, Response):
        return answer
    raise MalformedReply(f"the transport that was passed returned no Response from {place}")


def _cannot(what: str, error: Exception) -> Unreachable:
    return Unreachable(f"the transport that was passed cannot {what}: it raised {type(error).__name__}", sent=False)
