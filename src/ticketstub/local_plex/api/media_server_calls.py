"""A media server and the handlers for its calls: its identity, its state for its owner, and the security calls.

Rule: the identity is public; everything else needs a token for this server. The owner is looked up in the store each
time, because a server may be claimed and unclaimed while it runs. Most of what a server says of itself is for its owner
only (observed for the accounts: 403 for a guest). A claim needs no token. What a local media server does not do (play,
measure) is reported as empty or zero, in the observed form. `library` has the calls of programs that look at libraries.

A security call never gives a caller more rights than it has. A transient token stands for the token that asked, or for
the one behind it if that was a transient token. Only the owner gets the sources (documented).
"""

from __future__ import annotations

from functools import partial

import msgspec
from msgspec.structs import replace

from ticketstub.local_plex.api.notifications import NotificationSockets
from ticketstub.local_plex.domain import media_servers
from ticketstub.local_plex.domain.claims import redeem_claim
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.media_servers import AccessLevel, build_connections, find_public_connection
from ticketstub.local_plex.http.router import RequestContext, Route
from ticketstub.local_plex.storage.base import AccountRow, MediaServerRow
from ticketstub.local_plex.storage.seed import build_server_device
from ticketstub.models import Identity, ServerInformation, Source, TransientToken
from ticketstub.protocol.call import CONTAINER, Call, HttpSpec, ReplyCodec
from ticketstub.protocol.claim import ClaimServer, ClaimStatus, GetClaimStatus, UnclaimServer
from ticketstub.protocol.codec import write_document
from ticketstub.protocol.media_server import (
    GetIdentity,
    GetServerInformation,
    GetSourceConnectionInformation,
    GetTransientToken,
    write_source,
)
from ticketstub.refusals import BadRequest, Forbidden, NotFound
from ticketstub.tokens import Token


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of a media server.

    Attributes:
        access: what the caller may do.
        token_digest: the digest of its token; `None` on an unclaimed server, which needs no token from its own machine.
        expires_at: when its transient token ends; `None` for other tokens.
    """

    access: AccessLevel
    token_digest: bytes | None
    expires_at: int | None = None


class MediaServer:
    """A media server.

    Args:
        row: the store's row at the start; the owner may change, see `get_owner_id`.
        instance: the local Plex.

    Attributes:
        notifications: its open WebSockets.
    """

    notifications: NotificationSockets

    def __init__(self, row: MediaServerRow, instance: Instance) -> None:
        self.row = row
        self.instance = instance
        self.transient_tokens = media_servers.TransientTokens(
            instance.keys, instance.rates.settings.max_transient_tokens
        )

    async def get_owner_id(self) -> int | None:
        """Return the id of the server's owner; `None` if the server is unclaimed."""
        return await self.instance.store.claims.get_owner_id(self.row.machine_identifier)

    async def find_owner(self) -> AccountRow | None:
        """Return the server's owner; `None` if the server is unclaimed."""
        owner_id = await self.get_owner_id()
        return await self.instance.store.find_account_by_id(owner_id) if owner_id else None


ServerContext = RequestContext[MediaServer, Principal]
JsonObject = dict[str, object]


LIST_REPLY = ReplyCodec(write=partial(write_document, CONTAINER, wrap_json=True))
"""Writes a list in a `MediaContainer`. Such lists are only written here: our client has no calls for them."""


class GetAccounts(Call[JsonObject], frozen=True, kw_only=True):
    """List the users of a media server: `GET /accounts`, 200, the owner only (observed)."""

    http = HttpSpec("GET", "/accounts", "accounts", base="server", mark="observed", reply=LIST_REPLY)


class GetSystemDevices(Call[JsonObject], frozen=True, kw_only=True):
    """List the devices that used a media server: `GET /devices`, 200 (observed), for the owner only (assumed)."""

    http = HttpSpec("GET", "/devices", "system_devices", base="server", mark="observed", reply=LIST_REPLY)


class GetStatistics(Call[JsonObject], frozen=True, kw_only=True):
    """Get the load of a media server: `GET /statistics/resources`, 200 (observed), the owner only (assumed)."""

    http = HttpSpec("GET", "/statistics/resources", "statistics", base="server", mark="observed", reply=LIST_REPLY)

    timespan: int = 6


class GetClients(Call[JsonObject], frozen=True, kw_only=True):
    """List the players in a media server's network: `GET /clients`, 200 (observed)."""

    http = HttpSpec("GET", "/clients", "clients", base="server", mark="observed", reply=LIST_REPLY)


def require_owner(_server: MediaServer, principal: Principal) -> None:
    """Require the owner; raises `Forbidden` (observed: 403)."""
    if principal.access != "owner":
        raise Forbidden


def require_my_plex_access(server: MediaServer, principal: Principal) -> None:
    """Require the owner, and refuse even the owner if the world asks for it; raises `Forbidden` (observed: 403)."""
    require_owner(server, principal)
    if server.instance.quirks.my_plex_account == "forbidden":
        raise Forbidden


async def get_identity(context: ServerContext, _call: GetIdentity) -> Identity:
    """Return the server's identity."""
    row, owner_id = context.server.row, await context.server.get_owner_id()
    return Identity(machine_identifier=row.machine_identifier, version=row.version, claimed=owner_id is not None)


async def get_server_information(context: ServerContext, _call: GetServerInformation) -> ServerInformation:
    """Return the server's description and owner; the words for an unclaimed server are observed."""
    row, owner = context.server.row, await context.server.find_owner()
    subscription = owner.record.subscription if owner else None
    return ServerInformation(
        machine_identifier=row.machine_identifier,
        friendly_name=row.name,
        version=row.version,
        platform=row.platform,
        platform_version=row.platform_version,
        multiuser=True,
        my_plex=True,
        my_plex_username=owner.record.email if owner else None,
        my_plex_mapping_state="mapped" if owner else "unknown",
        my_plex_signin_state="ok" if owner else "none",
        my_plex_subscription=bool(subscription and subscription.active),
        owner_features=",".join(subscription.features if subscription else ()) if owner else None,
        transcoder_active_video_sessions=0,
        updated_at=row.created_at,
    )


async def list_accounts(context: ServerContext, _call: GetAccounts) -> JsonObject:
    """List the accounts: nobody as 0, the owner as 1, and guests by their id on plex.tv (observed)."""
    server, owner = context.server, await context.server.find_owner()
    guests = await server.instance.store.claims.list_guests(server.row.machine_identifier, server.instance.now())
    listed = [
        _describe_account(0, None),
        *([_describe_account(1, owner)] if owner else []),
        *(_describe_account(row.id, row) for row in guests),
    ]
    return {"size": len(listed), "identifier": "com.plexapp.system.accounts", "Account": listed}


def _describe_account(id_: int, row: AccountRow | None) -> JsonObject:
    return {
        "id": id_,
        "key": f"/accounts/{id_}",
        "name": (row.record.username or row.record.title or "") if row else "",
        "defaultAudioLanguage": "en",
        "autoSelectAudio": True,
        "defaultSubtitleLanguage": "en",
        "subtitleMode": 1,
        "thumb": (row.record.thumb or "") if row else "",
    }


async def list_system_devices(context: ServerContext, _call: GetSystemDevices) -> JsonObject:
    """List the owner's devices, except media servers. Plex lists devices that used the server (our choice)."""
    instance, owner_id = context.server.instance, await context.server.get_owner_id()
    rows = await instance.store.devices.list_devices(owner_id, instance.now()) if owner_id else ()
    listed = [
        {
            "id": row.id,
            "name": row.client.name or row.client.product or "",
            "platform": row.client.platform or "",
            "clientIdentifier": row.client.client_identifier,
            "createdAt": row.created_at,
        }
        for row in rows
        if "server" not in [part.strip() for part in (row.client.provides or "").split(",")]
    ]
    return {"size": len(listed), "identifier": "com.plexapp.system.devices", "Device": listed}


async def get_statistics(context: ServerContext, call: GetStatistics) -> JsonObject:
    """Return one measurement, of an idle server."""
    names = ("hostCpuUtilization", "processCpuUtilization", "hostMemoryUtilization", "processMemoryUtilization")
    measurement = {"timespan": call.timespan, "at": context.server.instance.now(), **dict.fromkeys(names, 0.0)}
    return {"size": 1, "StatisticsResources": [measurement]}


async def list_clients(_context: ServerContext, _call: GetClients) -> JsonObject:
    """List the players: none."""
    return {"size": 0}


async def get_claimed_server(context: ServerContext, _call: GetClaimStatus) -> ClaimStatus:
    """Return the server's connection to plex.tv."""
    return await _describe_claim(context.server, is_token_permanent=context.caller.expires_at is None)


async def claim_server(context: ServerContext, call: ClaimServer) -> ClaimStatus:
    """Add the server to the account of a claim token.

    Raises:
        Forbidden: the request comes from a web page of another site, or its Host is a public name that resolves to this
            machine (both are our choice).
        Unauthorized: the server has an owner, or the client is in another network.
        Refusal: the claim token is not valid.
    """
    server = context.server
    if context.request.is_cross_site or not context.request.has_local_host:
        raise Forbidden
    media_servers.check_claimable(await server.get_owner_id(), context.request.client_address)
    await redeem_claim(server.instance, call.token, build_server_device(server.row), refuse_owned=True)
    return await _describe_claim(server)


async def unclaim_server(context: ServerContext, _call: UnclaimServer) -> ClaimStatus:
    """Remove the server from its owner's account: its token, its device and all its shares end."""
    server = context.server
    await server.instance.store.claims.unclaim(server.row.machine_identifier, server.instance.now())
    return await _describe_claim(server)


async def _describe_claim(server: MediaServer, *, is_token_permanent: bool = True) -> ClaimStatus:
    """Describe the claim; it has the server's token if the world asks for it, but not for a token that ends earlier."""
    owner = await server.find_owner()
    if owner is None:
        return ClaimStatus(mapping_state="unknown", sign_in_state="none", subscription_active=False)
    instance, machine_identifier = server.instance, server.row.machine_identifier
    has_token = instance.quirks.my_plex_account == "with_token" and is_token_permanent
    claims = instance.store.claims
    sealed_token = await claims.get_sealed_server_token(machine_identifier, instance.now()) if has_token else None
    connections = build_connections(instance.addresses.get(machine_identifier, ()), machine_identifier)
    public_connection = find_public_connection(connections)
    local_connection = next((each for each in connections if each.local), None)
    subscription = owner.record.subscription
    return ClaimStatus(
        auth_token=Token.from_wire(instance.keys.unseal(sealed_token)) if sealed_token else None,
        username=owner.record.email,
        mapping_state="mapped",
        mapping_error="",
        sign_in_state="ok",
        public_address=public_connection.address if public_connection else None,
        public_port=public_connection.port if public_connection else None,
        private_address=local_connection.address if local_connection else None,
        private_port=local_connection.port if local_connection else None,
        subscription_features=",".join(subscription.features) if subscription else "",
        subscription_active=bool(subscription and subscription.active),
        subscription_state="Active" if subscription and subscription.active else "Inactive",
    )


async def get_transient_token(context: ServerContext, _call: GetTransientToken) -> TransientToken:
    """Issue a transient token with the caller's rights; raises `Forbidden` on an unclaimed server (assumed)."""
    return TransientToken(token=_issue_transient_token(context))


async def get_source_connection_information(context: ServerContext, call: GetSourceConnectionInformation) -> Source:
    """Return the addresses of a source and a transient token for it; there is no cache for `refresh` to renew.

    A source that is a media server of this local Plex has that server's addresses, unless the world has others. An
    address has no `relay` unless it is one, and no IPv6 flag (observed).
    """
    instance = context.server.instance
    found = next((each for each in context.server.row.sources if each.identifier == call.source), None)
    if found is None:  # 404 is assumed
        raise NotFound if instance.quirks.unknown_source == 404 else BadRequest
    kind, _, identifier = found.identifier.partition("://")
    addresses = instance.addresses.get(identifier, ()) if kind == "server" else ()
    connections = found.connections or build_connections(
        addresses, identifier, https=True, plex_direct=instance.plex_direct, relay=True
    )
    return Source(
        name=found.name,
        client_identifier=identifier,
        access_token=_issue_transient_token(context),
        connections=tuple(replace(each, relay=each.relay or None, ipv6=None) for each in connections),
    )


def _write_source(source: Source, context: ServerContext) -> bytes:
    is_list = context.server.instance.quirks.source_device == "list"
    return write_source(source, context.request.response_format, as_list=is_list)


def _issue_transient_token(context: ServerContext) -> Token:
    now, principal = context.server.instance.now(), context.caller
    if principal.token_digest is None:
        raise Forbidden
    latest = now + media_servers.TRANSIENT_TOKEN_SECONDS
    expires_at = min(latest, principal.expires_at or latest)  # not after the transient token that asks
    return context.server.transient_tokens.issue(principal.token_digest, expires_at, now)


ROUTES: list[Route[MediaServer, Principal]] = [
    Route(GetIdentity, get_identity),
    Route(GetServerInformation, get_server_information),
    Route(GetTransientToken, get_transient_token, any_method=True),
    Route(
        GetSourceConnectionInformation,
        get_source_connection_information,
        write=_write_source,
        authorize=lambda server, principal: media_servers.check_source_access(server.row, principal.access),
    ),
    Route(GetAccounts, list_accounts, authorize=require_owner),
    Route(GetSystemDevices, list_system_devices, authorize=require_owner),
    Route(GetStatistics, get_statistics, authorize=require_owner),
    Route(GetClients, list_clients),
    Route(GetClaimStatus, get_claimed_server, authorize=require_my_plex_access),
    Route(UnclaimServer, unclaim_server, authorize=require_owner),
    Route(ClaimServer, claim_server),
]
