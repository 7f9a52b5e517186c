"""Claim tokens and the owners of media servers, in SQLite.

Rule: as in sqlite.py. Claim tokens that are over are deleted when a new one is made; nothing depends on that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import cast

from ticketstub.server.store.base import AccountRow
from ticketstub.server.store.claims import Exchange, NewClaim
from ticketstub.server.store.sqlite_reader import Columns, Reader, numbered
from ticketstub.server.store.sqlite_servers import Taken, give, take
from ticketstub.server.store.sqlite_tokens import is_alive
from ticketstub.server.store.sqlite_writer import Writer

_PRUNE = "DELETE FROM claim WHERE digest IN (SELECT digest FROM claim WHERE expires_at <= $1 LIMIT 100)"
_CREATE = """
    INSERT INTO claim (digest, account_id, expires_at, origin)
    SELECT $1, $2, $4, $6
    WHERE (SELECT count(*) FROM claim WHERE account_id = $2 AND expires_at > $3 AND spent_at IS NULL) < $5
"""
_SPEND = """
    UPDATE claim SET spent_at = $2
    WHERE digest = $1 AND expires_at > $2 AND (spent_at IS NULL OR NOT $3)
    RETURNING account_id, origin
"""
# Who had switched to the account ends one day, and what was claimed for it with that.
_SWITCHED = """
    INSERT INTO home_switch (digest, account_id, by_account_id) SELECT $1, $2, by_account_id FROM (
        SELECT by_account_id FROM home_switch WHERE digest = $3
        UNION ALL SELECT by_account_id FROM session WHERE digest = $3 AND by_account_id IS NOT NULL
    )
"""
_OWNER = "SELECT owner_id FROM media_server WHERE machine_identifier = $1"
_SERVERS_OWN = """
    SELECT sealed FROM token
    WHERE machine_identifier = $1 AND kind = 'server' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
    ORDER BY created_at DESC, digest LIMIT 1
"""
_GUESTS = """
    SELECT a.id, a.version, a.record, a.password_hash, a.sealed_verification, a.email_only_auth, a.disabled_at
    FROM share AS s JOIN token AS t ON t.digest = s.digest JOIN account AS a ON a.id = s.account_id
    WHERE s.machine_identifier = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2)
        AND a.disabled_at IS NULL
    ORDER BY a.id
"""

AccountOf = Callable[[Columns], AccountRow]


class SqliteClaims:
    """The claims of a store on SQLite.

    Args:
        reader: reads.
        writer: writes.
        account: makes an account of its columns.
    """

    def __init__(self, reader: Reader, writer: Writer, account: AccountOf) -> None:
        self._reader = reader
        self._writer = writer
        self._account = account

    async def create(self, claim: NewClaim) -> bool:
        """See `Claims`."""
        return await self._writer.run(partial(_create, claim))

    async def exchange(self, exchange: Exchange) -> int | None:
        """See `Claims`."""
        with suppress(Taken):
            return await self._writer.run(partial(_exchange, exchange))
        return None

    async def owner(self, machine_identifier: str) -> int | None:
        """See `Claims`."""
        row = self._reader.one(_OWNER, {"1": machine_identifier})
        return row[0] if row else None

    async def server_token(self, machine_identifier: str, now: int) -> bytes | None:
        """See `Claims`."""
        row = self._reader.one(_SERVERS_OWN, numbered(machine_identifier, now))
        return row[0] if row else None

    async def guests(self, machine_identifier: str, now: int) -> tuple[AccountRow, ...]:
        """See `Claims`."""
        return tuple(self._account(row) for row in self._reader.all(_GUESTS, numbered(machine_identifier, now)))

    async def release(self, machine_identifier: str, now: int) -> bool:
        """See `Claims`."""
        return await self._writer.run(lambda connection: _release(connection, machine_identifier, now))


def _create(claim: NewClaim, connection: sqlite3.Connection) -> bool:
    connection.execute(_PRUNE, {"1": claim.now})
    values = numbered(claim.digest, claim.account_id, claim.now, claim.expires_at, claim.most, claim.origin)
    return connection.execute(_CREATE, values).rowcount == 1


def _exchange(exchange: Exchange, connection: sqlite3.Connection) -> int | None:
    """Take the claim token first: side effects only for who has it. `Taken` gives it back."""
    taken = connection.execute(_SPEND, numbered(exchange.digest, exchange.now, exchange.once)).fetchone()
    if taken is None:
        return None
    account_id, origin = cast("tuple[int, bytes | None]", taken)
    if not is_alive(connection, origin, exchange.now):
        raise Taken
    give(connection, account_id, exchange)
    connection.execute(_SWITCHED, numbered(exchange.token_digest, account_id, origin))
    return account_id


def _release(connection: sqlite3.Connection, machine_identifier: str, now: int) -> bool:
    owner = connection.execute(_OWNER, numbered(machine_identifier)).fetchone()
    return bool(owner and owner[0]) and take(connection, owner[0], machine_identifier, now)
