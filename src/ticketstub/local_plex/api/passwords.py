"""plex.tv's answers to who makes an account or changes its password.

Rule: everything that is wrong with the fields is told at once, before anything is hashed. An account comes to be with
its first token, in one verb. A change needs the password so far, counts as a guess at it, and takes its turn among the
sign-ins, so that none that it should end slips through. What the parameters of the change are called is ours.
"""

from __future__ import annotations

import secrets

from msgspec.structs import replace

from ticketstub.local_plex.api import OWN, Routes, Visited
from ticketstub.local_plex.api.account import shown
from ticketstub.local_plex.api.principal import client_of
from ticketstub.local_plex.domain import lock_outs, permissions, sign_ins
from ticketstub.local_plex.domain.accounts import account_faults, password_faults, taken_faults
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.lock_outs import Attempt
from ticketstub.local_plex.domain.passwords import Overloaded
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.http.response import PLEX_TV, Answer
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import AccountRow, SignIn
from ticketstub.local_plex.storage.seed import account_record
from ticketstub.local_plex.world.schema import WorldAccount
from ticketstub.models import Account
from ticketstub.protocol.account import ChangePassword, CreateAccount, Fault, write_faults
from ticketstub.protocol.call import from_parameters
from ticketstub.refusals import BadRequest, Forbidden, RateLimited, Refusal, TooManyFailures, Unauthorized
from ticketstub.tokens import Secret

_TRIES = 20


def read_create(asked: Asked) -> CreateAccount:
    """Read a new account; what is missing is as good as empty, and told with all else that is wrong."""
    given = asked.fields
    return CreateAccount(
        email=given.get("email", ""),
        username=given.get("username", ""),
        password=Secret(given.get("password", "")),
        password_confirmation=_confirmation(given),
    )


def read_change(asked: Asked) -> ChangePassword:
    """Read a change of password; raises `BadRequest` where `removeOtherTokens` is neither true nor false."""
    given = asked.fields
    # Both passwords may be empty, which is wrong but not missing.
    call = from_parameters(ChangePassword, given | {"currentPassword": "-", "password": "-"})
    current, new = Secret(given.get("currentPassword", "")), Secret(given.get("password", ""))
    return replace(call, current_password=current, password=new, password_confirmation=_confirmation(given))


def _confirmation(given: dict[str, str]) -> Secret | None:
    return Secret(given["passwordConfirmation"]) if "passwordConfirmation" in given else None


async def create_account(visit: Visited, call: CreateAccount) -> Account | Answer:
    """Make an account, sign in to it.

    Raises:
        Forbidden: this local Plex makes no accounts (code 1043, ours).
        Overloaded: there is no time to hash the password.
    """
    instance = visit.place
    if not instance.rates.settings.account_creation:
        raise Forbidden("This action is not available for this user", status=403, code=1043)
    permissions.check_password_length(call.password)
    if faults := account_faults(call):
        return _faulty(visit, faults)
    hashed = await instance.passwords.hash(call.password)
    for _ in range(_TRIES):
        new, first, text = _drawn(visit, call, hashed)
        taken = await instance.store.accounts.create(new, first)
        if not taken:
            return shown(new.record, text, permissions.remembered_until(first.now, None))
        if faults := taken_faults(taken):
            return _faulty(visit, faults)
    raise BadRequest  # every id that was drawn is somebody's: there is no room


async def change_password(visit: Visited, call: ChangePassword) -> Account | Answer:
    """Change the caller's password, and sign everything else out if that is wanted.

    Raises:
        Forbidden: it is a managed user's (1009); the current password is wrong (1040), or the code is (1045).
        RateLimited: it was guessed too often.
        Unauthorized: the account was changed or disabled in between.
    """
    instance = visit.place
    for password in (call.current_password, call.password):
        permissions.check_password_length(password)
    permissions.check_not_managed(visit.caller.account)
    async with instance.turns.of(str(visit.caller.account_id)):
        account = await instance.store.account(visit.caller.account_id)
        if account is None or account.disabled:
            raise Unauthorized
        names = (account.record.username or "", account.record.email or "")
        if faults := password_faults(call.password, call.password_confirmation, names):
            return _faulty(visit, faults)
        return await _changed(visit, call, account)


async def _changed(visit: Visited, call: ChangePassword, account: AccountRow) -> Account:
    """Prove the password so far, then set the new one."""
    instance = visit.place
    try:
        reserved = await lock_outs.attempt(instance, "password", str(account.id))
    except TooManyFailures as refused:  # not 401, which says that the token is dead
        raise RateLimited(retry_after=refused.retry_after) from None
    old = account.password_hash
    if not await reserved.verify(old, call.current_password) or old is None:
        raise Forbidden("A valid password is required to perform this action", status=403, code=1040)
    step, codes = await _step(instance, account, call.verification_code, reserved)
    try:
        new = await instance.passwords.hash(call.password)
    except Overloaded:
        for attempt in filter(None, (reserved, codes)):
            await attempt.give_back()
        raise
    now = instance.now()
    fresh, text = _first_token(visit, account.id) if call.remove_other_tokens else (None, visit.token)
    changed = await instance.store.accounts.change_password(
        account.id, old=old, new=new, now=now, verification_step=step, fresh=fresh
    )
    if not changed:
        raise _not_proven() if step is not None else Unauthorized()
    for attempt in filter(None, (reserved, codes)):
        await attempt.succeeded()
    ends = None if fresh else visit.caller.expires_at
    return shown(account.record, text, permissions.remembered_until(now, ends))


async def _step(
    instance: Instance, account: AccountRow, code: Secret | None, reserved: Attempt
) -> tuple[int | None, Attempt | None]:
    """Check the code where one is asked for; the password was right then, and is no guess."""
    try:
        return await sign_ins.code_attempt(instance, account, code)
    except Refusal as refused:
        await reserved.give_back()
        if isinstance(refused, RateLimited | TooManyFailures):
            raise RateLimited(retry_after=refused.retry_after) from None
        raise _not_proven() from None


def _not_proven() -> Forbidden:
    return Forbidden(
        "A valid password and verification code are required to perform this action", status=403, code=1045
    )


def _drawn(visit: Visited, call: CreateAccount, hashed: str) -> tuple[AccountRow, SignIn, str]:
    """Draw an account's id, of nine digits as Plex's own (observed), its uuid and its first token."""
    account = WorldAccount(
        username=call.username,
        email=call.email,
        password_hash=hashed,
        id=100_000_000 + secrets.randbelow(900_000_000),
        uuid=secrets.token_hex(8),
        joined_at=visit.place.now(),
        confirmed=False,
    )
    new = AccountRow(id=account.id, record=account_record(account), password_hash=hashed)
    return new, *_first_token(visit, account.id)


def _first_token(visit: Visited, account_id: int) -> tuple[SignIn, str]:
    keys, asked = visit.place.keys, visit.asked
    text = keys.new_token()
    first = SignIn(
        account_id=account_id,
        device=client_of(asked) if asked.client_identifier else None,
        digest=keys.digest(text),
        sealed_token=keys.seal(text),
        now=visit.place.now(),
    )
    return first, text


def _faulty(visit: Visited, faults: list[Fault]) -> Answer:
    form = visit.asked.form
    return Answer(422, PLEX_TV[form], write_faults(faults, form))


ROUTES: Routes = [
    Route(CreateAccount, create_account, read=read_create, identifier="required"),
    Route(ChangePassword, change_password, read=read_change, kinds=OWN),
]
