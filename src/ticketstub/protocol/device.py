"""The account's authorized devices: list them, remove one; and the address that plex.tv sees.

Rule: as all of wire/, role-blind. Sources: observed bodies; whether a removal is answered with 200 or 204 is not
known, so both are read.
"""

from __future__ import annotations

from ticketstub.messages import Response
from ticketstub.models import AuthorizedDevice
from ticketstub.protocol import lenient
from ticketstub.protocol.call import CONTAINER, Call, HttpSpec, NoContentCall, build_malformed_reply, parse_response
from ticketstub.protocol.codec import Format, to_builtins, write_document
from ticketstub.protocol.plain import is_array, is_object


class GetDevices(Call[tuple[AuthorizedDevice, ...]], frozen=True, kw_only=True):
    """List the account's authorized devices: `GET /devices.xml`, 200 (observed)."""

    http = HttpSpec("GET", "/devices.xml", "devices", mark="observed")

    def read(self, response: Response) -> tuple[AuthorizedDevice, ...]:
        data = parse_response(response)
        items = _find_devices(data)
        if items is None:
            raise build_malformed_reply(response, "the answer is no list of devices")
        return tuple(device for device in lenient.read_models(AuthorizedDevice, items) if device.id is not None)

    def write(self, value: tuple[AuthorizedDevice, ...], form: Format) -> bytes:
        return write_devices(
            value, form, next((device.public_address for device in value if device.public_address), None)
        )


class RemoveDevice(NoContentCall, frozen=True, kw_only=True):
    """Remove an authorized device and end its tokens: `DELETE /devices/{id}.xml`, 200 or 204 (observed)."""

    http = HttpSpec("DELETE", "/devices/{id}.xml", "remove_device", retryable=False, status=204, mark="observed")

    id: int


class GetPublicAddress(Call[str], frozen=True, kw_only=True):
    """Ask which address one comes from: `GET /:/ip`, 200, plain text, no token (observed in public clients)."""

    http = HttpSpec("GET", "/:/ip", "public_address", needs_token=False, media_type="text/plain", mark="observed")

    def read(self, response: Response) -> str:
        text = response.body[:64].decode("ascii", "replace").strip()
        if not text or not all(c.isalnum() or c in ".:%" for c in text):
            raise build_malformed_reply(response, "the answer is no address")
        return text

    def write(self, value: str, form: Format) -> bytes:
        return value.encode()


def write_devices(devices: tuple[AuthorizedDevice, ...], form: Format, public_address: str | None) -> bytes:
    """Write a list of devices, and the address that asked for it."""
    listed = [_device_to_dict(device) for device in devices]
    content: dict[str, object] = {"publicAddress": public_address or "", "size": len(listed), "Device": listed}
    return write_document(CONTAINER, content, form, wrap_json=True)


def _device_to_dict(device: AuthorizedDevice) -> dict[str, object]:
    """Write one as observed: of a connection only its address, and what is not known as an empty text."""
    members = {name: "" if member is None else member for name, member in to_builtins(device).items()}
    return members | {"Connection": [{"uri": connection.uri} for connection in device.connections]}


def _find_devices(data: object) -> object:
    """Find the list, in its container or out of it; `None` where there is none."""
    if is_object(data) and is_object(inner := data.get(CONTAINER)):
        data = inner
    if is_object(data):
        known = "Device" in data or "size" in data or "publicAddress" in data
        return data.get("Device", []) if known else None
    return data if is_array(data) else None
