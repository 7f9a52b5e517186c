"""Proving who is at a browser: a password, and a code where the account asks for one.

Rule: as a sign-in over the API: the same limits and lock-outs, exactly one argon2 verification, and what else is wrong
is told only to who has the password. Where a code is wanted, the browser keeps a proof of the password for five
minutes: bound to its cookie, to the account and to the password that it was. No token of Plex is made (ours).
"""

from __future__ import annotations

from collections.abc import Mapping

from ticketstub.refusals import Unauthorized, VerificationCodeRequired
from ticketstub.server import lock_outs, policy
from ticketstub.server.instance import Instance
from ticketstub.server.keys import VERIFICATION
from ticketstub.server.lock_outs import Attempt
from ticketstub.server.pages.browser import Browser
from ticketstub.server.store.base import AccountRow
from ticketstub.server.verification import matching_step
from ticketstub.token import Secret

_PROOF_LIVES = 300


class Proven:
    """Somebody who proved to be an account.

    Attributes:
        account: that account.
        step: the verification step that is to be spent, if any.
    """

    __slots__ = ("_attempts", "account", "step")

    def __init__(self, account: AccountRow, step: int | None, attempts: tuple[Attempt, ...]) -> None:
        self.account = account
        self.step = step
        self._attempts = attempts

    async def succeeded(self) -> None:
        """Forget the failures before, now that the session is there."""
        for attempt in self._attempts:
            await attempt.succeeded()


class CodeWanted(Exception):
    """The password is right, and a code is wanted.

    Attributes:
        account: whose.
        until: until when the browser may send it.
    """

    def __init__(self, account: AccountRow, until: int) -> None:
        super().__init__()
        self.account = account
        self.until = until

    def fields(self, browser: Browser) -> dict[str, str]:
        """Return what the form keeps of the password: a proof."""
        return {"account": str(self.account.id), "until": str(self.until), "proof": browser.proof(*self._facts())}

    @classmethod
    async def read(cls, instance: Instance, browser: Browser, given: Mapping[str, str]) -> CodeWanted:
        """Take the proof from a form; raises `Unauthorized` for one that is none, or too old."""
        numbers = [given.get(name, "") for name in ("account", "until")]
        if not all(number.isascii() and number.isdigit() and len(number) <= 18 for number in numbers):
            raise Unauthorized
        account = await instance.store.account(int(numbers[0]))
        if account is None or account.disabled:
            raise Unauthorized
        wanted = cls(account, int(numbers[1]))
        if wanted.until <= instance.now() or not browser.proves(given.get("proof", ""), *wanted._facts()):
            raise Unauthorized
        return wanted

    def _facts(self) -> tuple[object, ...]:
        return ("password", self.account.id, self.until, self.account.password_hash)


async def prove_password(instance: Instance, login: str, password: Secret, address: str) -> Proven:
    """Check a password, and the six digits at its end where they are a code.

    Raises:
        CodeWanted: it is right, and a code is wanted.
        Unauthorized: in one of its kinds.
        RateLimited: too many failed.
        BadRequest: it is too long.
        Overloaded: too many sign-ins wait.
    """
    policy.check_password_length(password)
    found = await instance.store.find_account(login)
    subject = lock_outs.subject_of(found, login, instance)
    async with instance.turns.of(subject):
        tried = await lock_outs.attempt(instance, "password", subject, address)
        shortened, code = policy.split_password(found, password, None)
        right = await instance.passwords.verify(found.password_hash if found else None, shortened, address)
        account = policy.signed_in(found, login, right=right)
        await tried.succeeded()
    wanted = CodeWanted(account, instance.now() + _PROOF_LIVES)
    if account.sealed_verification is None:
        return Proven(account, None, ())
    if code is None:
        raise wanted
    return await prove_code(instance, wanted, code, address)


async def prove_code(instance: Instance, wanted: CodeWanted, code: Secret, address: str) -> Proven:
    """Check the code of somebody whose password was right; raises as `prove_password` does."""
    account = wanted.account
    await lock_outs.check_not_locked(instance, account.id)
    if account.sealed_verification is None:
        return Proven(account, None, ())
    if not code.reveal():
        raise VerificationCodeRequired
    async with instance.turns.of(str(account.id)):
        tried = await lock_outs.attempt(instance, "verification_code", str(account.id), address)
        secret = Secret(instance.keys.unseal(account.sealed_verification, VERIFICATION))
        step = policy.check_code(code, matching_step(secret, code, instance.now()))
    return Proven(account, step, (tried,))
