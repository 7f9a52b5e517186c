"""The pages where a browser signs in and out.

Rule: what is checked is in `proving.py`; here is what people see of it. A refusal says no more than over the API does,
and keeps what was typed but for the secrets. Whoever is asked for a code types only the code.
"""

from __future__ import annotations

from collections.abc import Mapping

from ticketstub.refusals import RateLimited, Refusal, TooManyFailures, Unauthorized, WrongVerificationCode
from ticketstub.server.answers import Answer
from ticketstub.server.pages.proving import CodeWanted, sign_in, sign_in_with_code
from ticketstub.server.pages.visit import PageVisit
from ticketstub.server.pages.words import shown, wait
from ticketstub.token import Secret

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
        await (_code_typed(visit) if "proof" in visit.given else _password_typed(visit))
    except CodeWanted as wanted:
        return _form(visit, proven=wanted.fields(visit.browser), login=_name(wanted))
    except (Unauthorized, RateLimited) as refusal:
        return _refused(visit, refusal)
    return visit.go_on()


async def sign_out(visit: PageVisit) -> Answer:
    """End the session of this browser."""
    await visit.browser.sign_out()
    return visit.go_on(otherwise="/sign-in")


async def _password_typed(visit: PageVisit) -> None:
    login, password = visit.given.get("login", ""), Secret(visit.given.get("password", ""))
    await sign_in(visit.instance, visit.browser, login, password)


async def _code_typed(visit: PageVisit) -> None:
    wanted = await CodeWanted.read(visit.instance, visit.browser, visit.given)
    code = Secret("".join(visit.given.get("verificationCode", "").split()))
    await sign_in_with_code(visit.instance, visit.browser, wanted, code)


def _name(wanted: CodeWanted) -> str:
    return shown(wanted.account.record.username or wanted.account.record.title)


def _refused(visit: PageVisit, refusal: Unauthorized | RateLimited) -> Answer:
    """Show the form again, and why."""
    given = visit.given
    again: dict[str, str] = {name: given[name] for name in ("proof", "account", "until") if name in given}
    if isinstance(refusal, WrongVerificationCode) and again:
        return _form(visit, 401, error=_WRONG_CODE, proven=again, login="this account")
    return _form(visit, _status(refusal), error=_text(refusal, again), login=shown(given.get("login")))


def _status(refusal: Refusal) -> int:
    return 429 if isinstance(refusal, RateLimited | TooManyFailures) else 401


def _text(refusal: Unauthorized | RateLimited, again: Mapping[str, str]) -> str:
    if isinstance(refusal, RateLimited | TooManyFailures):
        seconds = refusal.retry_after
        return f"There were too many failed attempts. Wait {wait(int(seconds or 1))}, then try again."
    if isinstance(refusal, WrongVerificationCode):
        return _WRONG_CODE
    if refusal.code == _EMAIL_ONLY:
        return "This account signs in with its e-mail address only."
    return _TOO_OLD if again else _WRONG


def _form(
    visit: PageVisit, status: int = 200, *, error: str = "", proven: Mapping[str, str] | None = None, login: str = ""
) -> Answer:
    then, overview = visit.given.get("continue", ""), visit.instance.overview
    at_start = overview is not None and overview.secrets
    return visit.page("sign_in.html", status, error=error, proven=proven, login=login, then=then, at_start=at_start)
