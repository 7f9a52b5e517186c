"""plex.tv's answers to who makes an account or changes its password.

Rule: everything that is wrong with the fields is told at once, before anything is hashed. An account comes to be with
its first token, in one verb. A change needs the password so far, counts as a guess at it, and takes its turn among the
sign-ins, so that none that it should end slips through. What the parameters of the change are called is ours.
"""

from __future__ import annotations

import secrets

from msgspec.structs import replace

from ticketstub.local_plex.api import ACCOUNT_TOKEN_KINDS, PlexTvContext, Routes
from ticketstub.local_plex.api.account import with_token
from ticketstub.local_plex.api.principal import read_client
from ticketstub.local_plex.domain import accounts, sign_ins
from ticketstub.local_plex.domain.accounts import build_taken_faults, find_account_faults, find_password_faults
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.passwords import Overloaded
from ticketstub.local_plex.domain.sign_ins import Attempt
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.response import PLEX_TV_HEADERS, OutgoingResponse
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import AccountRow, NewSignIn
from ticketstub.local_plex.storage.seed import build_account_record
from ticketstub.local_plex.world.schema import WorldAccount
from ticketstub.models import Account
from ticketstub.protocol.account import ChangePassword, CreateAccount, FieldError, write_field_errors
from ticketstub.protocol.call import read_call
from ticketstub.refusals import BadRequest, Forbidden, RateLimited, Refusal, TooManyFailures, Unauthorized
from ticketstub.tokens import Secret

_MAX_ID_DRAWS = 20


def read_create_account(request: IncomingRequest) -> CreateAccount:
    """Read a new account; what is missing is as good as empty, and told with all else that is wrong."""
    form = request.body_parameters
    return CreateAccount(
        email=form.get("email", ""),
        username=form.get("username", ""),
        password=Secret(form.get("password", "")),
        password_confirmation=_read_confirmation(form),
    )


def read_change_password(request: IncomingRequest) -> ChangePassword:
    """Read a change of password; raises `BadRequest` where `removeOtherTokens` is neither true nor false."""
    form = request.body_parameters
    # Both passwords may be empty, which is wrong but not missing.
    call = read_call(ChangePassword, form | {"currentPassword": "-", "password": "-"})
    current, new = Secret(form.get("currentPassword", "")), Secret(form.get("password", ""))
    return replace(call, current_password=current, password=new, password_confirmation=_read_confirmation(form))


def _read_confirmation(form: dict[str, str]) -> Secret | None:
    return Secret(form["passwordConfirmation"]) if "passwordConfirmation" in form else None


async def create_account(context: PlexTvContext, call: CreateAccount) -> Account | OutgoingResponse:
    """Make an account, sign in to it.

    Raises:
        Forbidden: this local Plex makes no accounts (code 1043, ours).
        Overloaded: there is no time to hash the password.
    """
    instance = context.server
    if not instance.rates.settings.allow_account_creation:
        raise Forbidden("This action is not available for this user", status=403, code=1043)
    sign_ins.check_password_length(call.password)
    if faults := find_account_faults(call):
        return _build_faults_response(context, faults)
    password_hash = await instance.passwords.hash(call.password)
    for _ in range(_MAX_ID_DRAWS):
        new, sign_in, token = _generate_account(context, call, password_hash)
        conflicts = await instance.store.accounts.create(new, sign_in)
        if not conflicts:
            return with_token(new.record, token, sign_ins.get_remember_expiry(sign_in.now, None))
        if faults := build_taken_faults(conflicts):
            return _build_faults_response(context, faults)
    raise BadRequest  # every id that was drawn is somebody's: there is no room


async def change_password(context: PlexTvContext, call: ChangePassword) -> Account | OutgoingResponse:
    """Change the caller's password, and sign everything else out if that is wanted.

    Raises:
        Forbidden: it is a managed user's (1009); the current password is wrong (1040), or the code is (1045).
        RateLimited: it was guessed too often.
        Unauthorized: the account was changed or disabled in between.
    """
    instance = context.server
    for password in (call.current_password, call.password):
        sign_ins.check_password_length(password)
    accounts.check_not_managed(context.caller.account)
    async with instance.locks.hold(str(context.caller.account_id)):
        account = await instance.store.find_account_by_id(context.caller.account_id)
        if account is None or account.disabled:
            raise Unauthorized
        names = (account.record.username or "", account.record.email or "")
        if faults := find_password_faults(call.password, call.password_confirmation, names):
            return _build_faults_response(context, faults)
        return await _verify_and_change(context, call, account)


async def _verify_and_change(context: PlexTvContext, call: ChangePassword, account: AccountRow) -> Account:
    """Prove the password so far, then set the new one."""
    instance = context.server
    try:
        password_attempt = await sign_ins.reserve_attempt(instance, "password", str(account.id))
    except TooManyFailures as error:  # not 401, which says that the token is dead
        raise RateLimited(retry_after=error.retry_after) from None
    old = account.password_hash
    if not await password_attempt.verify(old, call.current_password) or old is None:
        raise Forbidden("A valid password is required to perform this action", status=403, code=1040)
    verification_step, code_attempt = await _check_code(instance, account, call.verification_code, password_attempt)
    try:
        new = await instance.passwords.hash(call.password)
    except Overloaded:
        for attempt in filter(None, (password_attempt, code_attempt)):
            await attempt.release()
        raise
    now = instance.now()
    new_sign_in, token = _generate_token(context, account.id) if call.remove_other_tokens else (None, context.token)
    changed = await instance.store.accounts.change_password(
        account.id, old_hash=old, new_hash=new, now=now, verification_step=verification_step, new_sign_in=new_sign_in
    )
    if not changed:
        raise _build_not_verified_refusal() if verification_step is not None else Unauthorized()
    for attempt in filter(None, (password_attempt, code_attempt)):
        await attempt.clear_failures()
    expires_at = None if new_sign_in else context.caller.expires_at
    return with_token(account.record, token, sign_ins.get_remember_expiry(now, expires_at))


async def _check_code(
    instance: Instance, account: AccountRow, code: Secret | None, password_attempt: Attempt
) -> tuple[int | None, Attempt | None]:
    """Check the code where one is asked for; the password was right then, and is no guess."""
    try:
        return await sign_ins.verify_code(instance, account, code)
    except Refusal as error:
        await password_attempt.release()
        if isinstance(error, RateLimited | TooManyFailures):
            raise RateLimited(retry_after=error.retry_after) from None
        raise _build_not_verified_refusal() from None


def _build_not_verified_refusal() -> Forbidden:
    return Forbidden(
        "A valid password and verification code are required to perform this action", status=403, code=1045
    )


def _generate_account(
    context: PlexTvContext, call: CreateAccount, password_hash: str
) -> tuple[AccountRow, NewSignIn, str]:
    """Draw an account's id, of nine digits as Plex's own (observed), its uuid and its first token."""
    account = WorldAccount(
        username=call.username,
        email=call.email,
        password_hash=password_hash,
        id=100_000_000 + secrets.randbelow(900_000_000),
        uuid=secrets.token_hex(8),
        joined_at=context.server.now(),
        confirmed=False,
    )
    new = AccountRow(id=account.id, record=build_account_record(account), password_hash=password_hash)
    return new, *_generate_token(context, account.id)


def _generate_token(context: PlexTvContext, account_id: int) -> tuple[NewSignIn, str]:
    keys, request = context.server.keys, context.request
    text = keys.generate_token()
    sign_in = NewSignIn(
        account_id=account_id,
        device=read_client(request) if request.client_identifier else None,
        digest=keys.digest(text),
        sealed_token=keys.seal(text),
        now=context.server.now(),
    )
    return sign_in, text


def _build_faults_response(context: PlexTvContext, faults: list[FieldError]) -> OutgoingResponse:
    response_format = context.request.response_format
    return OutgoingResponse(422, PLEX_TV_HEADERS[response_format], write_field_errors(faults, response_format))


ROUTES: Routes = [
    Route(CreateAccount, create_account, read=read_create_account, client_identifier="required"),
    Route(ChangePassword, change_password, read=read_change_password, token_kinds=ACCOUNT_TOKEN_KINDS),
]
