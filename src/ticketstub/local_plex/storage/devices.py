"""An account's devices, and what ends with one.

Rule: as in base.py. A device is one row for each account and client identifier; each new token updates it. `remove`
takes the account too, so that no id reaches another account's device. It also ends all tokens of the device, in the
same transaction; if the device is a media server, the server loses its owner.
"""

from __future__ import annotations

from typing import cast

import msgspec

from ticketstub.local_plex.storage.base import DeviceRow, Row
from ticketstub.local_plex.storage.database import Repository, Transaction, transactional

SELECT_DEVICE = "SELECT id FROM device WHERE account_id = ?1 AND client_identifier = ?2"


class RegisteredDevice(Row, frozen=True, kw_only=True):
    """A device of an account. `sealed_token` is its newest valid token other than a JWT, if any."""

    id: int
    client: DeviceRow
    created_at: int
    last_seen_at: int
    sealed_token: bytes | None = None


class DeviceRepository(Repository):
    """Operations on devices."""

    async def list_devices(self, account_id: int, now: int) -> tuple[RegisteredDevice, ...]:
        """Return an account's devices in the order of their first sign-in."""
        # JWTs are stored as digests only, so they cannot be listed.
        return tuple(
            RegisteredDevice(
                id=row[0],
                created_at=row[1],
                last_seen_at=row[2],
                sealed_token=row[3] or None,
                client=DeviceRow(**dict(zip(DeviceRow.__struct_fields__, row[4:], strict=True))),
            )
            for row in self._reader.fetch_all(
                """
                SELECT id, created_at, last_seen_at, (
                    SELECT sealed FROM token AS t
                    WHERE t.device_id = d.id AND t.kind <> 'jwt' AND t.revoked_at IS NULL
                        AND (t.expires_at IS NULL OR t.expires_at > ?2)
                    ORDER BY t.created_at DESC, t.digest LIMIT 1
                ), client_identifier, product, version, platform, platform_version, device, name, model, vendor,
                    provides, screen_resolution, address
                FROM device AS d WHERE account_id = ?1 ORDER BY id
                """,
                account_id,
                now,
            )
        )

    @transactional
    def remove(self, transaction: Transaction, account_id: int, device_id: int, now: int) -> bool:
        """Remove a device and end its tokens and its key; `False`, with nothing changed, if it is not the account's."""
        (client_identifier,) = transaction.require_row(
            "SELECT client_identifier FROM device WHERE id = ?1 AND account_id = ?2", device_id, account_id
        )
        # If it is a media server, `remove_owner` deletes the device too.
        return remove_owner(transaction, account_id, client_identifier, now) or delete_device(
            transaction, device_id, now
        )

    @transactional
    def record_last_seen(self, transaction: Transaction, device_id: int, address: str | None, now: int) -> bool:
        """Record that a device was seen; `False` if that was recorded within the last hour."""
        return transaction.execute(
            """
            UPDATE device SET last_seen_at = ?3, address = coalesce(?2, address)
            WHERE id = ?1 AND last_seen_at <= ?3 - 3600
            """,
            device_id,
            address,
            now,
        )


def remove_owner(transaction: Transaction, account_id: int, machine_identifier: str, now: int) -> bool:
    """Take a media server from its owner, and end its device, tokens and shares.

    Returns `False`, with nothing changed, if the account does not own it.
    """
    if not transaction.execute(
        """
        UPDATE media_server SET owner_id = NULL WHERE machine_identifier = ?1 AND owner_id = ?2
        """,
        machine_identifier,
        account_id,
    ):
        return False
    transaction.execute("DELETE FROM share WHERE machine_identifier = ?1", machine_identifier)
    transaction.execute(
        "UPDATE token SET revoked_at = ?2 WHERE machine_identifier = ?1 AND revoked_at IS NULL", machine_identifier, now
    )
    if device_id := transaction.fetch_value(int, SELECT_DEVICE, account_id, machine_identifier):
        delete_device(transaction, device_id, now)
    return True


def delete_device(transaction: Transaction, device_id: int, now: int) -> bool:
    """Remove a device and its key, and end its tokens and those of accounts that it switched to.

    Returns `False` if there is no such device.
    """
    # Tokens from switches on this device end too, because such a token could switch back.
    transaction.execute(
        """
        UPDATE token SET revoked_at = ?2 WHERE revoked_at IS NULL AND digest IN (
            SELECT h.digest FROM device AS d
            JOIN home_switch AS h ON h.by_account_id = d.account_id
            JOIN token AS t ON t.digest = h.digest
            JOIN device AS o ON o.id = t.device_id AND o.client_identifier = d.client_identifier
            WHERE d.id = ?1
        )
        """,
        device_id,
        now,
    )
    # Revoked tokens stay without their device, so that seeding the world cannot revive one.
    transaction.execute(
        "UPDATE token SET revoked_at = coalesce(revoked_at, ?2), device_id = NULL WHERE device_id = ?1", device_id, now
    )
    # Keys registered after a switch on this device end too, as do PINs that could issue another token for it.
    transaction.execute(
        """
        DELETE FROM device_key WHERE by_account_id = (SELECT account_id FROM device WHERE id = ?1)
            AND client_identifier = (SELECT client_identifier FROM device WHERE id = ?1)
        """,
        device_id,
    )
    transaction.execute(
        """
        DELETE FROM pin WHERE client_identifier = (SELECT client_identifier FROM device WHERE id = ?1)
            AND (account_id = (SELECT account_id FROM device WHERE id = ?1)
                OR by_account_id = (SELECT account_id FROM device WHERE id = ?1))
        """,
        device_id,
    )
    return transaction.execute("DELETE FROM device WHERE id = ?1", device_id)


def upsert_device(transaction: Transaction, account_id: int, device: DeviceRow, now: int) -> int:
    """Add or update an account's device and return its id; abort the operation if the account is disabled."""
    (device_id,) = transaction.require_row(
        """
        INSERT INTO device (account_id, client_identifier, product, version, platform, platform_version, device, name,
            model, vendor, provides, screen_resolution, address, created_at, last_seen_at)
        SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14
        FROM account WHERE id = ?1 AND disabled_at IS NULL
        ON CONFLICT (account_id, client_identifier) DO UPDATE SET
            product = excluded.product, version = excluded.version, platform = excluded.platform,
            platform_version = excluded.platform_version, device = excluded.device,
            name = excluded.name, model = excluded.model, vendor = excluded.vendor, provides = excluded.provides,
            screen_resolution = excluded.screen_resolution, address = excluded.address,
            last_seen_at = excluded.last_seen_at
        RETURNING id
        """,
        account_id,
        *msgspec.structs.astuple(device),
        now,
    )
    return cast("int", device_id)
