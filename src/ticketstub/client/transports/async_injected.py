# injected.py is generated from this file by scripts/make_sync.py.
"""The guard around a transport that the program passes.

Rule: whatever such a transport raises, or returns instead of a response, reaches the caller as a `PlexError` without
the original, which may hold the request. Mistakes in the request itself are found before the transport is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from ticketstub.client.transports.base import AsyncTransport, make_unreachable_error, prepare_request
from ticketstub.errors import MalformedReply, PlexError, Unreachable
from ticketstub.messages import Request, Response


class AsyncGuardedTransport:
    """Sends for `AsyncPlex` through the program's own transport; see `base.AsyncTransport`."""

    def __init__(self, inner: AsyncTransport) -> None:
        self._inner = inner

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.AsyncTransport.send`; `sent` is True unless the transport says otherwise."""
        origin, _, _ = prepare_request(request, math.inf)  # the transport itself checks the deadline
        response: object = await _call_safely(
            partial(self._inner.send, request, deadline=deadline, connect_timeout=connect_timeout),
            partial(make_unreachable_error, origin, sent=True),
        )
        if not isinstance(response, Response):
            raise MalformedReply(f"the transport that was passed returned no Response from {origin}")
        return response

    async def sleep(self, seconds: float) -> None:
        """As `base.AsyncTransport.sleep`."""
        await _call_safely(partial(self._inner.sleep, seconds), partial(_make_transport_error, "wait"))

    async def close(self) -> None:
        """As `base.AsyncTransport.close`."""
        await _call_safely(self._inner.close, partial(_make_transport_error, "close"))


async def _call_safely(work: Callable[[], Any], make_error: Callable[[Exception], Unreachable]) -> object:
    try:
        return await work()
    except PlexError:
        raise
    except Exception as error:  # noqa: BLE001  # it may raise anything
        failure = make_error(error)
    raise failure  # outside the handler: the foreign error must not become its context


def _make_transport_error(action: str, error: Exception) -> Unreachable:
    return Unreachable(f"the transport that was passed cannot {action}: it raised {type(error).__name__}", sent=False)
