"""What an account can reach: its media servers and players, each with its addresses and its own token.

Rule: as all of wire/, role-blind. Sources: the API's published description and observed bodies, which differ in what
may be missing.
"""

from __future__ import annotations

import msgspec

from ticketstub.messages import Response
from ticketstub.models import Resource
from ticketstub.protocol import lenient
from ticketstub.protocol.call import Call, HttpSpec, build_malformed_reply, parse_response, walk_objects
from ticketstub.protocol.codec import Format, to_builtins, write_document
from ticketstub.protocol.plain import is_array, is_object


class GetResources(Call[tuple[Resource, ...]], frozen=True, kw_only=True):
    """List what the account can reach: `GET /api/v2/resources`, 200 (documented).

    Args:
        include_https: whether addresses are given as https ones of plex.direct.
        include_relay: whether Plex's relays are among them.
        include_ipv6: whether IPv6 addresses are.
    """

    http = HttpSpec("GET", "/api/v2/resources", "resources")

    include_https: bool = True
    include_relay: bool = True
    include_ipv6: bool = msgspec.field(name="includeIPv6", default=True)

    def read(self, response: Response) -> tuple[Resource, ...]:
        data = parse_response(response)
        listed = lenient.read_models(Resource, data)
        if not any(
            map(_is_resource, listed)
        ):  # what it was read from may have been a wrapper that holds other things too
            needed = lenient.list_field_names(Resource, _IDENTIFYING_FIELDS)
            nested = (
                lenient.read_model(Resource, each) for each in walk_objects(data) if lenient.has_any_name(each, needed)
            )
            listed = tuple(each for each in nested if each is not None)
        found = tuple(filter(_is_resource, listed))
        if not found and not _is_empty_list(data):
            raise build_malformed_reply(response, "the answer is no list of resources")
        return found

    def write(self, value: tuple[Resource, ...], form: Format) -> bytes:
        return write_document("resources", [to_builtins(resource) for resource in value], form)


_IDENTIFYING_FIELDS = ("client_identifier", "access_token", "provides", "connections")


def _is_resource(resource: Resource) -> bool:
    """Tell whether this is a resource, and not whatever else has a name."""
    return any(getattr(resource, name) not in (None, ()) for name in _IDENTIFYING_FIELDS)


def _is_empty_list(data: object) -> bool:
    """Tell whether this is an empty list, however it is wrapped: `[]`, `{"resources": []}`, `<… size="0"/>`."""
    if not is_object(data):
        return data in ("", []) or (is_array(data) and not data)
    if str(data.get("size")) == "0" or str(data.get("totalSize")) == "0":
        return not any(is_array(member) and member for member in data.values())
    return bool(data) and all(map(_is_empty_list, data.values()))
