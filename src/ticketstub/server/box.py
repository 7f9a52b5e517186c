"""One media server as its handlers see it, and who is there.

Rule: a token is looked up anew at each request, a transient one through the token that it stands for: whatever ends or
loses its rights does so here at once.
"""

from __future__ import annotations

import msgspec

from ticketstub.refusals import Unauthorized
from ticketstub.server import policy
from ticketstub.server.instance import Instance
from ticketstub.server.policy import Access
from ticketstub.server.store.base import MediaServerRow
from ticketstub.server.transient import TransientTokens


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks a media server: with which access, by which token's digest, and until when if by a transient token."""

    access: Access
    origin: bytes
    ends: int | None = None


class Box:
    """A media server.

    Args:
        row: what the store knows of it.
        instance: the local Plex that it belongs to.
        transient: its transient tokens.
    """

    __slots__ = ("instance", "row", "transient")

    def __init__(self, row: MediaServerRow, instance: Instance, transient: TransientTokens) -> None:
        self.row = row
        self.instance = instance
        self.transient = transient

    async def guest(self, token: str | None) -> Guest:
        """Return who has this token here.

        Raises:
            Unauthorized: it is missing, dead, or nothing that this server takes.
        """
        keys, now = self.instance.keys, self.instance.now()
        if not token:
            raise Unauthorized
        if held := self.transient.find(token, now):
            return Guest(access=await self._access(held.origin, now), origin=held.origin, ends=held.ends)
        if not keys.well_formed(token):
            raise Unauthorized
        digest = keys.digest(token)
        return Guest(access=await self._access(digest, now), origin=digest)

    async def _access(self, digest: bytes, now: int) -> Access:
        return policy.access(await self.instance.store.find_token(digest, now), self.row)
