"""plex.tv's answers about devices and media servers: the account's list, a removal, what it can reach, and claims.

Rule: the list of devices shows each device's token to the account (observed), so only an account's own token gets the
whole of it: a media server's gets its own row (ours), and removes nothing. A removal is over when its answer is sent:
the device's tokens, whatever was made from them, and its key are dead. Removing a media server takes it out of the
account, with its token and all its shares (observed).

Of what an account can reach, an owner is given the very token that asked (observed; a JWT too, though no media server
takes it), somebody with a share that share's token, and nobody any other: a media server's own token opens that server
alone (ours). Players have no token (observed). Which addresses a media server has, says its world: `http://` ones, and
https names below plex.direct where `includeHttps=1` asks for them and something answers there; relays and IPv6 where
they are asked for.

Only an account's own token gets a claim token, and never a managed user's (ours): a media server claims no other. The
exchange asks for no token: the claim token says for whom, the client identifier which machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from msgspec.structs import replace

from ticketstub.local_plex.api import OWN, Routes, Visited, id_in_path
from ticketstub.local_plex.api.principal import client_of
from ticketstub.local_plex.domain.addresses import connections, public
from ticketstub.local_plex.domain.claims import claim, make_claim
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.permissions import check_not_managed
from ticketstub.local_plex.http.own_address import by_plex_s_name
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.http.response import PLEX_TV_EMPTY, Answer
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import ResourceRow
from ticketstub.local_plex.storage.devices import KnownDevice
from ticketstub.models import Account, AuthorizedDevice, Resource
from ticketstub.protocol.call import from_parameters
from ticketstub.protocol.claim import ExchangeClaim, GetClaimToken
from ticketstub.protocol.codec import Format
from ticketstub.protocol.device import GetDevices, GetPublicAddress, RemoveDevice, write_devices
from ticketstub.protocol.legacy_resource import GetLegacyResources, GetServerList, GetServersResources
from ticketstub.protocol.resource import GetResources
from ticketstub.refusals import NotFound
from ticketstub.tokens import Token

# Observed: what a request does not ask to be included is not. The call's own defaults are what our client asks for.
_ABSENT = {"includeHttps": "0", "includeRelay": "0", "includeIPv6": "0"}
_PLAYERS = frozenset({"client", "player"})
C = TypeVar("C", bound=GetResources)


async def devices(visit: Visited, _call: GetDevices) -> tuple[AuthorizedDevice, ...]:
    """List the account's devices, in the order they came."""
    instance, caller, address = visit.place, visit.caller, visit.asked.address
    rows = await instance.store.devices.of(caller.account_id, instance.now())
    told = (row for row in rows if caller.kind != "server" or row.id == caller.device_id)
    return tuple(_shown(instance, row, address) for row in told)


async def remove_device(visit: Visited, call: RemoveDevice) -> Answer:
    """Remove a device of the account; raises `NotFound` for one that is not there, or not the account's."""
    instance = visit.place
    if not await instance.store.devices.remove(visit.caller.account_id, call.id, instance.now()):
        raise NotFound
    return Answer(204, PLEX_TV_EMPTY, b"")


async def public_address(visit: Visited, _call: GetPublicAddress) -> Answer:
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


def _reader(kind: type[C]) -> Callable[[Asked], C]:
    """Return what reads a call of this kind; that raises `BadRequest` for what is neither 0 nor 1."""
    return lambda asked: from_parameters(
        kind, _ABSENT | {name: text for name, text in asked.parameters.items() if text}
    )


async def resources(visit: Visited, call: GetResources) -> tuple[Resource, ...]:
    """List the caller's media servers, own ones first, and then the players among its devices."""
    store, account_id = visit.place.store, visit.caller.account_id
    rows = await store.resources(account_id)
    at_home = await _at_home(visit) if any(not row.owned for row in rows) else frozenset[int]()
    devices = await store.devices.of(account_id, visit.place.now())
    servers = [_server(visit, row, call, home=row.server.owner_id in at_home) for row in rows]
    return (*servers, *(_player(visit, row) for row in devices if not _PLAYERS.isdisjoint(_provided(row))))


async def legacy_resources(visit: Visited, call: GetResources) -> tuple[Resource, ...]:
    """List the same in an older form; the world may have those forms leave out what the caller owns (observed)."""
    found = await resources(visit, call)
    if visit.place.answers.legacy_server_lists == "full":
        return found
    return tuple(each for each in found if not (each.owned and each.is_media_server))


async def server_list(visit: Visited, call: GetServerList) -> tuple[Resource, ...]:
    """List the same in the oldest form; the world may have it empty (observed)."""
    return await resources(visit, call) if visit.place.answers.legacy_server_lists == "full" else ()


async def _at_home(visit: Visited) -> frozenset[int]:
    """Name the members of the caller's Home: the others' servers are marked `home` (observed)."""
    home = await visit.place.store.homes.of(visit.caller.account_id)
    return frozenset(member.account.id for member in home.members) if home else frozenset()


def _server(visit: Visited, row: ResourceRow, call: GetResources, *, home: bool) -> Resource:
    server, instance = row.server, visit.place
    can_reach_https = instance.plex_direct or (instance.leads_by_name and by_plex_s_name(visit.asked))
    https = call.include_https and can_reach_https
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
        created_at=_when(server.created_at),
        last_seen_at=_when(instance.now()),
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


def _token(visit: Visited, row: ResourceRow) -> Token | None:
    caller, machine = visit.caller, row.server.machine_identifier
    if caller.kind == "server" and caller.machine_identifier != machine:
        return None
    if not row.owned:
        return Token.received(visit.place.keys.unseal(row.sealed_token or b""))
    return Token.received(visit.token)


def _provided(row: KnownDevice) -> Iterator[str]:
    """Yield what a device provides; only players are listed, plain applications and controllers are not (observed)."""
    return (part.strip() for part in (row.client.provides or "").split(","))


def _player(visit: Visited, row: KnownDevice) -> Resource:
    client = row.client
    return Resource(
        name=client.name or client.product,
        product=client.product,
        product_version=client.version,
        platform=client.platform,
        platform_version=client.platform_version,
        device=client.device,
        client_identifier=client.client_identifier,
        created_at=_when(row.created_at),
        last_seen_at=_when(row.last_seen_at),
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


def _when(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def get_claim_token(visit: Visited, _call: GetClaimToken) -> Token:
    """Make a claim token; raises `RateLimited` for who has too many, and `Refusal` for whom no server can belong to."""
    check_not_managed(visit.caller.account)
    instance = visit.place
    return Token.received(await make_claim(instance, visit.caller.account_id, instance.keys.digest(visit.token)))


async def exchange_claim(visit: Visited, call: ExchangeClaim) -> Account:
    """Give the server its token, shown with the account that it belongs to from now on; raises `Refusal`."""
    client = client_of(visit.asked)
    account_id, token = await claim(visit.place, call.token, replace(client, provides=client.provides or "server"))
    found = await visit.place.store.account(account_id)
    return replace(found.record if found else Account(id=account_id), auth_token=token)


ROUTES: Routes = [
    Route(GetResources, resources, read=_reader(GetResources), identifier="required"),
    Route(GetLegacyResources, legacy_resources, read=_reader(GetLegacyResources), dialect="legacy", form=Format.XML),
    Route(GetServersResources, legacy_resources, read=_reader(GetServersResources), dialect="legacy", form=Format.XML),
    Route(GetServerList, server_list, read=_reader(GetServerList), dialect="legacy", form=Format.XML),
    Route(
        GetDevices,
        devices,
        write=lambda found, visit: write_devices(found, visit.asked.form, visit.asked.address),
        dialect="legacy",
    ),
    Route(
        RemoveDevice,
        remove_device,
        read=lambda asked: RemoveDevice(id=id_in_path(asked, NotFound)),  # a client identifier is not taken
        kinds=OWN,
        dialect="legacy",
    ),
    Route(GetPublicAddress, public_address),
    Route(GetClaimToken, get_claim_token, kinds=OWN, dialect="legacy", form=Format.JSON),
    Route(ExchangeClaim, exchange_claim, identifier="required", dialect="legacy"),
]
