"""What is kept of other people: who shares which media server with whom.

Rule: as in base.py. A share is alive for as long as its token is.
"""

from __future__ import annotations

from typing import Protocol

from ticketstub.server.store.base import AccountRow, Row


class ShareRow(Row, frozen=True, kw_only=True):
    """A share of a media server: its owner, who was given it, and that one's token there."""

    server_number: int
    machine_identifier: str
    server_name: str
    owner: AccountRow
    guest: AccountRow
    sealed_token: bytes
    created_at: int


class Users(Protocol):
    """The people of a store."""

    async def shares(self, account_id: int) -> tuple[ShareRow, ...]:
        """Return the shares that an account gave and was given, in the order of the servers."""
        ...
