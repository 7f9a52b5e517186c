"""What is kept of Plex Homes, and their verbs.

Rule: as in base.py. An account is in at most one Home. Who may do what is decided before (policies/home.py), and each
verb writes only while that decision still holds: the same Home, the same administrator, the same passcode. What a
body shows of it (`home`, `homeSize`, `protected` …) is changed in the same transaction, for every member.
"""

from __future__ import annotations

from typing import Protocol

from ticketstub.records import Account
from ticketstub.server.store.base import AccountRow, DeviceRow, Row

ROOM = 15
"""How many a Home holds at most (observed: `maxHomeSize`)."""


class MemberRow(Row, frozen=True, kw_only=True):
    """A member of a Home; its account says whether it is managed (`restricted`), a guest, protected."""

    account: AccountRow
    admin: bool
    changed_at: int


class HomeRow(Row, frozen=True, kw_only=True):
    """A Home and its members, the administrator first."""

    id: int
    name: str
    admin_id: int
    members: tuple[MemberRow, ...]


class Passcode(Row, frozen=True, kw_only=True):
    """A passcode to keep. `shown` is random text that bodies show as `pin`; it has nothing to do with the digits."""

    hash: str
    shown: str

    def __repr__(self) -> str:
        return "Passcode()"


class Switch(Row, frozen=True, kw_only=True):
    """A switch that policy allowed, and the new token.

    `by` is the digest of the caller's token, which must be alive still; `passcode_hash` what the decision was made by:
    `None` for no passcode.
    """

    caller_id: int
    by: bytes | None
    account_id: int
    passcode_hash: str | None
    device: DeviceRow
    digest: bytes
    sealed_token: bytes
    now: int


class NewManagedUser(Row, frozen=True, kw_only=True):
    """A managed user to add to a Home. Its account has neither login nor password."""

    record: Account
    id: int
    passcode: Passcode | None = None
    digest: bytes | None = None
    sealed_token: bytes | None = None


class NewMember(Row, frozen=True, kw_only=True):
    """An account to add to a Home."""

    username: str
    guest: bool


class NewHome(Row, frozen=True, kw_only=True):
    """A world's Home: added unless it exists, as are its members and managed users that were never in one."""

    id: int
    name: str
    admin: str
    members: tuple[NewMember, ...]
    managed: tuple[NewManagedUser, ...]


class InvitationRow(Row, frozen=True, kw_only=True):
    """An invitation to a Home that nobody answered; `other` is who invited, or who is invited, whoever does not ask."""

    id: int
    created_at: int
    other: AccountRow


class Homes(Protocol):
    """The Homes of a store."""

    async def of(self, account_id: int) -> HomeRow | None:
        """Return the Home that an account is in."""
        ...

    async def passcode_hash(self, account_id: int) -> str | None:
        """Return the hash of an account's passcode."""
        ...

    async def set_passcode(self, account_id: int, old: str | None, new: Passcode | None, now: int) -> bool:
        """Set, change or (`None`) remove a passcode whose hash is `old`; `False` if somebody was faster."""
        ...

    async def switch(self, switch: Switch) -> bool:
        """Note the device and keep the token.

        `False`, with nothing written, if the two are in no Home together, the passcode changed, or the caller's token
        ended.
        """
        ...

    async def switched_by(self, digest: bytes) -> int | None:
        """Return the account that had switched to the owner of a token, before the token was given out; mostly none."""
        ...

    async def add_managed(self, admin_id: int, home: NewHome, new: NewManagedUser, now: int) -> bool:
        """Add a managed user to the Home of its administrator, or to this new Home where they are in none.

        `False`, with nothing written: the Home is full, somebody else's, or an id is taken.
        """
        ...

    async def remove(self, home_id: int, account_id: int, now: int) -> bool:
        """Take a member, but not the administrator, out of a Home; `False` if there is none.

        What the member got by switching, and what others got by switching to it, ends: tokens, keys registered with
        these, PINs approved with them, sessions. A managed user's account ends with all its tokens.
        """
        ...

    async def invite(self, admin_id: int, home: NewHome, account_id: int, now: int) -> bool:
        """Invite an account that is in no Home to an administrator's Home, or to this new one; `False` if it cannot."""
        ...

    async def invitations(self, account_id: int, *, sent: bool) -> tuple[InvitationRow, ...]:
        """Return the invitations to an account, or those that it sent."""
        ...

    async def accept(self, invitation_id: int, account_id: int, now: int) -> bool:
        """Spend an invitation to this account and make it a member; `False` if there is none or the Home is full."""
        ...

    async def drop_invitation(self, invitation_id: int, account_id: int, *, sent: bool) -> bool:
        """Refuse an invitation to this account, or take back one that it sent; `False` if there is none."""
        ...
