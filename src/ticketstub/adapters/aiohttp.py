"""`PlexAuth` for aiohttp: `aiohttp.ClientSession(middlewares=(PlexAuth(plex),))`.

Rule: aiohttp makes a new request for each redirect, from what the program passed, and calls its middlewares again. So
the client's headers are added to one request and removed when it was answered.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ticketstub.adapters.base import TOKEN_HEADER, RepeatLimit, read_url, require_async_client
from ticketstub.client.flows.authorization import REFUSED_STATUSES, Authorization, RefusedRequest, authorize

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from ticketstub import AsyncMediaServer, AsyncPlex


class PlexAuth:
    """Adds the client's device headers and token to requests for the client's own addresses, and to no others.

    After a 401 or 498 the token is renewed once, as the client itself does, and the request is sent again, unless its
    body is a stream. A request that has an `X-Plex-Token` header is left alone.

    Args:
        plex: an `AsyncPlex` or `AsyncMediaServer`.

    Raises:
        TypeError: it is another object, for example a `Plex`, which would block the event loop.
    """

    def __init__(self, plex: AsyncPlex | AsyncMediaServer) -> None:
        self._plex = require_async_client(plex, "aiohttp")

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send a request; aiohttp calls this."""
        url, limit = "", RepeatLimit()
        if TOKEN_HEADER not in request.headers:
            url = read_url(str(request.url), request.url.scheme, request.url.raw_host, request.url.port)
        authorization = await self._plex.run_flow(partial(authorize, url, None))
        response = await _send(request, handler, authorization)
        try:
            while authorization and response.status in REFUSED_STATUSES and _can_repeat(request):
                refused = RefusedRequest(response.status, authorization.token)
                if not limit.allows(refused):
                    break
                if authorization := await self._plex.run_flow(partial(authorize, url, refused)):
                    response.release()
                    response = await _send(request, handler, authorization)
        except BaseException:  # aiohttp would keep the connection open
            response.close()
            raise
        return response


async def _send(
    request: ClientRequest, handler: ClientHandlerType, authorization: Authorization | None
) -> ClientResponse:
    """Send a request with headers that it has only until it is answered: errors show the headers of their request."""
    before = request.headers.copy()
    try:
        if authorization:
            request.headers.update(authorization.build_headers())
        return await handler(request)
    finally:
        request.headers.clear()
        request.headers.extend(before)


def _can_repeat(request: ClientRequest) -> bool:
    """Return whether the body is in memory."""
    from aiohttp.payload import BytesPayload

    return not request.body or isinstance(request.body, BytesPayload)
