"""One media server as its handlers see it, and who is there.

Rule: a token is looked up anew at each request, a transient one through the token that it stands for, and so is whom
the server belongs to: whatever ends or loses its rights does so here at once.
"""

from __future__ import annotations

import msgspec

from ticketstub.refusals import TokenExpired, Unauthorized
from ticketstub.server import jwts
from ticketstub.server.callers import caller
from ticketstub.server.instance import Instance
from ticketstub.server.policies import media_servers as policy
from ticketstub.server.policy import Access
from ticketstub.server.store.base import MediaServerRow, TokenRow
from ticketstub.server.transient import TransientTokens


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks a media server: with which access, by which token's digest, and until when if by a transient token.

    There is no digest for who needs no token: this machine, while nobody owns the server.
    """

    access: Access
    origin: bytes | None
    ends: int | None = None


class Box:
    """A media server.

    Args:
        row: what the store knew of it at the start; whom it belongs to may change, see `owner_id`.
        instance: the local Plex that it belongs to.
        transient: its transient tokens.
    """

    __slots__ = ("instance", "row", "transient")

    def __init__(self, row: MediaServerRow, instance: Instance, transient: TransientTokens) -> None:
        self.row = row
        self.instance = instance
        self.transient = transient

    async def owner_id(self) -> int | None:
        """Return the id of the account that the server belongs to now; `None` where it is not claimed."""
        return await self.instance.store.claims.owner(self.row.machine_identifier)

    async def guest(self, token: str | None, *, this_machine: bool) -> Guest:
        """Return who has this token here.

        A server that nobody owns has no use for tokens: it lets in its own machine (observed), and nobody else.

        Raises:
            Unauthorized: it is missing, dead, or nothing that this server takes.
        """
        owner_id = await self.owner_id()
        if owner_id is None:
            if not this_machine:
                raise Unauthorized
            return Guest(access="owner", origin=None)
        if not token:
            raise Unauthorized
        return await self._holder(token, owner_id)

    async def _holder(self, token: str, owner_id: int) -> Guest:
        keys, now = self.instance.keys, self.instance.now()
        if held := self.transient.find(token, now):
            row = await self.instance.store.find_token(held.origin, now)
            return Guest(access=self._access(row, owner_id), origin=held.origin, ends=held.ends)
        return Guest(access=self._access(await self._known(token, now), owner_id), origin=keys.digest(token))

    async def _known(self, token: str, now: int) -> TokenRow | None:
        """Look a token up; a JWT only where media servers take it (observed: they do not, though documented)."""
        keys = self.instance.keys
        if keys.well_formed(token):
            return await self.instance.store.find_token(keys.digest(token), now)
        if self.instance.answers.jwt_on_media_server == "refuse" or not jwts.looks_like_one(token):
            return None
        try:
            return await caller(self.instance, token)
        except TokenExpired:
            return None

    def _access(self, row: TokenRow | None, owner_id: int) -> Access:
        return policy.access(row, self.row.machine_identifier, owner_id)
