"""Who may do what on a media server, and with it.

Rule: as in policy.py. A media server without an owner lets in its own machine, and may be claimed from its own
network (observed); a claimed one lets in its owner and who has a share of it.
"""

from __future__ import annotations

from ticketstub.local_plex.domain.permissions import AccessLevel
from ticketstub.local_plex.http.request import parse_ip
from ticketstub.local_plex.storage.base import TokenRow
from ticketstub.refusals import Unauthorized


def determine_access(row: TokenRow | None, machine_identifier: str, owner_id: int | None) -> AccessLevel:
    """Say what a token may do on a claimed media server.

    Its owner's own tokens and the server's own may all; a JWT gets here only where the world lets media servers take
    it. The token of a share of this very server may what is shared.

    Raises:
        Unauthorized: any other token.
    """
    if row is None:
        raise Unauthorized
    if row.kind in {"account", "jwt"} and owner_id is not None and row.account_id == owner_id:
        return "owner"
    if row.machine_identifier == machine_identifier:
        if row.kind == "server_share":
            return "shared"
        if row.kind == "server" and row.account_id == owner_id:
            return "owner"
    raise Unauthorized


def check_claimable(owner_id: int | None, address: str) -> None:
    """Refuse to be claimed; raises `Unauthorized` where there is an owner, or from another network (observed)."""
    if owner_id is not None or not is_same_network(address):
        raise Unauthorized


def is_local_machine(address: str) -> bool:
    """Tell whether a client is on the server's own machine."""
    ip = parse_ip(address)
    return ip is not None and ip.is_loopback


def is_same_network(address: str) -> bool:
    """Tell whether a client may be in the server's own network: any private or link-local address counts (ours)."""
    ip = parse_ip(address)
    return ip is not None and (ip.is_loopback or ip.is_private or ip.is_link_local)
