"""Plex Homes, as the API and the pages have them: who is in one, who may do what there, and who may go on as whom.

Rule: whoever is in a Home may switch to anybody in it, managed users and guests too (a television shows all of them to
whoever sits before it); what protects a user is the passcode, so an administrator without one is open to the whole
Home, as with Plex. Members are changed by the administrator alone. Who is not in the caller's Home is not there (404),
whether such an account exists or not. An attempt is reserved before a passcode is verified, and comes back where it was
right or was never looked at. A switch is one store operation, which looks once more at what was decided by.
"""

from __future__ import annotations

import re

from ticketstub.local_plex.domain import sign_ins
from ticketstub.local_plex.domain.accounts import check_not_managed
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.homes import HomeRow, MemberRow
from ticketstub.refusals import BadRequest, Forbidden, NotFound, PasscodeRequired
from ticketstub.tokens import Secret


def is_passcode(passcode: Secret) -> bool:
    """Tell whether this can be a passcode: four digits of ASCII (observed)."""
    return re.fullmatch("[0-9]{4}", passcode.reveal()) is not None


def list_members(home: HomeRow | None, caller: AccountRow) -> tuple[MemberRow, ...]:
    """Return the members of the caller's Home; who has none is alone in it (assumed)."""
    if home is not None:
        return home.members
    return (MemberRow(account=caller, is_admin=True, changed_at=caller.record.joined_at or 0),)


def find_member(home: HomeRow | None, caller: AccountRow, key: str) -> MemberRow:
    """Find a member by numeric id or uuid; raises `NotFound` for everybody else (404, code 1002)."""
    for candidate in list_members(home, caller):
        if key and key in (str(candidate.account.id), candidate.account.record.uuid):
            return candidate
    raise NotFound


def check_new_passcode(passcode: Secret) -> None:
    """Refuse what is not four digits (code 1038; the status 400 is assumed)."""
    if not is_passcode(passcode):
        raise BadRequest("PIN must be 4 digits", status=400, code=1038)


def check_admin(home: HomeRow | None, caller: AccountRow) -> None:
    """Refuse who is not the administrator of their Home (403, code 1009 or 1042); who has none is."""
    check_not_managed(caller)
    if home is not None and home.admin_id != caller.id:
        raise Forbidden


def build_unavailable_refusal() -> Forbidden:
    """Refuse what is for others: it is no managed user, or the administrator (403, code 1043)."""
    return Forbidden("This action is not available for this user", status=403, code=1043)


async def verify_passcode(instance: Instance, account_id: int, passcode_hash: str, typed: Secret) -> bool:
    """Tell whether this is the passcode of an account; a wrong one counts.

    Args:
        instance: the local Plex.
        account_id: whose passcode it is.
        passcode_hash: its hash.
        typed: what was sent.

    Raises:
        RateLimited: too many were wrong (1003).
        Overloaded: too many wait; nothing was checked, and nothing counts.
    """
    async with instance.locks.hold(f"passcode of {account_id}"):
        attempt = await sign_ins.reserve_attempt(instance, "passcode", str(account_id))
        is_correct = await attempt.verify(passcode_hash, typed)
        if is_correct:
            await attempt.clear_failures()
        return is_correct


async def authorize_switch(
    instance: Instance, caller: AccountRow, key: str, typed: Secret | None
) -> tuple[AccountRow, str | None]:
    """Find who is to be switched to, and check the passcode where one is wanted.

    Args:
        instance: the local Plex.
        caller: who switches.
        key: uuid or numeric id of another user of the Home.
        typed: the passcode, if one was.

    Returns the user, and the hash of the passcode, for the switch to be decided by.

    Raises:
        NotFound: nobody in the caller's Home is called so.
        PasscodeRequired: the passcode is wrong or missing.
        RateLimited: this was tried too often, or wrong passwords have locked the user's account.
    """
    instance.rates.count("switch", caller.id)
    target = find_member(await instance.store.homes.find_home(caller.id), caller, key).account
    await sign_ins.check_not_locked(instance, target.id)
    passcode_hash = await instance.store.homes.get_passcode_hash(target.id)
    if passcode_hash is None:
        return target, None
    # Where one that is missing is none that is wrong (observed for some accounts); never for managed users and guests,
    # who would climb by it (ours).
    is_limited_user = caller.record.restricted or caller.record.guest
    if typed is None and instance.quirks.switch_without_passcode == "allow" and not is_limited_user:
        return target, passcode_hash
    if typed is None or not is_passcode(typed) or not await verify_passcode(instance, target.id, passcode_hash, typed):
        raise PasscodeRequired
    return target, passcode_hash
