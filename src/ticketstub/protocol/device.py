"""The account's authorized devices: list them, remove one; and the address that plex.tv sees.

Rule: as all of wire/, role-blind. Sources: observed bodies; whether a removal is answered with 200 or 204 is not
known, so both are read.
"""

from __future__ import annotations

from ticketstub.messages import Response
from ticketstub.models import AuthorizedDevice
from ticketstub.protocol import lenient
from ticketstub.protocol.call import CONTAINER, Call, Http, Silent, data_of, malformed
from ticketstub.protocol.codec import Format, document, plain
from ticketstub.protocol.plain import is_items, is_members


class GetDevices(Call[tuple[AuthorizedDevice, ...]], frozen=True, kw_only=True):
    """List the account's authorized devices: `GET /devices.xml`, 200 (observed)."""

    http = Http("GET", "/devices.xml", "devices", mark="observed")

    def read(self, response: Response) -> tuple[AuthorizedDevice, ...]:
        data = data_of(response)
        listed = _listed(data)
        if listed is None:
            raise malformed(response, "the answer is no list of devices")
        return tuple(one for one in lenient.records(AuthorizedDevice, listed) if one.id is not None)

    def write(self, value: tuple[AuthorizedDevice, ...], form: Format) -> bytes:
        return write_devices(value, form, next((one.public_address for one in value if one.public_address), None))


class RemoveDevice(Silent, frozen=True, kw_only=True):
    """Remove an authorized device and end its tokens: `DELETE /devices/{id}.xml`, 200 or 204 (observed)."""

    http = Http("DELETE", "/devices/{id}.xml", "remove_device", repeatable=False, status=204, mark="observed")

    id: int


class GetPublicAddress(Call[str], frozen=True, kw_only=True):
    """Ask which address one comes from: `GET /:/ip`, 200, plain text, no token (observed in public clients)."""

    http = Http("GET", "/:/ip", "public_address", needs_token=False, media_type="text/plain", mark="observed")

    def read(self, response: Response) -> str:
        text = response.body[:64].decode("ascii", "replace").strip()
        if not text or not all(c.isalnum() or c in ".:%" for c in text):
            raise malformed(response, "the answer is no address")
        return text

    def write(self, value: str, form: Format) -> bytes:
        return value.encode()


def write_devices(devices: tuple[AuthorizedDevice, ...], form: Format, public_address: str | None) -> bytes:
    """Write a list of devices, and the address that asked for it."""
    listed = [_members(device) for device in devices]
    content: dict[str, object] = {"publicAddress": public_address or "", "size": len(listed), "Device": listed}
    return document(CONTAINER, content, form, wrapped=True)


def _members(device: AuthorizedDevice) -> dict[str, object]:
    """Write one as observed: of a connection only its address, and what is not known as an empty text."""
    members = {name: "" if member is None else member for name, member in plain(device).items()}
    return members | {"Connection": [{"uri": connection.uri} for connection in device.connections]}


def _listed(data: object) -> object:
    """Find the list, in its container or out of it; `None` where there is none."""
    if is_members(data) and is_members(inner := data.get(CONTAINER)):
        data = inner
    if is_members(data):
        known = "Device" in data or "size" in data or "publicAddress" in data
        return data.get("Device", []) if known else None
    return data if is_items(data) else None
