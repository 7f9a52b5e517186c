"""The page of authorised devices: what is signed in as this account, and its removal.

Rule: the store takes the account's id with the device's, so that nobody removes another's. Removing says so once,
after the fact.
"""

from __future__ import annotations

from msgspec import Struct

from ticketstub.server.answers import Answer
from ticketstub.server.pages.visit import PageVisit
from ticketstub.server.pages.words import ago, shown
from ticketstub.server.store.devices import KnownDevice


class _Shown(Struct, frozen=True):
    id: int
    name: str
    about: str
    seen: str


async def show(visit: PageVisit) -> Answer:
    """Show the devices."""
    return await _list(visit, _SAID.get(visit.given.get("removed", ""), ""))


async def remove(visit: PageVisit) -> Answer:
    """Remove one, and end its tokens."""
    account, device_id = visit.account("/account/devices"), visit.given.get("id", "")
    known = device_id.isascii() and device_id.isdigit() and len(device_id) <= 18
    store = visit.instance.store
    if known and await store.devices.remove(account.id, int(device_id), visit.instance.now()):
        return visit.go("/account/devices", removed="yes")
    return visit.go("/account/devices", removed="no")


_SAID = {
    "yes": "The device was removed, and its tokens have ended.",
    "no": "There is no such device any more.",
}


async def _list(visit: PageVisit, removed: str) -> Answer:
    account, now = visit.account("/account/devices"), visit.instance.now()
    known = await visit.instance.store.devices.of(account.id, now)
    return visit.page("devices.html", removed=removed, devices=[_shown(device, now) for device in reversed(known)])


def _shown(device: KnownDevice, now: int) -> _Shown:
    client = device.client
    product = " ".join(shown(text) for text in (client.product, client.version) if text)
    system = " ".join(shown(text) for text in (client.platform, client.platform_version) if text)
    about = [product, f"on {system}" if system else "", f"at {shown(client.address)}" if client.address else ""]
    return _Shown(
        id=device.id,
        name=shown(client.name or client.device or client.product) or "A device without a name",
        about=" ".join(text for text in about if text),
        seen=f"Last seen {ago(now - device.last_seen_at)}, added {ago(now - device.created_at)}.",
    )
