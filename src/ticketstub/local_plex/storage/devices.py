"""What is kept of an account's devices, and their operations.

Rule: as in base.py. A device is one row for each account and client identifier. Every operation that names a device
names its account too, so that nobody's id reaches another's device. Removing one ends all its tokens in the same
transaction; where it is a media server, that server belongs to nobody from then on.
"""

from __future__ import annotations

from ticketstub.local_plex.storage.base import DeviceRow, Row
from ticketstub.local_plex.storage.database import Repository, SqlRow, Transaction, transactional
from ticketstub.local_plex.storage.media_servers import delete_device, remove_owner


class RegisteredDevice(Row, frozen=True, kw_only=True):
    """A device of an account. `sealed_token` is its newest living token, unless that is a JWT or there is none."""

    id: int
    client: DeviceRow
    created_at: int
    last_seen_at: int
    sealed_token: bytes | None = None


class DeviceRepository(Repository):
    """The devices of a store."""

    async def list_devices(self, account_id: int, now: int) -> tuple[RegisteredDevice, ...]:
        """Return an account's devices, in the order they came."""
        # JWTs are never shown again: they are kept as digests alone.
        rows = self._reader.fetch_all(
            """
            SELECT id, created_at, last_seen_at, (
                SELECT sealed FROM token AS t
                WHERE t.device_id = d.id AND t.kind <> 'jwt' AND t.revoked_at IS NULL
                    AND (t.expires_at IS NULL OR t.expires_at > ?2)
                ORDER BY t.created_at DESC, t.digest LIMIT 1
            ), client_identifier, product, version, platform, platform_version, device, name, model, vendor, provides,
                screen_resolution, address
            FROM device AS d WHERE account_id = ?1 ORDER BY id
            """,
            account_id,
            now,
        )
        return tuple(_decode_device(row) for row in rows)

    @transactional
    def remove(self, transaction: Transaction, account_id: int, device_id: int, now: int) -> bool:
        """Remove a device and end its tokens and its key; `False`, with nothing changed, if it is not the account's."""
        found = transaction.fetch_one(
            "SELECT client_identifier FROM device WHERE id = ?1 AND account_id = ?2", device_id, account_id
        )
        if found is None:
            return False
        if not remove_owner(transaction, account_id, found[0], now):  # else it went with the server that it is
            delete_device(transaction, device_id, now)
        return True

    @transactional
    def record_last_seen(self, transaction: Transaction, device_id: int, address: str | None, now: int) -> bool:
        """Note that a device was here; `False` if that was noted within the last hour (ours)."""
        return transaction.execute(
            """
            UPDATE device SET last_seen_at = ?3, address = coalesce(?2, address)
            WHERE id = ?1 AND last_seen_at <= ?3 - 3600
            """,
            device_id,
            address,
            now,
        )


def _decode_device(row: SqlRow) -> RegisteredDevice:
    id_, created_at, last_seen_at, sealed, *facts = row
    client = DeviceRow(**dict(zip(DeviceRow.__struct_fields__, facts, strict=True)))
    return RegisteredDevice(
        id=id_, client=client, created_at=created_at, last_seen_at=last_seen_at, sealed_token=sealed or None
    )
