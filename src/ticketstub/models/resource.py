"""What an account can reach, and by which addresses.

Rule: as all of records/. Sources: observed bodies of `GET /api/v2/resources`.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from ticketstub.models.base import AwareDatetime, Model
from ticketstub.tokens import Token


class Connection(Model, frozen=True, kw_only=True):
    """One address of a device. On a media server's own answers, `relay` appears only where it is true."""

    protocol: str | None = None
    address: str | None = None
    port: int | None = None
    uri: str | None = None
    local: bool | None = None
    relay: bool | None = None
    ipv6: bool | None = msgspec.field(name="IPv6", default=None)


class Resource(Model, frozen=True, kw_only=True):
    """A media server or player that the account can reach.

    `owner_id` is `None` where the caller owns it. `access_token` is this server's own token for the caller; players
    have none, and no other token will do in its place.
    """

    # Observed of players; and an empty one, as XML would have it for null, makes a published client fail.
    omit_if_empty: ClassVar[frozenset[str]] = frozenset({"dnsRebindingProtection", "natLoopbackSupported"})

    name: str | None = None
    product: str | None = None
    product_version: str | None = None
    platform: str | None = None
    platform_version: str | None = None
    device: str | None = None
    client_identifier: str | None = None
    created_at: AwareDatetime | None = None
    last_seen_at: AwareDatetime | None = None
    provides: str | None = None
    owner_id: int | None = None
    source_title: str | None = None
    public_address: str | None = None
    access_token: Token | None = None
    owned: bool | None = None
    home: bool | None = None
    synced: bool | None = None
    relay: bool | None = None
    presence: bool | None = None
    https_required: bool | None = None
    public_address_matches: bool | None = None
    dns_rebinding_protection: bool | None = None
    nat_loopback_supported: bool | None = None
    connections: tuple[Connection, ...] = ()

    @property
    def is_media_server(self) -> bool:
        """Whether it provides a media server (`provides` is a comma list)."""
        return "server" in self.roles

    @property
    def roles(self) -> tuple[str, ...]:
        """What it provides, one by one."""
        return tuple(part.strip() for part in (self.provides or "").split(","))
