"""What must survive and be shared, as operations of the domain.

Rule: each operation is atomic and says in its answer whether it won; nobody reads, thinks and writes back. Times are
whole seconds since 1970 (UTC) and come from the caller. A clear token, password or verification secret never gets here:
tokens arrive as digest and sealed bytes, passwords as hashes. An operation that cannot keep its promise raises
`StoreUnavailable` and has written nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ticketstub.models import Account, Connection

TokenKind = Literal["account", "jwt", "server", "server_share"]
"""An account's own (a switched Home user's too), Plex's JWT for a device key, a media server's own, a share's."""


class StoreError(Exception):
    """The database cannot be used; the message says why, without secrets."""


class StoreUnavailable(StoreError):
    """The database cannot do this now (locked, full, closed, broken): nothing was written, answer 503."""


class StoreDamaged(StoreError):
    """The database's file is damaged. Nothing is repaired."""


class StoreConflict(StoreError):
    """What was to be added belongs to somebody else in this database; nothing was written."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Something a store returns or takes."""


class AccountRow(Row, frozen=True, kw_only=True):
    """An account. `sealed_verification` opens with `Keys.unseal(…, VERIFICATION)`; `None` means no code is asked."""

    id: int
    record: Account
    password_hash: str | None = None
    sealed_verification: bytes | None = None
    email_only_auth: bool = False
    disabled: bool = False

    def __repr__(self) -> str:
        return f"AccountRow(id={self.id})"


class TokenRow(Row, frozen=True, kw_only=True):
    """A token that is alive, and its account. `machine_identifier` names the one server of a shared token."""

    kind: TokenKind
    account_id: int
    device_id: int | None
    machine_identifier: str | None
    expires_at: int | None
    account: AccountRow


class DeviceRow(Row, frozen=True, kw_only=True):
    """What an installation of a client says of itself in its `X-Plex-*` parameters."""

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
    """A sign-in that policy allowed: the new token, its device, and the verification step that it spends, if any.

    `device` is `None` for a client that names itself by no identifier: a token without device.
    """

    account_id: int
    device: DeviceRow | None
    digest: bytes
    sealed_token: bytes
    now: int
    expires_at: int | None = None
    verification_step: int | None = None


class SourceRow(Row, frozen=True, kw_only=True):
    """What `/security/resources` can be asked about on one media server."""

    identifier: str
    name: str
    connections: tuple[Connection, ...] = ()


class MediaServerRow(Row, frozen=True, kw_only=True):
    """A media server. `port` is `None` where it takes a free one at each start, `owner_id` where nobody claimed it."""

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
    """A media server that an account can reach; `sealed_token` is its shared token, `None` for the owner."""

    server: MediaServerRow
    is_owned: bool
    sealed_token: bytes | None
    owner_username: str
