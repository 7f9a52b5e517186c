"""What an account can reach: its media servers and players, each with its addresses and its own token.

Rule: as all of wire/, role-blind. Sources: the API's published description and observed bodies, which differ in what
may be missing.
"""

from __future__ import annotations

import msgspec

from ticketstub.records import Resource
from ticketstub.wire import tolerant
from ticketstub.wire.call import Call, data_of, malformed
from ticketstub.wire.codec import Format, plain, to_json, to_xml
from ticketstub.wire.http import Response

# Observed; and an empty one, as XML would have it for null, makes a published client fail.
_SAID_BY_SERVERS = ("dnsRebindingProtection", "natLoopbackSupported")


class GetResources(Call[tuple[Resource, ...]], frozen=True, kw_only=True):
    """List what the account can reach: `GET /api/v2/resources`, 200 (documented).

    Args:
        include_https: whether addresses are given as https ones of plex.direct.
        include_relay: whether Plex's relays are among them.
        include_ipv6: whether IPv6 addresses are.
    """

    name = "resources"
    path = "/api/v2/resources"

    include_https: bool = True
    include_relay: bool = True
    include_ipv6: bool = msgspec.field(name="includeIPv6", default=True)

    def read(self, response: Response) -> tuple[Resource, ...]:
        data = data_of(response)
        found = tolerant.records(Resource, data)
        if not found and data not in ("", []):
            raise malformed(response, "the answer is no list of resources")
        return found

    def write(self, value: tuple[Resource, ...], form: Format) -> bytes:
        listed = [plain_resource(resource) for resource in value]
        return to_xml("resources", listed) if form is Format.XML else to_json(listed)


def plain_resource(resource: Resource) -> dict[str, object]:
    """Turn a resource into plain data; what only media servers say is left out of the others (observed)."""
    members = plain(resource)
    for name in _SAID_BY_SERVERS:
        if members[name] is None:
            del members[name]
    return members
