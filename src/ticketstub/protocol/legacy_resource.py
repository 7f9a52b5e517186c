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
from ticketstub.protocol.call import CONTAINER, Http, data_of, malformed
from ticketstub.protocol.codec import Format, document, plain
from ticketstub.protocol.plain import is_items, is_members
from ticketstub.protocol.resource import GetResources

_SERVERS_ONLY = frozenset(
    {"accessToken", "httpsRequired", "synced", "relay", "dnsRebindingProtection", "natLoopbackSupported"}
)
_SHARED_ONLY = ("home", "sourceTitle", "ownerId")
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

    http = Http("GET", "/api/resources", "legacy_resources", mark="observed")

    def read(self, response: Response) -> tuple[Resource, ...]:
        return tuple(found for item in _items(response, "Device") if (found := lenient.record(Resource, item)))

    def write(self, value: tuple[Resource, ...], form: Format) -> bytes:
        listed = [_device(resource) for resource in value]
        return document(CONTAINER, {"size": len(listed), "Device": listed}, Format.XML)


class GetServersResources(GetLegacyResources, frozen=True, kw_only=True):
    """The same under the address that media servers use: `GET /pms/resources` (observed)."""

    http = Http("GET", "/pms/resources", "servers_resources", mark="observed")


class GetServerList(GetResources, frozen=True, kw_only=True):
    """List media servers in the oldest form, one address each: `GET /pms/servers.xml`, 200 (observed)."""

    http = Http("GET", "/pms/servers.xml", "server_list", mark="observed")

    def read(self, response: Response) -> tuple[Resource, ...]:
        listed = (_as_resource(item) for item in _items(response, "Server"))
        return tuple(found for item in listed if (found := lenient.record(Resource, item)))

    def write(self, value: tuple[Resource, ...], form: Format) -> bytes:
        listed = [_server(resource) for resource in value if resource.is_media_server]
        return document(CONTAINER, {"friendlyName": "myPlex", "size": len(listed), "Server": listed}, Format.XML)


def _items(response: Response, name: str) -> Iterator[dict[str, object]]:
    """Yield the elements of a list, with their children and one odd name as the present list has them."""
    data = data_of(response)
    data = data.get(CONTAINER, data) if is_members(data) else data
    if not is_members(data) or not {name, "size"} & data.keys():
        raise malformed(response, "the answer is no list of resources")
    listed = data.get(name, [])
    for item in listed if is_items(listed) else [listed]:
        if is_members(item):
            again = {"connections": item.get("Connection", []), "ownerId": item.get("ownerID")}
            yield {**{key: member for key, member in again.items() if member is not None}, **item}


def _as_resource(server: dict[str, object]) -> dict[str, object]:
    address = {name: server.get(name) for name in ("address", "port")} | {"protocol": server.get("scheme")}
    named = {"clientIdentifier": server.get("machineIdentifier"), "productVersion": server.get("version")}
    return {**server, **named, "provides": "server", "connections": [address]}


def _device(resource: Resource) -> dict[str, object]:
    members = plain(resource)
    names = [name for name in _ATTRIBUTES if resource.is_media_server or name not in _SERVERS_ONLY]
    if not resource.owned:
        names.extend(_SHARED_ONLY)
    found = {name: _dated(members[name]) for name in names if name in members}
    return found | {"Connection": [_address(connection) for connection in resource.connections]}


def _dated(member: object) -> object:
    return int(member.timestamp()) if isinstance(member, datetime) else member


def _address(connection: Connection) -> dict[str, object]:
    members = msgspec.structs.asdict(connection)
    return {
        name: member
        for name in ("protocol", "address", "port", "uri", "local", "relay")
        if (member := members[name]) is not None and (name != "relay" or member)
    }


def _server(resource: Resource) -> dict[str, object]:
    first = next((each for each in resource.connections if not (each.local or each.relay)), None)
    first = first or (resource.connections[0] if resource.connections else Connection())
    local = ",".join(dict.fromkeys(each.address or "" for each in resource.connections if each.local))
    created = _dated(resource.created_at)
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
        "updatedAt": _dated(resource.last_seen_at) or created,
        "owned": resource.owned,
        "synced": resource.synced,
    }
    return members if resource.owned else members | {"sourceTitle": resource.source_title, "ownerId": resource.owner_id}
