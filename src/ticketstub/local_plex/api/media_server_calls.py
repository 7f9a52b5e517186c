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

from ticketstub.local_plex.domain import permissions
from ticketstub.local_plex.domain.addresses import connections, public
from ticketstub.local_plex.domain.claims import claim
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.media_servers import check_claimable
from ticketstub.local_plex.http.router import Route, Visit
from ticketstub.local_plex.storage.base import AccountRow, SourceRow
from ticketstub.local_plex.storage.seed import machine
from ticketstub.models import Connection, Identity, Record, ServerInformation, Source, TransientToken
from ticketstub.protocol.call import CONTAINER, Call, Http, Reply, contained
from ticketstub.protocol.claim import ClaimedServer, ClaimServer, GetClaimedServer, UnclaimServer
from ticketstub.protocol.codec import Format, document
from ticketstub.protocol.media_server import GetIdentity, GetServerInformation
from ticketstub.protocol.security import GetSourceConnectionInformation, GetTransientToken, write_source
from ticketstub.refusals import BadRequest, Forbidden, NotFound
from ticketstub.tokens import Token

if TYPE_CHECKING:
    from ticketstub.local_plex.api.media_server import Guest, MediaServer

    Visited = Visit[MediaServer, Guest]

Members = dict[str, object]


class Sections(Record, frozen=True, kw_only=True):
    """The list of libraries of a media server."""

    allow_sync: bool = False
    title1: str = "Plex Library"


class GetSections(Call[Sections], frozen=True, kw_only=True):
    """List a media server's libraries: `GET /library/sections`, 200 (observed). The client asks for it as it is."""

    http = Http("GET", "/library/sections", "sections", base="server", mark="observed", reply=Reply(write=contained))


class _List(Call[Members], frozen=True, kw_only=True):
    """One of a media server's lists; our client asks for them as they are."""

    def write(self, value: Members, form: Format) -> bytes:
        """Write its reply."""
        return document(CONTAINER, value, form, wrapped=True)


class GetAccounts(_List, frozen=True, kw_only=True):
    """List who uses a media server: `GET /accounts`, 200, the owner only (observed)."""

    http = Http("GET", "/accounts", "accounts", base="server", mark="observed")


class GetSystemDevices(_List, frozen=True, kw_only=True):
    """List the devices that used it: `GET /devices`, 200, the owner only (that is assumed)."""

    http = Http("GET", "/devices", "system_devices", base="server", mark="observed")


class GetStatistics(_List, frozen=True, kw_only=True):
    """Tell what it uses of its machine: `GET /statistics/resources`, 200, the owner only (that is assumed)."""

    http = Http("GET", "/statistics/resources", "statistics", base="server", mark="observed")

    timespan: int = 6


class GetClients(_List, frozen=True, kw_only=True):
    """List the players in its network: `GET /clients`, 200 (observed)."""

    http = Http("GET", "/clients", "clients", base="server", mark="observed")


def allow_owner(_server: MediaServer, guest: Guest) -> None:
    """Refuse who is not the owner; raises `Forbidden` (observed: 403)."""
    if guest.access != "owner":
        raise Forbidden


def allow_my_plex(server: MediaServer, guest: Guest) -> None:
    """Refuse who is not the owner; where the world says so, the owner too (observed: 403)."""
    allow_owner(server, guest)
    if server.instance.answers.my_plex_account == "forbidden":
        raise Forbidden


def allow_sources(server: MediaServer, guest: Guest) -> None:
    """Refuse whom the sources are not told; raises `NotFound` or `Forbidden`."""
    permissions.check_sources(server.row, guest.access)


async def identity(visit: Visited, _call: GetIdentity) -> Identity:
    """Say who it is."""
    row, owner_id = visit.place.row, await visit.place.owner_id()
    return Identity(machine_identifier=row.machine_identifier, version=row.version, claimed=owner_id is not None)


async def server_information(visit: Visited, _call: GetServerInformation) -> ServerInformation:
    """Say what it is, and whose; the words for a server that nobody owns are observed."""
    row, owner_id = visit.place.row, await visit.place.owner_id()
    owner = await visit.place.instance.store.account(owner_id) if owner_id else None
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


async def sections(_visit: Visited, _call: GetSections) -> Sections:
    """List the libraries: none."""
    return Sections()


async def accounts(visit: Visited, _call: GetAccounts) -> Members:
    """List its accounts: nobody as 0, the owner as 1, and who has a share by the id on plex.tv (observed)."""
    server = visit.place
    owner = await _owner(server)
    guests = await server.instance.store.claims.guests(server.row.machine_identifier, server.instance.now())
    listed = [_account(0, None), *([_account(1, owner)] if owner else []), *(_account(row.id, row) for row in guests)]
    return {"size": len(listed), "identifier": "com.plexapp.system.accounts", "Account": listed}


async def system_devices(visit: Visited, _call: GetSystemDevices) -> Members:
    """List devices: those of the owner, but for media servers (ours: this stand-in plays to none)."""
    server = visit.place
    owner_id = await server.owner_id()
    rows = await server.instance.store.devices.of(owner_id, server.instance.now()) if owner_id else ()
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


async def statistics(visit: Visited, call: GetStatistics) -> Members:
    """Tell one measurement of nothing."""
    idle: Members = {"timespan": call.timespan, "at": visit.place.instance.now()}
    idle |= dict.fromkeys(("hostCpuUtilization", "processCpuUtilization"), 0.0)
    idle |= dict.fromkeys(("hostMemoryUtilization", "processMemoryUtilization"), 0.0)
    return {"size": 1, "StatisticsResources": [idle]}


async def clients(_visit: Visited, _call: GetClients) -> Members:
    """List the players: none."""
    return {"size": 0}


async def claimed_server(visit: Visited, _call: GetClaimedServer) -> ClaimedServer:
    """Tell how it stands with plex.tv."""
    return await _standing(visit.place, lasting=visit.caller.ends is None)


async def claim_server(visit: Visited, call: ClaimServer) -> ClaimedServer:
    """Come into the account of a claim token.

    Raises:
        Forbidden: a web page of another site asks, or one whose name somebody has led here (ours).
        Unauthorized: it has an owner, or the client is in another network.
        Refusal: the claim token is not good.
    """
    server = visit.place
    if visit.asked.is_cross_site or not visit.asked.has_local_host:
        raise Forbidden
    check_claimable(await server.owner_id(), visit.asked.address)
    await claim(server.instance, call.token, machine(server.row), first=True)
    return await _standing(server)


async def unclaim_server(visit: Visited, _call: UnclaimServer) -> ClaimedServer:
    """Leave the owner's account: the server's token, its device there and all its shares end."""
    server = visit.place
    await server.instance.store.claims.release(server.row.machine_identifier, server.instance.now())
    return await _standing(server)


async def _owner(server: MediaServer) -> AccountRow | None:
    owner_id = await server.owner_id()
    return await server.instance.store.account(owner_id) if owner_id else None


async def _standing(server: MediaServer, *, lasting: bool = True) -> ClaimedServer:
    """Describe it; the server's own token is told where the world says so, and to no token that ends before it."""
    owner = await _owner(server)
    if owner is None:
        return ClaimedServer(mapping_state="unknown", sign_in_state="none", subscription_active=False)
    instance, paid = server.instance, owner.record.subscription
    tells = instance.answers.my_plex_account == "with_token" and lasting
    sealed = await instance.store.claims.server_token(server.row.machine_identifier, instance.now()) if tells else None
    machine_identifier = server.row.machine_identifier
    listed = connections(instance.addresses.get(machine_identifier, ()), machine_identifier)
    outside, inside = public(listed), next((each for each in listed if each.local), None)
    return ClaimedServer(
        auth_token=Token.received(instance.keys.unseal(sealed)) if sealed else None,
        username=owner.record.email,
        mapping_state="mapped",
        mapping_error="",
        sign_in_state="ok",
        public_address=outside.address if outside else None,
        public_port=outside.port if outside else None,
        private_address=inside.address if inside else None,
        private_port=inside.port if inside else None,
        subscription_features=",".join(paid.features) if paid else "",
        subscription_active=bool(paid and paid.active),
        subscription_state="Active" if paid and paid.active else "Inactive",
    )


def _account(id_: int, row: AccountRow | None) -> Members:
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


async def get_transient_token(visit: Visited, _call: GetTransientToken) -> TransientToken:
    """Make a transient token with the caller's rights; raises `Forbidden` on a server that nobody owns (assumed)."""
    return TransientToken(token=_made_for(visit))


async def get_source_connection_information(visit: Visited, call: GetSourceConnectionInformation) -> Source:
    """Tell how to reach a source, with a transient token for it; nothing is remembered that `refresh` could renew."""
    found = next((each for each in visit.place.row.sources if each.identifier == call.source), None)
    if found is None:  # 404 is assumed
        raise NotFound if visit.place.instance.answers.unknown_source == 404 else BadRequest
    return Source(
        name=found.name,
        client_identifier=found.identifier.partition("://")[2],
        access_token=_made_for(visit),
        connections=tuple(_shown(each) for each in found.connections or _addresses(visit.place.instance, found)),
    )


def _write_source(source: Source, visit: Visited) -> bytes:
    in_list = visit.place.instance.answers.source_device == "list"
    return write_source(source, visit.asked.form, in_list=in_list)


def _made_for(visit: Visited) -> Token:
    now, guest = visit.place.instance.now(), visit.caller
    if guest.origin is None:
        raise Forbidden
    # Never after the transient token that it is made by.
    ends = min(now + permissions.TRANSIENT, guest.ends or now + permissions.TRANSIENT)
    return visit.place.transient.make(guest.origin, ends, now)


def _addresses(instance: Instance, found: SourceRow) -> tuple[Connection, ...]:
    """Return the addresses of a source that is a media server of this local Plex; its world need not repeat them."""
    kind, _, machine = found.identifier.partition("://")
    listed = instance.addresses.get(machine, ()) if kind == "server" else ()
    return connections(listed, machine, https=instance.plex_direct, relay=True)


def _shown(connection: Connection) -> Connection:
    """Leave out what a media server does not say of an address: `relay` unless it is one, and IPv6 (observed)."""
    return replace(connection, relay=connection.relay or None, ipv6=None)


ROUTES: list[Route[MediaServer, Guest]] = [
    Route(GetIdentity, identity),
    Route(GetServerInformation, server_information),
    Route(GetSections, sections),
    Route(GetTransientToken, get_transient_token, any_method=True),
    Route(GetSourceConnectionInformation, get_source_connection_information, write=_write_source, allow=allow_sources),
    Route(GetAccounts, accounts, allow=allow_owner),
    Route(GetSystemDevices, system_devices, allow=allow_owner),
    Route(GetStatistics, statistics, allow=allow_owner),
    Route(GetClients, clients),
    Route(GetClaimedServer, claimed_server, allow=allow_my_plex),
    Route(UnclaimServer, unclaim_server, allow=allow_owner),
    Route(ClaimServer, claim_server),
]
