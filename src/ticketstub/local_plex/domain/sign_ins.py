"""Signing in with a password, and lock-outs after too many attempts, for the API, its legacy calls and the pages.

Rule: every sign-in costs exactly one argon2 verification, whatever is wrong with it, also for a locked account. Other
faults are reported only to a client that sent the right password. An attempt is reserved before anything is verified,
and counts for the account, whichever of its logins was sent; a success deletes the account's failures. Sign-ins to one
account wait for each other. Every step that issues a token calls `check_not_locked`: a PIN, a Home switch, a JWT.
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

REMEMBER_ME_SECONDS = 14 * 24 * 3600
"""The lifetime in seconds of a token from a sign-in with `rememberMe` (observed)."""


class Attempt(NamedTuple):
    """A reserved attempt. It counts as failed unless one of these methods says otherwise.

    If the store cannot write that, the attempt stays counted, and the request continues.
    """

    instance: Instance
    kind: AttemptKind
    subject: str
    reserved_at: int

    async def verify(self, stored: str | None, typed: Secret) -> bool:
        """Return whether this is the password or passcode of a hash; release the attempt if that is `Overloaded`."""
        try:
            return await self.instance.passwords.verify(stored, typed)
        except Overloaded:
            await self.release()
            raise

    async def clear_failures(self) -> None:
        """Delete the account's failures."""
        with suppress(StoreUnavailable):
            await self.instance.store.attempts.clear(self.kind, self.subject)

    async def release(self) -> None:
        """Stop counting this attempt: nothing was verified, or the password was right."""
        now = self.instance.now()
        with suppress(StoreUnavailable):
            await self.instance.store.attempts.release(self.kind, self.subject, self.reserved_at, now)


async def sign_in(
    instance: Instance, call: PostUsersSignInData, client: DeviceRow | None
) -> tuple[AccountRow, str, int | None]:
    """Sign in with a password and issue a token. Return the account, the token, and when the token expires.

    Args:
        instance: the local Plex.
        call: the login, password and code as typed.
        client: the device of the token; `None` for a client without an identifier, whose token has no device.

    Raises:
        Refusal: as `authenticate`.
    """
    text, now = instance.keys.generate_token(), instance.now()
    # Without `rememberMe`, a token never expires (assumed).
    expires_at = now + REMEMBER_ME_SECONDS if call.remember_me else None

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


async def authenticate(
    instance: Instance, call: PostUsersSignInData, issue: Callable[[AccountRow, int | None], Awaitable[bool]]
) -> AccountRow:
    """Check the password and, if the account needs one, the verification code; then call `issue`.

    Args:
        instance: the local Plex.
        call: the login, password and code as typed.
        issue: issues the result of the sign-in for an account and uses up the step of its code, if any, in one
            operation; returns `False` if the step is used up or the account is disabled.

    Raises:
        BadRequest: the password is too long.
        Unauthorized: the sign-in is refused; `TooManyFailures` among other subclasses.
        Overloaded: too many sign-ins wait. Nothing was verified or counted.
    """
    check_password_length(call.password)
    subject = get_attempt_subject(await instance.store.find_account_by_login(call.login), call.login, instance)
    async with instance.locks.hold(subject):
        account = await instance.store.find_account_by_login(call.login)  # again: it may have changed meanwhile
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
            if not await issue(authenticated, step):  # meanwhile the code was used, or the account was disabled
                raise WrongVerificationCode if step is not None else Unauthorized
        except (Refusal, StoreUnavailable):
            if is_correct and account and not account.disabled:  # the password was not a guess
                await password_attempt.release()
            raise
        await password_attempt.clear_failures()
        if code_attempt is not None:
            await code_attempt.clear_failures()
    return authenticated


async def verify_code(
    instance: Instance, account: AccountRow, code: Secret | None
) -> tuple[int | None, Attempt | None]:
    """Return the step of a verification code and its attempt; both are `None` if the account needs no code.

    Raises:
        VerificationCodeRequired: there is no code (1029).
        WrongVerificationCode: the code is not valid now (1028).
        Refusal: there were too many wrong codes.
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
    """Refuse a password that is too long to be hashed (400, our choice), before any work is done."""
    if len(password.reveal().encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
        raise BadRequest


def split_password(account: AccountRow | None, typed: Secret, code: Secret | None) -> tuple[Secret, Secret | None]:
    """Take six digits at the end of a password for the code, if the account needs one and none was sent (observed).

    Only the shortened password is verified then, so that every sign-in costs one verification.
    """
    needs_code = account is not None and account.sealed_verification is not None and code is None
    match = re.fullmatch("(.*)([0-9]{6})", typed.reveal(), re.DOTALL) if needs_code else None
    return (Secret(match[1]), Secret(match[2])) if match else (typed, code)


def check_sign_in(account: AccountRow | None, login: str, *, password_matches: bool) -> AccountRow:
    """Return the account whose password is right.

    Raises:
        Unauthorized: the account is unknown or disabled, or the password is wrong (always 1001); or the login is the
            user name of an account that accepts only its e-mail address (1030, only with the right password).
    """
    if account is None or not password_matches or account.disabled:
        raise Unauthorized
    if account.email_only_auth and normalize_login(login) != normalize_login(account.record.email or ""):
        raise Unauthorized(
            "User could not be authenticated. This account only allows signing in with email address", code=1030
        )
    return account


def get_remember_expiry(since: int, expires_at: int | None) -> int:
    """Return `rememberExpiresAt`: when the token expires, or 14 days after `since` if it never does.

    Observed responses always contain a number, for older tokens one in the past. Clients that were generated from them
    do not accept null.
    """
    return expires_at or since + REMEMBER_ME_SECONDS


def get_attempt_subject(account: AccountRow | None, login: str, instance: Instance) -> str:
    """Return the subject of an attempt: the account, whichever of its logins was sent, or the unknown login.

    An unknown login may be a mistyped password, so only its digest is stored.
    """
    return str(account.id) if account else f"login:{instance.keys.digest(normalize_login(login)).hex()}"


async def reserve_attempt(instance: Instance, kind: AttemptKind, subject: str) -> Attempt:
    """Reserve an attempt.

    Args:
        instance: the local Plex.
        kind: what is guessed.
        subject: the account's id as text, or the result of `get_attempt_subject`.

    Raises:
        TooManyFailures: no sign-in is allowed now (1031).
        RateLimited: no other attempt is allowed now (1003).
    """
    now = instance.now()
    seconds = await instance.store.attempts.reserve(kind, subject, now)
    if seconds is None:
        return Attempt(instance, kind, subject, now)
    refusal = TooManyFailures if kind in {"password", "verification_code"} else RateLimited
    raise refusal(retry_after=seconds)


async def check_not_locked(instance: Instance, account_id: int) -> None:
    """Refuse to issue a token for an account that wrong passwords have locked (429).

    Raises:
        RateLimited: until the lock ends. PINs, switches and JWTs work again afterwards, even if the account accepts no
            password any more.
    """
    seconds = await instance.store.attempts.get_lock_seconds("password", str(account_id), instance.now())
    if seconds is not None:
        raise RateLimited(retry_after=seconds)


async def unlock_passwords(instance: Instance, account_id: int) -> None:
    """Accept passwords again after too many wrong ones: the account's owner has approved something."""
    subject = str(account_id)
    if await instance.store.attempts.is_exhausted("password", subject):
        await instance.store.attempts.clear("password", subject)
