"""What must survive and be shared, as verbs of the domain.

Rule: each verb is atomic and says in its answer whether it won; nobody reads, thinks and writes back. Times are whole
seconds since 1970 (UTC) and come from the caller. A clear token, password or verification secret never gets here:
tokens arrive as digest and sealed bytes, passwords as hashes. A verb that cannot keep its promise raises
`StoreUnavailable` and has written nothing.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from ticketstub.records import Account, Connection

if TYPE_CHECKING:
    from ticketstub.server.store.accounts import Accounts
    from ticketstub.server.store.attempts import Attempts
    from ticketstub.server.store.auth_keys import AuthKeys
    from ticketstub.server.store.claims import Claims
    from ticketstub.server.store.devices import Devices
    from ticketstub.server.store.homes import Homes, NewHome, Passcode
    from ticketstub.server.store.pins import Pins
    from ticketstub.server.store.rewinding import Rewinding
    from ticketstub.server.store.sessions import Sessions
    from ticketstub.server.store.users import Users

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


def canonical_login(login: str) -> str:
    """Return the form by which user names and e-mail addresses are compared: NFKC, case folded, no outer spaces."""
    folded = unicodedata.normalize("NFKC", login).casefold()
    return unicodedata.normalize("NFKC", folded).strip()


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Something a store returns or takes."""


class AccountRow(Row, frozen=True, kw_only=True):
    """An account. `sealed_verification` opens with `Keys.unseal(…, VERIFICATION)`; `None` means no code is asked."""

    id: int
    record: Account
    password_hash: str | None
    sealed_verification: bytes | None
    email_only_auth: bool
    disabled: bool

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


class SignIn(Row, frozen=True, kw_only=True):
    """A sign-in that policy allowed: the new token, its device, and the verification step that it spends, if any.

    `device` is `None` for a client that names itself by no identifier: a token without device. `rotate`: the device's
    earlier tokens of this account end with it.
    """

    account_id: int
    device: DeviceRow | None
    digest: bytes
    sealed_token: bytes
    now: int
    expires_at: int | None = None
    verification_step: int | None = None
    rotate: bool = False


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
    owned: bool
    sealed_token: bytes | None
    owner_username: str


class NewAccount(Row, frozen=True, kw_only=True):
    """An account to add unless one of this user name exists."""

    record: Account
    id: int
    username: str
    email: str
    password_hash: str | None
    sealed_verification: bytes | None
    email_only_auth: bool
    disabled: bool

    def __repr__(self) -> str:
        return f"NewAccount(id={self.id})"


class NewToken(Row, frozen=True, kw_only=True):
    """A known token to add to the account of this user name, unless it is there already (dead or alive)."""

    username: str
    digest: bytes
    sealed_token: bytes


class NewMediaServer(Row, frozen=True, kw_only=True):
    """A media server to add unless it exists; sources that it does not have yet are added in either case."""

    machine_identifier: str
    name: str
    owner: str | None
    port: int | None
    version: str
    errors: str
    platform: str
    platform_version: str
    sources: tuple[SourceRow, ...]


class NewIdentity(Row, frozen=True, kw_only=True):
    """The device and token of a media server, to add while it is its owner's and has none.

    A token that was chosen (`known`) is added beside one that it has.
    """

    owner: str
    server: DeviceRow
    digest: bytes
    sealed_token: bytes
    known: bool


class NewShare(Row, frozen=True, kw_only=True):
    """A share to add unless it exists. A token that was chosen (`known`) replaces the one listed so far."""

    machine_identifier: str
    username: str
    digest: bytes
    sealed_token: bytes
    known: bool
    account_id: int | None = None
    """Whose the share is, where no user name says it: a managed user's."""
    owner: str | None = None
    """Whose the server must be still: a share is not added to a server that somebody else owns by now."""


class Addition(Row, frozen=True, kw_only=True):
    """What a world adds to a store, all of it or nothing. `passcodes` go with user names, of new accounts only."""

    now: int
    accounts: tuple[NewAccount, ...] = ()
    tokens: tuple[NewToken, ...] = ()
    media_servers: tuple[NewMediaServer, ...] = ()
    identities: tuple[NewIdentity, ...] = ()
    shares: tuple[NewShare, ...] = ()
    passcodes: tuple[tuple[str, Passcode], ...] = ()
    homes: tuple[NewHome, ...] = ()


class Store(Protocol):
    """A database of the local Plex. One store serves one event loop. Families of verbs have a part of it each."""

    @property
    def accounts(self) -> Accounts:
        """Making and changing accounts."""
        ...

    @property
    def attempts(self) -> Attempts:
        """The attempts at what can be guessed."""
        ...

    @property
    def auth_keys(self) -> AuthKeys:
        """The device keys, nonces, JWTs and the keys that sign them."""
        ...

    @property
    def claims(self) -> Claims:
        """The claim tokens, and whom the media servers belong to."""
        ...

    @property
    def devices(self) -> Devices:
        """The accounts' devices."""
        ...

    @property
    def pins(self) -> Pins:
        """The PINs."""
        ...

    @property
    def rewinding(self) -> Rewinding:
        """What only a tester does."""
        ...

    @property
    def homes(self) -> Homes:
        """The Plex Homes."""
        ...

    @property
    def users(self) -> Users:
        """Who shares what with whom."""
        ...

    @property
    def sessions(self) -> Sessions:
        """The browsers that are signed in to the pages."""
        ...

    async def find_token(self, digest: bytes, now: int) -> TokenRow | None:
        """Return the token of this digest with its account, unless it expired, was revoked or the account is off."""
        ...

    async def find_account(self, login: str) -> AccountRow | None:
        """Return the account of this user name or e-mail address in any spelling; it may be disabled."""
        ...

    async def account(self, account_id: int) -> AccountRow | None:
        """Return the account of this id; it may be disabled."""
        ...

    async def account_by_uuid(self, uuid: str) -> AccountRow | None:
        """Return the account or managed user of this uuid; it may be disabled."""
        ...

    async def list_accounts(self, most: int) -> tuple[int, tuple[AccountRow, ...]]:
        """Return how many accounts and managed users there are, and the first of them by id."""
        ...

    async def sign_in(self, wanted: SignIn) -> bool:
        """Spend the step, note the device and keep the token; `False`, with nothing written, if the step was spent.

        Steps only ever rise: an older one than the last spent is refused too. A disabled account is refused likewise.
        """
        ...

    async def revoke_token(self, digest: bytes, now: int) -> bool:
        """End a token for ever; `False` if there was none alive."""
        ...

    async def replace_password_hash(self, account_id: int, old: str, new: str) -> bool:
        """Set the hash if it still is `old`; `False` if somebody was faster."""
        ...

    async def media_servers(self) -> tuple[MediaServerRow, ...]:
        """Return all media servers, in the order they were added."""
        ...

    async def resources(self, account_id: int) -> tuple[ResourceRow, ...]:
        """Return the media servers that an account owns or has a share of, own ones first."""
        ...

    async def add(self, addition: Addition) -> None:
        """Add what is not there yet and keep what is, in one transaction.

        Raises:
            StoreConflict: an id, login or token belongs to another account.
        """
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of the database."""
        ...
