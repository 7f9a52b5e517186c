"""plex.tv's answers about who comes into a Home and goes: managed users, invitations, removals.

Rule: as in home.py. Nobody becomes a member without a word of their own: whoever is invited accepts with a token of
theirs, for anybody in a Home could switch to them from then on.
"""

from __future__ import annotations

import secrets

from ticketstub.errors import printable
from ticketstub.records import HomeUser, Invitation
from ticketstub.refusals import BadRequest, NotFound
from ticketstub.server.answers import Answer
from ticketstub.server.handlers.home import Visited, home_user
from ticketstub.server.handlers.users import gone
from ticketstub.server.policies import home as policy
from ticketstub.server.requests import Asked
from ticketstub.server.store.base import AccountRow
from ticketstub.server.store.homes import InvitationRow, MemberRow
from ticketstub.server.store.members import NewHome
from ticketstub.server.store.seed import managed_record
from ticketstub.server.world_homes import WorldManaged
from ticketstub.wire.call import from_parameters
from ticketstub.wire.home import AddHomeUser, RemoveHomeUser
from ticketstub.wire.users import (
    AcceptInvitation,
    GetReceivedInvitations,
    GetSentInvitations,
    RefuseInvitation,
    WithdrawInvitation,
)

_LONGEST_TITLE = 255


def read_add(asked: Asked) -> AddHomeUser:
    """Read whom to add: exactly one of a title and an e-mail address; the body is not looked at (observed: JSON)."""
    call = from_parameters(AddHomeUser, asked.query)
    if (call.title is None) is (call.invited_email is None):
        raise BadRequest
    return call


async def add_home_user(visit: Visited, call: AddHomeUser) -> HomeUser:
    """Make a managed user, or invite an account."""
    caller = visit.caller.account
    policy.check_admin(await visit.place.store.homes.of(caller.id), caller)
    if call.invited_email is not None:
        return await _invite(visit, call.invited_email)
    return await _make(visit, printable(call.title or "").strip()[:_LONGEST_TITLE])


async def _make(visit: Visited, title: str) -> HomeUser:
    if not title:
        raise BadRequest
    store, now = visit.place.store, visit.place.now()
    made = WorldManaged(title=title, id=_new_id(), uuid=secrets.token_hex(8))
    new = AccountRow(id=made.id, record=managed_record(made, now))
    if not await store.homes.add_managed(_new_home(visit), new, now):
        raise policy.cannot()
    account = await store.account(made.id)
    if account is None:
        raise policy.cannot()
    return home_user(MemberRow(account=account, admin=False, changed_at=now))


async def _invite(visit: Visited, login: str) -> HomeUser:
    store, now = visit.place.store, visit.place.now()
    account = await store.find_account(login)
    if account is None or account.disabled:
        raise NotFound
    if not await store.homes.invite(_new_home(visit), account.id, now):
        raise policy.exists()
    return home_user(MemberRow(account=account, admin=False, changed_at=now))


def _new_home(visit: Visited) -> NewHome:
    """Describe the Home that an account gets with its first member."""
    caller = visit.caller.account
    return NewHome(id=_new_id(), name=f"{caller.record.title}'s home", admin_id=caller.id)


def _new_id() -> int:
    return 100_000_000 + secrets.randbelow(900_000_000)


async def remove_home_user(visit: Visited, call: RemoveHomeUser) -> None:
    """Take a member out of the Home; a managed user ends with it, and so do the tokens that others got by it."""
    store, caller = visit.place.store, visit.caller.account
    home = await store.homes.of(caller.id)
    found = policy.member(home, caller, str(call.id))
    left = policy.removable(home, caller, found)
    if not await store.homes.remove(left.id, found.account.id, visit.place.now()):
        raise NotFound


async def received_invitations(visit: Visited, _call: GetReceivedInvitations) -> tuple[Invitation, ...] | Answer:
    """List the invitations to the caller, or say that this is gone, as the world has it."""
    if visit.place.answers.invitation_lists == "gone":
        return gone()
    rows = await visit.place.store.homes.invitations(visit.caller.account_id, sent=False)
    return tuple(_invitation(row) for row in rows)


async def sent_invitations(visit: Visited, _call: GetSentInvitations) -> tuple[Invitation, ...] | Answer:
    """List the caller's own, or say that this is gone."""
    if visit.place.answers.invitation_lists == "gone":
        return gone()
    rows = await visit.place.store.homes.invitations(visit.caller.account_id, sent=True)
    return tuple(_invitation(row) for row in rows)


def _invitation(row: InvitationRow) -> Invitation:
    other: AccountRow = row.other
    return Invitation(
        id=row.id,
        created_at=row.created_at,
        friend=False,
        home=True,
        server=False,
        username=other.record.username,
        email=other.record.email,
        thumb=other.record.thumb,
        friendly_name=other.record.friendly_name,
    )


async def accept_invitation(visit: Visited, call: AcceptInvitation) -> None:
    """Become a member."""
    if not await visit.place.store.homes.accept(call.id, visit.caller.account_id, visit.place.now()):
        raise NotFound


async def refuse_invitation(visit: Visited, call: RefuseInvitation) -> None:
    """Say no."""
    if not await visit.place.store.homes.drop_invitation(call.id, visit.caller.account_id, sent=False):
        raise NotFound


async def withdraw_invitation(visit: Visited, call: WithdrawInvitation) -> None:
    """Take an invitation back."""
    if not await visit.place.store.homes.drop_invitation(call.id, visit.caller.account_id, sent=True):
        raise NotFound
