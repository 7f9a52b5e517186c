"""What makes and changes accounts, as verbs.

Rule: as in base.py. A change of password that signs everybody out ends every token, key, session and waiting PIN in
the transaction that sets the new hash: what was acknowledged is over for all.
"""

from __future__ import annotations

from typing import Literal, Protocol

from ticketstub.server.store.base import NewAccount, Row, SignIn

Unique = Literal["id", "username", "email"]
"""What no two accounts share."""


class NewPassword(Row, frozen=True, kw_only=True):
    """A change of password that policy allowed.

    `old` is the hash that was verified, `verification_step` what the change spends. `fresh` is there where everything
    else ends: the one token that the account then has.
    """

    account_id: int
    old: str
    new: str
    now: int
    verification_step: int | None = None
    fresh: SignIn | None = None

    def __repr__(self) -> str:
        return f"NewPassword(account_id={self.account_id})"


class Accounts(Protocol):
    """The accounts of a store."""

    async def create(self, new: NewAccount, first: SignIn) -> frozenset[Unique]:
        """Add an account with its first token; nothing is written if the answer names what is somebody else's."""
        ...

    async def change_password(self, change: NewPassword) -> bool:
        """Set the hash; `False`, with nothing changed, if it was changed or the step spent before, or it is off."""
        ...

    async def has_key(self, account_id: int, client_identifier: str) -> bool:
        """Tell whether a device of the account has a registered key."""
        ...
