"""The Auth App and the link page: approve or deny what an app asks for, or type the code that a device shows.

Rule: looking changes nothing; who approves has seen this very page, which names the app, its device and its address,
and holds our proof of that (`checked`). A strong code is taken from the URL; one of 4 characters could be guessed, so
it counts only as typed on the link page: in a URL it is shown, never taken. Whoever guesses is stopped soon, on the
same count as over the API; a right code costs no attempt, and opens the approval, no more. What is not there, is over,
was answered or is another client's looks the same: not found. Of a URL only names that are known are looked at
(documented, and those that published clients send); everything in it is a claim of whoever made it, and only fills
gaps in what the PIN's client said of itself when it made the PIN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from ticketstub.local_plex.domain import pins, sign_ins
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages.forward_url import parse_forward_url
from ticketstub.local_plex.pages.visit import PageContext, clean_text, format_ago, format_wait
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.pins import PinRow
from ticketstub.refusals import BadRequest, Forbidden, RateLimited

UNNAMED_APP = "An app without a name"
_UNKNOWN_CODE = "No device is waiting with this code. Look at its screen again: codes run out."
_SEPARATORS = re.compile(r"[^A-Za-z0-9]")
_CONTEXT_NAMES = ("product", "version", "platform", "platformVersion", "device", "deviceName", "model")
_MAX_URL_LENGTH = 2048

ApprovalParameters = dict[str, str]
"""What is to be approved: all parameters that are known, empty where a URL or form does not have them."""


def _read_parameters(parameters: Mapping[str, str]) -> ApprovalParameters:
    known = {name: parameters.get(name, "") for name in ("clientID", "code", "checked", "forwardUrl")}
    known["forwardUrl"] = known["forwardUrl"][: _MAX_URL_LENGTH + 1]
    return known | {
        name: clean_text(parameters.get(name)) for name in map("context[device][{}]".format, _CONTEXT_NAMES)
    }


def _drop_empty(parameters: ApprovalParameters, *excluded: str) -> dict[str, str]:
    """Return the parameters that are there."""
    return {name: text for name, text in parameters.items() if text and name not in excluded}


async def show_approval(context: PageContext) -> OutgoingResponse:
    """Show who asks, and let them choose."""
    if "resetPassword" in context.parameters:
        return _render_password_help(context)
    parameters = _read_parameters(context.parameters)
    if not parameters["code"]:
        return context.render_page("auth.html")
    account = context.require_account("/auth", **_drop_empty(parameters))
    if len(parameters["code"]) <= 4 and not _has_code_proof(context, parameters, account):
        return _render_link_form(context, parameters, pins.normalize_code(parameters["code"], any_case=True) or "")
    pin = await _find_requested_pin(context, parameters, account)
    return _render_approval(context, parameters, account, pin) if pin else _render_not_found(context)


async def submit_decision(context: PageContext) -> OutgoingResponse:
    """Approve or deny; raises `Forbidden` where the page was not seen by this browser and account."""
    parameters, outcome, instance = (
        _read_parameters(context.parameters),
        context.parameters.get("decision"),
        context.instance,
    )
    account = context.require_account("/link")
    if outcome not in {"approve", "deny"}:
        raise BadRequest
    if not _has_code_proof(context, parameters, account):
        raise Forbidden
    pin = await _find_requested_pin(context, parameters, account)
    if pin is None:
        return _render_not_found(context)
    if outcome == "approve":
        await sign_ins.check_not_locked(instance, account.id)
        is_recorded = await pins.approve_pin(
            instance, pin, account.id, context.browser.switched_by, approver_digest=context.browser.session_digest
        )
    else:
        is_recorded = await instance.store.pins.deny(pin.id, instance.now())
    if not is_recorded:
        return _render_not_found(context)
    product, url = _get_product_name(pin, parameters), parameters["forwardUrl"]
    proof = context.browser.make_proof("done", outcome, product, url)
    return context.redirect("/auth/done", outcome=outcome, product=product, forwardUrl=url, proof=proof)


async def show_done(context: PageContext) -> OutgoingResponse:
    """Say what happened, and go where the app wanted to go."""
    outcome, product, url = (context.parameters.get(name, "") for name in ("outcome", "product", "forwardUrl"))
    context.require_account("/account")
    if not context.browser.is_valid_proof(context.parameters.get("proof", ""), "done", outcome, product, url):
        return context.redirect("/account")
    forward = parse_forward_url(url, context.browser.host)
    is_forward_refused = bool(url) and forward is None
    return context.render_page(
        "done.html", approved=outcome == "approve", product=product, forward=forward, refused=is_forward_refused
    )


async def show_link_form(context: PageContext) -> OutgoingResponse:
    """Show the form for a code."""
    code = _read_code(context.parameters)
    context.require_account("/link", **({"pin": code} if code else {}))
    return _render_link_form(context, {}, code)


async def submit_code(context: PageContext) -> OutgoingResponse:
    """Look a code up, and go on to its approval."""
    code = _read_code(context.parameters)
    parameters = _read_parameters({**context.parameters, "code": code})
    account = context.require_account("/link", **({"pin": code} if code else {}))
    try:
        attempt = await sign_ins.reserve_attempt(context.instance, "link_code", str(account.id))
    except RateLimited as error:
        text = f"Too many wrong codes were typed. Wait {format_wait(int(error.retry_after or 1))}, then try again."
        return _render_link_form(context, parameters, code, text, 429)
    pin = await _find_open_pin(context, code) if len(code) == 4 else None
    if pin is None or parameters["clientID"] not in {"", pin.client.client_identifier}:
        return _render_link_form(context, parameters, code, _UNKNOWN_CODE, 404)
    await attempt.release()
    return context.redirect(
        "/auth",
        **_drop_empty(parameters, "code", "checked"),
        code=code,
        checked=_make_code_proof(context, code, account),
    )


def _read_code(parameters: Mapping[str, str]) -> str:
    """Return a code as it was typed or came in a URL, in capitals, without what people put between."""
    letters = _SEPARATORS.sub("", parameters.get("pin", ""))[:8]
    return pins.normalize_code(letters, any_case=True) or letters.upper()


def _render_link_form(
    context: PageContext, parameters: ApprovalParameters, code: str, error: str = "", status: int = 200
) -> OutgoingResponse:
    """Ask for a code, and keep what an Auth App URL said until it was typed."""
    return context.render_page(
        "link.html", status, error=error, code=code, kept=_drop_empty(parameters, "code", "checked")
    )


def _make_code_proof(context: PageContext, code: str, account: AccountRow) -> str:
    """Prove that this account, at this browser, may look at the PIN of a code."""
    return context.browser.make_proof("checked", code, account.id)


def _has_code_proof(context: PageContext, parameters: ApprovalParameters, account: AccountRow) -> bool:
    return context.browser.is_valid_proof(parameters["checked"], "checked", parameters["code"], account.id)


async def _find_open_pin(context: PageContext, code: str) -> PinRow | None:
    """Find the PIN that can still be answered."""
    pin = await context.instance.store.pins.find_by_code(code, context.instance.now())
    return pin if pin and pin.account_id is None and pin.denied_at is None else None


async def _find_requested_pin(
    context: PageContext, parameters: ApprovalParameters, account: AccountRow
) -> PinRow | None:
    """Find the PIN that is meant; a URL must name its client, who typed a code need not."""
    pin, client_identifier = await _find_open_pin(context, parameters["code"]), parameters["clientID"]
    is_named = pin is not None and client_identifier == pin.client.client_identifier
    return pin if is_named or (not client_identifier and _has_code_proof(context, parameters, account)) else None


def _render_not_found(context: PageContext) -> OutgoingResponse:
    texts = [
        "This code is unknown, has run out, was answered already, or belongs to another app.",
        "Start again in the app: it makes a new one.",
    ]
    links = [("/link", "Type a code"), ("/account", "Account")]
    return context.render_page("message.html", 404, title="Not found or expired", texts=texts, ways=links)


def _render_approval(
    context: PageContext, parameters: ApprovalParameters, account: AccountRow, pin: PinRow
) -> OutgoingResponse:
    forward = parse_forward_url(parameters["forwardUrl"], context.browser.host)
    return context.render_page(
        "approve.html",
        product=_get_product_name(pin, parameters),
        facts=_list_device_facts(pin, parameters, context.instance.now()),
        kept=_drop_empty(parameters) | {"checked": _make_code_proof(context, pin.code, account)},
        forward=forward,
        refused=bool(parameters["forwardUrl"]) and forward is None,
        place=f"/auth?{urlencode(_drop_empty(parameters, 'code', 'checked') | {'code': pin.code})}",
    )


def _list_device_facts(pin: PinRow, parameters: ApprovalParameters, now: int) -> list[tuple[str, str]]:
    """List what is known of the device that asks: by the PIN's client, else by the URL."""
    client = pin.client
    device, name, version, platform, platform_version = (
        parameters[f"context[device][{each}]"]
        for each in ("device", "deviceName", "version", "platform", "platformVersion")
    )
    return [
        ("Device", clean_text(client.name or client.device) or name or device),
        (
            "Platform",
            _join_name_and_version(client.platform, client.platform_version)
            or _join_name_and_version(platform, platform_version),
        ),
        ("Version", clean_text(client.version) or version),
        ("Address", clean_text(client.address)),
        ("Asked", f"{format_ago(now - pin.created_at)} ({datetime.fromtimestamp(pin.created_at, UTC):%H:%M:%S} UTC)"),
    ]


def _join_name_and_version(name: str | None, version: str | None) -> str:
    return clean_text(f"{name} {version or ''}") if name else ""


def _get_product_name(pin: PinRow, parameters: ApprovalParameters) -> str:
    return clean_text(pin.client.product) or parameters["context[device][product]"] or UNNAMED_APP


def _render_password_help(context: PageContext) -> OutgoingResponse:
    texts = [
        "Passwords of a local Plex are in its world file: the key password of an account.",
        "Look there, or change it and start the local Plex anew with a new database.",
    ]
    return context.render_page("message.html", title="Forgot a password?", texts=texts, ways=[("/sign-in", "Sign in")])
