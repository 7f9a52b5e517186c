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

from ticketstub.local_plex.api import ACCOUNT_TOKEN_KINDS, PlexTvContext, Routes, read_path_id
from ticketstub.local_plex.api.principal import read_client
from ticketstub.local_plex.domain.accounts import check_not_managed
from ticketstub.local_plex.domain.claims import issue_claim_token, redeem_claim
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.media_servers import build_connections, find_public_connection
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.response import PLEX_TV_BODILESS_HEADERS, OutgoingResponse
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import ResourceRow
from ticketstub.local_plex.storage.devices import RegisteredDevice
from ticketstub.models import Account, AuthorizedDevice, Resource
from ticketstub.protocol.call import read_call
from ticketstub.protocol.claim import ExchangeClaim, GetClaimToken
from ticketstub.protocol.codec import Format
from ticketstub.protocol.legacy import GetLegacyResources, GetPmsResources, GetServerList
from ticketstub.protocol.resource import GetDevices, GetPublicAddress, GetResources, RemoveDevice, write_devices
from ticketstub.refusals import NotFound
from ticketstub.tokens import Token

# Observed: what a request does not ask to be included is not. The call's own defaults are what our client asks for.
_INCLUDE_DEFAULTS = {"includeHttps": "0", "includeRelay": "0", "includeIPv6": "0"}
_PLAYERS = frozenset({"client", "player"})
CallT = TypeVar("CallT", bound=GetResources)


async def list_devices(context: PlexTvContext, _call: GetDevices) -> tuple[AuthorizedDevice, ...]:
    """List the account's devices, in the order they came."""
    instance, caller, address = context.server, context.caller, context.request.client_address
    rows = await instance.store.devices.list_devices(caller.account_id, instance.now())
    visible_rows = (row for row in rows if caller.kind != "server" or row.id == caller.device_id)
    return tuple(_describe_device(instance, row, address) for row in visible_rows)


async def remove_device(context: PlexTvContext, call: RemoveDevice) -> OutgoingResponse:
    """Remove a device of the account; raises `NotFound` for one that is not there, or not the account's."""
    instance = context.server
    if not await instance.store.devices.remove(context.caller.account_id, call.id, instance.now()):
        raise NotFound
    return OutgoingResponse(204, PLEX_TV_BODILESS_HEADERS, b"")


async def get_public_address(context: PlexTvContext, _call: GetPublicAddress) -> OutgoingResponse:
    """Tell the client where it is, in plain text (observed)."""
    fields = [(b"content-type", b"text/plain; charset=utf-8"), *PLEX_TV_BODILESS_HEADERS]
    return OutgoingResponse(200, fields, context.request.client_address.encode())


def _describe_device(instance: Instance, row: RegisteredDevice, address: str) -> AuthorizedDevice:
    client = row.client
    # One address may be listed as a local and as a remote one: here nothing would tell the two apart.
    addresses = build_connections(instance.addresses.get(client.client_identifier, ()), client.client_identifier)
    connections_by_uri = {each.uri: each for each in addresses}
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
        token=Token.from_wire(instance.keys.unseal(row.sealed_token)) if row.sealed_token else None,
        created_at=row.created_at,
        last_seen_at=instance.now()
        if connections_by_uri
        else row.last_seen_at,  # a media server of ours is there, as we are
        screen_resolution=client.screen_resolution,
        connections=tuple(connections_by_uri.values()),
    )


def _make_reader(call_type: type[CallT]) -> Callable[[IncomingRequest], CallT]:
    """Return what reads a call of this kind; that raises `BadRequest` for what is neither 0 nor 1."""
    return lambda asked: read_call(
        call_type, _INCLUDE_DEFAULTS | {name: text for name, text in asked.parameters.items() if text}
    )


async def list_resources(context: PlexTvContext, call: GetResources) -> tuple[Resource, ...]:
    """List the caller's media servers, own ones first, and then the players among its devices."""
    store, account_id = context.server.store, context.caller.account_id
    rows = await store.list_resources(account_id)
    home_member_ids = await _get_home_member_ids(context) if any(not row.is_owned for row in rows) else frozenset[int]()
    devices = await store.devices.list_devices(account_id, context.server.now())
    servers = [_describe_server(context, row, call, is_in_home=row.server.owner_id in home_member_ids) for row in rows]
    return (
        *servers,
        *(_describe_player(context, row) for row in devices if not _PLAYERS.isdisjoint(_split_provides(row))),
    )


async def list_legacy_resources(context: PlexTvContext, call: GetResources) -> tuple[Resource, ...]:
    """List the same in an older form; the world may have those forms leave out what the caller owns (observed)."""
    found = await list_resources(context, call)
    if context.server.quirks.legacy_server_lists == "full":
        return found
    return tuple(each for each in found if not (each.owned and each.is_media_server))


async def list_legacy_servers(context: PlexTvContext, call: GetServerList) -> tuple[Resource, ...]:
    """List the same in the oldest form; the world may have it empty (observed)."""
    return await list_resources(context, call) if context.server.quirks.legacy_server_lists == "full" else ()


async def _get_home_member_ids(context: PlexTvContext) -> frozenset[int]:
    """Name the members of the caller's Home: the others' servers are marked `home` (observed)."""
    home = await context.server.store.homes.find_home(context.caller.account_id)
    return frozenset(member.account.id for member in home.members) if home else frozenset()


def _describe_server(context: PlexTvContext, row: ResourceRow, call: GetResources, *, is_in_home: bool) -> Resource:
    server, instance = row.server, context.server
    can_reach_https = instance.plex_direct or (instance.plex_direct_for_proxied and context.request.is_plex_host)
    https = call.include_https and can_reach_https
    addresses, machine_identifier = instance.addresses.get(server.machine_identifier, ()), server.machine_identifier
    listed_connections = build_connections(
        addresses, machine_identifier, https=https, relay=call.include_relay, ipv6=call.include_ipv6
    )
    public_connection = find_public_connection(build_connections(addresses, machine_identifier))
    return Resource(
        name=server.name,
        product="Plex Media Server",
        product_version=server.version,
        platform=server.platform,
        platform_version=server.platform_version,
        client_identifier=server.machine_identifier,
        created_at=_to_datetime(server.created_at),
        last_seen_at=_to_datetime(instance.now()),
        provides="server",
        owner_id=None if row.is_owned else server.owner_id,
        source_title=None if row.is_owned else row.owner_username,
        public_address=public_connection.address if public_connection else None,
        access_token=_select_access_token(context, row),
        owned=row.is_owned,
        home=is_in_home and not row.is_owned,
        synced=False,
        relay=any(each.relay for each in addresses),
        presence=bool(addresses),
        https_required=False,
        public_address_matches=True,
        dns_rebinding_protection=False,
        nat_loopback_supported=False,
        connections=listed_connections,
    )


def _select_access_token(context: PlexTvContext, row: ResourceRow) -> Token | None:
    caller, machine_identifier = context.caller, row.server.machine_identifier
    if caller.kind == "server" and caller.machine_identifier != machine_identifier:
        return None
    if not row.is_owned:
        return Token.from_wire(context.server.keys.unseal(row.sealed_token or b""))
    return Token.from_wire(context.token)


def _split_provides(row: RegisteredDevice) -> Iterator[str]:
    """Yield what a device provides; only players are listed, plain applications and controllers are not (observed)."""
    return (part.strip() for part in (row.client.provides or "").split(","))


def _describe_player(context: PlexTvContext, row: RegisteredDevice) -> Resource:
    client = row.client
    return Resource(
        name=client.name or client.product,
        product=client.product,
        product_version=client.version,
        platform=client.platform,
        platform_version=client.platform_version,
        device=client.device,
        client_identifier=client.client_identifier,
        created_at=_to_datetime(row.created_at),
        last_seen_at=_to_datetime(row.last_seen_at),
        provides=client.provides,
        public_address=client.address,
        owned=True,
        home=False,
        synced=False,
        relay=False,
        presence=False,
        https_required=False,
        public_address_matches=client.address == context.request.client_address,
    )


def _to_datetime(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def get_claim_token(context: PlexTvContext, _call: GetClaimToken) -> Token:
    """Make a claim token; raises `RateLimited` for who has too many, and `Refusal` for whom no server can belong to."""
    check_not_managed(context.caller.account)
    instance = context.server
    return Token.from_wire(
        await issue_claim_token(instance, context.caller.account_id, instance.keys.digest(context.token))
    )


async def exchange_claim(context: PlexTvContext, call: ExchangeClaim) -> Account:
    """Give the server its token, shown with the account that it belongs to from now on; raises `Refusal`."""
    client = read_client(context.request)
    account_id, token = await redeem_claim(
        context.server, call.token, replace(client, provides=client.provides or "server")
    )
    found = await context.server.store.find_account_by_id(account_id)
    return replace(found.record if found else Account(id=account_id), auth_token=token)


ROUTES: Routes = [
    Route(GetResources, list_resources, read=_make_reader(GetResources), client_identifier="required"),
    Route(
        GetLegacyResources,
        list_legacy_resources,
        read=_make_reader(GetLegacyResources),
        dialect="legacy",
        response_format=Format.XML,
    ),
    Route(
        GetPmsResources,
        list_legacy_resources,
        read=_make_reader(GetPmsResources),
        dialect="legacy",
        response_format=Format.XML,
    ),
    Route(
        GetServerList,
        list_legacy_servers,
        read=_make_reader(GetServerList),
        dialect="legacy",
        response_format=Format.XML,
    ),
    Route(
        GetDevices,
        list_devices,
        write=lambda found, visit: write_devices(found, visit.request.response_format, visit.request.client_address),
        dialect="legacy",
    ),
    Route(
        RemoveDevice,
        remove_device,
        read=lambda asked: RemoveDevice(id=read_path_id(asked, NotFound)),  # a client identifier is not taken
        token_kinds=ACCOUNT_TOKEN_KINDS,
        dialect="legacy",
    ),
    Route(GetPublicAddress, get_public_address),
    Route(
        GetClaimToken, get_claim_token, token_kinds=ACCOUNT_TOKEN_KINDS, dialect="legacy", response_format=Format.JSON
    ),
    Route(ExchangeClaim, exchange_claim, client_identifier="required", dialect="legacy"),
]
