"""Where a media server of this local Plex answers.

Rule: one address each, on this machine, by plain http: the local Plex has no TLS (ours).
"""

from __future__ import annotations

from ticketstub.records import Connection
from ticketstub.server.instance import Instance


def connection(instance: Instance, machine_identifier: str) -> Connection | None:
    """Return the address of a media server; `None` for a machine that is none of this local Plex."""
    found = instance.addresses.get(machine_identifier)
    if found is None:
        return None
    host, port = found
    uri = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return Connection(protocol="http", address=host, port=port, uri=uri, local=True, relay=False, ipv6=":" in host)
