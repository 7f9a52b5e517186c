"""Media servers: their addresses, who may use them, and their transient tokens.

Rule: a media server is listed where it answers, as a local and as a remote address, unless its world names others (the
default is our choice: clients skip the local addresses of shared servers). With TLS, clients that ask for https get its
name below plex.direct, as from Plex. A URI in the world is listed unchanged. An unclaimed server admits its own machine
and may be claimed from its own network (observed); a claimed one admits its owner and its guests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from ipaddress import IPv6Address
from typing import Literal, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from ticketstub.dns import parse_ip
from ticketstub.local_plex.storage.base import MediaServerRow, TokenRow
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.world.addresses import WorldAddress
from ticketstub.models import Connection
from ticketstub.refusals import Forbidden, NotFound, ServerError, Unauthorized
from ticketstub.tokens import Token

AccessLevel = Literal["owner", "shared"]

TRANSIENT_TOKEN_SECONDS = 48 * 3600
"""The longest lifetime of a transient token in seconds (documented)."""


_match_transient_token = re.compile(r"transient-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


class ServerAddress(NamedTuple):
    """An address of a media server.

    Attributes:
        host: its host, as a name or an address.
        port: its port.
        local: whether it is in the server's own network.
        relay: whether it is one of Plex's relays.
        uri: set if the world names one.
        plex_direct: whether it has a name below plex.direct; `None` if it has one where the server itself speaks TLS.
        is_name_blocked: whether a router in the server's network blocks that name.
    """

    host: str
    port: int
    local: bool
    relay: bool = False
    uri: str | None = None
    plex_direct: bool | None = None
    is_name_blocked: bool = False


def build_addresses(
    host: str,
    port: int,
    world_addresses: Iterable[WorldAddress] | None = None,
    listeners: Iterable[tuple[str, int]] = (),
) -> tuple[ServerAddress, ...]:
    """Return the addresses of a media server.

    Args:
        host: where it answers.
        port: its port.
        world_addresses: the addresses in its world; `None` for the default ones.
        listeners: host and port of each of those that have a listener of their own, in the same order.
    """
    if world_addresses is None:
        return ServerAddress(host, port, local=True), ServerAddress(host, port, local=False)
    places = iter(listeners)
    return tuple(
        ServerAddress(
            *next(places),
            each.local,
            each.relay,
            plex_direct=each.plex_direct,
            is_name_blocked=each.local and each.dns in {"fails", "private"},
        )
        if each.has_listener
        else _build_address(host, port, each)
        for each in world_addresses
    )


def _build_address(host: str, port: int, world_address: WorldAddress) -> ServerAddress:
    if world_address.uri is None:
        host, port = world_address.host or host, world_address.port or port
    else:
        parts = urlsplit(world_address.uri)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    return ServerAddress(host, port, world_address.local, world_address.relay, world_address.uri)


def build_connections(
    addresses: Iterable[ServerAddress],
    machine_identifier: str,
    *,
    https: bool = False,
    plex_direct: bool = False,
    relay: bool = False,
    ipv6: bool = True,
) -> tuple[Connection, ...]:
    """Return a media server's addresses as connections.

    Args:
        addresses: its addresses.
        machine_identifier: its identifier.
        https: whether to return https addresses where there are any.
        plex_direct: whether the server itself speaks TLS, and so has such addresses; for IPv4 only.
        relay: whether to include relays.
        ipv6: whether to include IPv6 addresses.
    """
    return tuple(
        _build_connection(each, machine_identifier, https=https, plex_direct=plex_direct)
        for each in addresses
        if (relay or not each.relay) and (ipv6 or ":" not in each.host)
    )


def _build_connection(address: ServerAddress, machine_identifier: str, *, https: bool, plex_direct: bool) -> Connection:
    host, port = address.host, address.port
    uri = address.uri or (f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    has_name = plex_direct and ":" not in host if address.plex_direct is None else address.plex_direct
    if https and address.uri is None and has_name:
        uri = f"https://{build_plex_direct_authority(derive_plex_direct_id(machine_identifier), host, port)}"
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
    """Return the first address outside the media server's network; if there is none, its first address."""
    direct = [each for each in connections if not each.relay]
    return next((each for each in direct if not each.local), direct[0] if direct else None)


def derive_plex_direct_id(machine_identifier: str) -> str:
    """Return the 32 digits of a media server's names below plex.direct, which do not reveal its identifier."""
    return sha256(f"plex.direct {machine_identifier}".encode()).hexdigest()[:32]


def build_plex_direct_authority(plex_direct_id: str, host: str, port: int) -> str:
    """Return the name below plex.direct, with the port, of an address of a media server.

    A hyphen is in place of each dot of an IPv4 address (observed), or each colon of an IPv6 address (documented). An
    IPv6 address is written with all its groups (our choice), so that the name does not begin with a hyphen.
    """
    if ":" in host:
        host = ":".join(f"{int(group, 16):x}" for group in IPv6Address(host).exploded.split(":"))
    return f"{re.sub('[.:]', '-', host)}.{plex_direct_id}.plex.direct:{port}"


def list_certificate_names(plex_direct_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the names, with wildcards, of a certificate for plex.tv and the media servers of these ids."""
    return ("plex.tv", "*.plex.tv", *(f"*.{each}.plex.direct" for each in plex_direct_ids))


def determine_access(row: TokenRow | None, machine_identifier: str, owner_id: int | None) -> AccessLevel:
    """Return what a token may do on a claimed media server.

    The owner's tokens and the server's own token have full access (a JWT gets here only if the world lets media servers
    accept it). The token of a share of this server has the access of a guest.

    Raises:
        Unauthorized: for any other token.
    """
    if row is not None:
        is_for_server = row.machine_identifier == machine_identifier
        if row.account_id == owner_id and (row.kind in {"account", "jwt"} or (row.kind == "server" and is_for_server)):
            return "owner"
        if row.kind == "server_share" and is_for_server:
            return "shared"
    raise Unauthorized


def check_claimable(owner_id: int | None, address: str) -> None:
    """Refuse a claim with `Unauthorized` if the server has an owner, or the client is in another network (observed)."""
    if owner_id is not None or not is_same_network(address):
        raise Unauthorized


def is_local_machine(address: str) -> bool:
    """Return whether a client is on the server's own machine."""
    ip = parse_ip(address)
    return ip is not None and ip.is_loopback


def is_same_network(address: str) -> bool:
    """Return whether a client may be in the server's network: its address is private or link-local (our choice)."""
    ip = parse_ip(address)
    return ip is not None and (ip.is_loopback or ip.is_private or ip.is_link_local)


def check_source_access(server: MediaServerRow, access: AccessLevel) -> None:
    """Refuse information about sources.

    Raises:
        NotFound: the media server is older than 1.15.4 (the refusal is documented; 404 is assumed).
        Forbidden: the token is neither the owner's nor a transient token made from the owner's (documented).
    """
    if [int(number) for number in re.findall("[0-9]+", server.version)[:3]] < [1, 15, 4]:
        raise NotFound
    if access != "owner":
        raise Forbidden


class TransientTokens(msgspec.Struct):
    """The transient tokens of one media server, in memory until it restarts.

    They end after 48 hours or when the server restarts (documented), and with the token that they were made from, which
    is looked up at each use. One made from a transient token ends no later than that one. They are never listed. A new
    one is refused when there are too many, so that none pushes out another.

    Attributes:
        keys: computes the digests of tokens.
        max_tokens: the largest number of valid tokens.
    """

    keys: InstanceKeys
    max_tokens: int
    _tokens: dict[bytes, tuple[bytes, int]] = {}

    def issue(self, source_digest: bytes, expires_at: int, now: int) -> Token:
        """Issue a token.

        Args:
            source_digest: the digest of the account's or share's token that it stands for.
            expires_at: when it ends, in seconds since 1970.
            now: the current time, in seconds since 1970.

        Raises:
            ServerError: there are too many (503, our choice).
        """
        if len(self._tokens) >= self.max_tokens:
            self._tokens = {digest: entry for digest, entry in self._tokens.items() if entry[1] > now}
        if len(self._tokens) >= self.max_tokens:
            raise ServerError("The server cannot handle the request", status=503, code=1013)
        text = f"transient-{uuid4()}"  # documented
        self._tokens[self.keys.digest(text)] = (source_digest, expires_at)
        return Token.from_wire(text)

    def find(self, text: str, now: int) -> tuple[bytes, int] | None:
        """Return the digest that a token stands for and when it ends; `None` if it is unknown or expired."""
        entry = self._tokens.get(self.keys.digest(text)) if _match_transient_token(text) else None
        return entry if entry is not None and entry[1] > now else None

    def revoke(self, text: str, now: int) -> bool:
        """Revoke a token; `False` if it is unknown or expired."""
        is_active = self.find(text, now) is not None
        self._tokens.pop(self.keys.digest(text), None)
        return is_active
