"""Signing in with a password: what proves it, whoever asks: the API, its older form, or a page.

Rule: a sign-in costs exactly one argon2 verification, whoever asks and whatever is wrong, also where the account is
locked. What is wrong beyond the password is told only to who has the password. Attempts are reserved before anything is
verified, and sign-ins to one account take turns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ticketstub.local_plex.domain import lock_outs, permissions
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.lock_outs import Attempt
from ticketstub.local_plex.domain.verification_codes import find_matching_step
from ticketstub.local_plex.storage.base import AccountRow, DeviceRow, NewSignIn, StoreUnavailable
from ticketstub.local_plex.storage.seal import VERIFICATION_PURPOSE
from ticketstub.protocol.account import PostUsersSignInData
from ticketstub.refusals import Refusal, TooManyFailures, Unauthorized, VerificationCodeRequired, WrongVerificationCode
from ticketstub.tokens import Secret

IssueFunction = Callable[[AccountRow, int | None], Awaitable[bool]]
"""Gives out what the sign-in is for and spends the step of the code, in one verb; `False` if it was spent before."""


async def sign_in(
    instance: Instance, call: PostUsersSignInData, client: DeviceRow | None
) -> tuple[AccountRow, str, int | None]:
    """Sign somebody in and give out a token; return whose it is, the token, and when it ends.

    Args:
        instance: the local Plex.
        call: what was typed.
        client: the device that gets the token; `None` for a client without identifier, whose token has no device.

    Raises:
        Refusal: as `authenticate`.
    """
    text, now = instance.keys.generate_token(), instance.now()
    expires_at = (
        now + permissions.REMEMBER_ME_SECONDS if call.remember_me else None
    )  # a token of any other sign-in never ends (assumed)

    async def issue(account: AccountRow, step: int | None) -> bool:
        return await instance.store.sign_in(
            NewSignIn(
                account_id=account.id,
                device=client,
                digest=instance.keys.digest(text),
                sealed_token=instance.keys.seal(text),
                now=now,
                expires_at=expires_at,
                verification_step=step,
            )
        )

    return await authenticate(instance, call, issue), text, expires_at


async def authenticate(instance: Instance, call: PostUsersSignInData, issue: IssueFunction) -> AccountRow:
    """Check a password and, where the account asks for one, a code; then give out what `issue` gives.

    Raises:
        BadRequest: the password is too long.
        Unauthorized: in one of its kinds, among them `TooManyFailures`.
        Overloaded: too many wait; nothing was verified or counted.
    """
    permissions.check_password_length(call.password)
    subject = lock_outs.get_attempt_subject(
        await instance.store.find_account_by_login(call.login), call.login, instance
    )
    async with instance.locks.hold(subject):
        account = await instance.store.find_account_by_login(call.login)  # anew, now that it is this sign-in's turn
        password, code = permissions.split_password(account, call.password, call.verification_code)
        try:
            password_attempt = await lock_outs.reserve_attempt(instance, "password", subject)
        except TooManyFailures:
            await instance.passwords.verify(None, password)  # a locked account costs what an open one costs
            raise
        is_correct = await password_attempt.verify(account.password_hash if account else None, password)
        try:
            authenticated = permissions.check_sign_in(account, call.login, password_matches=is_correct)
            step, code_attempt = await verify_code(instance, authenticated, code)
            if not await issue(authenticated, step):  # the code was used before, or the account was disabled in between
                raise WrongVerificationCode if step is not None else Unauthorized
        except (Refusal, StoreUnavailable):
            if is_correct and account and not account.disabled:  # the password was no guess
                await password_attempt.release()
            raise
        for attempt in (password_attempt, code_attempt):
            if attempt is not None:
                await attempt.clear_failures()
    return authenticated


async def verify_code(
    instance: Instance, account: AccountRow, code: Secret | None
) -> tuple[int | None, Attempt | None]:
    """Return the step that a code spends, and the attempt that it was; both `None` where no code is asked for.

    Raises:
        VerificationCodeRequired: there is no code (1029).
        WrongVerificationCode: it is none of now (1028).
        Refusal: there were too many wrong ones.
    """
    if account.sealed_verification is None:
        return None, None
    if code is None:
        raise VerificationCodeRequired
    attempt = await lock_outs.reserve_attempt(instance, "verification_code", str(account.id))
    secret = Secret(instance.keys.unseal(account.sealed_verification, VERIFICATION_PURPOSE))
    step = find_matching_step(secret, code, instance.now())
    if step is None:
        raise WrongVerificationCode
    return step, attempt
