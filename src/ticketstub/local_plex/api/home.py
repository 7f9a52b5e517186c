"""Handlers for Plex Home: its members, switching users, passcodes, and adding and removing members.

Rule: a handler loads, lets `domain.homes` decide, and does one store operation. A passcode costs at most one argon2
verification: none if there is no passcode or the limit is reached. Nobody becomes a member without consent: an invited
account accepts with its own token, because any member could switch to it afterwards. The older calls that change a Home
refuse as v2 does, with codes; otherwise a client could not tell a wrong passcode from a dead token (our choice).
"""

from __future__ import annotations

import secrets
from hashlib import sha256

from ticketstub.errors import sanitize_text
from ticketstub.local_plex.api import ACCOUNT_TOKEN_KINDS, PlexTvContext, Routes, read_call_with_secrets
from ticketstub.local_plex.api.account import with_token
from ticketstub.local_plex.api.people import build_gone_response
from ticketstub.local_plex.api.principal import read_client
from ticketstub.local_plex.domain import homes
from ticketstub.local_plex.domain.accounts import check_not_managed
from ticketstub.local_plex.domain.sign_ins import get_remember_expiry
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.homes import HomeRow, MemberRow
from ticketstub.local_plex.storage.seed import build_managed_record
from ticketstub.local_plex.world.schema import WorldManaged
from ticketstub.models import Account, Home, HomeUser, Invitation
from ticketstub.protocol.call import read_call
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

_MAX_TITLE_LENGTH = 255


async def get_home(context: PlexTvContext, _call: GetHome | GetHomeUsers | GetLegacyHomeUsers) -> Home:
    """Return the caller's Home and its members; a caller without a Home is a Home of one (assumed)."""
    caller = context.caller.account
    stored_home = await context.server.store.homes.find_home(caller.id)
    members = homes.list_members(stored_home, caller)
    home = stored_home or HomeRow(id=caller.id, name=f"{caller.record.title}'s home", admin_id=caller.id)
    guest_digest = sha256(f"guest of home {home.id}".encode()).digest()
    subscription = members[0].account.record.subscription
    return Home(
        id=home.id,
        name=home.name,
        guest_user_id=30_000_000 + int.from_bytes(guest_digest[:8], "big") % 9_000_000,
        guest_user_uuid=guest_digest[8:16].hex(),
        guest_enabled=False,
        subscription=bool(subscription and subscription.active),
        users=tuple(describe_home_user(member) for member in members),
    )


def describe_home_user(member: MemberRow) -> HomeUser:
    """Describe a member; managed users have null for user name and e-mail address (observed)."""
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
        admin=member.is_admin,
        guest=record.guest,
        protected=record.protected,
    )


async def switch_home_user(context: PlexTvContext, call: SwitchHomeUser | SwitchLegacyHomeUser) -> Account:
    """Issue a token of another user of the Home, named by uuid or numeric id, and return that user.

    The token is opaque, even if a JWT asked (observed), and does not expire.
    """
    key = call.uuid if isinstance(call, SwitchHomeUser) else str(call.id)
    instance, now, text = context.server, context.server.now(), context.server.keys.generate_token()
    target, passcode_hash = await homes.authorize_switch(instance, context.caller.account, key, call.passcode)
    switched = await instance.store.homes.switch(
        caller_id=context.caller.account_id,
        caller_digest=instance.keys.digest(context.token),
        account_id=target.id,
        passcode_hash=passcode_hash,
        device=read_client(context.request),
        digest=instance.keys.digest(text),
        sealed_token=instance.keys.seal(text),
        now=now,
    )
    if not switched:
        changed = await instance.store.homes.get_passcode_hash(target.id) != passcode_hash
        raise PasscodeRequired if changed else NotFound
    return with_token(target.record, text, get_remember_expiry(now, None))


async def set_passcode(context: PlexTvContext, call: SetPasscode) -> None:
    """Set, change or remove the caller's own passcode."""
    caller = context.caller.account
    member = homes.find_member(await context.server.store.homes.find_home(caller.id), caller, str(call.id))
    if member.account.id != caller.id:
        raise Forbidden
    check_not_managed(caller)
    passcode_hash = await context.server.store.homes.get_passcode_hash(caller.id)
    if call.passcode:
        homes.check_new_passcode(call.passcode)
    typed = call.current if call.current and homes.is_passcode(call.current) else None
    if passcode_hash is not None and not (
        typed and await homes.verify_passcode(context.server, caller.id, passcode_hash, typed)
    ):
        refusal, status = PasscodeRequired.default, context.server.quirks.wrong_current_passcode
        # Even a 401 does not have the text of a dead token: the caller's token is still valid.
        code = refusal.code if status == refusal.status else Unauthorized.default.code
        raise Refusal(refusal.message, status=status, code=code)
    await _save_passcode(context, caller.id, passcode_hash, call.passcode)


def read_set_managed_passcode(request: IncomingRequest) -> SetManagedPasscode:
    """Read a change of a managed user's passcode: either a new one or `removePin=1`."""
    call = read_call(SetManagedPasscode, request.parameters | request.path_parameters)
    if (call.passcode is None) is not bool(call.remove):
        raise BadRequest
    return call


async def set_managed_passcode(context: PlexTvContext, call: SetManagedPasscode) -> None:
    """Set or remove a managed user's passcode, as the administrator; this also resets the failed attempts."""
    caller, store = context.caller.account, context.server.store
    home = await store.homes.find_home(caller.id)
    homes.check_admin(home, caller)
    account = homes.find_member(home, caller, str(call.id)).account
    if not account.record.restricted:
        raise homes.build_unavailable_action_refusal()
    if call.passcode is not None:
        homes.check_new_passcode(call.passcode)
    await _save_passcode(
        context, account.id, await store.homes.get_passcode_hash(account.id), call.passcode or Secret("")
    )
    await store.attempts.clear("passcode", str(account.id))


async def _save_passcode(context: PlexTvContext, account_id: int, old_hash: str | None, passcode: Secret) -> None:
    """Store a new passcode, or remove it if empty; raises `Conflict` if it was changed in the meantime."""
    instance = context.server
    new_hash = await instance.passwords.hash(passcode) if passcode else None
    if not await instance.store.homes.set_passcode(account_id, old_hash, new_hash, instance.now()):
        raise Conflict


def read_add_home_user(request: IncomingRequest) -> AddHomeUser:
    """Read whom to add: either a title or an e-mail address; the body is ignored (observed: JSON)."""
    call = read_call(AddHomeUser, request.query)
    if (call.title is None) is (call.invited_email is None):
        raise BadRequest
    return call


async def add_home_user(context: PlexTvContext, call: AddHomeUser) -> HomeUser:
    """Create a managed user, or invite an account."""
    caller, store, now = context.caller.account, context.server.store, context.server.now()
    homes.check_admin(await store.homes.find_home(caller.id), caller)
    # The Home is created with its first member.
    home = HomeRow(id=_generate_id(), name=f"{caller.record.title}'s home", admin_id=caller.id)
    if call.invited_email is not None:
        account = await store.find_account_by_login(call.invited_email)
        if account is None or account.disabled:
            raise NotFound
        if not await store.homes.invite(home, account.id, now):
            raise Refusal("Already exists", status=422, code=1014)  # or it is in a Home already
    else:
        title = sanitize_text(call.title or "").strip()[:_MAX_TITLE_LENGTH]
        if not title:
            raise BadRequest
        managed = WorldManaged(title=title, id=_generate_id(), uuid=secrets.token_hex(8))
        account = AccountRow(id=managed.id, record=build_managed_record(managed, now))
        if not await store.homes.add_managed_user(home, account, now):
            # The Home is full, or has changed in the meantime (assumed).
            raise Refusal(
                "The server could not perform the action required with the entity provided", status=422, code=1008
            )
    return describe_home_user(MemberRow(account=account, is_admin=False, changed_at=now))


def _generate_id() -> int:
    return 100_000_000 + secrets.randbelow(900_000_000)


async def remove_home_user(context: PlexTvContext, call: RemoveHomeUser) -> None:
    """Remove a member from the Home; this deletes a managed user, and ends the tokens that others got by switching.

    Allowed for the administrator, and for the member itself unless it is managed.

    Raises:
        Forbidden: the caller is neither (1009, 1042), or the member is the administrator (1043).
        NotFound: there is no such member.
    """
    store, caller = context.server.store, context.caller.account
    home = await store.homes.find_home(caller.id)
    member = homes.find_member(home, caller, str(call.id))
    if member.account.id != caller.id:
        homes.check_admin(home, caller)
    check_not_managed(caller)
    if home is None or member.is_admin:
        raise homes.build_unavailable_action_refusal()
    if not await store.homes.remove_member(home.id, member.account.id, context.server.now()):
        raise NotFound


async def list_invitations(
    context: PlexTvContext, call: GetReceivedInvitations | GetSentInvitations
) -> tuple[Invitation, ...] | OutgoingResponse:
    """List the invitations that the caller received or sent; in some worlds, reply that the call was removed."""
    if context.server.quirks.invitation_lists == "gone":
        return build_gone_response()
    return tuple(
        Invitation(
            id=row.id,
            created_at=row.created_at,
            friend=False,
            home=True,
            server=False,
            username=row.other_account.record.username,
            email=row.other_account.record.email,
            thumb=row.other_account.record.thumb,
            friendly_name=row.other_account.record.friendly_name,
        )
        for row in await context.server.store.homes.list_invitations(
            context.caller.account_id, sent=isinstance(call, GetSentInvitations)
        )
    )


async def accept_invitation(context: PlexTvContext, call: AcceptInvitation) -> None:
    """Accept an invitation and become a member."""
    if not await context.server.store.homes.accept_invitation(call.id, context.caller.account_id, context.server.now()):
        raise NotFound


async def delete_invitation(context: PlexTvContext, call: RefuseInvitation | WithdrawInvitation) -> None:
    """Refuse or withdraw an invitation."""
    sent = isinstance(call, WithdrawInvitation)
    if not await context.server.store.homes.delete_invitation(call.id, context.caller.account_id, sent=sent):
        raise NotFound


ROUTES: Routes = [
    Route(GetHome, get_home, client_identifier="required"),
    Route(
        GetHomeUsers,
        get_home,
        write=lambda home, context: write_home(home, context.request.response_format),
        client_identifier="required",
    ),
    Route(GetLegacyHomeUsers, get_home, dialect="legacy", response_format=Format.XML),
    Route(SwitchHomeUser, switch_home_user, client_identifier="required", token_kinds=ACCOUNT_TOKEN_KINDS),
    Route(
        SwitchLegacyHomeUser,
        switch_home_user,
        client_identifier="required",
        token_kinds=ACCOUNT_TOKEN_KINDS,
        dialect="legacy",
        response_format=Format.XML,
    ),
    Route(
        SetPasscode,
        set_passcode,
        # An empty passcode removes the present one.
        read=lambda request: read_call_with_secrets(SetPasscode, request.parameters | request.path_parameters, "pin"),
        token_kinds=ACCOUNT_TOKEN_KINDS,
    ),
    Route(SetManagedPasscode, set_managed_passcode, read=read_set_managed_passcode, token_kinds=ACCOUNT_TOKEN_KINDS),
    Route(AddHomeUser, add_home_user, read=read_add_home_user, token_kinds=ACCOUNT_TOKEN_KINDS),
    Route(RemoveHomeUser, remove_home_user, token_kinds=ACCOUNT_TOKEN_KINDS),
    Route(GetReceivedInvitations, list_invitations, dialect="legacy", response_format=Format.XML),
    Route(GetSentInvitations, list_invitations, dialect="legacy", response_format=Format.XML),
    Route(AcceptInvitation, accept_invitation, token_kinds=ACCOUNT_TOKEN_KINDS),
    Route(RefuseInvitation, delete_invitation, token_kinds=ACCOUNT_TOKEN_KINDS),
    Route(WithdrawInvitation, delete_invitation, token_kinds=ACCOUNT_TOKEN_KINDS),
]
