"""Handlers for devices and media servers: list and remove devices, list resources, claim a server.

Rule: the list of devices contains each device's token (observed). Only an account's own token gets the whole list; a
media server's token gets its own row (our choice) and removes nothing. When the reply to a removal is sent, the
device's tokens, everything derived from them and its key have ended. Removing a media server removes it from the
account, with its token and all its shares (observed).

In the list of resources, an owner gets the token that asked (observed; a JWT too, though no media server accepts one)
and a guest the token of the share. A media server's token is listed only for that server itself (our choice). Players
have no token (observed). The world defines a media server's addresses. They are `http://` URLs, and on request also
relays, IPv6, and with `includeHttps=1` the HTTPS names below plex.direct if the client can reach the local Plex there.

Only an account's own token gets a claim token, and never a managed user's (our choice). The exchange needs no token:
the claim token identifies the account, and the client identifier the machine.
"""

from __future__ import annotations

from collections.abc import Callable
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

# Observed: nothing is included without asking. The call's own defaults are what our client asks for.
_INCLUDE_DEFAULTS = {"includeHttps": "0", "includeRelay": "0", "includeIPv6": "0"}
_PLAYERS = frozenset({"client", "player"})
CallT = TypeVar("CallT", bound=GetResources)


async def list_devices(context: PlexTvContext, _call: GetDevices) -> tuple[AuthorizedDevice, ...]:
    """List the account's devices, oldest first."""
    instance, caller, address = context.server, context.caller, context.request.client_address
    rows = await instance.store.devices.list_devices(caller.account_id, instance.now())
    return tuple(
        _describe_device(instance, row, address)
        for row in rows
        if caller.kind != "server" or row.id == caller.device_id
    )


async def remove_device(context: PlexTvContext, call: RemoveDevice) -> None:
    """Remove a device of the account; raises `NotFound` if the account has no such device."""
    instance = context.server
    if not await instance.store.devices.remove(context.caller.account_id, call.id, instance.now()):
        raise NotFound


async def get_public_address(context: PlexTvContext, _call: GetPublicAddress) -> OutgoingResponse:
    """Return the client's address in plain text (observed)."""
    return OutgoingResponse(
        200,
        [(b"content-type", b"text/plain; charset=utf-8"), *PLEX_TV_BODILESS_HEADERS],
        context.request.client_address.encode(),
    )


def _describe_device(instance: Instance, row: RegisteredDevice, address: str) -> AuthorizedDevice:
    client = row.client
    # An address may be listed both as local and as remote, which look the same here.
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
        # A media server of this local Plex is online now.
        last_seen_at=instance.now() if connections_by_uri else row.last_seen_at,
        screen_resolution=client.screen_resolution,
        connections=tuple(connections_by_uri.values()),
    )


def _make_reader(call_type: type[CallT]) -> Callable[[IncomingRequest], CallT]:
    """Return a reader for this call; it raises `BadRequest` for a flag that is neither 0 nor 1."""
    return lambda request: read_call(
        call_type, _INCLUDE_DEFAULTS | {name: text for name, text in request.parameters.items() if text}
    )


async def list_resources(context: PlexTvContext, call: GetResources) -> tuple[Resource, ...]:
    """List the caller's media servers, its own first, and then its players.

    Plain applications and controllers are not listed. Servers of other members of the caller's Home are marked `home`
    (both observed).
    """
    store, account_id = context.server.store, context.caller.account_id
    rows = await store.list_resources(account_id)
    home = await store.homes.find_home(account_id) if any(not row.is_owned for row in rows) else None
    member_ids = {member.account.id for member in home.members} if home else set[int]()
    devices = await store.devices.list_devices(account_id, context.server.now())
    return (
        *(_describe_server(context, row, call, is_in_home=row.server.owner_id in member_ids) for row in rows),
        *(
            _describe_player(context, row)
            for row in devices
            if not _PLAYERS.isdisjoint(part.strip() for part in (row.client.provides or "").split(","))
        ),
    )


async def list_legacy_resources(context: PlexTvContext, call: GetResources) -> tuple[Resource, ...]:
    """List resources in an older form.

    In some worlds, the older lists omit the caller's own servers, and the oldest one is empty (both observed).
    """
    resources = await list_resources(context, call)
    if context.server.quirks.legacy_server_lists == "full":
        return resources
    is_oldest = isinstance(call, GetServerList)
    return tuple(each for each in resources if not is_oldest and not (each.owned and each.is_media_server))


def _describe_server(context: PlexTvContext, row: ResourceRow, call: GetResources, *, is_in_home: bool) -> Resource:
    server, instance, machine_identifier = row.server, context.server, row.server.machine_identifier
    can_reach_https = instance.plex_direct or (instance.plex_direct_for_proxied and context.request.is_plex_host)
    addresses = instance.addresses.get(machine_identifier, ())
    public_connection = find_public_connection(build_connections(addresses, machine_identifier))
    return Resource(
        name=server.name,
        product="Plex Media Server",
        product_version=server.version,
        platform=server.platform,
        platform_version=server.platform_version,
        client_identifier=machine_identifier,
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
        https_required=machine_identifier in instance.https_required,
        public_address_matches=True,
        dns_rebinding_protection=any(each.is_name_blocked for each in addresses),
        nat_loopback_supported=False,
        connections=build_connections(
            addresses,
            machine_identifier,
            https=call.include_https,
            plex_direct=can_reach_https,
            relay=call.include_relay,
            ipv6=call.include_ipv6,
        ),
    )


def _select_access_token(context: PlexTvContext, row: ResourceRow) -> Token | None:
    caller, machine_identifier = context.caller, row.server.machine_identifier
    if caller.kind == "server" and caller.machine_identifier != machine_identifier:
        return None
    return Token.from_wire(context.token if row.is_owned else context.server.keys.unseal(row.sealed_token or b""))


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
    """Issue a claim token; raises `RateLimited` if the account has too many, and `Forbidden` for a managed user."""
    check_not_managed(context.caller.account)
    instance = context.server
    token_digest = instance.keys.digest(context.token)
    return Token.from_wire(await issue_claim_token(instance, context.caller.account_id, token_digest))


async def exchange_claim(context: PlexTvContext, call: ExchangeClaim) -> Account:
    """Issue the server's token, with the account that owns the server from now on; raises `Refusal`."""
    client = read_client(context.request)
    client = replace(client, provides=client.provides or "server")
    account_id, token = await redeem_claim(context.server, call.token, client)
    row = await context.server.store.find_account_by_id(account_id)
    return replace(row.record if row else Account(id=account_id), auth_token=token)


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
        list_legacy_resources,
        read=_make_reader(GetServerList),
        dialect="legacy",
        response_format=Format.XML,
    ),
    Route(
        GetDevices,
        list_devices,
        write=lambda devices, context: write_devices(
            devices, context.request.response_format, context.request.client_address
        ),
        dialect="legacy",
    ),
    Route(
        RemoveDevice,
        remove_device,
        read=lambda request: RemoveDevice(id=read_path_id(request, NotFound)),  # not a client identifier
        token_kinds=ACCOUNT_TOKEN_KINDS,
        dialect="legacy",
    ),
    Route(GetPublicAddress, get_public_address),
    Route(
        GetClaimToken, get_claim_token, token_kinds=ACCOUNT_TOKEN_KINDS, dialect="legacy", response_format=Format.JSON
    ),
    Route(ExchangeClaim, exchange_claim, client_identifier="required", dialect="legacy"),
]
