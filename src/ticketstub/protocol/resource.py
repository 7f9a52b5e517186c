"""What an account can reach: its media servers and players, each with its addresses and its own token.

Rule: as all of wire/, role-blind. Sources: the API's published description and observed bodies, which differ in what
may be missing.
"""

from __future__ import annotations

import msgspec

from ticketstub.messages import Response
from ticketstub.models import Resource
from ticketstub.protocol import lenient
from ticketstub.protocol.call import Call, Http, data_of, inside, malformed
from ticketstub.protocol.codec import Format, document, plain
from ticketstub.protocol.plain import is_items, is_members


class GetResources(Call[tuple[Resource, ...]], frozen=True, kw_only=True):
    """List what the account can reach: `GET /api/v2/resources`, 200 (documented).

    Args:
        include_https: whether addresses are given as https ones of plex.direct.
        include_relay: whether Plex's relays are among them.
        include_ipv6: whether IPv6 addresses are.
    """

    http = Http("GET", "/api/v2/resources", "resources")

    include_https: bool = True
    include_relay: bool = True
    include_ipv6: bool = msgspec.field(name="includeIPv6", default=True)

    def read(self, response: Response) -> tuple[Resource, ...]:
        data = data_of(response)
        listed = lenient.records(Resource, data)
        if not any(map(_is_one, listed)):  # what it was read from may have been a wrapper that holds other things too
            needed = lenient.names_of(Resource, _EVIDENCE)
            nested = (lenient.record(Resource, each) for each in inside(data) if lenient.holds(each, needed))
            listed = tuple(each for each in nested if each is not None)
        found = tuple(filter(_is_one, listed))
        if not found and not _is_empty(data):
            raise malformed(response, "the answer is no list of resources")
        return found

    def write(self, value: tuple[Resource, ...], form: Format) -> bytes:
        return document("resources", [plain(resource) for resource in value], form)


_EVIDENCE = ("client_identifier", "access_token", "provides", "connections")


def _is_one(resource: Resource) -> bool:
    """Tell whether this is a resource, and not whatever else has a name."""
    return any(getattr(resource, name) not in (None, ()) for name in _EVIDENCE)


def _is_empty(data: object) -> bool:
    """Tell whether this is an empty list, however it is wrapped: `[]`, `{"resources": []}`, `<… size="0"/>`."""
    if not is_members(data):
        return data in ("", []) or (is_items(data) and not data)
    if str(data.get("size")) == "0" or str(data.get("totalSize")) == "0":
        return not any(is_items(member) and member for member in data.values())
    return bool(data) and all(map(_is_empty, data.values()))
