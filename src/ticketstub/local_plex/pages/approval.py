"""The Auth App and the link page: approve or deny what an app asks for, or enter the code that a device shows.

Rule: showing a page changes nothing. To approve, the browser must return our proof (`checked`) that it was shown the
page that names the app, its device and its address. A strong code is accepted from the URL. A code of 4 characters
could be guessed, so it must be entered on the link page; a URL only fills it in. Wrong codes are limited, by the same
counter as in the API. A correct code costs no attempt and only opens the approval page. A code that is unknown,
expired, already answered or another client's gets the same reply: not found.

Only known parameters of a URL are read (documented, and those that published clients send). Anyone can write such a
URL, so its values only fill gaps in what the PIN's client said about itself when it created the PIN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from ticketstub.local_plex.domain import pins, sign_ins
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages.context import PageContext, clean_text, format_ago, format_wait
from ticketstub.local_plex.pages.forward_url import parse_forward_url
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.pins import PinRow
from ticketstub.refusals import BadRequest, Forbidden, RateLimited

_SEPARATORS = re.compile(r"[^A-Za-z0-9]")
_CONTEXT_NAMES = ("product", "version", "platform", "platformVersion", "device", "deviceName", "model")
_MAX_URL_LENGTH = 2048

ApprovalParameters = dict[str, str]
"""All known parameters of a URL or form; those that it does not have are empty."""


def _read_parameters(parameters: Mapping[str, str]) -> ApprovalParameters:
    return {
        **{name: parameters.get(name, "") for name in ("clientID", "code", "checked")},
        "forwardUrl": parameters.get("forwardUrl", "")[: _MAX_URL_LENGTH + 1],
        **{name: clean_text(parameters.get(name)) for name in map("context[device][{}]".format, _CONTEXT_NAMES)},
    }


def _drop_empty(parameters: ApprovalParameters, *excluded: str) -> dict[str, str]:
    return {name: text for name, text in parameters.items() if text and name not in excluded}


async def show_approval(context: PageContext) -> OutgoingResponse:
    """Show the app that asks, with the choice to approve or deny it."""
    if "resetPassword" in context.parameters:
        return context.render_page(
            "message.html",
            title="Forgot a password?",
            paragraphs=[
                "The passwords of a local Plex are in its world file: each account has a key named password.",
                "Look there, or change it and start the local Plex again with a new database.",
            ],
            links=[("/sign-in", "Sign in")],
        )
    parameters = _read_parameters(context.parameters)
    if not parameters["code"]:
        return context.render_page("auth.html")
    account = context.require_account("/auth", **parameters)
    if len(parameters["code"]) <= 4 and not _has_code_proof(context, parameters, account):
        return _render_link_form(context, parameters, pins.normalize_code(parameters["code"], any_case=True) or "")
    pin = await _find_requested_pin(context, parameters, account)
    if pin is None:
        return _render_not_found(context)
    forward = parse_forward_url(parameters["forwardUrl"], context.request.host)
    return context.render_page(
        "approve.html",
        product=_get_product_name(pin, parameters),
        facts=_list_device_facts(pin, parameters, context.instance.now()),
        hidden_fields=_drop_empty(parameters) | {"checked": _make_code_proof(context, pin.code, account)},
        forward=forward,
        is_forward_refused=bool(parameters["forwardUrl"]) and forward is None,
        return_path=f"/auth?{urlencode(_drop_empty(parameters, 'code', 'checked') | {'code': pin.code})}",
    )


async def submit_decision(context: PageContext) -> OutgoingResponse:
    """Approve or deny; raises `Forbidden` if this browser and account were not shown the page."""
    parameters, instance = _read_parameters(context.parameters), context.instance
    outcome = context.parameters.get("decision")
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
    """Show the result, and send the browser where the app wants it."""
    outcome, product, url = (context.parameters.get(name, "") for name in ("outcome", "product", "forwardUrl"))
    context.require_account("/account")
    if not context.browser.is_valid_proof(context.parameters.get("proof", ""), "done", outcome, product, url):
        return context.redirect("/account")
    forward = parse_forward_url(url, context.request.host)
    return context.render_page(
        "done.html",
        is_approved=outcome == "approve",
        product=product,
        forward=forward,
        is_forward_refused=bool(url) and forward is None,
    )


async def show_link_form(context: PageContext) -> OutgoingResponse:
    """Show the form for a code."""
    code = _read_code(context.parameters)
    context.require_account("/link", pin=code)
    return _render_link_form(context, {}, code)


async def submit_code(context: PageContext) -> OutgoingResponse:
    """Look up a code and continue to its approval."""
    code = _read_code(context.parameters)
    parameters = _read_parameters({**context.parameters, "code": code})
    account = context.require_account("/link", pin=code)
    try:
        attempt = await sign_ins.reserve_attempt(context.instance, "link_code", str(account.id))
    except RateLimited as refusal:
        return _render_link_form(context, parameters, code, f"Too many wrong codes. {format_wait(refusal)}", 429)
    pin = await _find_open_pin(context, code) if len(code) == 4 else None
    if pin is None or parameters["clientID"] not in {"", pin.client.client_identifier}:
        text = "No device is waiting with this code. Check its screen again: codes expire."
        return _render_link_form(context, parameters, code, text, 404)
    await attempt.release()
    proof = _make_code_proof(context, code, account)
    return context.redirect("/auth", **(parameters | {"code": code, "checked": proof}))


def _read_code(parameters: Mapping[str, str]) -> str:
    """Return the code of a form or URL in upper case, without separators."""
    letters = _SEPARATORS.sub("", parameters.get("pin", ""))[:8]
    return pins.normalize_code(letters, any_case=True) or letters.upper()


def _render_link_form(
    context: PageContext, parameters: ApprovalParameters, code: str, error: str = "", status: int = 200
) -> OutgoingResponse:
    """Ask for a code, and keep the parameters of an Auth App URL until it is entered."""
    return context.render_page(
        "link.html", status, error=error, code=code, hidden_fields=_drop_empty(parameters, "code", "checked")
    )


def _make_code_proof(context: PageContext, code: str, account: AccountRow) -> str:
    return context.browser.make_proof("checked", code, account.id)


def _has_code_proof(context: PageContext, parameters: ApprovalParameters, account: AccountRow) -> bool:
    return context.browser.is_valid_proof(parameters["checked"], "checked", parameters["code"], account.id)


async def _find_open_pin(context: PageContext, code: str) -> PinRow | None:
    """Find the PIN that can still be approved or denied."""
    pin = await context.instance.store.pins.find_by_code(code, context.instance.now())
    return pin if pin and pin.account_id is None and pin.denied_at is None else None


async def _find_requested_pin(
    context: PageContext, parameters: ApprovalParameters, account: AccountRow
) -> PinRow | None:
    """Find the requested PIN; a URL must name its client, unless the code was entered on the link page."""
    pin, client_identifier = await _find_open_pin(context, parameters["code"]), parameters["clientID"]
    is_named = pin is not None and client_identifier == pin.client.client_identifier
    return pin if is_named or (not client_identifier and _has_code_proof(context, parameters, account)) else None


def _render_not_found(context: PageContext) -> OutgoingResponse:
    return context.render_page(
        "message.html",
        404,
        title="Not found or expired",
        paragraphs=[
            "This code is unknown, has expired, was already answered, or belongs to another app.",
            "Start again in the app to get a new code.",
        ],
        links=[("/link", "Enter a code"), ("/account", "Account")],
    )


def _list_device_facts(pin: PinRow, parameters: ApprovalParameters, now: int) -> list[tuple[str, str]]:
    """List what is known of the device that asks, from the PIN's client, else from the URL."""
    client = pin.client
    device, name, version, platform, platform_version = (
        parameters[f"context[device][{each}]"]
        for each in ("device", "deviceName", "version", "platform", "platformVersion")
    )
    if client.platform:
        platform, platform_version = client.platform, client.platform_version or ""
    return [
        ("Device", clean_text(client.name or client.device) or name or device),
        ("Platform", clean_text(f"{platform} {platform_version}") if platform else ""),
        ("Version", clean_text(client.version) or version),
        ("Address", clean_text(client.address)),
        ("Asked", f"{format_ago(now - pin.created_at)} ({datetime.fromtimestamp(pin.created_at, UTC):%H:%M:%S} UTC)"),
    ]


def _get_product_name(pin: PinRow, parameters: ApprovalParameters) -> str:
    return clean_text(pin.client.product) or parameters["context[device][product]"] or "Unnamed app"
