"""How the media servers of a world get their device and their token in an account's list.

Rule: as in seed.py. A media server is a device of its owner like any other, with a token of its own (observed:
`PlexOnlineToken`, 20 characters); one that nobody claimed has neither.
"""

from __future__ import annotations

from collections.abc import Iterable

from ticketstub.server.keys import Keys
from ticketstub.server.store.base import DeviceRow, MediaServerRow, NewIdentity
from ticketstub.server.world import WorldMediaServer


def identities(servers: Iterable[WorldMediaServer], keys: Keys) -> Iterable[NewIdentity]:
    """Give each claimed media server what it is known by."""
    for server in servers:
        if server.owner:
            text = server.token.reveal() if server.token else keys.new_token()
            yield NewIdentity(
                owner=server.owner,
                server=machine(server),
                digest=keys.digest(text),
                sealed_token=keys.seal(text),
                known=server.token is not None,
            )


def machine(server: WorldMediaServer | MediaServerRow) -> DeviceRow:
    """Describe a media server as a device (observed names and values)."""
    return DeviceRow(
        client_identifier=server.machine_identifier,
        product="Plex Media Server",
        version=server.version,
        platform=server.platform,
        platform_version=server.platform_version,
        name=server.name,
        provides="server",
    )
