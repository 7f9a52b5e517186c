"""plex.tv's answers to what an account can reach, in the present form and in the two older ones.

Rule: an owner is given the very token that asked (observed; a JWT too, though no media server takes it), somebody with
a share that share's token, and nobody any other: a media server's own token opens that server alone (ours). Players
have no token (observed). Which addresses a media server has, says its world: `http://` ones, and https names below
plex.direct where `includeHttps=1` asks for them and something answers there; relays and IPv6 where they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from ticketstub.records import Resource
from ticketstub.server.addresses import connections, public
from ticketstub.server.instance import Instance
from ticketstub.server.own_address import by_plex_s_name
from ticketstub.server.requests import Asked
from ticketstub.server.routes import Visit
from ticketstub.server.store.base import ResourceRow, TokenRow
from ticketstub.server.store.devices import KnownDevice
from ticketstub.token import Token
from ticketstub.wire.call import from_parameters
from ticketstub.wire.legacy_resources import GetLegacyResources, GetServerList, GetServersResources
from ticketstub.wire.resources import GetResources

# Observed: what a request does not ask to be included is not. The call's own defaults are what our client asks for.
_ABSENT = {"includeHttps": "0", "includeRelay": "0", "includeIPv6": "0"}
_PLAYERS = frozenset({"client", "player"})


def read_resources(asked: Asked) -> GetResources:
    """Read what is asked to be included; raises `BadRequest` for what is neither 0 nor 1."""
    return from_parameters(GetResources, _included(asked))


def read_legacy(asked: Asked) -> GetLegacyResources:
    """Read the same of the older form."""
    return from_parameters(GetLegacyResources, _included(asked))


def read_servers_resources(asked: Asked) -> GetServersResources:
    """Read the same of the form that media servers use."""
    return from_parameters(GetServersResources, _included(asked))


def read_server_list(asked: Asked) -> GetServerList:
    """Read the same of the oldest form."""
    return from_parameters(GetServerList, _included(asked))


def _included(asked: Asked) -> dict[str, str]:
    return _ABSENT | {name: text for name, text in asked.parameters.items() if text}


async def resources(visit: Visit[Instance, TokenRow], call: GetResources) -> tuple[Resource, ...]:
    """List the caller's media servers, own ones first, and then the players among its devices."""
    store, account_id = visit.place.store, visit.caller.account_id
    rows = await store.resources(account_id)
    at_home = await _at_home(visit) if any(not row.owned for row in rows) else frozenset[int]()
    devices = await store.devices.of(account_id, visit.place.now())
    servers = [_server(visit, row, call, home=row.server.owner_id in at_home) for row in rows]
    listed = _PLAYERS | ({"controller"} if visit.place.answers.controllers == "listed" else set[str]())
    return (*servers, *(_player(visit, row) for row in devices if not listed.isdisjoint(_provided(row))))


async def legacy_resources(visit: Visit[Instance, TokenRow], call: GetResources) -> tuple[Resource, ...]:
    """List the same in an older form; the world may have those forms leave out what the caller owns (observed)."""
    found = await resources(visit, call)
    if visit.place.answers.legacy_server_lists == "full":
        return found
    return tuple(each for each in found if not (each.owned and each.is_media_server))


async def server_list(visit: Visit[Instance, TokenRow], call: GetServerList) -> tuple[Resource, ...]:
    """List the same in the oldest form; the world may have it empty (observed)."""
    return await resources(visit, call) if visit.place.answers.legacy_server_lists == "full" else ()


async def _at_home(visit: Visit[Instance, TokenRow]) -> frozenset[int]:
    """Name the members of the caller's Home: the others' servers are marked `home` (observed)."""
    home = await visit.place.store.homes.of(visit.caller.account_id)
    return frozenset(member.account.id for member in home.members) if home else frozenset()


def _server(visit: Visit[Instance, TokenRow], row: ResourceRow, call: GetResources, *, home: bool) -> Resource:
    server, instance = row.server, visit.place
    https = call.include_https and _reaches_https(visit)
    addresses, machine = instance.addresses.get(server.machine_identifier, ()), server.machine_identifier
    listed = connections(addresses, machine, https=https, relay=call.include_relay, ipv6=call.include_ipv6)
    outside = public(connections(addresses, machine))
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
        public_address=outside.address if outside else None,
        access_token=_token(visit, row),
        owned=row.owned,
        home=home and not row.owned,
        synced=False,
        relay=any(each.relay for each in addresses),
        presence=bool(addresses),
        https_required=False,
        public_address_matches=True,
        dns_rebinding_protection=False,
        nat_loopback_supported=False,
        connections=listed,
    )


def _reaches_https(visit: Visit[Instance, TokenRow]) -> bool:
    """Tell whether a caller can use an https address."""
    return visit.place.plex_direct or (visit.place.leads_by_name and by_plex_s_name(visit.asked))


def _token(visit: Visit[Instance, TokenRow], row: ResourceRow) -> Token | None:
    caller, machine = visit.caller, row.server.machine_identifier
    if caller.kind == "server" and caller.machine_identifier != machine:
        return None
    if not row.owned:
        return Token.received(visit.place.keys.unseal(row.sealed_token or b""))
    return Token.received(visit.token)


def _provided(row: KnownDevice) -> Iterator[str]:
    """Yield what a device provides; only players are listed, plain applications and controllers are not (observed)."""
    return (part.strip() for part in (row.client.provides or "").split(","))


def _player(visit: Visit[Instance, TokenRow], row: KnownDevice) -> Resource:
    client = row.client
    return Resource(
        name=client.name or client.product,
        product=client.product,
        product_version=client.version,
        platform=client.platform,
        platform_version=client.platform_version,
        device=client.device,
        client_identifier=client.client_identifier,
        created_at=_moment(row.created_at),
        last_seen_at=_moment(row.last_seen_at),
        provides=client.provides,
        public_address=client.address,
        owned=True,
        home=False,
        synced=False,
        relay=False,
        presence=False,
        https_required=False,
        public_address_matches=client.address == visit.asked.address,
    )


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
