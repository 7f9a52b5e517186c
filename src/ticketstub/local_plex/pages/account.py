"""The pages of who is signed in: the account, its devices, its Plex Home, and claim tokens for new media servers.

Rule: as over the API. The store takes the account's id with a device's, so that nobody removes another's. A switch is
only within one Home, with the passcode of whoever is protected, and guesses are counted; only this browser's session
changes, no token is made and no app notices. Opening the claim page makes nothing, a managed user gets no claim token,
and it is told this once; one made by who had switched to the account ends with that browser's session.
"""

from __future__ import annotations

from ticketstub.local_plex.domain import homes
from ticketstub.local_plex.domain.claims import CLAIM_SECONDS, issue_claim_token
from ticketstub.local_plex.http.request import parse_whole_number
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages.visit import PageContext, clean_text, format_ago, format_duration, format_wait
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.devices import RegisteredDevice
from ticketstub.local_plex.storage.homes import MemberRow
from ticketstub.refusals import NotFound, PasscodeRequired, RateLimited
from ticketstub.tokens import Secret

_LINKS = [
    ("/link", "Link a device", "Type the code that a device or app shows."),
    ("/account/devices", "Authorised devices", "See what is signed in, and remove it."),
    ("/account/home", "Plex Home", "Switch this browser to another Home user."),
    ("/claim", "Claim a media server", "Get a claim token for a new server."),
]
_REMOVAL_MESSAGES = {
    "yes": "The device was removed, and its tokens have ended.",
    "no": "There is no such device any more.",
}


async def show_account(context: PageContext) -> OutgoingResponse:
    """Show who is signed in."""
    record = context.require_account("/account").record
    facts = [("E-mail", clean_text(record.email)), ("Known as", clean_text(record.friendly_name))]
    return context.render_page("account.html", facts=facts, places=_LINKS)


async def show_devices(context: PageContext) -> OutgoingResponse:
    """Show the devices that are signed in; a removal is said once, after the fact."""
    account, now = context.require_account("/account/devices"), context.instance.now()
    known = await context.instance.store.devices.list_devices(account.id, now)
    removed = _REMOVAL_MESSAGES.get(context.parameters.get("removed", ""), "")
    return context.render_page(
        "devices.html", removed=removed, devices=[_describe_device(device, now) for device in reversed(known)]
    )


async def remove_device(context: PageContext) -> OutgoingResponse:
    """Remove one, and end its tokens."""
    account, device_id = (
        context.require_account("/account/devices"),
        parse_whole_number(context.parameters.get("id", "")),
    )
    devices, now = context.instance.store.devices, context.instance.now()
    removed = device_id is not None and await devices.remove(account.id, device_id, now)
    return context.redirect("/account/devices", removed="yes" if removed else "no")


def _describe_device(device: RegisteredDevice, now: int) -> dict[str, object]:
    client = device.client
    product = " ".join(clean_text(text) for text in (client.product, client.version) if text)
    system = " ".join(clean_text(text) for text in (client.platform, client.platform_version) if text)
    about = [product, f"on {system}" if system else "", f"at {clean_text(client.address)}" if client.address else ""]
    return {
        "id": device.id,
        "name": clean_text(client.name or client.device or client.product) or "A device without a name",
        "about": " ".join(text for text in about if text),
        "seen": f"Last seen {format_ago(now - device.last_seen_at)}, added {format_ago(now - device.created_at)}.",
    }


async def switch_user(context: PageContext) -> OutgoingResponse:
    """Go on as another user; raises `NotFound` for who is not in this Home."""
    account, user_key, typed = (
        context.require_account("/account/home"),
        context.parameters.get("user", ""),
        context.parameters.get("passcode"),
    )
    try:
        target, passcode_hash = await homes.authorize_switch(
            context.instance, account, user_key, Secret(typed) if typed else None
        )
    except PasscodeRequired:
        return await show_home(context, "This passcode is wrong.", user_key, 403)
    except RateLimited as refusal:
        seconds = int(refusal.retry_after or 1)
        return await show_home(
            context, f"This was tried too often. Wait {format_wait(seconds)}, then try again.", user_key, 429
        )
    if not await context.browser.switch_user(target.id, passcode_hash):
        raise NotFound
    return context.redirect("/account")


async def show_home(
    context: PageContext, error: str = "", failed_user: str = "", status: int = 200
) -> OutgoingResponse:
    """Show the Home's users, and why one was not switched to."""
    account = context.require_account("/account/home")
    home = await context.instance.store.homes.find_home(account.id)
    users = [
        await _describe_user(context, member, account, failed_user) for member in homes.list_members(home, account)
    ]
    name = (clean_text(home.name) if home else "") or "Plex Home"
    return context.render_page("home.html", status, name=name, users=users, error=error)


async def _describe_user(
    context: PageContext, member: MemberRow, current_account: AccountRow, failed_user: str
) -> dict[str, object]:
    account, record = member.account, member.account.record
    tags = [("Administrator", member.is_admin), ("Managed", record.restricted), ("Guest", record.guest)]
    return {
        "id": account.id,
        "title": clean_text(record.title or record.username) or "A user without a name",
        "about": clean_text(record.email),
        "tags": [name for name, applies in tags if applies],
        "here": account.id == current_account.id,
        "protected": await context.instance.store.homes.get_passcode_hash(account.id) is not None,
        "failed": failed_user == str(account.id),
    }


async def show_claim(context: PageContext) -> OutgoingResponse:
    """Show what a claim token is, and offer to make one."""
    return _render_claim_page(context, context.require_account("/claim"))


async def create_claim_token(context: PageContext) -> OutgoingResponse:
    """Make one and show it; raises `RateLimited` for who has too many."""
    account, instance = context.require_account("/claim"), context.instance
    if account.record.restricted:
        return _render_claim_page(context, account)
    origin = context.browser.session_digest if context.browser.switched_by is not None else None
    token = await issue_claim_token(instance, account.id, origin)
    return _render_claim_page(context, account, token)


def _render_claim_page(context: PageContext, account: AccountRow, token: str = "") -> OutgoingResponse:
    if not account.record.restricted:
        return context.render_page("claim.html", claim=token, life=format_duration(CLAIM_SECONDS))
    texts = ["A managed user of a Home can have no media server.", "Switch to the administrator of the Home first."]
    links = [("/account/home", "Plex Home"), ("/account", "Account")]
    return context.render_page("message.html", 403, title="Not for managed users", texts=texts, ways=links)
