"""Lock-outs: no more guesses at a password, code or passcode than the limits allow.

Rule: an attempt is reserved before anything is verified, for the account whatever name was typed. A success forgets the
account's failures. Every step that gives out a token asks `check_not_locked`: a PIN, a Home switch, a JWT.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.limits import AttemptKind
from ticketstub.local_plex.domain.passwords import Overloaded
from ticketstub.local_plex.storage.base import AccountRow, StoreUnavailable, normalize_login
from ticketstub.refusals import RateLimited, TooManyFailures
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
