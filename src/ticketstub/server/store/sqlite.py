"""The store on SQLite.

Rule: reads run at once on the event loop's own connection (10 to 20 µs, less than handing them to a thread), writes
through one writer that groups commits. Statements are constant text with `$1` parameters bound by name, so that
PostgreSQL can take the same; a read always takes all its rows, so that no snapshot stays open behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import msgspec

from ticketstub.records import Account
from ticketstub.server.store import sqlite_file
from ticketstub.server.store.attempts import Attempts
from ticketstub.server.store.base import (
    AccountRow,
    Addition,
    MediaServerRow,
    ResourceRow,
    SignIn,
    SourceRow,
    TokenRow,
    canonical_login,
)
from ticketstub.server.store.sqlite_accounts import SqliteAccounts, sign_in
from ticketstub.server.store.sqlite_add import add
from ticketstub.server.store.sqlite_auth_keys import SqliteAuthKeys
from ticketstub.server.store.sqlite_claims import SqliteClaims
from ticketstub.server.store.sqlite_devices import SqliteDevices
from ticketstub.server.store.sqlite_homes import SqliteHomes
from ticketstub.server.store.sqlite_pins import SqlitePins
from ticketstub.server.store.sqlite_reader import Columns, Reader
from ticketstub.server.store.sqlite_rewinding import SqliteRewinding
from ticketstub.server.store.sqlite_sessions import SqliteSessions
from ticketstub.server.store.sqlite_users import SqliteUsers
from ticketstub.server.store.sqlite_writer import DirectWriter, ThreadWriter, Writer
from ticketstub.token import Secret

_ALIVE = """
    FROM token AS t JOIN account AS a ON a.id = t.account_id
    WHERE t.digest = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2)
        AND a.disabled_at IS NULL
"""
# Every request asks the first; the second only where the account changed, as its version then tells.
_FIND = "SELECT a.id, a.version, t.kind, t.device_id, t.machine_identifier, t.expires_at" + _ALIVE
_FIND_ALL = (
    """
    SELECT a.id, a.version, t.kind, t.device_id, t.machine_identifier, t.expires_at,
        a.record, a.password_hash, a.sealed_verification, a.email_only_auth, a.disabled_at
    """
    + _ALIVE
)
_ACCOUNT = """
    SELECT id, version, record, password_hash, sealed_verification, email_only_auth, disabled_at
    FROM account WHERE id = $1
"""
_COUNT_ACCOUNTS = "SELECT count(*) FROM account"
_ACCOUNT_BY_UUID = """
    SELECT id, version, record, password_hash, sealed_verification, email_only_auth, disabled_at
    FROM account WHERE json_extract(CAST(record AS TEXT), '$.uuid') = $1
"""
_LIST_ACCOUNTS = """
    SELECT id, version, record, password_hash, sealed_verification, email_only_auth, disabled_at
    FROM account ORDER BY id LIMIT $1
"""
_FIND_ACCOUNT = """
    SELECT a.id, a.version, a.record, a.password_hash, a.sealed_verification, a.email_only_auth, a.disabled_at
    FROM login AS l JOIN account AS a ON a.id = l.account_id WHERE l.name = $1
"""
_MEDIA_SERVERS = """
    SELECT machine_identifier, name, owner_id, port, version, errors, platform, platform_version, created_at, sources
    FROM media_server ORDER BY number
"""
_RESOURCES = """
    SELECT m.machine_identifier, m.name, m.owner_id, m.port, m.version, m.errors, m.platform, m.platform_version,
        m.created_at, m.sources, t.sealed, o.record
    FROM media_server AS m
    JOIN account AS o ON o.id = m.owner_id
    LEFT JOIN share AS s ON s.machine_identifier = m.machine_identifier AND s.account_id = $1
    LEFT JOIN token AS t ON t.digest = s.digest AND t.revoked_at IS NULL
    WHERE m.owner_id = $1 OR t.digest IS NOT NULL
    ORDER BY m.owner_id <> $1, m.number
"""
_REVOKE = """
    UPDATE token SET revoked_at = $2
    WHERE digest = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
"""
_REPLACE_HASH = """
    UPDATE account SET password_hash = $3, version = version + 1 WHERE id = $1 AND password_hash = $2
"""
_MOST_CACHED = 4096


class _Named(msgspec.Struct):
    username: str = ""


def _no_token(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)  # an account's `pin`: random text, see store/homes.py
    raise ValueError(f"a {kind.__name__} is never kept in a record")


_decode_account = msgspec.json.Decoder(Account, dec_hook=_no_token).decode
_decode_username = msgspec.json.Decoder(_Named).decode
_decode_sources = msgspec.json.Decoder(tuple[SourceRow, ...], dec_hook=_no_token).decode


class SqliteStore:
    """A store in a file, or in memory for as long as it is open.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, or `None` for memory.
        instance: the id of the keys that a file must have been made under; left out, that is not looked at.
        trace: is told every statement that is run for writing, with its values: for tests.

    Raises:
        StoreError: the file cannot be used; the message says why.
    """

    def __init__(
        self, url: str | None = None, *, instance: str | None = None, trace: sqlite_file.Trace | None = None
    ) -> None:
        self._accounts: dict[int, tuple[int, AccountRow]] = {}
        self._writer: Writer
        if url is None:
            connection = sqlite_file.in_memory(trace)
            self._reader = Reader(connection)
            self._writer = DirectWriter(connection)
        else:
            path = sqlite_file.database_path(url)
            sqlite_file.prepare(path, instance)
            self._reader = Reader(sqlite_file.reader(path))
            self._writer = ThreadWriter(partial(sqlite_file.writer, path, trace))
        self.accounts = SqliteAccounts(self._reader, self._writer)
        self.attempts = Attempts(self._reader, self._writer)
        self.claims = SqliteClaims(self._reader, self._writer, self._account_row)
        self.devices = SqliteDevices(self._reader, self._writer)
        self.homes = SqliteHomes(self._reader, self._writer, self._account_row)
        self.pins = SqlitePins(self._reader, self._writer)
        self.rewinding = SqliteRewinding(self._reader, self._writer, self._accounts.clear)
        self.auth_keys = SqliteAuthKeys(self._reader, self._writer, self._account_row)
        self.sessions = SqliteSessions(self._reader, self._writer)
        self.users = SqliteUsers(self._reader, self._account_row)

    async def find_token(self, digest: bytes, now: int) -> TokenRow | None:
        """See `Store`."""
        sought = {"1": digest, "2": now}
        row = self._reader.one(_FIND, sought)
        if row is None:
            return None
        known = self._accounts.get(row[0])
        if known is None or known[0] != row[1]:
            row = self._reader.one(
                _FIND_ALL, sought
            )  # once more and in one statement: it may have been revoked in between
            if row is None:
                return None
            known = row[1], self._account_row((*row[:2], *row[6:]))
        return TokenRow(
            kind=row[2],
            account_id=row[0],
            device_id=row[3],
            machine_identifier=row[4],
            expires_at=row[5],
            account=known[1],
        )

    async def find_account(self, login: str) -> AccountRow | None:
        """See `Store`."""
        try:
            row = self._reader.one(_FIND_ACCOUNT, {"1": canonical_login(login)})
        except UnicodeEncodeError:  # half a surrogate pair: no account is called so
            return None
        return self._account_row(row) if row else None

    async def account(self, account_id: int) -> AccountRow | None:
        """See `Store`."""
        row = self._reader.one(_ACCOUNT, {"1": account_id})
        return self._account_row(row) if row else None

    async def account_by_uuid(self, uuid: str) -> AccountRow | None:
        """See `Store`."""
        row = self._reader.one(_ACCOUNT_BY_UUID, {"1": uuid})
        return self._account_row(row) if row else None

    async def list_accounts(self, most: int) -> tuple[int, tuple[AccountRow, ...]]:
        """See `Store`."""
        (count,) = self._reader.one(_COUNT_ACCOUNTS, {}) or (0,)
        return count, tuple(self._account_row(row) for row in self._reader.all(_LIST_ACCOUNTS, {"1": most}))

    async def sign_in(self, wanted: SignIn) -> bool:
        """See `Store`."""
        return await self._writer.run(partial(sign_in, wanted))

    async def revoke_token(self, digest: bytes, now: int) -> bool:
        """See `Store`."""
        return await self._changes_one(_REVOKE, {"1": digest, "2": now})

    async def replace_password_hash(self, account_id: int, old: str, new: str) -> bool:
        """See `Store`."""
        return await self._changes_one(_REPLACE_HASH, {"1": account_id, "2": old, "3": new})

    async def media_servers(self) -> tuple[MediaServerRow, ...]:
        """See `Store`."""
        return tuple(_media_server(row) for row in self._reader.all(_MEDIA_SERVERS, {}))

    async def resources(self, account_id: int) -> tuple[ResourceRow, ...]:
        """See `Store`."""
        return tuple(_resource(row, account_id) for row in self._reader.all(_RESOURCES, {"1": account_id}))

    async def add(self, addition: Addition) -> None:
        """See `Store`."""
        await self._writer.run(partial(add, addition))

    async def close(self) -> None:
        """See `Store`."""
        self._reader.close()
        self._writer.close()

    async def _changes_one(self, statement: str, values: Mapping[str, object]) -> bool:
        return await self._writer.run(lambda connection: connection.execute(statement, values).rowcount == 1)

    def _account_row(self, row: Columns) -> AccountRow:
        """Make an account of its columns, or take the one made before of the same version."""
        account_id, version = row[0], row[1]
        cached = self._accounts.get(account_id)
        if cached is not None and cached[0] == version:
            return cached[1]
        account = _account(row)
        if len(self._accounts) >= _MOST_CACHED:
            del self._accounts[next(iter(self._accounts))]
        self._accounts[account.id] = (version, account)
        return account


def _account(row: Columns) -> AccountRow:
    return AccountRow(
        id=row[0],
        record=_decode_account(row[2]),
        password_hash=row[3],
        sealed_verification=row[4],
        email_only_auth=bool(row[5]),
        disabled=row[6] is not None,
    )


def _media_server(row: Columns) -> MediaServerRow:
    machine_identifier, name, owner_id, port, version, errors, platform, platform_version, created_at, sources = row
    return MediaServerRow(
        machine_identifier=machine_identifier,
        name=name,
        owner_id=owner_id,
        port=port,
        version=version,
        errors=errors,
        platform=platform,
        platform_version=platform_version,
        created_at=created_at,
        sources=_decode_sources(sources),
    )


def _resource(row: Columns, account_id: int) -> ResourceRow:
    *server, sealed_token, owner = row
    found = _media_server(tuple(server))
    return ResourceRow(
        server=found,
        owned=found.owner_id == account_id,
        sealed_token=sealed_token,
        owner_username=_decode_username(owner).username,
    )
