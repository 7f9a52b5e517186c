"""The account's authorized devices: list them, remove one.

Rule: as all of wire/, role-blind. Sources: observed bodies; whether a removal is answered with 200 or 204 is not
known, so both are read.
"""

from __future__ import annotations

from ticketstub.records import AuthorizedDevice
from ticketstub.wire import tolerant
from ticketstub.wire.call import CONTAINER, Call, Silent, data_of, malformed
from ticketstub.wire.codec import Format, plain, to_json, to_xml
from ticketstub.wire.http import Response


class GetDevices(Call[tuple[AuthorizedDevice, ...]], frozen=True, kw_only=True):
    """List the account's authorized devices: `GET /devices.xml`, 200 (observed)."""

    name = "devices"
    path = "/devices.xml"
    mark = "observed"

    def read(self, response: Response) -> tuple[AuthorizedDevice, ...]:
        data = data_of(response)
        found = tuple(one for one in tolerant.records(AuthorizedDevice, data) if one.id is not None)
        if not found and isinstance(data, str):
            raise malformed(response, "the answer is no list of devices")
        return found

    def write(self, value: tuple[AuthorizedDevice, ...], form: Format) -> bytes:
        address = next((device.public_address for device in value if device.public_address), "")
        listed = [plain(device) for device in value]
        content: dict[str, object] = {"publicAddress": address, "size": len(listed), "Device": listed}
        return to_xml(CONTAINER, content) if form is Format.XML else to_json({CONTAINER: content})


class RemoveDevice(Silent, frozen=True, kw_only=True):
    """Remove an authorized device and end its tokens: `DELETE /devices/{id}.xml`, 200 or 204 (observed)."""

    name = "remove_device"
    method = "DELETE"
    path = "/devices/{id}.xml"
    repeatable = False
    status = 204
    mark = "observed"

    id: int
