"""Lock-outs: no more guesses at a password, code or passcode than the limits allow.

Rule: an attempt is reserved before anything is verified, for the account whatever name was typed, and for the client's
address. A success forgets the account's failures; an address only gets its one attempt back, for it may have another
account's password. Clients on loopback have one address, so there, or where the settings say so, only accounts count.
Every step that gives out a token asks `check_not_locked`: a PIN, a Home switch, a JWT.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from ticketstub.refusals import RateLimited, Refusal, TooManyFailures
from ticketstub.server.instance import Instance
from ticketstub.server.limits import EVERYBODY, AttemptKind
from ticketstub.server.rates import network
from ticketstub.server.store.attempts import Refused
from ticketstub.server.store.base import AccountRow, StoreUnavailable, canonical_login

Guess = Literal["password", "verification_code", "passcode", "link_code"]
Wanted = Sequence[tuple[AttemptKind, str]]

_SIGN_INS = ("password", "verification_code")


class Attempt:
    """An attempt that is allowed. One that fails just ends; the others end with one of these.

    Where neither can be written, the attempt stays counted: what was decided is answered all the same.
    """

    __slots__ = ("_at", "_instance", "_own", "_shared")

    def __init__(self, instance: Instance, own: tuple[AttemptKind, str], shared: Wanted, at: int) -> None:
        self._instance = instance
        self._own = own
        self._shared = shared
        self._at = at

    async def succeeded(self) -> None:
        """Forget the account's failures."""
        attempts = self._instance.store.attempts
        with suppress(StoreUnavailable):
            await attempts.clear(*self._own)
            if self._shared:
                await attempts.give_back(self._shared, self._at, self._instance.now())

    async def give_back(self) -> None:
        """Have it not counted: nothing was verified, or what was verified was right."""
        wanted = [*self._shared, self._own]
        with suppress(StoreUnavailable):
            await self._instance.store.attempts.give_back(wanted, self._at, self._instance.now())


def subject_of(account: AccountRow | None, login: str, instance: Instance) -> str:
    """Name whose attempts these are: an account's, by whatever name it was called, or those at an unknown login.

    What was typed for a login may have been a password: only a digest of it is kept.
    """
    return str(account.id) if account else f"login:{instance.keys.digest(canonical_login(login)).hex()}"


async def reserve(instance: Instance, kind: Guess, subject: str, address: str) -> Attempt | Refused:
    """Reserve an attempt, or say which limit is in the way."""
    now = instance.now()
    shared = _shared(kind, network(address)) if instance.rates.settings.address_limits else ()
    own = (kind, subject)
    return await instance.store.attempts.take_all([*shared, own], now) or Attempt(instance, own, shared, now)


async def attempt(instance: Instance, kind: Guess, subject: str, address: str) -> Attempt:
    """Reserve an attempt.

    Args:
        instance: the local Plex.
        kind: what is guessed.
        subject: the account's id as text.
        address: the client's.

    Raises:
        TooManyFailures: no more sign-ins now (1031), as long as `[answers] locked_sign_in` is 401.
        RateLimited: no more attempts now (1003).
    """
    reserved = await reserve(instance, kind, subject, address)
    if isinstance(reserved, Refused):
        raise refusal(instance, reserved)
    return reserved


def refusal(instance: Instance, refused: Refused) -> Refusal:
    """Say no to an attempt, as the world has it."""
    if refused.kind.startswith(_SIGN_INS) and instance.answers.locked_sign_in == 401:
        return TooManyFailures(retry_after=refused.seconds)
    return RateLimited(retry_after=refused.seconds)


async def check_not_locked(instance: Instance, account_id: int) -> None:
    """Refuse to give out a token for an account that wrong passwords have locked (429; security before convenience).

    Raises:
        RateLimited: for as long as the lock goes on; once it is over, PINs, switches and JWTs work again, also where
            passwords are stopped for good.
    """
    seconds = await instance.store.attempts.locked("password", str(account_id), instance.now())
    if seconds is not None:
        raise RateLimited(retry_after=seconds)


async def vouched(instance: Instance, account_id: int) -> None:
    """Take passwords again where there were too many wrong ones for good: the account's owner did something else."""
    subject = str(account_id)
    if await instance.store.attempts.stopped("password", subject):
        await instance.store.attempts.clear("password", subject)


def _shared(kind: Guess, where: str | None) -> Wanted:
    """Name what else counts an attempt: the client's address and everybody together, unless it is on loopback."""
    if where is None:
        return ()
    named: list[tuple[AttemptKind, str]] = [(_BY_ADDRESS[kind], where)]
    return [*named, *([(everybody, EVERYBODY)] if (everybody := _BY_ALL.get(kind)) else [])]


_BY_ADDRESS: dict[Guess, AttemptKind] = {
    "password": "password_address",
    "verification_code": "verification_code_address",
    "passcode": "passcode_address",
    "link_code": "link_code_address",
}
_BY_ALL: dict[Guess, AttemptKind] = {"password": "password_global", "link_code": "link_code_global"}
