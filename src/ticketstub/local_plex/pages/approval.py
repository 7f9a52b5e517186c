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

from ticketstub.local_plex.domain import lock_outs, pins
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.pages.forward_url import judge
from ticketstub.local_plex.pages.visit import PageVisit, ago, shown, wait
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.pins import PinRow
from ticketstub.refusals import BadRequest, Forbidden, RateLimited

NAMELESS = "An app without a name"
_NOBODY = "No device is waiting with this code. Look at its screen again: codes run out."
_NO_CODE = re.compile(r"[^A-Za-z0-9]")
_CONTEXT = ("product", "version", "platform", "platformVersion", "device", "deviceName", "model")
_LONGEST = 2048

Asked = dict[str, str]
"""What is to be approved: all parameters that are known, empty where a URL or form does not have them."""


def _read(given: Mapping[str, str]) -> Asked:
    known = {name: given.get(name, "") for name in ("clientID", "code", "checked", "forwardUrl")}
    known["forwardUrl"] = known["forwardUrl"][: _LONGEST + 1]
    return known | {name: shown(given.get(name)) for name in map("context[device][{}]".format, _CONTEXT)}


def _kept(asked: Asked, *without: str) -> dict[str, str]:
    """Return the parameters that are there."""
    return {name: text for name, text in asked.items() if text and name not in without}


async def show(visit: PageVisit) -> Answer:
    """Show who asks, and let them choose."""
    if "resetPassword" in visit.given:
        return _reset(visit)
    asked = _read(visit.given)
    if not asked["code"]:
        return visit.page("auth.html")
    account = visit.account("/auth", **_kept(asked))
    if len(asked["code"]) <= 4 and not _is_checked(visit, asked, account):
        return _link_form(visit, asked, pins.code_of(asked["code"], any_case=True) or "")
    pin = await _found(visit, asked, account)
    return _choice(visit, asked, account, pin) if pin else _not_found(visit)


async def decide(visit: PageVisit) -> Answer:
    """Approve or deny; raises `Forbidden` where the page was not seen by this browser and account."""
    asked, outcome, instance = _read(visit.given), visit.given.get("decision"), visit.instance
    account = visit.account("/link")
    if outcome not in {"approve", "deny"}:
        raise BadRequest
    if not _is_checked(visit, asked, account):
        raise Forbidden
    pin = await _found(visit, asked, account)
    if pin is None:
        return _not_found(visit)
    if outcome == "approve":
        await lock_outs.check_not_locked(instance, account.id)
        done = await pins.approve(instance, pin, account.id, visit.browser.by, asker=visit.browser.digest)
    else:
        done = await instance.store.pins.deny(pin.id, instance.now())
    if not done:
        return _not_found(visit)
    product, url = _product(pin, asked), asked["forwardUrl"]
    proof = visit.browser.proof("done", outcome, product, url)
    return visit.go("/auth/done", outcome=outcome, product=product, forwardUrl=url, proof=proof)


async def done(visit: PageVisit) -> Answer:
    """Say what happened, and go where the app wanted to go."""
    outcome, product, url = (visit.given.get(name, "") for name in ("outcome", "product", "forwardUrl"))
    visit.account("/account")
    if not visit.browser.proves(visit.given.get("proof", ""), "done", outcome, product, url):
        return visit.go("/account")
    forward = judge(url, visit.browser.host)
    refused = bool(url) and forward is None
    return visit.page("done.html", approved=outcome == "approve", product=product, forward=forward, refused=refused)


async def show_link(visit: PageVisit) -> Answer:
    """Show the form for a code."""
    code = _typed(visit.given)
    visit.account("/link", **({"pin": code} if code else {}))
    return _link_form(visit, {}, code)


async def take_link(visit: PageVisit) -> Answer:
    """Look a code up, and go on to its approval."""
    code = _typed(visit.given)
    asked = _read({**visit.given, "code": code})
    account = visit.account("/link", **({"pin": code} if code else {}))
    try:
        tried = await lock_outs.attempt(visit.instance, "link_code", str(account.id))
    except RateLimited as refused:
        text = f"Too many wrong codes were typed. Wait {wait(int(refused.retry_after or 1))}, then try again."
        return _link_form(visit, asked, code, text, 429)
    pin = await _open(visit, code) if len(code) == 4 else None
    if pin is None or asked["clientID"] not in {"", pin.client.client_identifier}:
        return _link_form(visit, asked, code, _NOBODY, 404)
    await tried.give_back()
    return visit.go("/auth", **_kept(asked, "code", "checked"), code=code, checked=_checked(visit, code, account))


def _typed(given: Mapping[str, str]) -> str:
    """Return a code as it was typed or came in a URL, in capitals, without what people put between."""
    letters = _NO_CODE.sub("", given.get("pin", ""))[:8]
    return pins.code_of(letters, any_case=True) or letters.upper()


def _link_form(visit: PageVisit, asked: Asked, code: str, error: str = "", status: int = 200) -> Answer:
    """Ask for a code, and keep what an Auth App URL said until it was typed."""
    return visit.page("link.html", status, error=error, code=code, kept=_kept(asked, "code", "checked"))


def _checked(visit: PageVisit, code: str, account: AccountRow) -> str:
    """Prove that this account, at this browser, may look at the PIN of a code."""
    return visit.browser.proof("checked", code, account.id)


def _is_checked(visit: PageVisit, asked: Asked, account: AccountRow) -> bool:
    return visit.browser.proves(asked["checked"], "checked", asked["code"], account.id)


async def _open(visit: PageVisit, code: str) -> PinRow | None:
    """Find the PIN that can still be answered."""
    pin = await visit.instance.store.pins.find_code(code, visit.instance.now())
    return pin if pin and pin.account_id is None and pin.denied_at is None else None


async def _found(visit: PageVisit, asked: Asked, account: AccountRow) -> PinRow | None:
    """Find the PIN that is meant; a URL must name its client, who typed a code need not."""
    pin, named = await _open(visit, asked["code"]), asked["clientID"]
    is_named = pin is not None and named == pin.client.client_identifier
    return pin if is_named or (not named and _is_checked(visit, asked, account)) else None


def _not_found(visit: PageVisit) -> Answer:
    texts = [
        "This code is unknown, has run out, was answered already, or belongs to another app.",
        "Start again in the app: it makes a new one.",
    ]
    ways = [("/link", "Type a code"), ("/account", "Account")]
    return visit.page("message.html", 404, title="Not found or expired", texts=texts, ways=ways)


def _choice(visit: PageVisit, asked: Asked, account: AccountRow, pin: PinRow) -> Answer:
    forward = judge(asked["forwardUrl"], visit.browser.host)
    return visit.page(
        "approve.html",
        product=_product(pin, asked),
        facts=_facts(pin, asked, visit.instance.now()),
        kept=_kept(asked) | {"checked": _checked(visit, pin.code, account)},
        forward=forward,
        refused=bool(asked["forwardUrl"]) and forward is None,
        place=f"/auth?{urlencode(_kept(asked, 'code', 'checked') | {'code': pin.code})}",
    )


def _facts(pin: PinRow, asked: Asked, now: int) -> list[tuple[str, str]]:
    """List what is known of the device that asks: by the PIN's client, else by the URL."""
    client = pin.client
    device, name, version, platform, platform_version = (
        asked[f"context[device][{each}]"] for each in ("device", "deviceName", "version", "platform", "platformVersion")
    )
    return [
        ("Device", shown(client.name or client.device) or name or device),
        ("Platform", _both(client.platform, client.platform_version) or _both(platform, platform_version)),
        ("Version", shown(client.version) or version),
        ("Address", shown(client.address)),
        ("Asked", f"{ago(now - pin.created_at)} ({datetime.fromtimestamp(pin.created_at, UTC):%H:%M:%S} UTC)"),
    ]


def _both(name: str | None, version: str | None) -> str:
    return shown(f"{name} {version or ''}") if name else ""


def _product(pin: PinRow, asked: Asked) -> str:
    return shown(pin.client.product) or asked["context[device][product]"] or NAMELESS


def _reset(visit: PageVisit) -> Answer:
    texts = [
        "Passwords of a local Plex are in its world file: the key password of an account.",
        "Look there, or change it and start the local Plex anew with a new database.",
    ]
    return visit.page("message.html", title="Forgot a password?", texts=texts, ways=[("/sign-in", "Sign in")])
