"""What the API and the pages share of Plex Homes: proving a passcode, and becoming somebody else.

Rule: an attempt is reserved before a passcode is verified, and comes back where it was right or was never looked at.
A switch is one store verb, which looks once more at what was decided by.
"""

from __future__ import annotations

from msgspec.structs import replace

from ticketstub.records import Account
from ticketstub.refusals import NotFound, PasscodeRequired
from ticketstub.server import lock_outs, policy
from ticketstub.server.instance import Instance
from ticketstub.server.passwords import Overloaded
from ticketstub.server.store.base import AccountRow, DeviceRow
from ticketstub.server.store.homes import Switch
from ticketstub.token import Secret, Token


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


class By:
    """Who switches: the account and the token that ask, and the client that gets the new token."""

    __slots__ = ("account", "client", "token")

    def __init__(self, account: AccountRow, token: str, client: DeviceRow) -> None:
        self.account = account
        self.token = token
        self.client = client


async def become(instance: Instance, by: By, target: AccountRow, stored: str | None) -> Account:
    """Give a client a token of another user of the Home, and describe that user.

    The token is opaque, also where a JWT asked (observed), and has no end.

    Raises:
        PasscodeRequired: the passcode was changed since `stored` was looked at.
        NotFound: the two are in no Home together any more.
    """
    now, text = instance.now(), instance.keys.new_token()
    won = await instance.store.homes.switch(
        Switch(
            caller_id=by.account.id,
            by=instance.keys.digest(by.token),
            account_id=target.id,
            passcode_hash=stored,
            device=by.client,
            digest=instance.keys.digest(text),
            sealed_token=instance.keys.seal(text),
            now=now,
        )
    )
    if not won:
        changed = await instance.store.homes.passcode_hash(target.id) != stored
        raise PasscodeRequired if changed else NotFound
    until = policy.remembered_until(now, None)
    return replace(target.record, auth_token=Token.received(text), remember_expires_at=until)
