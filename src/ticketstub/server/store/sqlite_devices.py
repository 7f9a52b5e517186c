"""Devices in SQLite.

Rule: as in sqlite.py. Every statement that takes a device's id takes its account's too.
"""

from __future__ import annotations

import sqlite3

import msgspec

from ticketstub.server.store.base import DeviceRow
from ticketstub.server.store.devices import MOST, RARELY, KnownDevice
from ticketstub.server.store.sqlite_reader import Columns, Reader, numbered
from ticketstub.server.store.sqlite_servers import forget, take
from ticketstub.server.store.sqlite_writer import Writer

_COLUMNS = """
    client_identifier, product, version, platform, platform_version, device, name, model, vendor, provides,
        screen_resolution, address
"""
# JWTs are never shown again: they are kept as digests alone.
_OF = f"""
    SELECT id, created_at, last_seen_at, (
        SELECT sealed FROM token AS t
        WHERE t.device_id = d.id AND t.kind <> 'jwt' AND t.revoked_at IS NULL
            AND (t.expires_at IS NULL OR t.expires_at > $2)
        ORDER BY t.created_at DESC, t.digest LIMIT 1
    ), {_COLUMNS}
    FROM device AS d WHERE account_id = $1 ORDER BY id
"""  # noqa: S608  # put together from constants only
_FIND = "SELECT client_identifier FROM device WHERE id = $1 AND account_id = $2"
_SEEN = """
    UPDATE device SET last_seen_at = $3, address = coalesce($2, address) WHERE id = $1 AND last_seen_at <= $3 - $4
"""
_NOTE = f"""
    INSERT INTO device (account_id, {_COLUMNS}, created_at, last_seen_at)
    SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14 FROM account
    WHERE id = $1 AND disabled_at IS NULL AND (SELECT count(*) FROM device WHERE account_id = $1) < $15
    ON CONFLICT (account_id, client_identifier) DO NOTHING
"""  # noqa: S608  # likewise


class SqliteDevices:
    """The devices of a store on SQLite."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def of(self, account_id: int, now: int) -> tuple[KnownDevice, ...]:
        """See `Devices`."""
        return tuple(_device(row) for row in self._reader.all(_OF, numbered(account_id, now)))

    async def remove(self, account_id: int, device_id: int, now: int) -> bool:
        """See `Devices`."""
        return await self._writer.run(lambda connection: _remove(connection, account_id, device_id, now))

    async def seen(self, device_id: int, address: str | None, now: int) -> bool:
        """See `Devices`."""
        values = numbered(device_id, address, now, RARELY)
        return await self._writer.run(lambda connection: connection.execute(_SEEN, values).rowcount == 1)

    async def note(self, account_id: int, client: DeviceRow, now: int) -> bool:
        """See `Devices`."""
        values = numbered(account_id, *msgspec.structs.astuple(client), now, MOST)
        return await self._writer.run(lambda connection: connection.execute(_NOTE, values).rowcount == 1)


def _remove(connection: sqlite3.Connection, account_id: int, device_id: int, now: int) -> bool:
    found = connection.execute(_FIND, numbered(device_id, account_id)).fetchone()
    if found is None:
        return False
    if not take(connection, account_id, found[0], now):  # else it went with the server that it is
        forget(connection, device_id, now)
    return True


def _device(row: Columns) -> KnownDevice:
    id_, created_at, last_seen_at, sealed, *facts = row
    client = DeviceRow(**dict(zip(DeviceRow.__struct_fields__, facts, strict=True)))
    return KnownDevice(
        id=id_, client=client, created_at=created_at, last_seen_at=last_seen_at, sealed_token=sealed or None
    )
