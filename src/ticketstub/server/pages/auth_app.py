"""The Auth App: approve or deny what an app asks for.

Rule: looking changes nothing; who approves has seen this very page, which names the app, its device and its address,
and holds our proof of that (`checked`). A strong code is taken from the URL; one of 4 characters could be guessed, so
it counts only as typed on the link page. What is not there, is over, was answered or is another client's looks the
same: not found.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from ticketstub.refusals import BadRequest, Forbidden
from ticketstub.server import lock_outs, pins
from ticketstub.server.answers import Answer
from ticketstub.server.pages.asked_for import CHECKED, AskedFor
from ticketstub.server.pages.forward import judge
from ticketstub.server.pages.visit import PageVisit
from ticketstub.server.pages.words import ago, shown
from ticketstub.server.store.base import AccountRow, DeviceRow
from ticketstub.server.store.pins import PinRow

NAMELESS = "An app without a name"


async def show(visit: PageVisit) -> Answer:
    """Show who asks, and let them choose."""
    if "resetPassword" in visit.given:
        return _reset(visit)
    asked = AskedFor.read(visit.given)
    if not asked.code:
        return visit.page("auth.html")
    account = visit.account("/auth", **asked.parameters())
    if len(asked.code) <= 4 and not _is_checked(visit, asked, account):
        code = pins.code_of(asked.code, any_case=True) or ""
        return visit.page("link.html", error="", code=code, kept=typed_later(asked))
    pin = await _found(visit, asked, account)
    if pin is None:
        return not_found(visit)
    return _choice(visit, asked, account, pin)


async def decide(visit: PageVisit) -> Answer:
    """Approve or deny; raises `Forbidden` where the page was not seen by this browser and account."""
    asked = AskedFor.read(visit.given)
    account = visit.account("/link")
    decision = visit.given.get("decision")
    if decision not in {"approve", "deny"}:
        raise BadRequest
    if not _is_checked(visit, asked, account):
        raise Forbidden
    pin = await _found(visit, asked, account)
    instance = visit.instance
    if pin is None:
        return not_found(visit)
    if decision == "approve":
        await lock_outs.check_not_locked(instance, account.id)
        done = await pins.approve(instance, pin, account.id, visit.browser.by, asker=visit.browser.digest)
    else:
        done = await instance.store.pins.deny(pin.id, instance.now())
    return _told(visit, decision, pin, asked) if done else not_found(visit)


async def done(visit: PageVisit) -> Answer:
    """Say what happened, and go where the app wanted to go."""
    outcome, product, url = (visit.given.get(name, "") for name in ("outcome", "product", "forwardUrl"))
    visit.account("/account")
    if not visit.browser.proves(visit.given.get("proof", ""), "done", outcome, product, url):
        return visit.go("/account")
    forward = judge(url, visit.browser.host)
    return visit.page(
        "done.html",
        approved=outcome == "approve",
        product=product,
        forward=forward,
        refused=bool(url) and forward is None,
    )


def checked(visit: PageVisit, code: str, account: AccountRow) -> str:
    """Prove that this account, at this browser, may look at the PIN of a code."""
    return visit.browser.proof("checked", code, account.id)


def typed_later(asked: AskedFor) -> dict[str, str]:
    """Return what the link page keeps of an Auth App URL until the code was typed."""
    left = asked.parameters()
    return {name: text for name, text in left.items() if name not in {"code", CHECKED}}


def not_found(visit: PageVisit) -> Answer:
    """Say that there is nothing to approve."""
    texts = [
        "This code is unknown, has run out, was answered already, or belongs to another app.",
        "Start again in the app: it makes a new one.",
    ]
    ways = [("/link", "Type a code"), ("/account", "Account")]
    return visit.page("message.html", 404, title="Not found or expired", texts=texts, ways=ways)


def _is_checked(visit: PageVisit, asked: AskedFor, account: AccountRow) -> bool:
    return visit.browser.proves(asked.checked, "checked", asked.code, account.id)


async def _found(visit: PageVisit, asked: AskedFor, account: AccountRow) -> PinRow | None:
    """Find the PIN that can still be answered; a URL must name its client, who typed a code need not."""
    pin = await visit.instance.store.pins.find_code(asked.code, visit.instance.now())
    if pin is None or pin.account_id is not None or pin.denied_at is not None:
        return None
    named = asked.client_identifier
    if named == pin.client.client_identifier or (not named and _is_checked(visit, asked, account)):
        return pin
    return None


def _choice(visit: PageVisit, asked: AskedFor, account: AccountRow, pin: PinRow) -> Answer:
    forward = judge(asked.forward_url, visit.browser.host)
    seen = {**asked.parameters(), CHECKED: checked(visit, pin.code, account)}
    return visit.page(
        "approve.html",
        product=_product(pin.client, asked.device),
        facts=_facts(pin, asked.device, visit.instance.now()),
        kept=seen,
        forward=forward,
        refused=bool(asked.forward_url) and forward is None,
        place=f"/auth?{urlencode(typed_later(asked) | {'code': pin.code})}",
    )


def _facts(pin: PinRow, claimed: dict[str, str], now: int) -> list[tuple[str, str]]:
    """List what is known of the device that asks."""
    client = pin.client
    claimed_system = _both(claimed.get("platform"), claimed.get("platformVersion"))
    return [
        ("Device", shown(client.name or client.device) or claimed.get("deviceName", "") or claimed.get("device", "")),
        ("Platform", _both(client.platform, client.platform_version) or claimed_system),
        ("Version", shown(client.version) or claimed.get("version", "")),
        ("Address", shown(client.address)),
        ("Asked", f"{ago(now - pin.created_at)} ({datetime.fromtimestamp(pin.created_at, UTC):%H:%M:%S} UTC)"),
    ]


def _both(name: str | None, version: str | None) -> str:
    return shown(f"{name} {version or ''}") if name else ""


def _product(client: DeviceRow, claimed: dict[str, str]) -> str:
    return shown(client.product) or claimed.get("product", "") or NAMELESS


def _told(visit: PageVisit, outcome: str, pin: PinRow, asked: AskedFor) -> Answer:
    facts = (outcome, _product(pin.client, asked.device), asked.forward_url)
    outcome, product, url = facts
    return visit.go(
        "/auth/done", outcome=outcome, product=product, forwardUrl=url, proof=visit.browser.proof("done", *facts)
    )


def _reset(visit: PageVisit) -> Answer:
    texts = [
        "Passwords of a local Plex are in its world file: the key password of an account.",
        "Look there, or change it and start the local Plex anew with a new database.",
    ]
    ways = [("/sign-in", "Sign in")]
    return visit.page("message.html", title="Forgot a password?", texts=texts, ways=ways)
