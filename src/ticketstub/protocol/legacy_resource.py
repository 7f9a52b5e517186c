"""What an account can reach, as plex.tv's older API lists it.

Rule: as all of wire/, role-blind. These answers are XML whatever is accepted (observed: clients ask for JSON and read
XML); dates count seconds, `relay` appears only where it is true, and nobody says whether an address is IPv6. Sources:
observed bodies of `/api/resources`, `/pms/resources` and `/pms/servers.xml`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from ticketstub.messages import Response
from ticketstub.models import Connection, Resource
from ticketstub.protocol import lenient
from ticketstub.protocol.call import CONTAINER, HttpSpec, build_malformed_reply, parse_response
from ticketstub.protocol.codec import Format, to_builtins, write_document
from ticketstub.protocol.plain import is_array, is_object
from ticketstub.protocol.resource import GetResources

_SERVER_ATTRIBUTES = frozenset(
    {"accessToken", "httpsRequired", "synced", "relay", "dnsRebindingProtection", "natLoopbackSupported"}
)
_SHARED_ATTRIBUTES = ("home", "sourceTitle", "ownerId")
# In the order of the observed bodies.
_ATTRIBUTES = (
    *("name", "product", "productVersion", "platform", "platformVersion", "device", "clientIdentifier"),
    *("createdAt", "lastSeenAt", "provides", "owned", "accessToken", "publicAddress", "httpsRequired", "synced"),
    *("relay", "dnsRebindingProtection", "natLoopbackSupported", "publicAddressMatches", "presence"),
)


class GetLegacyResources(GetResources, frozen=True, kw_only=True):
    """List what the account can reach, in the older form: `GET /api/resources`, 200, XML (observed).

    It asks for no client identifier.
    """

    http = HttpSpec("GET", "/api/resources", "legacy_resources", mark="observed")

    def read(self, response: Response) -> tuple[Resource, ...]:
        return tuple(found for item in _iter_items(response, "Device") if (found := lenient.read_model(Resource, item)))

    def write(self, value: tuple[Resource, ...], form: Format) -> bytes:
        listed = [_resource_to_device(resource) for resource in value]
        return write_document(CONTAINER, {"size": len(listed), "Device": listed}, Format.XML)


class GetPmsResources(GetLegacyResources, frozen=True, kw_only=True):
    """The same under the address that media servers use: `GET /pms/resources` (observed)."""

    http = HttpSpec("GET", "/pms/resources", "servers_resources", mark="observed")


class GetServerList(GetResources, frozen=True, kw_only=True):
    """List media servers in the oldest form, one address each: `GET /pms/servers.xml`, 200 (observed)."""

    http = HttpSpec("GET", "/pms/servers.xml", "server_list", mark="observed")

    def read(self, response: Response) -> tuple[Resource, ...]:
        listed = (_server_to_resource_data(item) for item in _iter_items(response, "Server"))
        return tuple(found for item in listed if (found := lenient.read_model(Resource, item)))

    def write(self, value: tuple[Resource, ...], form: Format) -> bytes:
        listed = [_resource_to_server(resource) for resource in value if resource.is_media_server]
        return write_document(CONTAINER, {"friendlyName": "myPlex", "size": len(listed), "Server": listed}, Format.XML)


def _iter_items(response: Response, name: str) -> Iterator[dict[str, object]]:
    """Yield the elements of a list, with their children and one odd name as the present list has them."""
    data = parse_response(response)
    data = data.get(CONTAINER, data) if is_object(data) else data
    if not is_object(data) or not {name, "size"} & data.keys():
        raise build_malformed_reply(response, "the answer is no list of resources")
    elements = data.get(name, [])
    for item in elements if is_array(elements) else [elements]:
        if is_object(item):
            aliases = {"connections": item.get("Connection", []), "ownerId": item.get("ownerID")}
            yield {**{key: member for key, member in aliases.items() if member is not None}, **item}


def _server_to_resource_data(server: dict[str, object]) -> dict[str, object]:
    address = {name: server.get(name) for name in ("address", "port")} | {"protocol": server.get("scheme")}
    renamed = {"clientIdentifier": server.get("machineIdentifier"), "productVersion": server.get("version")}
    return {**server, **renamed, "provides": "server", "connections": [address]}


def _resource_to_device(resource: Resource) -> dict[str, object]:
    members = to_builtins(resource)
    names = [name for name in _ATTRIBUTES if resource.is_media_server or name not in _SERVER_ATTRIBUTES]
    if not resource.owned:
        names.extend(_SHARED_ATTRIBUTES)
    found = {name: _to_epoch(members[name]) for name in names if name in members}
    return found | {"Connection": [_connection_to_dict(connection) for connection in resource.connections]}


def _to_epoch(member: object) -> object:
    return int(member.timestamp()) if isinstance(member, datetime) else member


def _connection_to_dict(connection: Connection) -> dict[str, object]:
    members = msgspec.structs.asdict(connection)
    return {
        name: member
        for name in ("protocol", "address", "port", "uri", "local", "relay")
        if (member := members[name]) is not None and (name != "relay" or member)
    }


def _resource_to_server(resource: Resource) -> dict[str, object]:
    first = next((each for each in resource.connections if not (each.local or each.relay)), None)
    first = first or (resource.connections[0] if resource.connections else Connection())
    local = ",".join(dict.fromkeys(each.address or "" for each in resource.connections if each.local))
    created = _to_epoch(resource.created_at)
    members: dict[str, object] = {
        "accessToken": resource.access_token.reveal() if resource.access_token else "",
        "name": resource.name,
        "address": first.address,
        "port": first.port,
        "version": resource.product_version,
        "scheme": first.protocol,
        "host": first.address,
        "localAddresses": local,
        "machineIdentifier": resource.client_identifier,
        "createdAt": created,
        "updatedAt": _to_epoch(resource.last_seen_at) or created,
        "owned": resource.owned,
        "synced": resource.synced,
    }
    return members if resource.owned else members | {"sourceTitle": resource.source_title, "ownerId": resource.owner_id}
