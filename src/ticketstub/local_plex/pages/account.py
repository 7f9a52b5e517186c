"""The pages of the signed-in account: its devices, its Plex Home, and claim tokens for new media servers.

Rule: the same rules as in the API. The store takes the account's id with a device's, so nobody removes another
account's device. A browser switches within one Home only, and needs the passcode of a protected user; wrong passcodes
are counted. A switch changes this browser's session alone: it creates no token and no app notices. Showing the claim
page creates nothing, and a managed user gets no claim token. A claim token of a browser that switched to the account
ends with that browser's session.
"""

from __future__ import annotations

from ticketstub.local_plex.domain import homes
from ticketstub.local_plex.domain.claims import CLAIM_SECONDS, issue_claim_token
from ticketstub.local_plex.http.request import parse_whole_number
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages.context import PageContext, clean_text, format_ago, format_duration, format_wait
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.devices import RegisteredDevice
from ticketstub.local_plex.storage.homes import MemberRow
from ticketstub.refusals import NotFound, PasscodeRequired, RateLimited
from ticketstub.tokens import Secret

LINKS = [
    ("/link", "Link a device", "Enter the code that a device or app shows."),
    ("/account/devices", "Authorised devices", "See what is signed in, and remove devices."),
    ("/account/home", "Plex Home", "Switch this browser to another Home user."),
    ("/claim", "Claim a media server", "Get a claim token for a new server."),
]
"""Path, name and description of the pages that the account and start pages link to."""

_REMOVAL_MESSAGES = {
    "yes": "The device was removed and its tokens were revoked.",
    "no": "This device no longer exists.",
}


async def show_account(context: PageContext) -> OutgoingResponse:
    """Show who is signed in."""
    record = context.require_account("/account").record
    return context.render_page(
        "account.html",
        facts=[("E-mail", clean_text(record.email)), ("Display name", clean_text(record.friendly_name))],
        links=LINKS,
    )


async def show_devices(context: PageContext) -> OutgoingResponse:
    """Show the devices that are signed in, and the result of a removal."""
    account, now = context.require_account("/account/devices"), context.instance.now()
    devices = await context.instance.store.devices.list_devices(account.id, now)
    return context.render_page(
        "devices.html",
        message=_REMOVAL_MESSAGES.get(context.parameters.get("removed", ""), ""),
        devices=[_describe_device(device, now) for device in reversed(devices)],
    )


async def remove_device(context: PageContext) -> OutgoingResponse:
    """Remove a device and revoke its tokens."""
    account, instance = context.require_account("/account/devices"), context.instance
    device_id = parse_whole_number(context.parameters.get("id", ""))
    removed = device_id is not None and await instance.store.devices.remove(account.id, device_id, instance.now())
    return context.redirect("/account/devices", removed="yes" if removed else "no")


def _describe_device(device: RegisteredDevice, now: int) -> dict[str, object]:
    client = device.client
    product = " ".join(clean_text(text) for text in (client.product, client.version) if text)
    system = " ".join(clean_text(text) for text in (client.platform, client.platform_version) if text)
    about = [product, f"on {system}" if system else "", f"at {clean_text(client.address)}" if client.address else ""]
    return {
        "id": device.id,
        "name": clean_text(client.name or client.device or client.product) or "Unnamed device",
        "about": " ".join(text for text in about if text),
        "seen": f"Last seen {format_ago(now - device.last_seen_at)}, added {format_ago(now - device.created_at)}.",
    }


async def switch_user(context: PageContext) -> OutgoingResponse:
    """Switch the browser to another user; raises `NotFound` for a user who is not in this Home."""
    account, passcode = context.require_account("/account/home"), context.parameters.get("passcode")
    user_key = context.parameters.get("user", "")
    try:
        target, passcode_hash = await homes.authorize_switch(
            context.instance, account, user_key, Secret(passcode) if passcode else None
        )
    except PasscodeRequired:
        return await show_home(context, "This passcode is wrong.", user_key, 403)
    except RateLimited as refusal:
        return await show_home(context, f"Too many attempts. {format_wait(refusal)}", user_key, 429)
    if not await context.browser.switch_user(target.id, passcode_hash):
        raise NotFound
    return context.redirect("/account")


async def show_home(
    context: PageContext, error: str = "", failed_user: str = "", status: int = 200
) -> OutgoingResponse:
    """Show the Home's users, and why the switch to one of them failed."""
    account = context.require_account("/account/home")
    home = await context.instance.store.homes.find_home(account.id)
    users = [
        await _describe_user(context, member, account, failed_user) for member in homes.list_members(home, account)
    ]
    name = (clean_text(home.name) if home else "") or "Plex Home"
    return context.render_page("home.html", status, home_name=name, users=users, error=error)


async def _describe_user(
    context: PageContext, member: MemberRow, current_account: AccountRow, failed_user: str
) -> dict[str, object]:
    account, record = member.account, member.account.record
    tags = [("Administrator", member.is_admin), ("Managed", record.restricted), ("Guest", record.guest)]
    return {
        "id": account.id,
        "title": clean_text(record.title or record.username) or "Unnamed user",
        "about": clean_text(record.email),
        "tags": [name for name, applies in tags if applies],
        "is_current": account.id == current_account.id,
        "is_protected": await context.instance.store.homes.get_passcode_hash(account.id) is not None,
        "has_failed": failed_user == str(account.id),
    }


async def show_claim(context: PageContext) -> OutgoingResponse:
    """Explain claim tokens and offer to create one."""
    return _render_claim_page(context, context.require_account("/claim"))


async def create_claim_token(context: PageContext) -> OutgoingResponse:
    """Create a claim token and show it; raises `RateLimited` if the account has too many."""
    account, browser = context.require_account("/claim"), context.browser
    origin = browser.session_digest if browser.switched_by is not None else None
    token = "" if account.record.restricted else await issue_claim_token(context.instance, account.id, origin)
    return _render_claim_page(context, account, token)


def _render_claim_page(context: PageContext, account: AccountRow, token: str = "") -> OutgoingResponse:
    if not account.record.restricted:
        return context.render_page("claim.html", token=token, lifetime=format_duration(CLAIM_SECONDS))
    return context.render_page(
        "message.html",
        403,
        title="Not for managed users",
        paragraphs=["A managed user cannot own a media server.", "Switch to the administrator of the Home first."],
        links=[("/account/home", "Plex Home"), ("/account", "Account")],
    )
