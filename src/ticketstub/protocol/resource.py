"""The calls for what an account has: its media servers and players, its authorized devices, and its public IP address.

Rule: the client and the local Plex use the same code (see `call`). Sources: the API's published description and
observed bodies, which differ in what may be missing. A removal is known to succeed with 200 or 204, so both are
accepted.
"""

from __future__ import annotations

import msgspec

from ticketstub.messages import Response, is_array, is_object
from ticketstub.models import AuthorizedDevice, Resource
from ticketstub.protocol import lenient
from ticketstub.protocol.call import (
    CONTAINER,
    Call,
    HttpSpec,
    NoContentCall,
    ReplyCodec,
    build_malformed_reply,
    find_container_items,
    parse_response,
    walk_objects,
)
from ticketstub.protocol.codec import Format, to_builtins, write_document


def _read_resources(response: Response) -> tuple[Resource, ...]:
    data = parse_response(response)
    found = tuple(filter(_is_resource, lenient.read_models(Resource, data)))
    if not found:  # the list may be in a wrapper with other members
        found = tuple(filter(_is_resource, lenient.read_models(Resource, [*walk_objects(data)])))
    if not found and not _is_empty_list(data):
        raise build_malformed_reply(response, "the reply is not a list of resources")
    return found


_IDENTIFYING_FIELDS = ("client_identifier", "access_token", "provides", "connections")


def _is_resource(resource: Resource) -> bool:
    """Return whether this is a resource, not something else that has a name."""
    return any(getattr(resource, name) not in (None, ()) for name in _IDENTIFYING_FIELDS)


def _is_empty_list(data: object) -> bool:
    """Return whether this is an empty list in any wrapper: `[]`, `{"resources": []}`, `<… size="0"/>`."""
    if not is_object(data):
        return data in ("", [], ())
    if "0" in (str(data.get("size")), str(data.get("totalSize"))):
        return not any(is_array(member) and member for member in data.values())
    return bool(data) and all(map(_is_empty_list, data.values()))


class GetResources(Call[tuple[Resource, ...]], frozen=True, kw_only=True):
    """List the media servers and players that the account can reach: `GET /api/v2/resources`, 200 (documented).

    Args:
        include_https: whether to list addresses as https addresses of plex.direct.
        include_relay: whether to include Plex's relays.
        include_ipv6: whether to include IPv6 addresses.
    """

    http = HttpSpec(
        "GET",
        "/api/v2/resources",
        "resources",
        reply=ReplyCodec(
            _read_resources,
            lambda resources, form: write_document("resources", [to_builtins(each) for each in resources], form),
        ),
    )

    include_https: bool = True
    include_relay: bool = True
    include_ipv6: bool = msgspec.field(name="includeIPv6", default=True)


def _read_devices(response: Response) -> tuple[AuthorizedDevice, ...]:
    items = find_container_items("Device", parse_response(response))
    if items is None:
        raise build_malformed_reply(response, "the reply is not a list of devices")
    return tuple(device for device in lenient.read_models(AuthorizedDevice, items) if device.id is not None)


def write_devices(devices: tuple[AuthorizedDevice, ...], form: Format, public_address: str | None) -> bytes:
    """Write a list of devices and the caller's public IP address.

    As observed, a connection has only its `uri`, and a missing value is an empty string.
    """
    listed = [
        {name: "" if member is None else member for name, member in to_builtins(device).items()}
        | {"Connection": [{"uri": connection.uri} for connection in device.connections]}
        for device in devices
    ]
    return write_document(
        CONTAINER,
        {"publicAddress": public_address or "", "size": len(listed), "Device": listed},
        form,
        wrap_json=True,
    )


class GetDevices(Call[tuple[AuthorizedDevice, ...]], frozen=True, kw_only=True):
    """List the account's authorized devices: `GET /devices.xml`, 200 (observed)."""

    http = HttpSpec(
        "GET",
        "/devices.xml",
        "devices",
        mark="observed",
        reply=ReplyCodec(
            _read_devices,
            lambda devices, form: write_devices(
                devices, form, next((each.public_address for each in devices if each.public_address), None)
            ),
        ),
    )


class RemoveDevice(NoContentCall, frozen=True, kw_only=True):
    """Remove an authorized device and revoke its tokens: `DELETE /devices/{id}.xml`, 200 or 204 (observed)."""

    http = HttpSpec("DELETE", "/devices/{id}.xml", "remove_device", retryable=False, status=204, mark="observed")

    id: int


def _read_address(response: Response) -> str:
    text = response.body[:64].decode("ascii", "replace").strip()
    if not text or not all(c.isalnum() or c in ".:%" for c in text):
        raise build_malformed_reply(response, "the reply is not an address")
    return text


class GetPublicAddress(Call[str], frozen=True, kw_only=True):
    """Get the caller's public IP address: `GET /:/ip`, 200, plain text, no token (observed in public clients)."""

    http = HttpSpec(
        "GET",
        "/:/ip",
        "public_address",
        needs_token=False,
        media_type="text/plain",
        mark="observed",
        reply=ReplyCodec(_read_address, lambda address, _form: address.encode()),
    )
