"""The pages where a browser signs in, by a password and a code where the account asks for one, and out.

Rule: as a sign-in over the API: the same limits and lock-outs, exactly one argon2 verification, and what else is wrong
is told only to who has the password. Where a code is wanted, the browser keeps a proof of the password for five
minutes, and types only the code: it is bound to its cookie, to the account and to the password that it was. What was
typed is kept but for the secrets. No token of Plex is made (ours).
"""

from __future__ import annotations

from collections.abc import Mapping

from ticketstub.local_plex.domain import lock_outs, sign_ins
from ticketstub.local_plex.http.request import whole_number
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.pages.visit import PageVisit, shown, wait
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.protocol.account import PostUsersSignInData
from ticketstub.refusals import (
    RateLimited,
    TooManyFailures,
    Unauthorized,
    VerificationCodeRequired,
    WrongVerificationCode,
)
from ticketstub.tokens import Secret

_PROOF_LIVES = 300
_WRONG = "User name, e-mail address or password is wrong."
_WRONG_CODE = "This code is wrong, or was used already. Wait for the next one."
_TOO_OLD = "That took too long. Sign in again."
_EMAIL_ONLY = 1030


async def show(visit: PageVisit) -> Answer:
    """Show the form; who is signed in already goes on."""
    if visit.browser.account is not None:
        return visit.go_on()
    return _form(visit)


async def take(visit: PageVisit) -> Answer:
    """Sign somebody in, in place of whoever was."""
    try:
        if "proof" in visit.given:
            await _sign_in_with_code(visit)
        elif (account := await _sign_in(visit)) is not None:
            until = visit.instance.now() + _PROOF_LIVES
            proof = visit.browser.proof(*_facts(account, until))
            proven = {"account": str(account.id), "until": str(until), "proof": proof}
            return _form(visit, proven=proven, login=shown(account.record.username or account.record.title))
    except (Unauthorized, RateLimited) as refusal:
        return _refused(visit, refusal)
    return visit.go_on()


async def sign_out(visit: PageVisit) -> Answer:
    """End the session of this browser."""
    await visit.browser.sign_out()
    return visit.go_on(otherwise="/sign-in")


async def _sign_in(visit: PageVisit) -> AccountRow | None:
    """Sign in by a password, and by the six digits at its end where they are a code; return who wants a code, too.

    Raises:
        Refusal: as `sign_ins.prove`.
    """
    login, password = visit.given.get("login", ""), Secret(visit.given.get("password", ""))
    call = PostUsersSignInData(login=login, password=password)
    try:
        await sign_ins.prove(visit.instance, call, visit.browser.sign_in)
    except VerificationCodeRequired:  # told only to who has the password
        account = await visit.instance.store.find_account(login)
        if account is None:
            raise
        return account
    return None


async def _sign_in_with_code(visit: PageVisit) -> None:
    """Sign in by a code, after the password; raises as `_sign_in`, and `Unauthorized` for a proof that is too old."""
    instance, account = visit.instance, await _proven(visit)
    await lock_outs.check_not_locked(instance, account.id)
    async with instance.turns.of(str(account.id)):
        code = "".join(visit.given.get("verificationCode", "").split())
        step, attempt = await sign_ins.code_attempt(instance, account, Secret(code) if code else None)
        if not await visit.browser.sign_in(account, step):
            raise WrongVerificationCode if step is not None else Unauthorized
        if attempt is not None:
            await attempt.succeeded()


async def _proven(visit: PageVisit) -> AccountRow:
    """Return whose password this browser has proven; raises `Unauthorized` where it has not, or too long ago."""
    given, instance = visit.given, visit.instance
    account_id, until = whole_number(given.get("account", "")), whole_number(given.get("until", ""))
    account = await instance.store.account(account_id) if account_id is not None else None
    if account is None or account.disabled or until is None or until <= instance.now():
        raise Unauthorized
    if not visit.browser.proves(given.get("proof", ""), *_facts(account, until)):
        raise Unauthorized
    return account


def _facts(account: AccountRow, until: int) -> tuple[object, ...]:
    return ("password", account.id, until, account.password_hash)


def _refused(visit: PageVisit, refusal: Unauthorized | RateLimited) -> Answer:
    """Show the form again, and why."""
    given = visit.given
    again: dict[str, str] = {name: given[name] for name in ("proof", "account", "until") if name in given}
    if isinstance(refusal, RateLimited | TooManyFailures):
        text = f"There were too many failed attempts. Wait {wait(int(refusal.retry_after or 1))}, then try again."
        return _form(visit, 429, error=text, login=shown(given.get("login")))
    if isinstance(refusal, WrongVerificationCode):
        if again:
            return _form(visit, 401, error=_WRONG_CODE, proven=again, login="this account")
        text = _WRONG_CODE
    elif refusal.code == _EMAIL_ONLY:
        text = "This account signs in with its e-mail address only."
    else:
        text = _TOO_OLD if again else _WRONG
    return _form(visit, 401, error=text, login=shown(given.get("login")))


def _form(
    visit: PageVisit, status: int = 200, *, error: str = "", proven: Mapping[str, str] | None = None, login: str = ""
) -> Answer:
    then, overview = visit.given.get("continue", ""), visit.instance.overview
    at_start = overview is not None and overview.secrets
    return visit.page("sign_in.html", status, error=error, proven=proven, login=login, then=then, at_start=at_start)
