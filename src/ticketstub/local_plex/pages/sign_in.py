"""The pages on which a browser signs in, with a password and perhaps a verification code, and signs out.

Rule: the same as a sign-in over the API: the same limits and lock-outs, exactly one argon2 verification, and without
the right password the page says only that it is wrong. If a code is needed, the browser holds a proof of the password
for five minutes and asks for the code alone. The proof is bound to the browser's cookie, the account and its password.
A form that is shown again keeps what was entered, except secrets. No token of Plex is created (our choice).
"""

from __future__ import annotations

from collections.abc import Mapping

from ticketstub.local_plex.domain import sign_ins
from ticketstub.local_plex.http.request import parse_whole_number
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages.context import PageContext, clean_text, format_wait
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


async def show_sign_in(context: PageContext) -> OutgoingResponse:
    """Show the form; a browser that is signed in already goes on."""
    return _render_form(context) if context.browser.account is None else context.redirect_to_continue()


async def submit_sign_in(context: PageContext) -> OutgoingResponse:
    """Sign in, instead of the current account if there is one."""
    try:
        if "proof" in context.parameters:
            await _sign_in_with_code(context)
        elif (account := await _sign_in_with_password(context)) is not None:
            expires_at = context.instance.now() + _PROOF_LIFETIME
            proof = context.browser.make_proof(*_list_proof_facts(account, expires_at))
            proof_fields = {"account": str(account.id), "until": str(expires_at), "proof": proof}
            return _render_form(
                context,
                proof_fields=proof_fields,
                login=clean_text(account.record.username or account.record.title),
            )
    except (Unauthorized, RateLimited) as refusal:
        return _render_refusal(context, refusal)
    return context.redirect_to_continue()


async def sign_out(context: PageContext) -> OutgoingResponse:
    """End the session of this browser."""
    await context.browser.sign_out()
    return context.redirect_to_continue(default="/sign-in")


async def _sign_in_with_password(context: PageContext) -> AccountRow | None:
    """Sign in with a password, which may end in a verification code; return the account if a code is still needed.

    Raises:
        Refusal: as `sign_ins.authenticate`.
    """
    login, password = context.parameters.get("login", ""), Secret(context.parameters.get("password", ""))
    call = PostUsersSignInData(login=login, password=password)
    try:
        await sign_ins.authenticate(context.instance, call, context.browser.sign_in)
    except VerificationCodeRequired:  # only raised after the correct password
        account = await context.instance.store.find_account_by_login(login)
        if account is None:
            raise
        return account
    return None


async def _sign_in_with_code(context: PageContext) -> None:
    """Sign in with a code, after the password.

    Raises:
        Unauthorized: the proof is invalid or has expired, or the code is wrong.
        RateLimited: the account is locked.
    """
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
    """Return the account whose password this browser has proven; raises `Unauthorized` if there is no valid proof."""
    parameters, instance = context.parameters, context.instance
    account_id = parse_whole_number(parameters.get("account", ""))
    expires_at = parse_whole_number(parameters.get("until", "")) or 0
    account = await instance.store.find_account_by_id(account_id) if account_id is not None else None
    if (
        account is None
        or account.disabled
        or expires_at <= instance.now()
        or not context.browser.is_valid_proof(parameters.get("proof", ""), *_list_proof_facts(account, expires_at))
    ):
        raise Unauthorized
    return account


def _list_proof_facts(account: AccountRow, expires_at: int) -> tuple[object, ...]:
    return ("password", account.id, expires_at, account.password_hash)


def _render_refusal(context: PageContext, refusal: Unauthorized | RateLimited) -> OutgoingResponse:
    """Show the form again, with the reason."""
    parameters, status = context.parameters, 401
    login, proof_fields = clean_text(parameters.get("login")), dict[str, str]()
    if isinstance(refusal, RateLimited | TooManyFailures):
        status, text = 429, f"Too many failed attempts. {format_wait(refusal)}"
    elif isinstance(refusal, WrongVerificationCode):
        text = "This code is wrong or was already used. Wait for the next one."
        if "proof" in parameters:
            login, proof_fields = "this account", {name: parameters[name] for name in ("proof", "account", "until")}
    elif refusal.code == 1030:
        text = "This account signs in with its e-mail address only."
    elif "proof" in parameters:
        text = "That took too long. Sign in again."
    else:
        text = "The user name, e-mail address or password is wrong."
    return _render_form(context, status, error=text, proof_fields=proof_fields, login=login)


def _render_form(
    context: PageContext,
    status: int = 200,
    *,
    error: str = "",
    proof_fields: Mapping[str, str] | None = None,
    login: str = "",
) -> OutgoingResponse:
    overview = context.instance.overview
    return context.render_page(
        "sign_in.html",
        status,
        error=error,
        proof_fields=proof_fields,
        login=login,
        continue_to=context.parameters.get("continue", ""),
        has_start_page=overview is not None and overview.show_secrets,
    )
