"""A media server's answers about itself: who it is, what it is, and its libraries, of which it has none.

Rule: the identity is told to everybody, the rest to who has a token for this server. Whom it belongs to is asked of the
store each time: a server may be claimed and given up while it runs.
"""

from __future__ import annotations

from ticketstub.records import Identity, Record, ServerInformation
from ticketstub.server.box import Box, Guest
from ticketstub.server.routes import Visit
from ticketstub.wire.call import Call, Http, contained
from ticketstub.wire.codec import Format
from ticketstub.wire.media_server import GetIdentity, GetServerInformation


class Sections(Record, frozen=True, kw_only=True):
    """The list of libraries of a media server."""

    allow_sync: bool = False
    title1: str = "Plex Library"


class GetSections(Call[Sections], frozen=True, kw_only=True):
    """List a media server's libraries: `GET /library/sections`, 200 (observed). The client asks for it as it is."""

    http = Http("GET", "/library/sections", "sections", base="server", mark="observed")

    def write(self, value: Sections, form: Format) -> bytes:
        """Write its reply."""
        return contained(value, form)


async def identity(visit: Visit[Box, Guest], _call: GetIdentity) -> Identity:
    """Say who it is."""
    row, owner_id = visit.place.row, await visit.place.owner_id()
    return Identity(machine_identifier=row.machine_identifier, version=row.version, claimed=owner_id is not None)


async def server_information(visit: Visit[Box, Guest], _call: GetServerInformation) -> ServerInformation:
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


async def sections(_visit: Visit[Box, Guest], _call: GetSections) -> Sections:
    """List the libraries: none."""
    return Sections()
