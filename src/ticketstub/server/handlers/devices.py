"""plex.tv's answers about an account's devices: the list, a removal, and where the client itself is.

Rule: the list shows each device's token to the account (observed), so only an account's own token gets the whole of it:
a media server's gets its own row (ours), and removes nothing. A removal is over when its answer is sent: the device's
tokens, whatever was made from them, and its key are dead. Removing a media server takes it out of the account, with
its token and all its shares (observed).
"""

from __future__ import annotations

from ticketstub.records import AuthorizedDevice
from ticketstub.refusals import NotFound
from ticketstub.server.addresses import connections
from ticketstub.server.answers import PLEX_TV_EMPTY, Answer
from ticketstub.server.instance import Instance
from ticketstub.server.requests import Asked
from ticketstub.server.routes import Visit
from ticketstub.server.store.base import Row, TokenRow
from ticketstub.server.store.devices import KnownDevice
from ticketstub.token import Token
from ticketstub.wire.codec import Format
from ticketstub.wire.devices import GetDevices, GetPublicAddress, RemoveDevice, write_devices

_DIGITS = 18  # what fits into a database's integer whatever the digits are


class ListedDevices(Row, frozen=True, kw_only=True):
    """An account's devices, and the address that asked for them."""

    devices: tuple[AuthorizedDevice, ...]
    address: str


async def devices(visit: Visit[Instance, TokenRow], _call: GetDevices) -> ListedDevices:
    """List the account's devices, in the order they came."""
    instance, caller, address = visit.place, visit.caller, visit.asked.address
    rows = await instance.store.devices.of(caller.account_id, instance.now())
    told = (row for row in rows if caller.kind != "server" or row.id == caller.device_id)
    return ListedDevices(devices=tuple(_shown(instance, row, address) for row in told), address=address)


def write_listed(listed: ListedDevices, form: Format) -> bytes:
    """Write the list."""
    return write_devices(listed.devices, form, listed.address)


def read_remove(asked: Asked) -> RemoveDevice:
    """Read which device is meant; raises `NotFound` for what is no number: a client identifier is not taken."""
    text = asked.in_path.get("id", "")
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise NotFound
    return RemoveDevice(id=int(text))


async def remove_device(visit: Visit[Instance, TokenRow], call: RemoveDevice) -> Answer:
    """Remove a device of the account; raises `NotFound` for one that is not there, or not the account's."""
    instance = visit.place
    if not await instance.store.devices.remove(visit.caller.account_id, call.id, instance.now()):
        raise NotFound
    return Answer(instance.answers.removed_device, PLEX_TV_EMPTY, b"")


async def public_address(visit: Visit[Instance, TokenRow], _call: GetPublicAddress) -> Answer:
    """Tell the client where it is, in plain text (observed)."""
    fields = [(b"content-type", b"text/plain; charset=utf-8"), *PLEX_TV_EMPTY]
    return Answer(200, fields, visit.asked.address.encode())


def _shown(instance: Instance, row: KnownDevice, address: str) -> AuthorizedDevice:
    client = row.client
    # One address may be listed as a local and as a remote one: here nothing would tell the two apart.
    addresses = connections(instance.addresses.get(client.client_identifier, ()), client.client_identifier)
    found = {each.uri: each for each in addresses}
    return AuthorizedDevice(
        name=client.name or client.product,
        public_address=client.address or address,
        product=client.product,
        product_version=client.version,
        platform=client.platform,
        platform_version=client.platform_version,
        device=client.device,
        model=client.model,
        vendor=client.vendor,
        provides=client.provides,
        client_identifier=client.client_identifier,
        version=client.version,
        id=row.id,
        token=Token.received(instance.keys.unseal(row.sealed_token)) if row.sealed_token else None,
        created_at=row.created_at,
        last_seen_at=instance.now() if found else row.last_seen_at,  # a media server of ours is there, as we are
        screen_resolution=client.screen_resolution,
        connections=tuple(found.values()),
    )
