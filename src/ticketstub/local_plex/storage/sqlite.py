"""The store of a local Plex, on SQLite: the families of operations, and the reads that most requests need.

Rule: one store serves one event loop. Statements are constant text with `?1` parameters. `database.py` runs them. The
tokens in use are cached until the next commit, so the end of a token counts as soon as it is acknowledged. Expiry
depends on the caller's time and is never cached.
"""

from __future__ import annotations

from functools import lru_cache, partial

import msgspec

from ticketstub.local_plex.storage import sqlite_file
from ticketstub.local_plex.storage.accounts import AccountRepository, sign_in
from ticketstub.local_plex.storage.attempts import AttemptRepository
from ticketstub.local_plex.storage.base import AccountRow, MediaServerRow, NewSignIn, ResourceRow, SourceRow, TokenRow
from ticketstub.local_plex.storage.control import ControlRepository
from ticketstub.local_plex.storage.database import (
    DirectWriter,
    ReadConnection,
    Repository,
    SqlRow,
    ThreadWriter,
    Transaction,
    transactional,
)
from ticketstub.local_plex.storage.device_keys import DeviceKeyRepository
from ticketstub.local_plex.storage.devices import DeviceRepository
from ticketstub.local_plex.storage.homes import HomeRepository
from ticketstub.local_plex.storage.media_servers import ClaimRepository, ShareRepository
from ticketstub.local_plex.storage.pins import PinRepository
from ticketstub.local_plex.storage.sessions import SessionRepository
from ticketstub.local_plex.world.values import normalize_login

_SELECT_ACCOUNTS = """
    SELECT id, record, password_hash, sealed_verification, email_only_auth, disabled_at
    FROM account ORDER BY id LIMIT ?1
"""


_MAX_CACHED_TOKENS = 4096

_decode_sources = msgspec.json.Decoder(tuple[SourceRow, ...]).decode


class SqliteStore(Repository):
    """A store in a file, or in memory until it is closed.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, or `None` for memory.
        instance: the id of the keys that the file must have been created with; `None` skips the check.
        trace: called with every statement of the writing connection and its values; for tests.

    Raises:
        StoreError: the file cannot be used; the message says why.
    """

    def __init__(
        self, url: str | None = None, *, instance: str | None = None, trace: sqlite_file.TraceCallback | None = None
    ) -> None:
        if url is None:
            connection = sqlite_file.open_in_memory(trace)
            super().__init__(ReadConnection(connection), DirectWriter(connection))
        else:
            path = sqlite_file.parse_database_url(url)
            sqlite_file.prepare_database(path, instance)
            super().__init__(
                ReadConnection(sqlite_file.open_reader(path)),
                ThreadWriter(partial(sqlite_file.open_writer, path, trace)),
            )
        self.accounts = AccountRepository(self._reader, self._writer)
        self.attempts = AttemptRepository(self._reader, self._writer)
        self.control = ControlRepository(self._reader, self._writer)
        self.device_keys = DeviceKeyRepository(self._reader, self._writer)
        self.claims = ClaimRepository(self._reader, self._writer)
        self.devices = DeviceRepository(self._reader, self._writer)
        self.homes = HomeRepository(self._reader, self._writer)
        self.pins = PinRepository(self._reader, self._writer)
        self.sessions = SessionRepository(self._reader, self._writer)
        self.shares = ShareRepository(self._reader, self._writer)
        self._read_token = lru_cache(_MAX_CACHED_TOKENS)(self._select_token)

    async def find_token(self, digest: bytes, now: int) -> TokenRow | None:
        """Return a valid token with its account; `None` if it has expired or is revoked, or the account is disabled."""
        row = self._read_token(digest, self._writer.commits)
        return row if row and (row.expires_at is None or row.expires_at > now) else None

    def _select_token(self, digest: bytes, _commits: int) -> TokenRow | None:
        """Return a token that is not revoked, with its account; it may have expired.

        `_commits` is part of the cache's key: a row that was cached before a commit is not found after it.
        """
        row = self._reader.fetch_one(
            """
            SELECT t.kind, t.device_id, t.machine_identifier, t.expires_at,
                a.id, a.record, a.password_hash, a.sealed_verification, a.email_only_auth, a.disabled_at
            FROM token AS t JOIN account AS a ON a.id = t.account_id
            WHERE t.digest = ?1 AND t.revoked_at IS NULL AND a.disabled_at IS NULL
            """,
            digest,
        )
        return (
            TokenRow(
                kind=row[0],
                account_id=row[4],
                device_id=row[1],
                machine_identifier=row[2],
                expires_at=row[3],
                account=self._reader.decode_account(row[4:]),
            )
            if row
            else None
        )

    async def find_account_by_login(self, login: str) -> AccountRow | None:
        """Return the account of a user name or e-mail address in any spelling; it may be disabled."""
        try:
            return self._reader.fetch_decoded(
                self._reader.decode_account,
                """
                SELECT a.id, a.record, a.password_hash, a.sealed_verification, a.email_only_auth, a.disabled_at
                FROM login AS l JOIN account AS a ON a.id = l.account_id WHERE l.name = ?1
                """,
                normalize_login(login),
            )
        except UnicodeEncodeError:  # half a surrogate pair: no account has such a name
            return None

    async def find_account_by_id(self, account_id: int) -> AccountRow | None:
        """Return the account or managed user of this id; it may be disabled."""
        return self._reader.fetch_decoded(
            self._reader.decode_account,
            """
            SELECT id, record, password_hash, sealed_verification, email_only_auth, disabled_at
            FROM account WHERE id = ?1
            """,
            account_id,
        )

    async def find_account_by_uuid(self, uuid: str) -> AccountRow | None:
        """Return the account or managed user of this uuid; it may be disabled."""
        return self._reader.fetch_decoded(
            self._reader.decode_account,
            """
            SELECT id, record, password_hash, sealed_verification, email_only_auth, disabled_at
            FROM account WHERE json_extract(CAST(record AS TEXT), '$.uuid') = ?1
            """,
            uuid,
        )

    async def count_and_list_accounts(self, limit: int) -> tuple[int, tuple[AccountRow, ...]]:
        """Return the number of accounts and managed users, and the first ones by id."""
        return (
            self._reader.fetch_value(int, "SELECT count(*) FROM account") or 0,
            tuple(self._reader.decode_account(row) for row in self._reader.fetch_all(_SELECT_ACCOUNTS, limit)),
        )

    @transactional
    def sign_in(self, transaction: Transaction, new: NewSignIn) -> bool:
        """Use up the verification step, record the device and store the token.

        Returns `False`, with nothing written, if the step is not later than the last one used, or the account is
        disabled.
        """
        return sign_in(transaction, new)

    @transactional
    def revoke_token(self, transaction: Transaction, digest: bytes, now: int) -> bool:
        """Revoke a token; `False` if there is no valid one."""
        return transaction.execute(
            """
            UPDATE token SET revoked_at = ?2
            WHERE digest = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)
            """,
            digest,
            now,
        )

    async def list_media_servers(self) -> tuple[MediaServerRow, ...]:
        """Return all media servers in the order in which they were added."""
        return tuple(
            _decode_media_server(row)
            for row in self._reader.fetch_all(
                "SELECT machine_identifier, name, owner_id, port, version, errors, platform, platform_version,"
                " created_at, sources FROM media_server ORDER BY number"
            )
        )

    async def list_resources(self, account_id: int) -> tuple[ResourceRow, ...]:
        """Return the media servers that an account owns or has a share of, its own first."""
        return tuple(
            ResourceRow(
                server=_decode_media_server(row[:10]),
                is_owned=row[2] == account_id,
                sealed_token=row[10],
                owner_username=row[11] or "",
            )
            for row in self._reader.fetch_all(
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
        """Finish the queued writes and close the database."""
        self._reader.connection.close()
        self._writer.close()


def _decode_media_server(row: SqlRow) -> MediaServerRow:
    return MediaServerRow(
        machine_identifier=row[0],
        name=row[1],
        owner_id=row[2],
        port=row[3],
        version=row[4],
        errors=row[5],
        platform=row[6],
        platform_version=row[7],
        created_at=row[8],
        sources=_decode_sources(row[9]),
    )
