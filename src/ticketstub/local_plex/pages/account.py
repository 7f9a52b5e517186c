"""The pages of who is signed in: the account, its devices, its Plex Home, and claim tokens for new media servers.

Rule: as over the API. The store takes the account's id with a device's, so that nobody removes another's. A switch is
only within one Home, with the passcode of whoever is protected, and guesses are counted; only this browser's session
changes, no token is made and no app notices. Opening the claim page makes nothing, a managed user gets no claim token,
and it is told this once; one made by who had switched to the account ends with that browser's session.
"""

from __future__ import annotations

from ticketstub.local_plex.domain import homes
from ticketstub.local_plex.domain.claims import LIVES, make_claim
from ticketstub.local_plex.http.request import whole_number
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.pages.visit import PageVisit, ago, shown, span, wait
from ticketstub.local_plex.storage.base import AccountRow
from ticketstub.local_plex.storage.devices import KnownDevice
from ticketstub.local_plex.storage.members import MemberRow
from ticketstub.refusals import NotFound, PasscodeRequired, RateLimited
from ticketstub.tokens import Secret

_PLACES = [
    ("/link", "Link a device", "Type the code that a device or app shows."),
    ("/account/devices", "Authorised devices", "See what is signed in, and remove it."),
    ("/account/home", "Plex Home", "Switch this browser to another Home user."),
    ("/claim", "Claim a media server", "Get a claim token for a new server."),
]
_REMOVED = {
    "yes": "The device was removed, and its tokens have ended.",
    "no": "There is no such device any more.",
}


async def show(visit: PageVisit) -> Answer:
    """Show who is signed in."""
    record = visit.account("/account").record
    facts = [("E-mail", shown(record.email)), ("Known as", shown(record.friendly_name))]
    return visit.page("account.html", facts=facts, places=_PLACES)


async def show_devices(visit: PageVisit) -> Answer:
    """Show the devices that are signed in; a removal is said once, after the fact."""
    account, now = visit.account("/account/devices"), visit.instance.now()
    known = await visit.instance.store.devices.of(account.id, now)
    removed = _REMOVED.get(visit.given.get("removed", ""), "")
    return visit.page("devices.html", removed=removed, devices=[_device(device, now) for device in reversed(known)])


async def remove_device(visit: PageVisit) -> Answer:
    """Remove one, and end its tokens."""
    account, device_id = visit.account("/account/devices"), whole_number(visit.given.get("id", ""))
    devices, now = visit.instance.store.devices, visit.instance.now()
    removed = device_id is not None and await devices.remove(account.id, device_id, now)
    return visit.go("/account/devices", removed="yes" if removed else "no")


def _device(device: KnownDevice, now: int) -> dict[str, object]:
    client = device.client
    product = " ".join(shown(text) for text in (client.product, client.version) if text)
    system = " ".join(shown(text) for text in (client.platform, client.platform_version) if text)
    about = [product, f"on {system}" if system else "", f"at {shown(client.address)}" if client.address else ""]
    return {
        "id": device.id,
        "name": shown(client.name or client.device or client.product) or "A device without a name",
        "about": " ".join(text for text in about if text),
        "seen": f"Last seen {ago(now - device.last_seen_at)}, added {ago(now - device.created_at)}.",
    }


async def switch(visit: PageVisit) -> Answer:
    """Go on as another user; raises `NotFound` for who is not in this Home."""
    account, user, typed = visit.account("/account/home"), visit.given.get("user", ""), visit.given.get("passcode")
    try:
        target, stored = await homes.admitted(visit.instance, account, user, Secret(typed) if typed else None)
    except PasscodeRequired:
        return await show_home(visit, "This passcode is wrong.", user, 403)
    except RateLimited as refusal:
        seconds = int(refusal.retry_after or 1)
        return await show_home(visit, f"This was tried too often. Wait {wait(seconds)}, then try again.", user, 429)
    if not await visit.browser.switch(target.id, stored):
        raise NotFound
    return visit.go("/account")


async def show_home(visit: PageVisit, error: str = "", failed: str = "", status: int = 200) -> Answer:
    """Show the Home's users, and why one was not switched to."""
    account = visit.account("/account/home")
    home = await visit.instance.store.homes.of(account.id)
    users = [await _user(visit, member, account, failed) for member in homes.members(home, account)]
    name = (shown(home.name) if home else "") or "Plex Home"
    return visit.page("home.html", status, name=name, users=users, error=error)


async def _user(visit: PageVisit, member: MemberRow, me: AccountRow, failed: str) -> dict[str, object]:
    account, record = member.account, member.account.record
    tags = [("Administrator", member.admin), ("Managed", record.restricted), ("Guest", record.guest)]
    return {
        "id": account.id,
        "title": shown(record.title or record.username) or "A user without a name",
        "about": shown(record.email),
        "tags": [name for name, said in tags if said],
        "here": account.id == me.id,
        "protected": await visit.instance.store.homes.passcode_hash(account.id) is not None,
        "failed": failed == str(account.id),
    }


async def show_claim(visit: PageVisit) -> Answer:
    """Show what a claim token is, and offer to make one."""
    return _claim(visit, visit.account("/claim"))


async def take_claim(visit: PageVisit) -> Answer:
    """Make one and show it; raises `RateLimited` for who has too many."""
    account, instance = visit.account("/claim"), visit.instance
    if account.record.restricted:
        return _claim(visit, account)
    origin = visit.browser.digest if visit.browser.by is not None else None
    text = await make_claim(instance, account.id, origin)
    return _claim(visit, account, text)


def _claim(visit: PageVisit, account: AccountRow, claim: str = "") -> Answer:
    if not account.record.restricted:
        return visit.page("claim.html", claim=claim, life=span(LIVES))
    texts = ["A managed user of a Home can have no media server.", "Switch to the administrator of the Home first."]
    ways = [("/account/home", "Plex Home"), ("/account", "Account")]
    return visit.page("message.html", 403, title="Not for managed users", texts=texts, ways=ways)
