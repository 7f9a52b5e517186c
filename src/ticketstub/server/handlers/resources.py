"""plex.tv's answer to what an account can reach.

Rule: an owner is given the very token that asked (observed), somebody with a share that share's token, and nobody any
other. The local Plex has no TLS yet: each media server has one address, `http://` on this machine, marked local, also
where `includeHttps=1` asks for https ones (ours). It has no relays.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ticketstub.records import Connection, Resource
from ticketstub.server.instance import Instance
from ticketstub.server.requests import Asked
from ticketstub.server.routes import Visit
from ticketstub.server.store.base import ResourceRow, TokenRow
from ticketstub.token import Token
from ticketstub.wire.call import from_parameters
from ticketstub.wire.resources import GetResources

# Observed: what a request does not ask to be included is not. The call's own defaults are what our client asks for.
_ABSENT = {"includeHttps": "0", "includeRelay": "0", "includeIPv6": "0"}


def read_resources(asked: Asked) -> GetResources:
    """Read what is asked to be included; raises `BadRequest` for what is neither 0 nor 1."""
    return from_parameters(GetResources, _ABSENT | {name: text for name, text in asked.query.items() if text})


async def resources(visit: Visit[Instance, TokenRow], _call: GetResources) -> tuple[Resource, ...]:
    """List the media servers of the caller, own ones first."""
    rows = await visit.place.store.resources(visit.caller.account_id)
    return tuple(_resource(visit, row) for row in rows)


def _resource(visit: Visit[Instance, TokenRow], row: ResourceRow) -> Resource:
    server, instance = row.server, visit.place
    token = visit.token if row.owned else instance.keys.unseal(row.sealed_token or b"")
    address = instance.addresses.get(server.machine_identifier)
    return Resource(
        name=server.name,
        product="Plex Media Server",
        product_version=server.version,
        platform=server.platform,
        platform_version=server.platform_version,
        client_identifier=server.machine_identifier,
        created_at=_moment(server.created_at),
        last_seen_at=_moment(instance.now()),
        provides="server",
        owner_id=None if row.owned else server.owner_id,
        source_title=None if row.owned else row.owner_username,
        public_address=address[0] if address else None,
        access_token=Token.received(token),
        owned=row.owned,
        home=False,
        synced=False,
        relay=False,
        presence=address is not None,
        https_required=False,
        public_address_matches=True,
        dns_rebinding_protection=False,
        nat_loopback_supported=False,
        connections=(_connection(*address),) if address else (),
    )


def _connection(host: str, port: int) -> Connection:
    uri = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return Connection(protocol="http", address=host, port=port, uri=uri, local=True, relay=False, ipv6=":" in host)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
