"""The pages where a browser signs in, by a password and a code where the account asks for one, and out.

Rule: as a sign-in over the API: the same limits and lock-outs, exactly one argon2 verification, and what else is wrong
is told only to who has the password. Where a code is wanted, the browser keeps a proof of the password for five
minutes, and types only the code: it is bound to its cookie, to the account and to the password that it was. What was
typed is kept but for the secrets. No token of Plex is made (ours).
"""

from __future__ import annotations

from collections.abc import Mapping

from ticketstub.local_plex.domain import sign_ins
from ticketstub.local_plex.http.request import parse_whole_number
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages.visit import PageContext, clean_text, format_wait
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

_PROOF_LIFETIME = 300
_WRONG_LOGIN = "User name, e-mail address or password is wrong."
_WRONG_CODE = "This code is wrong, or was used already. Wait for the next one."
_PROOF_EXPIRED = "That took too long. Sign in again."
_EMAIL_ONLY_CODE = 1030


async def show_sign_in(context: PageContext) -> OutgoingResponse:
    """Show the form; who is signed in already goes on."""
    if context.browser.account is not None:
        return context.redirect_to_continue()
    return _render_form(context)


async def submit_sign_in(context: PageContext) -> OutgoingResponse:
    """Sign somebody in, in place of whoever was."""
    try:
        if "proof" in context.parameters:
            await _sign_in_with_code(context)
        elif (account := await _sign_in_with_password(context)) is not None:
            expires_at = context.instance.now() + _PROOF_LIFETIME
            proof = context.browser.make_proof(*_build_proof_facts(account, expires_at))
            proof_fields = {"account": str(account.id), "until": str(expires_at), "proof": proof}
            return _render_form(
                context, proof_fields=proof_fields, login=clean_text(account.record.username or account.record.title)
            )
    except (Unauthorized, RateLimited) as refusal:
        return _render_refusal(context, refusal)
    return context.redirect_to_continue()


async def sign_out(context: PageContext) -> OutgoingResponse:
    """End the session of this browser."""
    await context.browser.sign_out()
    return context.redirect_to_continue(default="/sign-in")


async def _sign_in_with_password(context: PageContext) -> AccountRow | None:
    """Sign in by a password, and by the six digits at its end where they are a code; return who wants a code, too.

    Raises:
        Refusal: as `sign_ins.authenticate`.
    """
    login, password = context.parameters.get("login", ""), Secret(context.parameters.get("password", ""))
    call = PostUsersSignInData(login=login, password=password)
    try:
        await sign_ins.authenticate(context.instance, call, context.browser.sign_in)
    except VerificationCodeRequired:  # told only to who has the password
        account = await context.instance.store.find_account_by_login(login)
        if account is None:
            raise
        return account
    return None


async def _sign_in_with_code(context: PageContext) -> None:
    """Sign in by a code, after the password; raises as `_sign_in`, and `Unauthorized` for a proof that is too old."""
    instance, account = context.instance, await _load_proven_account(context)
    await sign_ins.check_not_locked(instance, account.id)
    async with instance.locks.hold(str(account.id)):
        code = "".join(context.parameters.get("verificationCode", "").split())
        step, attempt = await sign_ins.verify_code(instance, account, Secret(code) if code else None)
        if not await context.browser.sign_in(account, step):
            raise WrongVerificationCode if step is not None else Unauthorized
        if attempt is not None:
            await attempt.clear_failures()


async def _load_proven_account(context: PageContext) -> AccountRow:
    """Return whose password this browser has proven; raises `Unauthorized` where it has not, or too long ago."""
    parameters, instance = context.parameters, context.instance
    account_id, expires_at = (
        parse_whole_number(parameters.get("account", "")),
        parse_whole_number(parameters.get("until", "")),
    )
    account = await instance.store.find_account_by_id(account_id) if account_id is not None else None
    if account is None or account.disabled or expires_at is None or expires_at <= instance.now():
        raise Unauthorized
    if not context.browser.is_valid_proof(parameters.get("proof", ""), *_build_proof_facts(account, expires_at)):
        raise Unauthorized
    return account


def _build_proof_facts(account: AccountRow, expires_at: int) -> tuple[object, ...]:
    return ("password", account.id, expires_at, account.password_hash)


def _render_refusal(context: PageContext, refusal: Unauthorized | RateLimited) -> OutgoingResponse:
    """Show the form again, and why."""
    parameters = context.parameters
    proof_fields: dict[str, str] = {
        name: parameters[name] for name in ("proof", "account", "until") if name in parameters
    }
    if isinstance(refusal, RateLimited | TooManyFailures):
        text = (
            f"There were too many failed attempts. Wait {format_wait(int(refusal.retry_after or 1))}, then try again."
        )
        return _render_form(context, 429, error=text, login=clean_text(parameters.get("login")))
    if isinstance(refusal, WrongVerificationCode):
        if proof_fields:
            return _render_form(context, 401, error=_WRONG_CODE, proof_fields=proof_fields, login="this account")
        text = _WRONG_CODE
    elif refusal.code == _EMAIL_ONLY_CODE:
        text = "This account signs in with its e-mail address only."
    else:
        text = _PROOF_EXPIRED if proof_fields else _WRONG_LOGIN
    return _render_form(context, 401, error=text, login=clean_text(parameters.get("login")))


def _render_form(
    context: PageContext,
    status: int = 200,
    *,
    error: str = "",
    proof_fields: Mapping[str, str] | None = None,
    login: str = "",
) -> OutgoingResponse:
    continue_to, overview = context.parameters.get("continue", ""), context.instance.overview
    has_start_page = overview is not None and overview.show_secrets
    return context.render_page(
        "sign_in.html", status, error=error, proven=proof_fields, login=login, then=continue_to, at_start=has_start_page
    )
