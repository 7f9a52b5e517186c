"""The account's authorized devices: one row for each client identifier that signed in.

Rule: as all of records/. Sources: observed bodies of `/devices.xml`.
"""

from __future__ import annotations

import msgspec

from ticketstub.models.base import EpochSeconds, Model
from ticketstub.models.resource import Connection
from ticketstub.tokens import Token


class AuthorizedDevice(Model, frozen=True, kw_only=True):
    """A device that may act for the account. `id` is what it is removed by; times are seconds since 1970 (UTC).

    `token` is that device's own token: plex.tv shows each of them to the account (observed).
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
