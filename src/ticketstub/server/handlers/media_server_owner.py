"""A media server's answers to its owner: how it stands with plex.tv, who uses it, and what it has to tell of itself.

Rule: all of this is the owner's (observed for the accounts: 403 for who has a share), but being claimed, which is asked
by nobody that it knows. What this stand-in does not do (play, measure) is told as empty or zero, in the observed form.
"""

from __future__ import annotations

from ticketstub.refusals import Forbidden
from ticketstub.server.addresses import connections, public
from ticketstub.server.box import Box, Guest
from ticketstub.server.claiming import claim
from ticketstub.server.policies.media_servers import check_claimable, check_owner
from ticketstub.server.routes import Visit
from ticketstub.server.store.base import AccountRow
from ticketstub.server.store.seed import machine
from ticketstub.token import Token
from ticketstub.wire.call import CONTAINER, Call, Http
from ticketstub.wire.claims import ClaimedServer, ClaimServer, GetClaimedServer, UnclaimServer
from ticketstub.wire.codec import Format, document

Members = dict[str, object]


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


def allow_owner(box: Box, guest: Guest) -> None:
    """Refuse who is not the owner; raises `Forbidden` or `Unauthorized`."""
    check_owner(guest.access, box.instance.answers.shared_on_owner_route)


def allow_my_plex(box: Box, guest: Guest) -> None:
    """Refuse who is not the owner; where the world says so, the owner too (observed: 403)."""
    allow_owner(box, guest)
    if box.instance.answers.my_plex_account == "forbidden":
        raise Forbidden


async def accounts(visit: Visit[Box, Guest], _call: GetAccounts) -> Members:
    """List its accounts: nobody as 0, the owner as 1, and who has a share by the id on plex.tv (observed)."""
    box = visit.place
    owner = await _owner(box)
    guests = await box.instance.store.claims.guests(box.row.machine_identifier, box.instance.now())
    listed = [_account(0, None), *([_account(1, owner)] if owner else []), *(_account(row.id, row) for row in guests)]
    return {"size": len(listed), "identifier": "com.plexapp.system.accounts", "Account": listed}


async def system_devices(visit: Visit[Box, Guest], _call: GetSystemDevices) -> Members:
    """List devices: those of the owner, but for media servers (ours: this stand-in plays to none)."""
    box = visit.place
    owner_id = await box.owner_id()
    rows = await box.instance.store.devices.of(owner_id, box.instance.now()) if owner_id else ()
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


async def statistics(visit: Visit[Box, Guest], call: GetStatistics) -> Members:
    """Tell one measurement of nothing."""
    idle: Members = {"timespan": call.timespan, "at": visit.place.instance.now()}
    idle |= dict.fromkeys(("hostCpuUtilization", "processCpuUtilization"), 0.0)
    idle |= dict.fromkeys(("hostMemoryUtilization", "processMemoryUtilization"), 0.0)
    return {"size": 1, "StatisticsResources": [idle]}


async def clients(_visit: Visit[Box, Guest], _call: GetClients) -> Members:
    """List the players: none."""
    return {"size": 0}


async def claimed_server(visit: Visit[Box, Guest], _call: GetClaimedServer) -> ClaimedServer:
    """Tell how it stands with plex.tv."""
    return await _standing(visit.place, lasting=visit.caller.ends is None)


async def claim_server(visit: Visit[Box, Guest], call: ClaimServer) -> ClaimedServer:
    """Come into the account of a claim token.

    Raises:
        Forbidden: a web page of another site asks, or one whose name somebody has led here (ours).
        Unauthorized: it has an owner, or the client is in another network.
        Refusal: the claim token is not good.
    """
    box = visit.place
    if visit.asked.is_cross_site or not visit.asked.has_local_host:
        raise Forbidden
    check_claimable(await box.owner_id(), visit.asked.address)
    await claim(box.instance, call.token, machine(box.row), first=True)
    return await _standing(box)


async def unclaim_server(visit: Visit[Box, Guest], _call: UnclaimServer) -> ClaimedServer:
    """Leave the owner's account: the server's token, its device there and all its shares end."""
    box = visit.place
    await box.instance.store.claims.release(box.row.machine_identifier, box.instance.now())
    return await _standing(box)


async def _owner(box: Box) -> AccountRow | None:
    owner_id = await box.owner_id()
    return await box.instance.store.account(owner_id) if owner_id else None


async def _standing(box: Box, *, lasting: bool = True) -> ClaimedServer:
    """Describe it; the server's own token is told where the world says so, and to no token that ends before it."""
    owner = await _owner(box)
    if owner is None:
        return ClaimedServer(mapping_state="unknown", sign_in_state="none", subscription_active=False)
    instance, paid = box.instance, owner.record.subscription
    tells = instance.answers.my_plex_account == "with_token" and lasting
    sealed = await instance.store.claims.server_token(box.row.machine_identifier, instance.now()) if tells else None
    machine_identifier = box.row.machine_identifier
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
