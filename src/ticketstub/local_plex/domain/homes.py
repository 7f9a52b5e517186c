"""Plex Homes: who is in one, who may change it, and who may switch to whom.

Rule: any user of a Home may switch to any other, also managed users and guests (a television offers all of them to
everybody in front of it). The passcode protects a user, so an administrator without one is open to the whole Home, as
with Plex. Only the administrator changes members. A user outside the caller's Home is not found (404), whether such an
account exists or not. An attempt is reserved before a passcode is verified. The right passcode deletes the attempts;
one that was not verified is released. A switch is one operation of the store, which checks the decision's conditions
again.
"""

from __future__ import annotations

import re

from ticketstub.local_plex.domain.accounts import check_not_managed
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.sign_ins import check_not_locked, reserve_attempt
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.homes import HomeRow, MemberRow
from ticketstub.refusals import BadRequest, Forbidden, NotFound, PasscodeRequired
from ticketstub.tokens import Secret


def is_passcode(passcode: Secret) -> bool:
    """Return whether a text has the form of a passcode: four ASCII digits (observed)."""
    return re.fullmatch("[0-9]{4}", passcode.reveal()) is not None


def list_members(home: HomeRow | None, caller: AccountRow) -> tuple[MemberRow, ...]:
    """Return the members of the caller's Home; without a Home, the caller alone (assumed)."""
    alone = MemberRow(account=caller, is_admin=True, changed_at=caller.record.joined_at or 0)
    return (alone,) if home is None else home.members


def find_member(home: HomeRow | None, caller: AccountRow, key: str) -> MemberRow:
    """Return the member of this numeric id or uuid; raises `NotFound` if there is none (404, code 1002)."""
    for candidate in list_members(home, caller):
        if key and key in (str(candidate.account.id), candidate.account.record.uuid):
            return candidate
    raise NotFound


def check_new_passcode(passcode: Secret) -> None:
    """Refuse a passcode that is not four digits (code 1038; the status 400 is assumed)."""
    if not is_passcode(passcode):
        raise BadRequest("PIN must be 4 digits", status=400, code=1038)


def check_admin(home: HomeRow | None, caller: AccountRow) -> None:
    """Refuse a managed user (403, code 1009), and a member who is not the administrator (403, code 1042)."""
    check_not_managed(caller)
    if home is not None and home.admin_id != caller.id:
        raise Forbidden


def build_unavailable_action_refusal() -> Forbidden:
    """Return the refusal of an action that is not available to this kind of user (403, code 1043)."""
    return Forbidden("This action is not available for this user", status=403, code=1043)


async def verify_passcode(instance: Instance, account_id: int, passcode_hash: str, typed: Secret) -> bool:
    """Return whether this is an account's passcode. A wrong one counts as an attempt.

    Args:
        instance: the local Plex.
        account_id: the account.
        passcode_hash: the hash of its passcode.
        typed: the passcode that was sent.

    Raises:
        RateLimited: too many were wrong (1003).
        Overloaded: too many requests wait. Nothing was checked, and nothing counts.
    """
    async with instance.locks.hold(f"passcode of {account_id}"):
        attempt = await reserve_attempt(instance, "passcode", str(account_id))
        is_correct = await attempt.verify(passcode_hash, typed)
        if is_correct:
            await attempt.clear_failures()
        return is_correct


async def authorize_switch(
    instance: Instance, caller: AccountRow, key: str, typed: Secret | None
) -> tuple[AccountRow, str | None]:
    """Find the user to switch to, and check the passcode if there is one.

    Args:
        instance: the local Plex.
        caller: the account that switches.
        key: the uuid or numeric id of a user of the Home.
        typed: the passcode, if one was sent.

    Returns:
        The user, and the hash that the passcode was checked against, for the store to check again.

    Raises:
        NotFound: the caller's Home has no such user.
        PasscodeRequired: the passcode is wrong or missing.
        RateLimited: there were too many attempts, or wrong passwords have locked the user's account.
    """
    instance.rates.count("switch", caller.id)
    target = find_member(await instance.store.homes.find_home(caller.id), caller, key).account
    await check_not_locked(instance, target.id)
    passcode_hash = await instance.store.homes.get_passcode_hash(target.id)
    # Plex was observed to accept a missing passcode for some accounts. Managed users and guests never may, because they
    # would gain rights by it (our choice).
    may_omit = instance.quirks.switch_without_passcode == "allow" and not (
        caller.record.restricted or caller.record.guest
    )
    if passcode_hash is None or (typed is None and may_omit):
        return target, passcode_hash
    if typed is None or not is_passcode(typed) or not await verify_passcode(instance, target.id, passcode_hash, typed):
        raise PasscodeRequired
    return target, passcode_hash
