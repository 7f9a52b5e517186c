"""The database of a local Plex, on SQLite. One store serves one event loop; each family of operations is a part of it.

Rule: statements are constant text with `?1` parameters. What reads and what writes, and when, is in database.py.
"""

from __future__ import annotations

from functools import partial

import msgspec

from ticketstub.local_plex.storage import sqlite_file
from ticketstub.local_plex.storage.accounts import Accounts, sign_in
from ticketstub.local_plex.storage.attempts import Attempts
from ticketstub.local_plex.storage.base import (
    AccountRow,
    MediaServerRow,
    ResourceRow,
    SignIn,
    SourceRow,
    TokenRow,
    canonical_login,
)
from ticketstub.local_plex.storage.database import (
    Columns,
    DirectWriter,
    Family,
    Reader,
    Statements,
    ThreadWriter,
    in_transaction,
)
from ticketstub.local_plex.storage.device_keys import AuthKeys
from ticketstub.local_plex.storage.devices import Devices
from ticketstub.local_plex.storage.homes import Homes
from ticketstub.local_plex.storage.media_servers import Claims, Users
from ticketstub.local_plex.storage.pins import Pins
from ticketstub.local_plex.storage.rewinding import Rewinding
from ticketstub.local_plex.storage.sessions import Sessions

_LIST_ACCOUNTS = """
    SELECT id, record, password_hash, sealed_verification, email_only_auth, disabled_at
    FROM account ORDER BY id LIMIT ?1
"""


_decode_sources = msgspec.json.Decoder(tuple[SourceRow, ...]).decode


class SqliteStore(Family):
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
        if url is None:
            connection = sqlite_file.in_memory(trace)
            super().__init__(Reader(connection), DirectWriter(connection))
        else:
            path = sqlite_file.database_path(url)
            sqlite_file.prepare(path, instance)
            reader = Reader(sqlite_file.reader(path))
            super().__init__(reader, ThreadWriter(partial(sqlite_file.writer, path, trace)))
        self.accounts = Accounts(self._reader, self._writer)
        self.attempts = Attempts(self._reader, self._writer)
        self.auth_keys = AuthKeys(self._reader, self._writer)
        self.claims = Claims(self._reader, self._writer)
        self.devices = Devices(self._reader, self._writer)
        self.homes = Homes(self._reader, self._writer)
        self.pins = Pins(self._reader, self._writer)
        self.rewinding = Rewinding(self._reader, self._writer)
        self.sessions = Sessions(self._reader, self._writer)
        self.users = Users(self._reader, self._writer)

    async def find_token(self, digest: bytes, now: int) -> TokenRow | None:
        """Return the token of this digest with its account, unless it expired, was revoked or the account is off."""
        row = self._reader.one(
            """
            SELECT t.kind, t.device_id, t.machine_identifier, t.expires_at,
                a.id, a.record, a.password_hash, a.sealed_verification, a.email_only_auth, a.disabled_at
            FROM token AS t JOIN account AS a ON a.id = t.account_id
            WHERE t.digest = ?1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ?2)
                AND a.disabled_at IS NULL
            """,
            digest,
            now,
        )
        if row is None:
            return None
        return TokenRow(
            kind=row[0],
            account_id=row[4],
            device_id=row[1],
            machine_identifier=row[2],
            expires_at=row[3],
            account=self._reader.account(row[4:]),
        )

    async def find_account(self, login: str) -> AccountRow | None:
        """Return the account of this user name or e-mail address in any spelling; it may be disabled."""
        try:
            row = self._reader.one(
                """
                SELECT a.id, a.record, a.password_hash, a.sealed_verification, a.email_only_auth, a.disabled_at
                FROM login AS l JOIN account AS a ON a.id = l.account_id WHERE l.name = ?1
                """,
                canonical_login(login),
            )
        except UnicodeEncodeError:  # half a surrogate pair: no account is called so
            return None
        return self._reader.account(row) if row else None

    async def account(self, account_id: int) -> AccountRow | None:
        """Return the account of this id; it may be disabled."""
        row = self._reader.one(
            """
            SELECT id, record, password_hash, sealed_verification, email_only_auth, disabled_at
            FROM account WHERE id = ?1
            """,
            account_id,
        )
        return self._reader.account(row) if row else None

    async def account_by_uuid(self, uuid: str) -> AccountRow | None:
        """Return the account or managed user of this uuid; it may be disabled."""
        row = self._reader.one(
            """
            SELECT id, record, password_hash, sealed_verification, email_only_auth, disabled_at
            FROM account WHERE json_extract(CAST(record AS TEXT), '$.uuid') = ?1
            """,
            uuid,
        )
        return self._reader.account(row) if row else None

    async def list_accounts(self, most: int) -> tuple[int, tuple[AccountRow, ...]]:
        """Return how many accounts and managed users there are, and the first of them by id."""
        ((count,),) = self._reader.all("SELECT count(*) FROM account")
        return count, tuple(self._reader.account(row) for row in self._reader.all(_LIST_ACCOUNTS, most))

    @in_transaction
    def sign_in(self, transaction: Statements, wanted: SignIn) -> bool:
        """Spend the step, note the device and keep the token; `False`, with nothing written, if the step was spent.

        Steps only ever rise: an older one than the last spent is refused too. A disabled account is refused likewise.
        """
        return sign_in(transaction, wanted)

    @in_transaction
    def revoke_token(self, transaction: Statements, digest: bytes, now: int) -> bool:
        """End a token for ever; `False` if there was none alive."""
        return transaction.run(
            """
            UPDATE token SET revoked_at = ?2
            WHERE digest = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)
            """,
            digest,
            now,
        )

    @in_transaction
    def replace_password_hash(self, transaction: Statements, account_id: int, old: str, new: str) -> bool:
        """Set the hash if it still is `old`; `False` if somebody was faster."""
        return transaction.run(
            """
            UPDATE account SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2
            """,
            account_id,
            old,
            new,
        )

    async def media_servers(self) -> tuple[MediaServerRow, ...]:
        """Return all media servers, in the order they were added."""
        return tuple(
            _media_server(row)
            for row in self._reader.all(
                "SELECT machine_identifier, name, owner_id, port, version, errors, platform, platform_version,"
                " created_at, sources FROM media_server ORDER BY number"
            )
        )

    async def resources(self, account_id: int) -> tuple[ResourceRow, ...]:
        """Return the media servers that an account owns or has a share of, own ones first."""
        return tuple(
            ResourceRow(
                server=_media_server(row[:10]),
                owned=row[2] == account_id,
                sealed_token=row[10],
                owner_username=row[11] or "",
            )
            for row in self._reader.all(
                """
                SELECT m.machine_identifier, m.name, m.owner_id, m.port, m.version, m.errors, m.platform,
                    m.platform_version, m.created_at, m.sources, t.sealed,
                    json_extract(CAST(o.record AS TEXT), '$.username')
                FROM media_server AS m
                JOIN account AS o ON o.id = m.owner_id
                LEFT JOIN share AS s ON s.machine_identifier = m.machine_identifier AND s.account_id = ?1
                LEFT JOIN token AS t ON t.digest = s.digest AND t.revoked_at IS NULL
                WHERE m.owner_id = ?1 OR t.digest IS NOT NULL
                ORDER BY m.owner_id <> ?1, m.number
                """,
                account_id,
            )
        )

    async def close(self) -> None:
        """Finish what was begun and let go of the database."""
        self._reader.connection.close()
        self._writer.close()


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
