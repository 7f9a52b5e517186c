"""A media server's answers to its security calls: transient tokens, and how to reach a source.

Rule: what a caller gets is never more than what it has. A transient token stands for the token that asked, or for the
one behind it where a transient token asks; the sources are told to the owner only (documented).
"""

from __future__ import annotations

from msgspec.structs import replace

from ticketstub.records import Connection, Source, TransientToken
from ticketstub.refusals import Forbidden
from ticketstub.server import policy
from ticketstub.server.addresses import connections
from ticketstub.server.box import Box, Guest
from ticketstub.server.instance import Instance
from ticketstub.server.routes import Visit
from ticketstub.server.store.base import Row, SourceRow
from ticketstub.token import Token
from ticketstub.wire.codec import Format
from ticketstub.wire.security import GetSourceConnectionInformation, GetTransientToken, write_source


class ToldSource(Row, frozen=True, kw_only=True):
    """A source, and whether JSON has it in a list."""

    source: Source
    in_list: bool


async def get_transient_token(visit: Visit[Box, Guest], _call: GetTransientToken) -> TransientToken:
    """Make a transient token with the caller's rights; raises `Forbidden` on a server that nobody owns (assumed)."""
    return TransientToken(token=_made_for(visit))


def allow_sources(box: Box, guest: Guest) -> None:
    """Refuse whom the sources are not told; raises `NotFound`, `BadRequest` or `Forbidden`."""
    policy.check_sources(box.row, guest.access, old=box.instance.answers.old_media_server)


async def get_source_connection_information(
    visit: Visit[Box, Guest], call: GetSourceConnectionInformation
) -> ToldSource:
    """Tell how to reach a source, with a transient token for it; nothing is remembered that `refresh` could renew."""
    answers = visit.place.instance.answers
    found = policy.source(visit.place.row, call.source, unknown=answers.unknown_source)
    source = Source(
        name=found.name,
        client_identifier=found.identifier.partition("://")[2],
        access_token=_made_for(visit),
        connections=tuple(_shown(each) for each in found.connections or _addresses(visit.place.instance, found)),
    )
    return ToldSource(source=source, in_list=answers.source_device == "list")


def write_told(told: ToldSource, form: Format) -> bytes:
    """Write the reply."""
    return write_source(told.source, form, in_list=told.in_list)


def _made_for(visit: Visit[Box, Guest]) -> Token:
    now, guest = visit.place.instance.now(), visit.caller
    if guest.origin is None:
        raise Forbidden
    return visit.place.transient.make(guest.origin, guest.access, policy.transient_ends(now, guest.ends), now)


def _addresses(instance: Instance, found: SourceRow) -> tuple[Connection, ...]:
    """Return the addresses of a source that is a media server of this local Plex; its world need not repeat them."""
    kind, _, machine = found.identifier.partition("://")
    listed = instance.addresses.get(machine, ()) if kind == "server" else ()
    return connections(listed, machine, https=instance.plex_direct, relay=True)


def _shown(connection: Connection) -> Connection:
    """Leave out what a media server does not say of an address: `relay` unless it is one, and IPv6 (observed)."""
    return replace(connection, relay=connection.relay or None, ipv6=None)
