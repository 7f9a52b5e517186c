"""A media server's answers: who and what it is, to its owner how it stands with plex.tv, and the security calls.

Rule: the identity is told to everybody, the rest to who has a token for this server. Whom it belongs to is asked of the
store each time: a server may be claimed and given up while it runs. Most of what it tells of itself is the owner's
(observed for the accounts: 403 for who has a share), but being claimed is asked by nobody that it knows. What this
stand-in does not do (play, measure, have libraries) is told as empty or zero, in the observed form.

What a caller gets by a security call is never more than what it has. A transient token stands for the token that asked,
or for the one behind it where a transient token asks; the sources are told to the owner only (documented).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ticketstub.local_plex.domain import media_servers
from ticketstub.local_plex.domain.claims import redeem_claim
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.media_servers import build_connections, check_claimable, find_public_connection
from ticketstub.local_plex.http.router import RequestContext, Route
from ticketstub.local_plex.storage.base import AccountRow, SourceRow
from ticketstub.local_plex.storage.seed import build_server_device
from ticketstub.models import Connection, Identity, Model, ServerInformation, Source, TransientToken
from ticketstub.protocol.call import CONTAINER, Call, HttpSpec, ReplyCodec, write_container_reply
from ticketstub.protocol.claim import ClaimServer, ClaimStatus, GetClaimStatus, UnclaimServer
from ticketstub.protocol.codec import Format, write_document
from ticketstub.protocol.media_server import (
    GetIdentity,
    GetServerInformation,
    GetSourceConnectionInformation,
    GetTransientToken,
    write_source,
)
from ticketstub.refusals import BadRequest, Forbidden, NotFound
from ticketstub.tokens import Token

if TYPE_CHECKING:
    from ticketstub.local_plex.api.media_server import MediaServerSite, Principal

    ServerContext = RequestContext[MediaServerSite, Principal]

JsonObject = dict[str, object]


class LibrarySections(Model, frozen=True, kw_only=True):
    """The list of libraries of a media server."""

    allow_sync: bool = False
    title1: str = "Plex Library"


class GetSections(Call[LibrarySections], frozen=True, kw_only=True):
    """List a media server's libraries: `GET /library/sections`, 200 (observed). The client asks for it as it is."""

    http = HttpSpec(
        "GET",
        "/library/sections",
        "sections",
        base="server",
        mark="observed",
        reply=ReplyCodec(write=write_container_reply),
    )


class _ListCall(Call[JsonObject], frozen=True, kw_only=True):
    """One of a media server's lists; our client asks for them as they are."""

    def write(self, value: JsonObject, form: Format) -> bytes:
        """Write its reply."""
        return write_document(CONTAINER, value, form, wrap_json=True)


class GetAccounts(_ListCall, frozen=True, kw_only=True):
    """List who uses a media server: `GET /accounts`, 200, the owner only (observed)."""

    http = HttpSpec("GET", "/accounts", "accounts", base="server", mark="observed")


class GetSystemDevices(_ListCall, frozen=True, kw_only=True):
    """List the devices that used it: `GET /devices`, 200, the owner only (that is assumed)."""

    http = HttpSpec("GET", "/devices", "system_devices", base="server", mark="observed")


class GetStatistics(_ListCall, frozen=True, kw_only=True):
    """Tell what it uses of its machine: `GET /statistics/resources`, 200, the owner only (that is assumed)."""

    http = HttpSpec("GET", "/statistics/resources", "statistics", base="server", mark="observed")

    timespan: int = 6


class GetClients(_ListCall, frozen=True, kw_only=True):
    """List the players in its network: `GET /clients`, 200 (observed)."""

    http = HttpSpec("GET", "/clients", "clients", base="server", mark="observed")


def require_owner(_server: MediaServerSite, principal: Principal) -> None:
    """Refuse who is not the owner; raises `Forbidden` (observed: 403)."""
    if principal.access != "owner":
        raise Forbidden


def require_my_plex_access(server: MediaServerSite, principal: Principal) -> None:
    """Refuse who is not the owner; where the world says so, the owner too (observed: 403)."""
    require_owner(server, principal)
    if server.instance.quirks.my_plex_account == "forbidden":
        raise Forbidden


def require_source_access(server: MediaServerSite, principal: Principal) -> None:
    """Refuse whom the sources are not told; raises `NotFound` or `Forbidden`."""
    media_servers.check_source_access(server.row, principal.access)


async def get_identity(context: ServerContext, _call: GetIdentity) -> Identity:
    """Say who it is."""
    row, owner_id = context.server.row, await context.server.get_owner_id()
    return Identity(machine_identifier=row.machine_identifier, version=row.version, claimed=owner_id is not None)


async def get_server_information(context: ServerContext, _call: GetServerInformation) -> ServerInformation:
    """Say what it is, and whose; the words for a server that nobody owns are observed."""
    row, owner_id = context.server.row, await context.server.get_owner_id()
    owner = await context.server.instance.store.find_account_by_id(owner_id) if owner_id else None
    record = owner.record if owner else None
    subscription = record.subscription if record else None
    return ServerInformation(
        machine_identifier=row.machine_identifier,
        friendly_name=row.name,
        version=row.version,
        platform=row.platform,
        platform_version=row.platform_version,
        multiuser=True,
        my_plex=True,
        my_plex_username=record.email if record else None,
        my_plex_mapping_state="mapped" if owner else "unknown",
        my_plex_signin_state="ok" if owner else "none",
        my_plex_subscription=bool(subscription and subscription.active),
        owner_features=",".join(subscription.features if subscription else ()) if owner else None,
        transcoder_active_video_sessions=0,
        updated_at=row.created_at,
    )


async def list_sections(_context: ServerContext, _call: GetSections) -> LibrarySections:
    """List the libraries: none."""
    return LibrarySections()


async def list_accounts(context: ServerContext, _call: GetAccounts) -> JsonObject:
    """List its accounts: nobody as 0, the owner as 1, and who has a share by the id on plex.tv (observed)."""
    server = context.server
    owner = await _find_owner(server)
    guests = await server.instance.store.claims.list_guests(server.row.machine_identifier, server.instance.now())
    listed = [
        _describe_account(0, None),
        *([_describe_account(1, owner)] if owner else []),
        *(_describe_account(row.id, row) for row in guests),
    ]
    return {"size": len(listed), "identifier": "com.plexapp.system.accounts", "Account": listed}


async def list_system_devices(context: ServerContext, _call: GetSystemDevices) -> JsonObject:
    """List devices: those of the owner, but for media servers (ours: this stand-in plays to none)."""
    server = context.server
    owner_id = await server.get_owner_id()
    rows = await server.instance.store.devices.list_devices(owner_id, server.instance.now()) if owner_id else ()
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
    """Tell one measurement of nothing."""
    idle: JsonObject = {"timespan": call.timespan, "at": context.server.instance.now()}
    idle |= dict.fromkeys(("hostCpuUtilization", "processCpuUtilization"), 0.0)
    idle |= dict.fromkeys(("hostMemoryUtilization", "processMemoryUtilization"), 0.0)
    return {"size": 1, "StatisticsResources": [idle]}


async def list_clients(_context: ServerContext, _call: GetClients) -> JsonObject:
    """List the players: none."""
    return {"size": 0}


async def get_claimed_server(context: ServerContext, _call: GetClaimStatus) -> ClaimStatus:
    """Tell how it stands with plex.tv."""
    return await _describe_claim(context.server, is_token_permanent=context.caller.expires_at is None)


async def claim_server(context: ServerContext, call: ClaimServer) -> ClaimStatus:
    """Come into the account of a claim token.

    Raises:
        Forbidden: a web page of another site asks, or one whose name somebody has led here (ours).
        Unauthorized: it has an owner, or the client is in another network.
        Refusal: the claim token is not good.
    """
    server = context.server
    if context.request.is_cross_site or not context.request.has_local_host:
        raise Forbidden
    check_claimable(await server.get_owner_id(), context.request.client_address)
    await redeem_claim(server.instance, call.token, build_server_device(server.row), refuse_owned=True)
    return await _describe_claim(server)


async def unclaim_server(context: ServerContext, _call: UnclaimServer) -> ClaimStatus:
    """Leave the owner's account: the server's token, its device there and all its shares end."""
    server = context.server
    await server.instance.store.claims.unclaim(server.row.machine_identifier, server.instance.now())
    return await _describe_claim(server)


async def _find_owner(server: MediaServerSite) -> AccountRow | None:
    owner_id = await server.get_owner_id()
    return await server.instance.store.find_account_by_id(owner_id) if owner_id else None


async def _describe_claim(server: MediaServerSite, *, is_token_permanent: bool = True) -> ClaimStatus:
    """Describe it; the server's own token is told where the world says so, and to no token that ends before it."""
    owner = await _find_owner(server)
    if owner is None:
        return ClaimStatus(mapping_state="unknown", sign_in_state="none", subscription_active=False)
    instance, subscription = server.instance, owner.record.subscription
    include_token = instance.quirks.my_plex_account == "with_token" and is_token_permanent
    sealed = (
        await instance.store.claims.get_sealed_server_token(server.row.machine_identifier, instance.now())
        if include_token
        else None
    )
    machine_identifier = server.row.machine_identifier
    server_connections = build_connections(instance.addresses.get(machine_identifier, ()), machine_identifier)
    public_connection, local_connection = (
        find_public_connection(server_connections),
        next((each for each in server_connections if each.local), None),
    )
    return ClaimStatus(
        auth_token=Token.from_wire(instance.keys.unseal(sealed)) if sealed else None,
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


def _describe_account(id_: int, row: AccountRow | None) -> JsonObject:
    record = row.record if row else None
    return {
        "id": id_,
        "key": f"/accounts/{id_}",
        "name": (record.username or record.title or "") if record else "",
        "defaultAudioLanguage": "en",
        "autoSelectAudio": True,
        "defaultSubtitleLanguage": "en",
        "subtitleMode": 1,
        "thumb": (record.thumb or "") if record else "",
    }


async def get_transient_token(context: ServerContext, _call: GetTransientToken) -> TransientToken:
    """Make a transient token with the caller's rights; raises `Forbidden` on a server that nobody owns (assumed)."""
    return TransientToken(token=_issue_transient_token(context))


async def get_source_connection_information(context: ServerContext, call: GetSourceConnectionInformation) -> Source:
    """Tell how to reach a source, with a transient token for it; nothing is remembered that `refresh` could renew."""
    found = next((each for each in context.server.row.sources if each.identifier == call.source), None)
    if found is None:  # 404 is assumed
        raise NotFound if context.server.instance.quirks.unknown_source == 404 else BadRequest
    return Source(
        name=found.name,
        client_identifier=found.identifier.partition("://")[2],
        access_token=_issue_transient_token(context),
        connections=tuple(
            _strip_connection(each)
            for each in found.connections or _list_source_connections(context.server.instance, found)
        ),
    )


def _write_source(source: Source, context: ServerContext) -> bytes:
    in_list = context.server.instance.quirks.source_device == "list"
    return write_source(source, context.request.response_format, as_list=in_list)


def _issue_transient_token(context: ServerContext) -> Token:
    now, principal = context.server.instance.now(), context.caller
    if principal.token_digest is None:
        raise Forbidden
    # Never after the transient token that it is made by.
    expires_at = min(
        now + media_servers.TRANSIENT_TOKEN_SECONDS, principal.expires_at or now + media_servers.TRANSIENT_TOKEN_SECONDS
    )
    return context.server.transient_tokens.issue(principal.token_digest, expires_at, now)


def _list_source_connections(instance: Instance, source: SourceRow) -> tuple[Connection, ...]:
    """Return the addresses of a source that is a media server of this local Plex; its world need not repeat them."""
    kind, _, machine_identifier = source.identifier.partition("://")
    server_addresses = instance.addresses.get(machine_identifier, ()) if kind == "server" else ()
    return build_connections(server_addresses, machine_identifier, https=instance.plex_direct, relay=True)


def _strip_connection(connection: Connection) -> Connection:
    """Leave out what a media server does not say of an address: `relay` unless it is one, and IPv6 (observed)."""
    return replace(connection, relay=connection.relay or None, ipv6=None)


ROUTES: list[Route[MediaServerSite, Principal]] = [
    Route(GetIdentity, get_identity),
    Route(GetServerInformation, get_server_information),
    Route(GetSections, list_sections),
    Route(GetTransientToken, get_transient_token, any_method=True),
    Route(
        GetSourceConnectionInformation,
        get_source_connection_information,
        write=_write_source,
        authorize=require_source_access,
    ),
    Route(GetAccounts, list_accounts, authorize=require_owner),
    Route(GetSystemDevices, list_system_devices, authorize=require_owner),
    Route(GetStatistics, get_statistics, authorize=require_owner),
    Route(GetClients, list_clients),
    Route(GetClaimStatus, get_claimed_server, authorize=require_my_plex_access),
    Route(UnclaimServer, unclaim_server, authorize=require_owner),
    Route(ClaimServer, claim_server),
]
