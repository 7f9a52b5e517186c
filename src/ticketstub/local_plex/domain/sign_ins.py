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
from ticketstub.local_plex.domain.verification_codes import matching_step
from ticketstub.local_plex.storage.base import AccountRow, DeviceRow, SignIn, StoreUnavailable
from ticketstub.local_plex.storage.seal import VERIFICATION
from ticketstub.protocol.account import PostUsersSignInData
from ticketstub.refusals import Refusal, TooManyFailures, Unauthorized, VerificationCodeRequired, WrongVerificationCode
from ticketstub.tokens import Secret

Issue = Callable[[AccountRow, int | None], Awaitable[bool]]
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
        Refusal: as `prove`.
    """
    text, now = instance.keys.new_token(), instance.now()
    ends = (
        now + permissions.REMEMBERED if call.remember_me else None
    )  # a token of any other sign-in never ends (assumed)

    async def issue(account: AccountRow, step: int | None) -> bool:
        return await instance.store.sign_in(
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

    return await prove(instance, call, issue), text, ends


async def prove(instance: Instance, call: PostUsersSignInData, issue: Issue) -> AccountRow:
    """Check a password and, where the account asks for one, a code; then give out what `issue` gives.

    Raises:
        BadRequest: the password is too long.
        Unauthorized: in one of its kinds, among them `TooManyFailures`.
        Overloaded: too many wait; nothing was verified or counted.
    """
    permissions.check_password_length(call.password)
    subject = lock_outs.subject_of(await instance.store.find_account(call.login), call.login, instance)
    async with instance.turns.of(subject):
        account = await instance.store.find_account(call.login)  # anew, now that it is this sign-in's turn
        password, code = permissions.split_password(account, call.password, call.verification_code)
        try:
            reserved = await lock_outs.attempt(instance, "password", subject)
        except TooManyFailures:
            await instance.passwords.verify(None, password)  # a locked account costs what an open one costs
            raise
        right = await reserved.verify(account.password_hash if account else None, password)
        try:
            known = permissions.signed_in(account, call.login, right=right)
            step, codes = await code_attempt(instance, known, code)
            if not await issue(known, step):  # the code was used before, or the account was disabled in between
                raise WrongVerificationCode if step is not None else Unauthorized
        except (Refusal, StoreUnavailable):
            if right and account and not account.disabled:  # the password was no guess
                await reserved.give_back()
            raise
        for attempt in (reserved, codes):
            if attempt is not None:
                await attempt.succeeded()
    return known


async def code_attempt(
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
    attempt = await lock_outs.attempt(instance, "verification_code", str(account.id))
    secret = Secret(instance.keys.unseal(account.sealed_verification, VERIFICATION))
    step = matching_step(secret, code, instance.now())
    if step is None:
        raise WrongVerificationCode
    return step, attempt
