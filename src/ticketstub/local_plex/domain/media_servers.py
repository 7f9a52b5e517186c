"""Who may do what on a media server, and with it.

Rule: as in policy.py. A media server without an owner lets in its own machine, and may be claimed from its own
network (observed); a claimed one lets in its owner and who has a share of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from ticketstub.dns import parse_ip
from ticketstub.local_plex.storage.base import MediaServerRow, TokenRow
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.world.schema import WorldAddress
from ticketstub.models import Connection
from ticketstub.refusals import Forbidden, NotFound, ServerError, Unauthorized
from ticketstub.tokens import Token

AccessLevel = Literal["owner", "shared"]


TRANSIENT_TOKEN_SECONDS = 48 * 3600
"""Seconds after which a transient token ends at the latest (documented)."""


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


def check_source_access(server: MediaServerRow, access: AccessLevel) -> None:
    """Refuse to tell about sources.

    Raises:
        NotFound: the media server is older than 1.15.4 (documented that it refuses; 404 is assumed).
        Forbidden: only its owner is told, and who has a transient token made from the owner's (documented).
    """
    if [int(number) for number in re.findall("[0-9]+", server.version)[:3]] < [1, 15, 4]:
        raise NotFound
    if access != "owner":
        raise Forbidden


class ServerAddress(NamedTuple):
    """An address of a media server. `uri` is set where the world writes it out."""

    host: str
    port: int
    local: bool
    relay: bool = False
    uri: str | None = None


def build_addresses(
    host: str, port: int, world_addresses: Iterable[WorldAddress] | None = None
) -> tuple[ServerAddress, ...]:
    """Return the addresses of a media server.

    Args:
        host: where it answers.
        port: likewise.
        world_addresses: what its world names; `None` for the two of the default.
    """
    if world_addresses is None:
        return ServerAddress(host, port, local=True), ServerAddress(host, port, local=False)
    return tuple(_build_address(host, port, each) for each in world_addresses)


def _build_address(host: str, port: int, world_address: WorldAddress) -> ServerAddress:
    if world_address.uri is None:
        return ServerAddress(
            world_address.host or host, world_address.port or port, world_address.local, world_address.relay
        )
    parts = urlsplit(world_address.uri)
    default_port = 443 if parts.scheme == "https" else 80
    return ServerAddress(
        parts.hostname or "", parts.port or default_port, world_address.local, world_address.relay, world_address.uri
    )


def build_connections(
    addresses: Iterable[ServerAddress],
    machine_identifier: str,
    *,
    https: bool = False,
    relay: bool = False,
    ipv6: bool = True,
) -> tuple[Connection, ...]:
    """Return addresses of a media server as answers have them.

    Args:
        addresses: the addresses that it has.
        machine_identifier: its identifier.
        https: whether they are to be https addresses; those of IPv6 have none.
        relay: whether relays are among them.
        ipv6: whether addresses of IPv6 are.
    """
    selected = (each for each in addresses if (relay or not each.relay) and (ipv6 or ":" not in each.host))
    return tuple(_build_connection(each, machine_identifier, https=https) for each in selected)


def _build_connection(address: ServerAddress, machine_identifier: str, *, https: bool) -> Connection:
    host, port = address.host, address.port
    if address.uri is not None:
        uri = address.uri
    elif https and ":" not in host:
        uri = f"https://{build_plex_direct_authority(derive_plex_direct_id(machine_identifier), host, port)}"
    else:
        uri = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return Connection(
        protocol=uri.partition(":")[0],
        address=host,
        port=port,
        uri=uri,
        local=address.local,
        relay=address.relay,
        ipv6=":" in host,
    )


def find_public_connection(connections: Iterable[Connection]) -> Connection | None:
    """Return the address by which a media server is known outside its network; else the first that it has."""
    direct = [each for each in connections if not each.relay]
    return next((each for each in direct if not each.local), direct[0] if direct else None)


def derive_plex_direct_id(machine_identifier: str) -> str:
    """Return the 32 digits of a media server's names below plex.direct: always the same, and not its identifier."""
    return sha256(f"plex.direct {machine_identifier}".encode()).hexdigest()[:32]


def build_plex_direct_authority(plex_direct_id: str, host: str, port: int) -> str:
    """Return the name below plex.direct, and the port, that stand for an IPv4 address of a media server (observed)."""
    return f"{host.replace('.', '-')}.{plex_direct_id}.plex.direct:{port}"


def list_certificate_names(plex_direct_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the names, with wildcards, of a certificate for plex.tv and the media servers of these digits."""
    return ("plex.tv", "*.plex.tv", *(f"*.{each}.plex.direct" for each in plex_direct_ids))


class TransientTokens:
    """The transient tokens of one media server, until it restarts.

    Args:
        keys: make tokens and their digests.
        max_tokens: how many may be alive at once.
    """

    def __init__(self, keys: InstanceKeys, max_tokens: int) -> None:
        self._keys = keys
        self._max_tokens = max_tokens
        self._tokens: dict[bytes, tuple[bytes, int]] = {}

    def issue(self, source_digest: bytes, expires_at: int, now: int) -> Token:
        """Make a token.

        Args:
            source_digest: the digest of the account's or share's token that it stands for.
            expires_at: when it ends, seconds since 1970.
            now: likewise.

        Raises:
            ServerError: too many are alive (503, ours).
        """
        if len(self._tokens) >= self._max_tokens:
            self._tokens = {digest: entry for digest, entry in self._tokens.items() if entry[1] > now}
        if len(self._tokens) >= self._max_tokens:
            raise ServerError("The server cannot handle the request", status=503, code=1013)
        text = self._keys.generate_transient_token()
        self._tokens[self._keys.digest(text)] = (source_digest, expires_at)
        return Token.from_wire(text)

    def find(self, text: str, now: int) -> tuple[bytes, int] | None:
        """Return the digest that a token stands for and when it ends, or `None` where it is unknown or over."""
        if not self._keys.is_transient_token_shaped(text):
            return None
        entry = self._tokens.get(self._keys.digest(text))
        return entry if entry is not None and entry[1] > now else None

    def revoke(self, text: str, now: int) -> bool:
        """End a token at once; `False` if it is unknown or over."""
        is_active = self.find(text, now) is not None
        self._tokens.pop(self._keys.digest(text), None)
        return is_active
