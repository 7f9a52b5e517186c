"""Seeding: adds a world to a store, and the records that describe its accounts.

Rule: new parts of the world are added, and existing rows are left as they are, so that the same world can be seeded at
every start. All of it is added, or nothing. Secrets are stored hashed, sealed or as digests. A media server is a device
of its owner, with its own token (observed: `PlexOnlineToken`, 20 characters); an unclaimed one has neither.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from ticketstub.local_plex.storage.accounts import insert_account
from ticketstub.local_plex.storage.base import (
    AccountRow,
    DeviceRow,
    MediaServerRow,
    SourceRow,
    StoreConflict,
    TokenKind,
)
from ticketstub.local_plex.storage.database import Transaction
from ticketstub.local_plex.storage.devices import SELECT_DEVICE, upsert_device
from ticketstub.local_plex.storage.homes import (
    INSERT_HOME,
    add_managed_user,
    add_member,
    set_passcode_hash,
    update_member_records,
)
from ticketstub.local_plex.storage.media_servers import SELECT_IS_OWNER, UPSERT_SHARE
from ticketstub.local_plex.storage.seal import VERIFICATION_PURPOSE, InstanceKeys
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.addresses import WorldConnection
from ticketstub.local_plex.world.schema import (
    World,
    WorldAccount,
    WorldHome,
    WorldManaged,
    WorldMediaServer,
    WorldShare,
    find_managed_users,
)
from ticketstub.local_plex.world.values import normalize_login
from ticketstub.models import Account, Connection, CustomRestrictions, Profile, Subscription
from ticketstub.tokens import Secret, Token

HashFunction = Callable[[Secret], str]
"""Returns what to store for a password or passcode."""


async def seed(store: SqliteStore, world: World, keys: InstanceKeys, hash_password: HashFunction, now: int) -> None:
    """Add the new parts of a world to a store. Each new password that is hashed takes about 20 ms.

    Args:
        store: the store.
        world: the world. Accounts are identified by user name, media servers by machine identifier.
        keys: the instance's keys.
        hash_password: hashes the new accounts' passwords and passcodes.
        now: seconds since 1970.

    Raises:
        StoreConflict: part of the world belongs to another account in this store; nothing was added.
        StoreUnavailable: the store cannot write; nothing was added.
    """
    await store.run_in_transaction(lambda transaction: _Seeder(transaction, keys, hash_password, now).add(world))


class _Seeder(msgspec.Struct):
    """Adds one world to a store, inside a transaction. `ids` contains the accounts' ids by user name."""

    transaction: Transaction
    keys: InstanceKeys
    hash_password: HashFunction
    now: int
    ids: dict[str, int] = {}

    def add(self, world: World) -> None:
        """Add what is new."""
        for account in world.accounts:
            self._add_account(account)
        for server in world.media_servers:
            self._add_server(server)
        for home in world.homes:
            self._add_home(home)
        for server in world.media_servers:
            for share in server.shares:  # after the Homes, whose managed users may have shares
                self._add_share(server, share, world.homes)

    def _account_id(self, username: str) -> int:
        return self.ids[normalize_login(username)]

    def _add_account(self, account: WorldAccount) -> None:
        name = normalize_login(account.username)
        known = self.transaction.fetch_value(
            int, "SELECT account_id FROM login WHERE name = ?1 AND is_username = 1", name
        )
        account_id = self.ids[name] = known or account.id
        if known is None:
            secret = account.verification_secret
            new = AccountRow(
                id=account.id,
                record=build_account_record(account),
                password_hash=self.hash_password(account.password) if account.password else account.password_hash,
                sealed_verification=self.keys.seal(secret.reveal(), VERIFICATION_PURPOSE) if secret else None,
                email_only_auth=account.email_only_auth,
                disabled=account.disabled,
            )
            try:
                insert_account(self.transaction, new, self.now)
            except sqlite3.IntegrityError:
                raise StoreConflict(
                    f'the id or e-mail address of "{account.username}" belongs to another account of this database'
                ) from None
            if account.passcode is not None:
                set_passcode_hash(self.transaction, account.id, self.hash_password(account.passcode))
        if account.token:
            self._add_token(account.token, "account", account_id, f'"{account.username}"')

    def _add_token(
        self,
        token: Token | None,
        kind: TokenKind,
        account_id: int,
        owner_label: str,
        device_id: int | None = None,
        machine_identifier: str | None = None,
    ) -> bytes:
        """Add a token unless it exists for the same account and server; `None` adds a random one."""
        text = token.reveal() if token else self.keys.generate_token()
        digest = self.keys.digest(text)
        self.transaction.execute(
            """
            INSERT INTO token (digest, sealed, kind, account_id, device_id, machine_identifier, created_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (digest) DO NOTHING
            """,
            digest,
            self.keys.seal(text),
            kind,
            account_id,
            device_id,
            machine_identifier,
            self.now,
        )
        if not self.transaction.has_row(
            "SELECT 1 FROM token WHERE digest = ?1 AND kind = ?2 AND account_id = ?3 AND machine_identifier IS ?4",
            digest,
            kind,
            account_id,
            machine_identifier,
        ):
            raise StoreConflict(f"a token of {owner_label} belongs to another account in this database")
        return digest

    def _add_server(self, server: WorldMediaServer) -> None:
        owner_id = self._account_id(server.owner) if server.owner else None
        sources = tuple(
            SourceRow(
                identifier=source.identifier,
                name=source.name,
                connections=tuple(map(_build_connection, source.connections)),
            )
            for source in server.sources
        )
        if not self.transaction.execute(
            """
            INSERT INTO media_server (machine_identifier, owner_id, name, port, version, errors, platform,
                platform_version, created_at, sources)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (machine_identifier) DO NOTHING
            """,
            server.machine_identifier,
            owner_id,
            server.name,
            server.port,
            server.version,
            server.errors,
            server.platform,
            server.platform_version,
            self.now,
            msgspec.json.encode(sources),
        ):
            (stored,) = self.transaction.require_row(
                "SELECT sources FROM media_server WHERE machine_identifier = ?1", server.machine_identifier
            )
            known = msgspec.json.decode(stored, type=tuple[SourceRow, ...])
            names = {source.identifier for source in known}
            if missing := tuple(source for source in sources if source.identifier not in names):
                self.transaction.execute(
                    "UPDATE media_server SET sources = ?2 WHERE machine_identifier = ?1",
                    server.machine_identifier,
                    msgspec.json.encode(known + missing),
                )
        if owner_id is not None and self.transaction.fetch_one(SELECT_IS_OWNER, server.machine_identifier, owner_id):
            self._add_server_identity(server, owner_id)

    def _add_server_identity(self, server: WorldMediaServer, owner_id: int) -> None:
        """Add a media server's device and token. A token of the world is added even if the server has another one."""
        device_id = self.transaction.fetch_value(int, SELECT_DEVICE, owner_id, server.machine_identifier)
        if device_id is None:
            if not self.transaction.has_row("SELECT 1 FROM account WHERE id = ?1 AND disabled_at IS NULL", owner_id):
                return
            device_id = upsert_device(self.transaction, owner_id, build_server_device(server), self.now)
        elif server.token is None:
            return
        label = f'the media server of "{server.owner}"'
        self._add_token(server.token, "server", owner_id, label, device_id, server.machine_identifier)

    def _add_share(self, server: WorldMediaServer, share: WorldShare, homes: tuple[WorldHome, ...]) -> None:
        """Add a share unless it exists or the server has another owner. A token of the world is always set."""
        pair = (
            find_managed_users(homes, share.managed, share.home)[0].id
            if share.managed
            else self._account_id(share.account),
            server.machine_identifier,
        )
        is_new = share.token is not None or not self.transaction.has_row(
            "SELECT 1 FROM share WHERE account_id = ?1 AND machine_identifier = ?2", *pair
        )
        if is_new and self.transaction.has_row(SELECT_IS_OWNER, pair[1], self._account_id(server.owner)):
            label = f'"{share.account or share.managed}"'
            digest = self._add_token(share.token, "server_share", pair[0], label, machine_identifier=pair[1])
            self.transaction.execute(UPSERT_SHARE, *pair, digest)

    def _add_home(self, home: WorldHome) -> None:
        admin_id = self._account_id(home.admin)
        if self.transaction.execute(INSERT_HOME, home.id, home.name, admin_id):
            self._add_member(admin_id, home, guest=False)
        for member in home.members:
            self._add_member(self._account_id(member.account), home, guest=member.guest)
        for managed in home.managed:
            self._add_managed_user(managed, home)
        update_member_records(self.transaction, home.id)

    def _add_member(self, account_id: int, home: WorldHome, *, guest: bool) -> None:
        """Make an account a member unless it is, or has been, a member of any Home."""
        if not self.transaction.has_row("SELECT 1 FROM home_member WHERE account_id = ?1", account_id):
            add_member(self.transaction, account_id, home.id, guest=guest, now=self.now)

    def _add_managed_user(self, managed: WorldManaged, home: WorldHome) -> None:
        known = self.transaction.fetch_one(
            "SELECT json_extract(CAST(record AS TEXT), '$.restricted') FROM account WHERE id = ?1", managed.id
        )
        if known is None:
            new = AccountRow(id=managed.id, record=build_managed_record(managed))
            if add_managed_user(self.transaction, home.id, new, self.now) and managed.passcode is not None:
                set_passcode_hash(self.transaction, managed.id, self.hash_password(managed.passcode))
        elif not known[0]:
            raise StoreConflict(f'the id of a managed user of "{home.name}" is another account\'s in this database')
        if managed.token:
            self._add_token(managed.token, "account", managed.id, f'a managed user of "{home.name}"')


def build_account_record(account: WorldAccount) -> Account:
    """Return the record of a world's account (observed fields and defaults), without a token."""
    subscription = account.subscription
    return Account(
        id=account.id,
        uuid=account.uuid,
        username=account.username,
        title=account.title,
        email=account.email,
        friendly_name=account.friendly_name,
        locale=account.locale,
        confirmed=account.confirmed,
        joined_at=account.joined_at,
        email_only_auth=account.email_only_auth,
        has_password=account.password is not None or account.password_hash is not None,
        protected=False,
        thumb=account.thumb,
        mailing_list_status="unsubscribed",
        mailing_list_active=False,
        scrobble_types="",
        country=account.country,
        subscription=Subscription(
            active=subscription.active,
            status=subscription.status or ("Active" if subscription.active else "Inactive"),
            plan=subscription.plan,
            features=subscription.features,
        ),
        subscription_description=account.subscription_description,
        restricted=False,
        home=False,
        guest=False,
        home_size=1,
        home_admin=False,
        max_home_size=15,
        profile=_DEFAULT_PROFILE,
        entitlements=account.entitlements,
        roles=account.roles,
        experimental_features=False,
        two_factor_enabled=account.verification_secret is not None,
        backup_codes_created=False,
    )


# The profile of an account that has never changed it (observed).
_DEFAULT_PROFILE = Profile(
    auto_select_audio=True,
    default_audio_accessibility=0,
    auto_select_subtitle=1,
    default_subtitle_accessibility=0,
    default_subtitle_forced=0,
    watched_indicator=1,
    media_reviews_visibility=0,
)


def build_managed_record(managed: WorldManaged, joined_at: int = 1_552_593_531) -> Account:
    """Return the record of a managed user (observed fields and defaults), without a token."""
    return Account(
        id=managed.id,
        uuid=managed.uuid,
        username="",
        title=managed.title,
        email="",
        friendly_name=managed.title,
        confirmed=False,
        joined_at=joined_at,
        email_only_auth=False,
        has_password=False,
        protected=False,
        thumb=f"https://plex.tv/users/{managed.uuid}/avatar?c={joined_at}",
        mailing_list_active=False,
        scrobble_types="",
        country="US",
        subscription=Subscription(active=False, status="Inactive"),
        restricted=True,
        restriction_profile=managed.restriction_profile,
        custom_restrictions=CustomRestrictions(),
        home=True,
        guest=False,
        home_size=1,
        home_admin=False,
        max_home_size=15,
        profile=msgspec.structs.replace(_DEFAULT_PROFILE, auto_select_subtitle=0),
        experimental_features=False,
        two_factor_enabled=False,
        backup_codes_created=False,
    )


def build_server_device(server: WorldMediaServer | MediaServerRow) -> DeviceRow:
    """Return the device of a media server (observed names and values)."""
    return DeviceRow(
        client_identifier=server.machine_identifier,
        product="Plex Media Server",
        version=server.version,
        platform=server.platform,
        platform_version=server.platform_version,
        name=server.name,
        provides="server",
    )


def _build_connection(connection: WorldConnection) -> Connection:
    parts = urlsplit(connection.uri)
    address = parts.hostname or ""
    return Connection(
        protocol=parts.scheme,
        address=address,
        port=parts.port or (443 if parts.scheme == "https" else 80),
        uri=connection.uri,
        local=connection.local,
        relay=connection.relay,
        ipv6=":" in address,
    )
