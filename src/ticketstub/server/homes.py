"""What the API and the pages share of Plex Homes: proving a passcode, and who may go on as whom.

Rule: an attempt is reserved before a passcode is verified, and comes back where it was right or was never looked at.
A switch is one store operation, which looks once more at what was decided by.
"""

from __future__ import annotations

from ticketstub.refusals import PasscodeRequired
from ticketstub.server import lock_outs
from ticketstub.server.instance import Instance
from ticketstub.server.passwords import Overloaded
from ticketstub.server.policies import home as policy
from ticketstub.server.store.base import AccountRow
from ticketstub.token import Secret


async def proven(instance: Instance, account_id: int, stored: str, typed: Secret) -> bool:
    """Tell whether this is the passcode of an account; a wrong one counts.

    Args:
        instance: the local Plex.
        account_id: whose passcode it is.
        stored: its hash.
        typed: what was sent.

    Raises:
        RateLimited: too many were wrong (1003).
        Overloaded: too many wait; nothing was checked, and nothing counts.
    """
    async with instance.turns.of(f"passcode of {account_id}"):
        tried = await lock_outs.attempt(instance, "passcode", str(account_id))
        try:
            right = await instance.passwords.verify(stored, typed)
        except Overloaded:
            await tried.give_back()
            raise
        if right:
            await tried.succeeded()
        return right


async def admitted(
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
    target = policy.member(await instance.store.homes.of(caller.id), caller, key).account
    await lock_outs.check_not_locked(instance, target.id)
    stored = await instance.store.homes.passcode_hash(target.id)
    proof = policy.proof_wanted(instance.answers, caller, stored, typed)
    if proof is not None and not await proven(instance, target.id, stored or "", proof):
        raise PasscodeRequired
    return target, stored
