"""What an account can reach: media servers, players and devices, and what a media server says about itself.

Rule: see the package, `ticketstub.models`. Sources: observed bodies of `GET /api/v2/resources`, `/devices.xml` and
media servers; the API's published description for transient tokens and sources.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from ticketstub.models.base import AwareDatetime, Connection, EpochSeconds, Model
from ticketstub.tokens import Token


class Resource(Model, frozen=True, kw_only=True):
    """A media server or player that the account can reach.

    `owner_id` is `None` if the caller owns it. `access_token` is the caller's token for this server. The server accepts
    no other token. Players have no token.
    """

    # Observed for players. An empty attribute, which is how XML writes null, makes a published client fail.
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
        """Whether it provides a media server."""
        return "server" in self.roles

    @property
    def roles(self) -> tuple[str, ...]:
        """The entries of `provides`, which is a comma-separated list."""
        return tuple(part.strip() for part in (self.provides or "").split(","))


class AuthorizedDevice(Model, frozen=True, kw_only=True):
    """A device that is authorized to act for the account. There is one for each client identifier that signed in.

    `id` identifies it for removal. Times are seconds since 1970 (UTC). `token` is the device's own token: plex.tv shows
    the account the tokens of all its devices (observed).
    """

    name: str | None = None
    public_address: str | None = None
    product: str | None = None
    product_version: str | None = None
    platform: str | None = None
    platform_version: str | None = None
    device: str | None = None
    model: str | None = None
    vendor: str | None = None
    provides: str | None = None
    client_identifier: str | None = None
    version: str | None = None
    id: int | None = None
    token: Token | None = None
    created_at: EpochSeconds | None = None
    last_seen_at: EpochSeconds | None = None
    screen_resolution: str | None = None
    screen_density: str | None = None
    connections: tuple[Connection, ...] = msgspec.field(name="Connection", default=())


class TransientToken(Model, frozen=True, kw_only=True):
    """A token for a media server. It is valid for at most 48 hours, or until the server restarts (documented)."""

    token: Token | None = None


class Source(Model, frozen=True, kw_only=True):
    """The addresses of a source (a server or provider that a media server knows), and a token for it (documented)."""

    name: str | None = None
    client_identifier: str | None = None
    access_token: Token | None = None
    connections: tuple[Connection, ...] = msgspec.field(name="Connection", default=())


class Identity(Model, frozen=True, kw_only=True):
    """The identity of a media server. It is readable without a token."""

    api_version: str | None = None
    claimed: bool | None = None
    machine_identifier: str | None = None
    version: str | None = None


class ServerInformation(Model, frozen=True, kw_only=True):
    """What a media server says about itself to a caller with a token."""

    machine_identifier: str | None = None
    friendly_name: str | None = None
    version: str | None = None
    platform: str | None = None
    platform_version: str | None = None
    multiuser: bool | None = None
    my_plex: bool | None = None
    my_plex_username: str | None = None
    my_plex_mapping_state: str | None = None
    my_plex_signin_state: str | None = None
    my_plex_subscription: bool | None = None
    owner_features: str | None = None
    transcoder_active_video_sessions: int | None = None
    updated_at: EpochSeconds | None = None


class PublishedServer(Model, frozen=True, kw_only=True):
    """A media server as it is published to plex.tv. Only the older list contains `access_token`."""

    omit_if_empty: ClassVar[frozenset[str]] = frozenset({"accessToken"})

    access_token: Token | None = None
    name: str | None = None
    address: str | None = None
    port: int | None = None
    version: str | None = None
    scheme: str | None = None
    host: str | None = None
    local_addresses: str | None = None
    machine_identifier: str | None = None
    created_at: EpochSeconds | None = None
    updated_at: EpochSeconds | None = None
    owned: bool | None = None
    synced: bool | None = None
