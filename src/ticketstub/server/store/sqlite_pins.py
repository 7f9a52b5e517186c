"""PINs in SQLite.

Rule: as in sqlite.py. PINs that are over are deleted when a new one is made; nothing depends on that.
"""

from __future__ import annotations

import sqlite3
from functools import partial

import msgspec

from ticketstub.server.store.base import DeviceRow
from ticketstub.server.store.pins import Created, PinLink, PinRow
from ticketstub.server.store.sqlite_reader import Columns, Reader, numbered
from ticketstub.server.store.sqlite_tokens import is_alive, keep_token, note_device
from ticketstub.server.store.sqlite_writer import Writer

_PRUNE = "DELETE FROM pin WHERE id IN (SELECT id FROM pin WHERE expires_at <= $1 LIMIT 100)"
_CREATE = """
    INSERT INTO pin (id, code, strong, legacy, client_identifier, client, jwk, created_at, expires_at)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
    WHERE NOT EXISTS (SELECT 1 FROM pin WHERE id = $1) AND NOT EXISTS (SELECT 1 FROM pin WHERE code = $2)
"""
_LIVING = "SELECT count(*) FROM pin WHERE expires_at > $1"
_SELECT = """
    SELECT id, code, strong, legacy, client, jwk, created_at, expires_at, account_id, sealed_token, new_registration,
        denied_at, delivered_at, by_account_id
    FROM pin
"""
_FIND = _SELECT + "WHERE id = $1 AND expires_at > $2"
_FIND_CODE = _SELECT + "WHERE code = $1 AND expires_at > $2"
_LINK = """
    UPDATE pin SET account_id = $2, linked_at = $3, sealed_token = $4, new_registration = 0, by_account_id = $5
    WHERE id = $1 AND linked_at IS NULL AND denied_at IS NULL AND expires_at > $3
        AND EXISTS (SELECT 1 FROM account WHERE id = $2 AND disabled_at IS NULL)
    RETURNING client
"""
_DENY = """
    UPDATE pin SET denied_at = $2
    WHERE id = $1 AND linked_at IS NULL AND denied_at IS NULL AND expires_at > $2
"""
_DELIVER = "UPDATE pin SET delivered_at = $2 WHERE id = $1 AND delivered_at IS NULL AND expires_at > $2"

_decode_client = msgspec.json.Decoder(DeviceRow).decode


class SqlitePins:
    """The PINs of a store on SQLite."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def create(self, pin: PinRow, most: int) -> Created:
        """See `Pins`."""
        return await self._writer.run(partial(_create, pin, most))

    async def find(self, pin_id: int, now: int) -> PinRow | None:
        """See `Pins`."""
        row = self._reader.one(_FIND, {"1": pin_id, "2": now})
        return _pin(row) if row else None

    async def find_code(self, code: str, now: int) -> PinRow | None:
        """See `Pins`."""
        row = self._reader.one(_FIND_CODE, {"1": code, "2": now})
        return _pin(row) if row else None

    async def link(self, link: PinLink) -> bool:
        """See `Pins`."""
        return await self._writer.run(partial(_link, link))

    async def deny(self, pin_id: int, now: int) -> bool:
        """See `Pins`."""
        return await self._changes_one(_DENY, pin_id, now)

    async def deliver(self, pin_id: int, now: int) -> bool:
        """See `Pins`."""
        return await self._changes_one(_DELIVER, pin_id, now)

    async def _changes_one(self, statement: str, pin_id: int, now: int) -> bool:
        values = {"1": pin_id, "2": now}
        return await self._writer.run(lambda connection: connection.execute(statement, values).rowcount == 1)


def _create(pin: PinRow, most: int, connection: sqlite3.Connection) -> Created:
    connection.execute(_PRUNE, {"1": pin.created_at})
    if connection.execute(_LIVING, numbered(pin.created_at)).fetchone()[0] >= most:
        return "full"
    facts = (pin.id, pin.code, pin.strong, pin.legacy, pin.client.client_identifier, msgspec.json.encode(pin.client))
    values = numbered(*facts, pin.jwk, pin.created_at, pin.expires_at)
    return "made" if connection.execute(_CREATE, values).rowcount == 1 else "taken"


def _link(link: PinLink, connection: sqlite3.Connection) -> bool:
    """Take the PIN before all else: side effects only for who has it."""
    if not is_alive(connection, link.asker, link.now):
        return False
    approval = (link.id, link.account_id, link.now, link.sealed_token, link.by)
    taken = connection.execute(_LINK, numbered(*approval)).fetchone()
    if taken is None:
        return False
    device_id = note_device(connection, link.account_id, _decode_client(taken[0]), link.now)
    if device_id is not None and link.digest is not None and link.sealed_token is not None:
        keep_token(
            connection,
            digest=link.digest,
            sealed=link.sealed_token,
            kind="account",
            account_id=link.account_id,
            device_id=device_id,
            now=link.now,
            rotate=link.rotate,
            by=link.by,
        )
    return True


def _pin(row: Columns) -> PinRow:
    linked = row[10]
    return PinRow(
        id=row[0],
        code=row[1],
        strong=bool(row[2]),
        legacy=bool(row[3]),
        client=_decode_client(row[4]),
        jwk=row[5],
        created_at=row[6],
        expires_at=row[7],
        account_id=row[8],
        sealed_token=row[9],
        new_registration=None if linked is None else bool(linked),
        denied_at=row[11],
        delivered_at=row[12],
        by=row[13],
    )
