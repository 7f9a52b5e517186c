"""What is kept of claim tokens, and of whom a media server belongs to.

Rule: as in base.py. `exchange` is one conditional statement and its consequences: of many with one claim token exactly
one wins. A claim token is no token: it is kept apart from them and found by nothing that looks for one. A server
without an owner has neither token, device nor shares.
"""

from __future__ import annotations

from typing import Protocol

from ticketstub.server.store.base import AccountRow, DeviceRow, Row


class NewClaim(Row, frozen=True, kw_only=True):
    """A claim token to keep, unless the account has `most` of them alive.

    `origin` is the digest of the token that asked, or of the session of a browser that had switched to the account: it
    ends with that. `None` where it was any other page that asked.
    """

    digest: bytes
    account_id: int
    origin: bytes | None = None
    now: int
    expires_at: int
    most: int


class Exchange(Row, frozen=True, kw_only=True):
    """A claim token that came back with the server that it is for.

    `digest` is the claim's, `server` what the machine says of itself, `token_digest` and `sealed_token` are those of
    the server's new token. `once`: the claim token is spent with it. `first`: a machine that the account has already is
    refused as well.
    """

    digest: bytes
    once: bool
    server: DeviceRow
    token_digest: bytes
    sealed_token: bytes
    now: int
    first: bool = False


class Claims(Protocol):
    """The claims of a store."""

    async def create(self, claim: NewClaim) -> bool:
        """Keep a claim token; `False`, with nothing written, if the account has too many."""
        ...

    async def exchange(self, exchange: Exchange) -> int | None:
        """Give the machine to the account of the claim token, with a device and a token, and return the account's id.

        `None`, with nothing written, if the claim token is unknown, over or spent, its account or the token that asked
        for it is off, or the machine is a media server of somebody else. The tokens that the machine had before end.
        """
        ...

    async def owner(self, machine_identifier: str) -> int | None:
        """Return the id of the account that a media server belongs to."""
        ...

    async def server_token(self, machine_identifier: str, now: int) -> bytes | None:
        """Return a media server's own token, sealed."""
        ...

    async def guests(self, machine_identifier: str, now: int) -> tuple[AccountRow, ...]:
        """Return the accounts that have a living share of a media server."""
        ...

    async def release(self, machine_identifier: str, now: int) -> bool:
        """Take a media server from its owner, and end its token, device and shares; `False` if it had no owner."""
        ...
