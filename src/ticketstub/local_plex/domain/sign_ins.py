"""Signing in with a password: what proves it, whoever asks: the API, its older form, or a page.

Rule: a sign-in costs exactly one argon2 verification, whoever asks and whatever is wrong, also where the account is
locked. What is wrong beyond the password is told only to who has the password. Attempts are reserved before anything is
verified, and sign-ins to one account take turns.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.passwords import Overloaded
from ticketstub.local_plex.storage.attempts import AttemptKind
from ticketstub.local_plex.storage.base import AccountRow, DeviceRow, NewSignIn, StoreUnavailable
from ticketstub.local_plex.storage.seal import VERIFICATION_PURPOSE
from ticketstub.local_plex.world.values import MAX_PASSWORD_BYTES, normalize_login
from ticketstub.local_plex.world.verification_codes import find_matching_step
from ticketstub.protocol.account import PostUsersSignInData
from ticketstub.refusals import (
    BadRequest,
    RateLimited,
    Refusal,
    TooManyFailures,
    Unauthorized,
    VerificationCodeRequired,
    WrongVerificationCode,
)
from ticketstub.tokens import Secret


class Attempt(NamedTuple):
    """An attempt that is allowed. One that fails just ends; the others end with one of these.

    Where neither can be written, the attempt stays counted: what was decided is answered all the same.
    """

    instance: Instance
    kind: AttemptKind
    subject: str
    reserved_at: int

    async def verify(self, stored: str | None, typed: Secret) -> bool:
        """Tell whether this is the password or passcode of a hash; not counted where there is no time to find out."""
        try:
            return await self.instance.passwords.verify(stored, typed)
        except Overloaded:
            await self.release()
            raise

    async def clear_failures(self) -> None:
        """Forget the account's failures."""
        with suppress(StoreUnavailable):
            await self.instance.store.attempts.clear(self.kind, self.subject)

    async def release(self) -> None:
        """Have it not counted: nothing was verified, or what was verified was right."""
        now = self.instance.now()
        with suppress(StoreUnavailable):
            await self.instance.store.attempts.release(self.kind, self.subject, self.reserved_at, now)


REMEMBER_ME_SECONDS = 14 * 24 * 3600
"""Seconds after which a token from a sign-in with `rememberMe` ends (observed)."""


_match_trailing_code = re.compile(r"(.*)([0-9]{6})", re.DOTALL).fullmatch


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
        now + REMEMBER_ME_SECONDS if call.remember_me else None
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
    check_password_length(call.password)
    subject = get_attempt_subject(await instance.store.find_account_by_login(call.login), call.login, instance)
    async with instance.locks.hold(subject):
        account = await instance.store.find_account_by_login(call.login)  # anew, now that it is this sign-in's turn
        password, code = split_password(account, call.password, call.verification_code)
        try:
            password_attempt = await reserve_attempt(instance, "password", subject)
        except TooManyFailures:
            await instance.passwords.verify(None, password)  # a locked account costs what an open one costs
            raise
        is_correct = await password_attempt.verify(account.password_hash if account else None, password)
        try:
            authenticated = check_sign_in(account, call.login, password_matches=is_correct)
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
    attempt = await reserve_attempt(instance, "verification_code", str(account.id))
    secret = Secret(instance.keys.unseal(account.sealed_verification, VERIFICATION_PURPOSE))
    step = find_matching_step(secret, code, instance.now())
    if step is None:
        raise WrongVerificationCode
    return step, attempt


def check_password_length(password: Secret) -> None:
    """Refuse a password that is too long to be hashed (400, ours): before any work is spent on it."""
    if len(password.reveal().encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
        raise BadRequest


def split_password(account: AccountRow | None, typed: Secret, code: Secret | None) -> tuple[Secret, Secret | None]:
    """Take the six digits at the end of a password for the code, where one is wanted and none was sent (observed).

    Only the shortened password is verified then, so that every sign-in costs one verification.
    """
    wants_code = account is not None and account.sealed_verification is not None
    match = _match_trailing_code(typed.reveal()) if wants_code and code is None else None
    return (Secret(match[1]), Secret(match[2])) if match else (typed, code)


def check_sign_in(account: AccountRow | None, login: str, *, password_matches: bool) -> AccountRow:
    """Return the account that a right password belongs to.

    Raises:
        Unauthorized: unknown, disabled, a wrong password (all alike, 1001), or signed in by user name where only the
            e-mail address is taken (1030, told to nobody without the password).
    """
    if account is None or not password_matches or account.disabled:
        raise Unauthorized
    if account.email_only_auth and normalize_login(login) != normalize_login(account.record.email or ""):
        raise Unauthorized(
            "User could not be authenticated. This account only allows signing in with email address", code=1030
        )
    return account


def get_remember_expiry(since: int, expires_at: int | None) -> int:
    """Say what `rememberExpiresAt` tells: when the token ends; for one that never does, 14 days after `since`.

    Observed bodies always hold a number there, for older tokens one of the past; clients made of them take no null.
    """
    return expires_at or since + REMEMBER_ME_SECONDS


def get_attempt_subject(account: AccountRow | None, login: str, instance: Instance) -> str:
    """Name whose attempts these are: an account's, by whatever name it was called, or those at an unknown login.

    What was typed for a login may have been a password: only a digest of it is kept.
    """
    return str(account.id) if account else f"login:{instance.keys.digest(normalize_login(login)).hex()}"


async def reserve_attempt(instance: Instance, kind: AttemptKind, subject: str) -> Attempt:
    """Reserve an attempt.

    Args:
        instance: the local Plex.
        kind: what is guessed.
        subject: the account's id as text, or what `get_attempt_subject` says.

    Raises:
        TooManyFailures: no more sign-ins now (1031).
        RateLimited: no more attempts now (1003).
    """
    now = instance.now()
    seconds = await instance.store.attempts.reserve(kind, subject, now)
    if seconds is None:
        return Attempt(instance, kind, subject, now)
    if kind in {"password", "verification_code"}:
        raise TooManyFailures(retry_after=seconds)
    raise RateLimited(retry_after=seconds)


async def check_not_locked(instance: Instance, account_id: int) -> None:
    """Refuse to give out a token for an account that wrong passwords have locked (429; security before convenience).

    Raises:
        RateLimited: for as long as the lock goes on; once it is over, PINs, switches and JWTs work again, also where
            passwords are stopped for good.
    """
    seconds = await instance.store.attempts.get_lock_seconds("password", str(account_id), instance.now())
    if seconds is not None:
        raise RateLimited(retry_after=seconds)


async def unlock_passwords(instance: Instance, account_id: int) -> None:
    """Take passwords again where there were too many wrong ones for good: the account's owner did something else."""
    subject = str(account_id)
    if await instance.store.attempts.is_stopped("password", subject):
        await instance.store.attempts.clear("password", subject)
