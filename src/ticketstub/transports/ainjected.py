# injected.py is generated from this file by scripts/make_sync.py.
"""The guard around a transport that the program brings itself.

Rule: whatever such a transport raises, or returns instead of a response, reaches the caller as a `PlexError` without
the original behind it, for that may hold the request. Mistakes in the request itself are found before it is called.
"""

from __future__ import annotations

import math

from ticketstub.errors import MalformedReply, PlexError, Unreachable
from ticketstub.transports.base import AsyncTransport
from ticketstub.transports.failures import failed_client
from ticketstub.transports.heads import prepare
from ticketstub.wire.http import Request, Response


class AsyncGuardedTransport:
    """Sends for `AsyncPlex` through the program's own transport; see `base.AsyncTransport`."""

    def __init__(self, inner: AsyncTransport) -> None:
        self._inner = inner

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.AsyncTransport.send`; `sent` is True wherever the transport itself does not say otherwise."""
        place = prepare(request, math.inf).place  # its deadline is the transport's affair
        try:
            answer: object = await self._inner.send(request, deadline=deadline, connect_timeout=connect_timeout)
        except PlexError:
            raise
        except Exception as error:  # noqa: BLE001  # it is the program's own, and may raise anything
            failure = failed_client(place, error, sent=True)
        else:
            if isinstance(answer, Response):  # pyright: ignore[reportUnnecessaryIsInstance]  # programs without types
                return answer
            raise MalformedReply(f"the transport that was passed returned no Response from {place}")
        raise failure  # outside the handler: the foreign error must not become its context

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


def _cannot(what: str, error: Exception) -> Unreachable:
    return Unreachable(f"the transport that was passed cannot {what}: it raised {type(error).__name__}", sent=False)
