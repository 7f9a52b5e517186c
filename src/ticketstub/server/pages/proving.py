"""Proving who is at a browser: a password, and a code where the account asks for one.

Rule: as a sign-in over the API: the same limits and lock-outs, exactly one argon2 verification, and what else is wrong
is told only to who has the password. Where a code is wanted, the browser keeps a proof of the password for five
minutes: bound to its cookie, to the account and to the password that it was. No token of Plex is made (ours).
"""

from __future__ import annotations

from collections.abc import Mapping

from ticketstub.refusals import Unauthorized, VerificationCodeRequired, WrongVerificationCode
from ticketstub.server import lock_outs, sign_ins
from ticketstub.server.instance import Instance
from ticketstub.server.pages.browser import Browser
from ticketstub.server.store.base import AccountRow
from ticketstub.token import Secret
from ticketstub.wire.accounts import PostUsersSignInData

_PROOF_LIVES = 300


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


async def sign_in(instance: Instance, browser: Browser, login: str, password: Secret) -> None:
    """Sign a browser in by a password, and by the six digits at its end where they are a code.

    Raises:
        CodeWanted: it is right, and a code is wanted.
        Refusal: as `sign_ins.prove`.
    """
    call = PostUsersSignInData(login=login, password=password)
    try:
        await sign_ins.prove(instance, call, _session(browser))
    except VerificationCodeRequired:  # told only to who has the password
        account = await instance.store.find_account(login)
        if account is None:
            raise
        raise CodeWanted(account, instance.now() + _PROOF_LIVES) from None


async def sign_in_with_code(instance: Instance, browser: Browser, wanted: CodeWanted, code: Secret) -> None:
    """Sign a browser in by a code, after its password; raises as `sign_in` does."""
    account = wanted.account
    await lock_outs.check_not_locked(instance, account.id)
    async with instance.turns.of(str(account.id)):
        step, attempt = await sign_ins.code_attempt(instance, account, code if code.reveal() else None)
        if not await _session(browser)(account, step):
            raise WrongVerificationCode if step is not None else Unauthorized
        if attempt is not None:
            await attempt.succeeded()


def _session(browser: Browser) -> sign_ins.Issue:
    async def issue(account: AccountRow, step: int | None) -> bool:
        return await browser.sign_in(account.id, step)

    return issue
