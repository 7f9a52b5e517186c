"""plex.tv's answers about Plex Home: who is in it, becoming somebody else, passcodes.

Rule: load, decide (policies/home.py), one store verb. A passcode costs one argon2 verification where there is one to
verify and the limits allow it, and none otherwise. Who comes and goes is in home_members.py.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ticketstub.records import Account, Home, HomeUser
from ticketstub.refusals import BadRequest, Conflict, NotFound, PasscodeRequired
from ticketstub.server import homes
from ticketstub.server.clients import client_of
from ticketstub.server.instance import Instance
from ticketstub.server.policies import home as policy
from ticketstub.server.policy import remembered_until
from ticketstub.server.requests import Asked
from ticketstub.server.routes import Visit
from ticketstub.server.store.base import TokenRow
from ticketstub.server.store.homes import HomeRow, MemberRow
from ticketstub.server.store.members import Passcode
from ticketstub.server.store.seed import shown_pin
from ticketstub.token import Secret, Token
from ticketstub.wire.call import Call, from_parameters
from ticketstub.wire.codec import Format
from ticketstub.wire.home import (
    GetHome,
    GetHomeUsers,
    GetLegacyHomeUsers,
    SetManagedPasscode,
    SetPasscode,
    SwitchHomeUser,
    SwitchLegacyHomeUser,
    write_home,
)

Visited = Visit[Instance, TokenRow]
C = TypeVar("C", bound="Call[None] | Call[Account]")


class Listed(msgspec.Struct, frozen=True):
    """A Home to be listed, and how."""

    home: Home
    iso: bool
    profiles: bool


async def get_home(visit: Visited, _call: GetHome) -> Home:
    """Tell about the caller's Home."""
    return await _home(visit)


async def get_home_users(visit: Visited, _call: GetHomeUsers) -> Listed:
    """List who is in it."""
    answers = visit.place.answers
    iso = answers.home_users_updated_at == "iso"
    return Listed(await _home(visit), iso, answers.home_users_restriction_profile)


def write_listed(listed: Listed, form: Format) -> bytes:
    """Write the list."""
    return write_home(listed.home, form, iso=listed.iso, profiles=listed.profiles)


async def get_legacy_home_users(visit: Visited, _call: GetLegacyHomeUsers) -> Home:
    """List who is in it, for the older form."""
    return await _home(visit)


async def _home(visit: Visited) -> Home:
    """Describe the caller's Home; raises `NotFound` without one, where the world has it so."""
    caller = visit.caller.account
    found = await visit.place.store.homes.of(caller.id)
    if found is None and visit.place.answers.no_home == "not_found":
        raise NotFound
    members = policy.members(found, caller)
    name = found.name if found else f"{caller.record.title}'s home"
    home_id = found.id if found else caller.id
    guest_id, guest_uuid = policy.guest_of(home_id)
    paid = members[0].account.record.subscription
    return Home(
        id=home_id,
        name=name,
        guest_user_id=guest_id,
        guest_user_uuid=guest_uuid,
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


def given(kind: type[C], asked: Asked) -> C:
    """Read a call whose parameters stand in the query or in a form (observed: clients do either)."""
    return from_parameters(kind, asked.query | asked.fields | asked.in_path)


def read_switch(asked: Asked) -> SwitchHomeUser:
    """Read a switch."""
    return given(SwitchHomeUser, asked)


def read_legacy_switch(asked: Asked) -> SwitchLegacyHomeUser:
    """Read a switch in the older way."""
    return given(SwitchLegacyHomeUser, asked)


async def switch(visit: Visited, call: SwitchHomeUser) -> Account:
    """Become the user with this uuid or numeric id."""
    return await _switch(visit, call.uuid, call.passcode)


async def legacy_switch(visit: Visited, call: SwitchLegacyHomeUser) -> Account:
    """Become the user with this numeric id; a wrong passcode is refused as the world has it."""
    try:
        return await _switch(visit, str(call.id), call.passcode)
    except PasscodeRequired:
        raise policy.wrong_passcode(visit.place.answers.legacy_switch_refused) from None


async def _switch(visit: Visited, key: str, typed: Secret | None) -> Account:
    """Give the client a token of another user of the Home, and describe that user.

    The token is opaque, also where a JWT asked (observed), and has no end.
    """
    instance, now, text = visit.place, visit.place.now(), visit.place.keys.new_token()
    target, stored = await homes.admitted(instance, visit.caller.account, key, typed)
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
    until = remembered_until(now, None)
    return msgspec.structs.replace(target.record, auth_token=Token.received(text), remember_expires_at=until)


def read_set_passcode(asked: Asked) -> SetPasscode:
    """Read a change of one's own passcode, where an empty one says: none any more.

    Raises:
        BadRequest: there is none at all.
    """
    sent = asked.query | asked.fields
    if "pin" not in sent:
        raise BadRequest
    call = from_parameters(SetPasscode, sent | asked.in_path | {"pin": sent["pin"] or "-"})
    return msgspec.structs.replace(call, passcode=Secret(sent["pin"]))


async def set_passcode(visit: Visited, call: SetPasscode) -> None:
    """Set, change or remove one's own passcode."""
    caller = visit.caller.account
    found = policy.member(await visit.place.store.homes.of(caller.id), caller, str(call.id))
    policy.check_not_managed(policy.own(found, caller).account)
    stored = await visit.place.store.homes.passcode_hash(caller.id)
    if call.passcode:
        policy.check_new_passcode(call.passcode)
    if stored is not None and not await _is_current(visit, stored, call.current):
        raise policy.wrong_current(visit.place.answers.wrong_current_passcode)
    await _keep(visit, caller.id, stored, call.passcode)


async def _is_current(visit: Visited, stored: str, typed: Secret | None) -> bool:
    if typed is None or not policy.is_passcode(typed.reveal()):
        return False
    return await homes.proven(visit.place, visit.caller.account_id, stored, typed)


def read_set_managed(asked: Asked) -> SetManagedPasscode:
    """Read a change of a managed user's passcode: exactly one of a new one and `removePin=1`."""
    call = given(SetManagedPasscode, asked)
    if (call.passcode is None) is not bool(call.remove):
        raise BadRequest
    return call


async def set_managed_passcode(visit: Visited, call: SetManagedPasscode) -> None:
    """Set or remove a managed user's passcode, as the administrator; wrong tries of before are forgotten with it."""
    store = visit.place.store
    found = await _administered(visit, str(call.id))
    account_id = policy.managed_user(found).account.id
    if call.passcode is not None:
        policy.check_new_passcode(call.passcode)
    await _keep(visit, account_id, await store.homes.passcode_hash(account_id), call.passcode or Secret(""))
    await store.attempts.clear("passcode", str(account_id))


async def _administered(visit: Visited, key: str) -> MemberRow:
    """Find a member of the Home that the caller administers."""
    caller = visit.caller.account
    found: HomeRow | None = await visit.place.store.homes.of(caller.id)
    policy.check_admin(found, caller)
    return policy.member(found, caller, key)


async def _keep(visit: Visited, account_id: int, stored: str | None, passcode: Secret) -> None:
    """Keep a new passcode, or none for an empty one, unless somebody was faster."""
    instance, new = visit.place, None
    if passcode:
        new = Passcode(hash=await instance.passwords.hash(passcode), shown=shown_pin())
    if not await instance.store.homes.set_passcode(account_id, stored, new, instance.now()):
        raise Conflict
