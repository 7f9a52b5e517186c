"""Device keys, nonces and signing keys in SQLite.

Rule: as in sqlite.py. What is over is deleted when something new comes; nothing depends on that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import cast

from ticketstub.server.store.auth_keys import Grant, KeyRow, NewKey, SigningRow
from ticketstub.server.store.base import AccountRow
from ticketstub.server.store.sqlite_reader import Columns, Reader, numbered
from ticketstub.server.store.sqlite_tokens import is_alive, keep_token, note_device
from ticketstub.server.store.sqlite_writer import Writer

_FIND = """
    SELECT k.kid, k.jwk, k.device_id, d.client_identifier,
        a.id, a.version, a.record, a.password_hash, a.sealed_verification, a.email_only_auth, a.disabled_at
    FROM device_key AS k JOIN device AS d ON d.id = k.device_id JOIN account AS a ON a.id = d.account_id
    WHERE k.kid = $1 AND k.client_identifier = $2 AND a.disabled_at IS NULL
"""
_REGISTER = """
    INSERT INTO device_key (thumbprint, kid, jwk, device_id, client_identifier, created_at, by_account_id)
    SELECT $1, $2, $3, id, client_identifier, $5, $6 FROM device WHERE id = $4
    ON CONFLICT DO NOTHING
"""
_IS_ITS_OWN = "SELECT 1 FROM device_key WHERE thumbprint = $1 AND kid = $2 AND device_id = $3"
_MOVE = """
    UPDATE device_key SET device_id = $3, by_account_id = $4,
        first_jwt_at = CASE WHEN device_id = $3 THEN first_jwt_at END
    WHERE thumbprint = $1 AND kid = $2 AND client_identifier = (SELECT client_identifier FROM device WHERE id = $3)
"""
_IS_LINKED = "SELECT 1 FROM pin WHERE id = $1 AND account_id = $2 AND expires_at > $3"
_BIND = "UPDATE token SET device_id = $2 WHERE digest = $1 AND device_id IS NULL"
_DEVICE_OF = "SELECT id FROM device WHERE account_id = $1 AND client_identifier = $2"

_PRUNE_NONCES = "DELETE FROM nonce WHERE digest IN (SELECT digest FROM nonce WHERE expires_at <= $1 LIMIT 100)"
_ADD_NONCE = """
    INSERT INTO nonce (digest, client_identifier, expires_at)
    SELECT $1, $2, $3 WHERE (SELECT count(*) FROM nonce WHERE expires_at > $4) < $5
"""
_SPEND_NONCE = "DELETE FROM nonce WHERE digest = $1 AND client_identifier = $2 AND expires_at > $3"
_HAS_NONCE = "SELECT 1 FROM nonce WHERE digest = $1 AND client_identifier = $2 AND expires_at > $3"
_KEY = """
    SELECT k.device_id, d.account_id, k.first_jwt_at, k.by_account_id
    FROM device_key AS k JOIN device AS d ON d.id = k.device_id JOIN account AS a ON a.id = d.account_id
    WHERE k.kid = $1 AND k.client_identifier = $2 AND k.device_id = $3 AND a.disabled_at IS NULL
"""
_NOTE_FIRST = "UPDATE device_key SET first_jwt_at = $3 WHERE kid = $1 AND client_identifier = $2"
_END_OPAQUE = "UPDATE token SET revoked_at = $2 WHERE device_id = $1 AND kind = 'account' AND revoked_at IS NULL"
_IS_KEPT = "SELECT 1 FROM token WHERE digest = $1"
_PRUNE_JWTS = """
    DELETE FROM token WHERE digest IN (
        SELECT digest FROM token WHERE device_id = $1 AND kind = 'jwt' AND expires_at <= $2
    )
"""

_SIGNING_KEYS = """
    SELECT kid, sealed, jwk, created_at FROM signing_key
    WHERE revoked_at IS NULL AND (replaced_at IS NULL OR replaced_at > $1) ORDER BY number
"""
_NEWEST = "SELECT kid FROM signing_key WHERE replaced_at IS NULL AND revoked_at IS NULL"
_REPLACE = "UPDATE signing_key SET replaced_at = $1 WHERE replaced_at IS NULL"
_ADD_SIGNING_KEY = "INSERT INTO signing_key (kid, sealed, jwk, created_at) VALUES ($1, $2, $3, $4)"
_REVOKE = """
    UPDATE signing_key SET revoked_at = $2, replaced_at = coalesce(replaced_at, $2)
    WHERE kid = $1 AND revoked_at IS NULL
"""

AccountOf = Callable[[Columns], AccountRow]


class SqliteAuthKeys:
    """The keys and nonces of a store on SQLite.

    Args:
        reader: reads.
        writer: writes.
        account: makes an account of its columns.
    """

    def __init__(self, reader: Reader, writer: Writer, account: AccountOf) -> None:
        self._reader = reader
        self._writer = writer
        self._account = account

    async def register(self, key: NewKey) -> bool:
        """See `AuthKeys`."""
        try:
            return await self._writer.run(partial(_register, key))
        except _Taken:
            return False

    async def adopt(self, key: NewKey, pin_id: int) -> bool:
        """See `AuthKeys`."""
        return await self._writer.run(partial(_adopt, key, pin_id))

    async def find(self, kid: str, client_identifier: str) -> KeyRow | None:
        """See `AuthKeys`."""
        row = self._reader.one(_FIND, {"1": kid, "2": client_identifier})
        if row is None:
            return None
        account = self._account(row[4:])
        return KeyRow(kid=row[0], jwk=row[1], account=account, device_id=row[2], client_identifier=row[3])

    async def add_nonce(self, digest: bytes, client_identifier: str, now: int, ends: int, most: int) -> bool:
        """See `AuthKeys`."""

        def add(connection: sqlite3.Connection) -> bool:
            connection.execute(_PRUNE_NONCES, {"1": now})
            return connection.execute(_ADD_NONCE, numbered(digest, client_identifier, ends, now, most)).rowcount == 1

        return await self._writer.run(add)

    async def grant(self, grant: Grant) -> bool:
        """See `AuthKeys`."""
        return await self._writer.run(partial(_grant, grant))

    async def signing_keys(self, since: int) -> tuple[SigningRow, ...]:
        """See `AuthKeys`."""
        rows = self._reader.all(_SIGNING_KEYS, {"1": since})
        return tuple(SigningRow(kid=row[0], sealed=row[1], jwk=row[2], created_at=row[3]) for row in rows)

    async def add_signing_key(self, key: SigningRow, *, replacing: str | None) -> bool:
        """See `AuthKeys`."""

        def add(connection: sqlite3.Connection) -> bool:
            newest = connection.execute(_NEWEST).fetchone()
            if (newest[0] if newest else None) != replacing:
                return False
            connection.execute(_REPLACE, {"1": key.created_at})
            connection.execute(_ADD_SIGNING_KEY, numbered(key.kid, key.sealed, key.jwk, key.created_at))
            return True

        return await self._writer.run(add)

    async def revoke_signing_key(self, kid: str, now: int) -> bool:
        """See `AuthKeys`."""
        return await self._writer.run(lambda connection: connection.execute(_REVOKE, numbered(kid, now)).rowcount == 1)


class _Taken(Exception):
    """The key is another's: what was noted for it is taken back."""


def _register(key: NewKey, connection: sqlite3.Connection) -> bool:
    device_id = _device(key, connection) if is_alive(connection, key.digest, key.now) else None
    if device_id is None:
        raise _Taken
    values = numbered(key.thumbprint, key.kid, key.jwk, device_id, key.now, key.by)
    if connection.execute(_REGISTER, values).rowcount == 1:
        return True
    own = connection.execute(_IS_ITS_OWN, numbered(key.thumbprint, key.kid, device_id)).fetchone()
    if not (key.again and own):
        raise _Taken
    return True


def _device(key: NewKey, connection: sqlite3.Connection) -> int | None:
    """Return the device that the key is for; a token without a device is given the one that its client names."""
    if key.device_id is not None:
        return key.device_id
    device_id = note_device(connection, key.account_id, key.client, key.now)
    if device_id is not None and key.digest is not None:
        connection.execute(_BIND, numbered(key.digest, device_id))
    return device_id


def _adopt(key: NewKey, pin_id: int, connection: sqlite3.Connection) -> bool:
    """Look once more whether the PIN is linked: a removed device and a changed password take it away."""
    if connection.execute(_IS_LINKED, numbered(pin_id, key.account_id, key.now)).fetchone() is None:
        return False
    found = connection.execute(_DEVICE_OF, numbered(key.account_id, key.client.client_identifier)).fetchone()
    if found is None:
        return False
    device_id = cast("int", found[0])
    values = numbered(key.thumbprint, key.kid, key.jwk, device_id, key.now, key.by)
    if connection.execute(_REGISTER, values).rowcount == 1:
        return True
    return connection.execute(_MOVE, numbered(key.thumbprint, key.kid, device_id, key.by)).rowcount == 1


def _grant(grant: Grant, connection: sqlite3.Connection) -> bool:
    """Spend first: of many with one nonce one gets past here."""
    key = connection.execute(_KEY, numbered(grant.kid, grant.client_identifier, grant.device_id)).fetchone()
    if key is None or not _spent(grant, connection):
        return False
    device_id, account_id, first_jwt_at, by = key
    if first_jwt_at is None:
        connection.execute(_NOTE_FIRST, numbered(grant.kid, grant.client_identifier, grant.now))
        if grant.first_ends:
            connection.execute(_END_OPAQUE, numbered(device_id, grant.now))
    connection.execute(_PRUNE_JWTS, numbered(device_id, grant.now - _KEPT))
    if connection.execute(_IS_KEPT, {"1": grant.digest}).fetchone():  # of the same second and nonce: the same text
        return True
    keep_token(
        connection,
        digest=grant.digest,
        sealed=b"",
        kind="jwt",
        account_id=account_id,
        device_id=device_id,
        now=grant.now,
        expires_at=grant.expires_at,
        by=by,
    )
    return True


_KEPT = 24 * 3600  # seconds that a JWT which is over stays known


def _spent(grant: Grant, connection: sqlite3.Connection) -> bool:
    if grant.nonce is None:
        return True
    values = numbered(grant.nonce, grant.client_identifier, grant.now)
    if grant.once:
        return connection.execute(_SPEND_NONCE, values).rowcount == 1
    return connection.execute(_HAS_NONCE, values).fetchone() is not None
