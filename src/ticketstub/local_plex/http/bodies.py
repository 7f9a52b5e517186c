"""Reading a request's body: as long as allowed, as slow as allowed, and not a byte more.

Rule: the length is counted on the stream whatever was declared, and a declared one that is too long is refused before
anything is read.
"""

from __future__ import annotations

import asyncio
from typing import cast

from ticketstub.local_plex.http.request import Asked, Receive
from ticketstub.refusals import Refusal


class Gone(Exception):
    """The client went away: nobody is left to answer."""


class Bodies:
    """Reads bodies within limits.

    Args:
        most: bytes of the longest.
        seconds: how long a client may take.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds

    async def read(self, asked: Asked, receive: Receive) -> None:
        """Read the body of a request that may have one; that of another is left, and the connection then ends.

        Raises:
            Refusal: too long (413), or too slow (408).
            BadRequest: not what it is declared as.
            Gone: the client went away.
        """
        declared = asked.declared_length
        if not declared:
            return
        kept, asked.keeps_alive = asked.keeps_alive, False
        if declared > self._most:
            raise _too_long()
        if asked.takes_body:
            try:
                async with asyncio.timeout(self._seconds):
                    body = await self._pieces(receive)
            except TimeoutError:
                raise Refusal("The request's body did not come in time", status=408, code=1999) from None
            asked.keeps_alive = kept
            asked.read_body(body)

    async def _pieces(self, receive: Receive) -> bytes:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            body += cast("bytes", message.get("body", b""))
            if len(body) > self._most:
                raise _too_long()
            more = bool(message.get("more_body", False))
        return body


def _too_long() -> Refusal:
    return Refusal("The request's body is too large", status=413, code=1999)
