"""plex.tv's answers about Plex Home: who is in it, becoming somebody else, passcodes, who comes into it and goes.

Rule: load, decide (homes.py), one store operation. A passcode costs one argon2 verification where there is one
to verify and the limits allow it, and none otherwise. Nobody becomes a member without a word of their own: whoever is
invited accepts with a token of theirs, for anybody in a Home could switch to them from then on. What is done to a Home
by the older calls is refused as v2 refuses, with codes, for a client could not tell a wrong passcode from a dead token
otherwise (ours).
"""

from __future__ import annotations

import secrets
from hashlib import sha256

from msgspec.structs import replace

from ticketstub.errors import printable
from ticketstub.local_plex.api import OWN, Routes, Visited
from ticketstub.local_plex.api.account import shown
from ticketstub.local_plex.api.people import gone
from ticketstub.local_plex.api.principal import client_of
from ticketstub.local_plex.domain import homes
from ticketstub.local_plex.domain.permissions import check_not_managed, remembered_until
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.homes import InvitationRow
from ticketstub.local_plex.storage.members import HomeRow, MemberRow
from ticketstub.local_plex.storage.seed import managed_record
from ticketstub.local_plex.world.schema import WorldManaged
from ticketstub.models import Account, Home, HomeUser, Invitation
from ticketstub.protocol.call import from_parameters
from ticketstub.protocol.codec import Format
from ticketstub.protocol.home import (
    AddHomeUser,
    GetHome,
    GetHomeUsers,
    GetLegacyHomeUsers,
    RemoveHomeUser,
    SetManagedPasscode,
    SetPasscode,
    SwitchHomeUser,
    SwitchLegacyHomeUser,
    write_home,
)
from ticketstub.protocol.people import (
    AcceptInvitation,
    GetReceivedInvitations,
    GetSentInvitations,
    RefuseInvitation,
    WithdrawInvitation,
)
from ticketstub.refusals import BadRequest, Conflict, Forbidden, NotFound, PasscodeRequired, Refusal, Unauthorized
from ticketstub.tokens import Secret

_LONGEST_TITLE = 255


async def get_home(visit: Visited, _call: GetHome | GetHomeUsers | GetLegacyHomeUsers) -> Home:
    """Tell about the caller's Home and who is in it; without one, a caller is a Home of one (assumed)."""
    caller = visit.caller.account
    found = await visit.place.store.homes.of(caller.id)
    members = homes.members(found, caller)
    name = found.name if found else f"{caller.record.title}'s home"
    home_id = found.id if found else caller.id
    guest = sha256(f"guest of home {home_id}".encode()).digest()
    paid = members[0].account.record.subscription
    return Home(
        id=home_id,
        name=name,
        guest_user_id=30_000_000 + int.from_bytes(guest[:8], "big") % 9_000_000,
        guest_user_uuid=guest[8:16].hex(),
        guest_enabled=False,
        subscription=bool(paid and paid.active),
        users=tuple(home_user(member) for member in members),
    )


def home_user(member: MemberRow) -> HomeUser:
    """Describe a member. Managed users have null where others have user name and e-mail address (observed)."""
    record = member.account.record
    return HomeUser(
        id=record.id,
        uuid=record.uuid,
        title=record.title,
        username=record.username or None,
        email=record.email or None,
        friendly_name=record.friendly_name or None,
        thumb=record.thumb,
        has_password=record.has_password,
        restricted=record.restricted,
        updated_at=member.changed_at,
        restriction_profile=record.restriction_profile,
        admin=member.admin,
        guest=record.guest,
        protected=record.protected,
    )


async def switch(visit: Visited, call: SwitchHomeUser | SwitchLegacyHomeUser) -> Account:
    """Give the client a token of another user of the Home, by uuid or numeric id, and describe that user.

    The token is opaque, also where a JWT asked (observed), and has no end.
    """
    key = call.uuid if isinstance(call, SwitchHomeUser) else str(call.id)
    instance, now, text = visit.place, visit.place.now(), visit.place.keys.new_token()
    target, stored = await homes.admitted(instance, visit.caller.account, key, call.passcode)
    won = await instance.store.homes.switch(
        caller_id=visit.caller.account_id,
        by=instance.keys.digest(visit.token),
        account_id=target.id,
        passcode_hash=stored,
        device=client_of(visit.asked),
        digest=instance.keys.digest(text),
        sealed_token=instance.keys.seal(text),
        now=now,
    )
    if not won:
        changed = await instance.store.homes.passcode_hash(target.id) != stored
        raise PasscodeRequired if changed else NotFound
    return shown(target.record, text, remembered_until(now, None))


def read_set_passcode(asked: Asked) -> SetPasscode:
    """Read a change of one's own passcode, where an empty one says: none any more.

    Raises:
        BadRequest: there is none at all.
    """
    sent = asked.query | asked.fields
    if "pin" not in sent:
        raise BadRequest
    call = from_parameters(SetPasscode, sent | asked.in_path | {"pin": sent["pin"] or "-"})
    return replace(call, passcode=Secret(sent["pin"]))


async def set_passcode(visit: Visited, call: SetPasscode) -> None:
    """Set, change or remove one's own passcode."""
    caller = visit.caller.account
    found = homes.member(await visit.place.store.homes.of(caller.id), caller, str(call.id))
    if found.account.id != caller.id:
        raise Forbidden
    check_not_managed(caller)
    stored = await visit.place.store.homes.passcode_hash(caller.id)
    if call.passcode:
        homes.check_new_passcode(call.passcode)
    typed = call.current if call.current and homes.is_passcode(call.current) else None
    if stored is not None and not (typed and await homes.proven(visit.place, caller.id, stored, typed)):
        status, refusal = visit.place.answers.wrong_current_passcode, PasscodeRequired.default
        if status == refusal.status:
            raise PasscodeRequired
        # Not the text of a dead token: the caller's is as good as before.
        raise Unauthorized(refusal.message, status=status, code=Unauthorized.default.code)
    await _keep(visit, caller.id, stored, call.passcode)


def read_set_managed(asked: Asked) -> SetManagedPasscode:
    """Read a change of a managed user's passcode: exactly one of a new one and `removePin=1`."""
    call = from_parameters(SetManagedPasscode, asked.parameters | asked.in_path)
    if (call.passcode is None) is not bool(call.remove):
        raise BadRequest
    return call


async def set_managed_passcode(visit: Visited, call: SetManagedPasscode) -> None:
    """Set or remove a managed user's passcode, as the administrator; wrong tries of before are forgotten with it."""
    caller, store = visit.caller.account, visit.place.store
    home = await store.homes.of(caller.id)
    homes.check_admin(home, caller)
    account = homes.member(home, caller, str(call.id)).account
    if not account.record.restricted:
        raise homes.not_for_this_user()
    if call.passcode is not None:
        homes.check_new_passcode(call.passcode)
    await _keep(visit, account.id, await store.homes.passcode_hash(account.id), call.passcode or Secret(""))
    await store.attempts.clear("passcode", str(account.id))


async def _keep(visit: Visited, account_id: int, stored: str | None, passcode: Secret) -> None:
    """Keep a new passcode, or none for an empty one, unless somebody was faster."""
    instance = visit.place
    new = await instance.passwords.hash(passcode) if passcode else None
    if not await instance.store.homes.set_passcode(account_id, stored, new, instance.now()):
        raise Conflict


def read_add(asked: Asked) -> AddHomeUser:
    """Read whom to add: exactly one of a title and an e-mail address; the body is not looked at (observed: JSON)."""
    call = from_parameters(AddHomeUser, asked.query)
    if (call.title is None) is (call.invited_email is None):
        raise BadRequest
    return call


async def add_home_user(visit: Visited, call: AddHomeUser) -> HomeUser:
    """Make a managed user, or invite an account."""
    caller, store, now = visit.caller.account, visit.place.store, visit.place.now()
    homes.check_admin(await store.homes.of(caller.id), caller)
    home = HomeRow(id=_new_id(), name=f"{caller.record.title}'s home", admin_id=caller.id)  # with its first member
    if call.invited_email is not None:
        account = await store.find_account(call.invited_email)
        if account is None or account.disabled:
            raise NotFound
        if not await store.homes.invite(home, account.id, now):
            raise Refusal("Already exists", status=422, code=1014)  # or it is in a Home
    else:
        title = printable(call.title or "").strip()[:_LONGEST_TITLE]
        if not title:
            raise BadRequest
        made = WorldManaged(title=title, id=_new_id(), uuid=secrets.token_hex(8))
        account = AccountRow(id=made.id, record=managed_record(made, now))
        if not await store.homes.add_managed(home, account, now):
            # There is no room, or the Home changed in the meantime (assumed).
            message = "The server could not perform the action required with the entity provided"
            raise Refusal(message, status=422, code=1008)
    return home_user(MemberRow(account=account, admin=False, changed_at=now))


def _new_id() -> int:
    return 100_000_000 + secrets.randbelow(900_000_000)


async def remove_home_user(visit: Visited, call: RemoveHomeUser) -> None:
    """Take a member out of the Home; a managed user ends with it, and so do the tokens that others got by it.

    The administrator may, and a member itself unless it is managed.

    Raises:
        Forbidden: by nobody else (1009, 1042); and the administrator stays (1043).
        NotFound: there is no such member.
    """
    store, caller = visit.place.store, visit.caller.account
    home = await store.homes.of(caller.id)
    found = homes.member(home, caller, str(call.id))
    if found.account.id != caller.id:
        homes.check_admin(home, caller)
    check_not_managed(caller)
    if home is None or found.admin:
        raise homes.not_for_this_user()
    if not await store.homes.remove(home.id, found.account.id, visit.place.now()):
        raise NotFound


async def invitations(
    visit: Visited, call: GetReceivedInvitations | GetSentInvitations
) -> tuple[Invitation, ...] | Answer:
    """List the invitations to the caller, or the caller's own, or say that this is gone, as the world has it."""
    if visit.place.answers.invitation_lists == "gone":
        return gone()
    sent = isinstance(call, GetSentInvitations)
    rows = await visit.place.store.homes.invitations(visit.caller.account_id, sent=sent)
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


async def drop_invitation(visit: Visited, call: RefuseInvitation | WithdrawInvitation) -> None:
    """Say no, or take an invitation back."""
    sent = isinstance(call, WithdrawInvitation)
    if not await visit.place.store.homes.drop_invitation(call.id, visit.caller.account_id, sent=sent):
        raise NotFound


ROUTES: Routes = [
    Route(GetHome, get_home, identifier="required"),
    Route(
        GetHomeUsers,
        get_home,
        write=lambda home, visit: write_home(home, visit.asked.form),
        identifier="required",
    ),
    Route(GetLegacyHomeUsers, get_home, dialect="legacy", form=Format.XML),
    Route(SwitchHomeUser, switch, identifier="required", kinds=OWN),
    Route(
        SwitchLegacyHomeUser,
        switch,
        identifier="required",
        kinds=OWN,
        dialect="legacy",
        form=Format.XML,
    ),
    Route(SetPasscode, set_passcode, read=read_set_passcode, kinds=OWN),
    Route(SetManagedPasscode, set_managed_passcode, read=read_set_managed, kinds=OWN),
    Route(AddHomeUser, add_home_user, read=read_add, kinds=OWN),
    Route(RemoveHomeUser, remove_home_user, kinds=OWN),
    Route(GetReceivedInvitations, invitations, dialect="legacy", form=Format.XML),
    Route(GetSentInvitations, invitations, dialect="legacy", form=Format.XML),
    Route(AcceptInvitation, accept_invitation, kinds=OWN),
    Route(RefuseInvitation, drop_invitation, kinds=OWN),
    Route(WithdrawInvitation, drop_invitation, kinds=OWN),
]
