"""The store's errors, and the rows that several families of operations share.

Rule: the store offers operations of the domain. Each is atomic and returns whether it took effect; callers never read a
row, decide and write it back. Times are whole seconds since 1970 (UTC) and come from the caller. The store never sees
a token, password or verification secret in clear: it gets tokens as a digest and sealed bytes, and passwords as hashes.
An operation that fails raises `StoreUnavailable` and has written nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ticketstub.models import Account, Connection

TokenKind = Literal["account", "jwt", "server", "server_share"]
"""An account's token (also after a Home switch), a JWT for a device key, a media server's own token, or a share's."""


def get_sqlite_version() -> str:
    """Return the version of the SQLite library that Python uses.

    Raises:
        ImportError: Python was built without it.
    """
    from sqlite3 import sqlite_version

    return sqlite_version


class StoreError(Exception):
    """The database cannot be used. The message says why and contains no secret."""


class StoreUnavailable(StoreError):
    """The database cannot do this now (locked, full, closed or broken). Nothing was written; the HTTP status is 503."""


class StoreDamaged(StoreError):
    """The database file is damaged. It is left as it is."""


class StoreConflict(StoreError):
    """A new row conflicts with another account's row in this database. Nothing was written."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The base class of what a store takes and returns."""


class AccountRow(Row, frozen=True, kw_only=True):
    """An account.

    `InstanceKeys.unseal(…, VERIFICATION_PURPOSE)` opens `sealed_verification`; `None` means that signing in needs no
    verification code.
    """

    id: int
    record: Account
    password_hash: str | None = None
    sealed_verification: bytes | None = None
    email_only_auth: bool = False
    disabled: bool = False

    def __repr__(self) -> str:
        return f"AccountRow(id={self.id})"


class TokenRow(Row, frozen=True, kw_only=True):
    """A valid token and its account. `machine_identifier` is the media server of a server's or a share's token."""

    kind: TokenKind
    account_id: int
    device_id: int | None
    machine_identifier: str | None
    expires_at: int | None
    account: AccountRow


class DeviceRow(Row, frozen=True, kw_only=True):
    """What a client sends about itself in its `X-Plex-*` parameters."""

    client_identifier: str
    product: str | None = None
    version: str | None = None
    platform: str | None = None
    platform_version: str | None = None
    device: str | None = None
    name: str | None = None
    model: str | None = None
    vendor: str | None = None
    provides: str | None = None
    screen_resolution: str | None = None
    address: str | None = None


class NewSignIn(Row, frozen=True, kw_only=True):
    """An accepted sign-in: the new token, its device, and the verification step that it uses up, if any.

    `device` is `None` for a client that sends no client identifier; its token has no device.
    """

    account_id: int
    device: DeviceRow | None
    digest: bytes
    sealed_token: bytes
    now: int
    expires_at: int | None = None
    verification_step: int | None = None


class SourceRow(Row, frozen=True, kw_only=True):
    """A source that `/security/resources` of one media server knows."""

    identifier: str
    name: str
    connections: tuple[Connection, ...] = ()


class MediaServerRow(Row, frozen=True, kw_only=True):
    """A media server. A `port` of `None` means a free one at each start; an unclaimed server has no `owner_id`."""

    machine_identifier: str
    name: str
    owner_id: int | None
    port: int | None
    version: str
    errors: Literal["observed", "documented"]
    platform: str
    platform_version: str
    created_at: int
    sources: tuple[SourceRow, ...] = ()


class ResourceRow(Row, frozen=True, kw_only=True):
    """A media server that an account can use. `sealed_token` is the share's token, `None` for the owner."""

    server: MediaServerRow
    is_owned: bool
    sealed_token: bytes | None
    owner_username: str
