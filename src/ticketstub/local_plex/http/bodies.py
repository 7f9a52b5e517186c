"""Reading a request's body: as long as allowed, as slow as allowed, and not a byte more.

Rule: the length is counted on the stream whatever was declared, and a declared one that is too long is refused before
anything is read.
"""

from __future__ import annotations

import asyncio
from typing import cast

from ticketstub.local_plex.http.request import IncomingRequest, Receive
from ticketstub.refusals import Refusal


class ClientDisconnected(Exception):
    """The client went away: nobody is left to answer."""


class BodyReader:
    """Reads bodies within limits.

    Args:
        max_bytes: bytes of the longest.
        timeout: how long a client may take.
    """

    def __init__(self, max_bytes: int, timeout: float) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout

    async def read(self, request: IncomingRequest, receive: Receive) -> None:
        """Read the body of a request that may have one; that of another is left, and the connection then ends.

        Raises:
            Refusal: too long (413), or too slow (408).
            BadRequest: not what it is declared as.
            Gone: the client went away.
        """
        declared_length = request.declared_length
        if not declared_length:
            return
        keep_alive, request.keep_alive = request.keep_alive, False
        if declared_length > self._max_bytes:
            raise _build_too_large_refusal()
        if request.expects_body:
            try:
                async with asyncio.timeout(self._timeout):
                    body = await self._read_stream(receive)
            except TimeoutError:
                raise Refusal("The request's body did not come in time", status=408, code=1999) from None
            request.keep_alive = keep_alive
            request.parse_body(body)

    async def _read_stream(self, receive: Receive) -> bytes:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            body += cast("bytes", message.get("body", b""))
            if len(body) > self._max_bytes:
                raise _build_too_large_refusal()
            more = bool(message.get("more_body", False))
        return body


def _build_too_large_refusal() -> Refusal:
    return Refusal("The request's body is too large", status=413, code=1999)
