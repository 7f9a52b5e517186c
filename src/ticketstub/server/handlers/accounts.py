"""plex.tv's answers about accounts: whose token is this, sign in with a password, ping.

Rule: a sign-in costs exactly one argon2 verification, whoever asks and whatever is wrong, and what is wrong beyond
the password is told only to who has the password. The code's step, the device and the new token are one store verb.
"""

from __future__ import annotations

import contextlib

from msgspec.structs import replace

from ticketstub.records import Account
from ticketstub.refusals import BadRequest, Unauthorized, WrongVerificationCode
from ticketstub.server import policy
from ticketstub.server.account_bodies import Shown
from ticketstub.server.clients import client_of
from ticketstub.server.instance import Instance
from ticketstub.server.keys import VERIFICATION
from ticketstub.server.passwords import Overloaded
from ticketstub.server.requests import Asked
from ticketstub.server.routes import Visit
from ticketstub.server.store.base import AccountRow, DeviceRow, SignIn, StoreError, TokenRow
from ticketstub.server.verification import matching_step
from ticketstub.token import Secret, Token
from ticketstub.wire.accounts import GetTokenDetails, Ping, PostUsersSignInData
from ticketstub.wire.call import from_parameters


async def get_token_details(visit: Visit[Instance, TokenRow], _call: GetTokenDetails) -> Shown:
    """Tell whose token it is."""
    ends = visit.caller.expires_at
    until = policy.remembered_until(visit.place.now(), ends)
    return Shown(visit.caller.account, visit.token, until, ends=ends is not None)


async def ping(_visit: Visit[Instance, TokenRow], _call: Ping) -> bool:
    """Answer a ping: the token was checked already."""
    return True


def read_sign_in(asked: Asked) -> PostUsersSignInData:
    """Read a sign-in from its form or JSON object.

    An empty password is one that is wrong, not one that is missing: it costs a verification like any other.

    Raises:
        BadRequest: login or password is missing, or `rememberMe` is neither true nor false.
    """
    if "password" not in asked.fields:
        raise BadRequest
    call = from_parameters(PostUsersSignInData, asked.fields | {"password": asked.fields["password"] or "-"})
    return replace(call, password=Secret(asked.fields["password"]))


async def sign_in(visit: Visit[Instance, TokenRow], call: PostUsersSignInData) -> Account:
    """Sign somebody in; raises `Unauthorized` in one of its kinds, `BadRequest` or `Overloaded`."""
    instance = visit.place
    policy.check_password_length(call.password)
    found = await instance.store.find_account(call.login)
    password, code = policy.split_password(found, call.password, call.verification_code)
    stored = found.password_hash if found else None
    right = await instance.passwords.verify(stored, password, visit.asked.address)
    account = policy.signed_in(found, call.login, right=right)
    now = instance.now()
    step = _spent_step(instance, account, code, now)
    ends = policy.token_ends(now, remember=call.remember_me)
    token = await _new_token(instance, account, client_of(visit.asked), step, now, ends)
    if stored and instance.passwords.needs_rehash(stored):
        instance.afterwards(_rehash(instance, account.id, stored, password, visit.asked.address))
    return replace(account.record, auth_token=token, remember_expires_at=policy.remembered_until(now, ends))


def _spent_step(instance: Instance, account: AccountRow, code: Secret | None, now: int) -> int | None:
    """Return the step that the code spends; `None` where the account asks for no code."""
    if account.sealed_verification is None:
        return None
    secret = Secret(instance.keys.unseal(account.sealed_verification, VERIFICATION))
    return policy.check_code(code, matching_step(secret, code, now) if code else None)


async def _new_token(
    instance: Instance, account: AccountRow, client: DeviceRow, step: int | None, now: int, ends: int | None
) -> Token:
    text = instance.keys.new_token()
    won = await instance.store.sign_in(
        SignIn(
            account_id=account.id,
            device=client,
            digest=instance.keys.digest(text),
            sealed_token=instance.keys.seal(text),
            now=now,
            expires_at=ends,
            verification_step=step,
        )
    )
    if not won:  # the code was used before, or the account was disabled in between
        raise WrongVerificationCode if step is not None else Unauthorized
    return Token.received(text)


async def _rehash(instance: Instance, account_id: int, stored: str, password: Secret, address: str) -> None:
    """Hash a password that was just proven with the present key and cost; it can wait for another time."""
    with contextlib.suppress(Overloaded, StoreError):
        made = await instance.passwords.hash(password, address)
        await instance.store.replace_password_hash(account_id, stored, made)
