"""PINs.

Rule: as in base.py. A PIN is for one client and one approval: one conditional statement in `link` decides, so that of
many concurrent approvals exactly one succeeds. Expiry is checked at each read; expired PINs are deleted when a new one
is created, and nothing depends on that.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ticketstub.local_plex.storage.accounts import insert_token, is_credential_active
from ticketstub.local_plex.storage.base import DeviceRow, Row
from ticketstub.local_plex.storage.database import Repository, SqlRow, Transaction, transactional
from ticketstub.local_plex.storage.devices import upsert_device


class PinRow(Row, frozen=True, kw_only=True):
    """A PIN that has not expired.

    `client` created it, and `jwk` is that client's device key as JSON. `account_id` and `sealed_token` are set once the
    PIN is linked, `denied_at` once it is denied. `switched_by` is the account that had switched to `account_id`, if
    any.
    """

    id: int
    code: str
    strong: bool
    legacy: bool
    client: DeviceRow
    jwk: str | None
    created_at: int
    expires_at: int
    account_id: int | None = None
    sealed_token: bytes | None = None
    new_registration: bool | None = None
    denied_at: int | None = None
    switched_by: int | None = None


_SELECT = """
    SELECT id, code, strong, legacy, client, jwk, created_at, expires_at, account_id, sealed_token, new_registration,
        denied_at, by_account_id
    FROM pin
"""
_SELECT_BY_ID = _SELECT + "WHERE id = ?1 AND expires_at > ?2"
_SELECT_BY_CODE = _SELECT + "WHERE code = ?1 AND expires_at > ?2"

_decode_client = msgspec.json.Decoder(DeviceRow).decode


class PinRepository(Repository):
    """Operations on PINs."""

    @transactional
    def create(self, transaction: Transaction, pin: PinRow, max_pins: int) -> Literal["made", "taken", "full"]:
        """Store a new PIN.

        Returns:
            `"made"`; or, with nothing stored, `"taken"` if another PIN has its id or code, or `"full"` if there are
            `max_pins` valid PINs.
        """
        now = pin.created_at
        transaction.execute("DELETE FROM pin WHERE id IN (SELECT id FROM pin WHERE expires_at <= ?1 LIMIT 100)", now)
        if transaction.fetch_all("SELECT count(*) FROM pin WHERE expires_at > ?1", now)[0][0] >= max_pins:
            return "full"
        is_made = transaction.execute(
            """
            INSERT INTO pin (id, code, strong, legacy, client_identifier, client, jwk, created_at, expires_at)
            SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
            WHERE NOT EXISTS (SELECT 1 FROM pin WHERE id = ?1) AND NOT EXISTS (SELECT 1 FROM pin WHERE code = ?2)
            """,
            pin.id,
            pin.code,
            pin.strong,
            pin.legacy,
            pin.client.client_identifier,
            msgspec.json.encode(pin.client),
            pin.jwk,
            now,
            pin.expires_at,
        )
        return "made" if is_made else "taken"

    async def find(self, pin_id: int, now: int) -> PinRow | None:
        """Return the PIN of this id unless it has expired."""
        return self._reader.fetch_decoded(_decode_pin, _SELECT_BY_ID, pin_id, now)

    async def find_by_code(self, code: str, now: int) -> PinRow | None:
        """Return the PIN of this code, also if it is linked or denied, unless it has expired."""
        return self._reader.fetch_decoded(_decode_pin, _SELECT_BY_CODE, code, now)

    @transactional
    def link(
        self,
        transaction: Transaction,
        *,
        pin_id: int,
        account_id: int,
        token_digest: bytes | None,
        sealed_token: bytes | None,
        now: int,
        switched_by: int | None = None,
        approver_digest: bytes | None = None,
    ) -> bool:
        """Link the PIN to an account: record its device and store its token.

        Args:
            transaction: the writer's transaction.
            pin_id: the PIN's id.
            account_id: the account to sign in to.
            token_digest: the digest of the PIN's new token; `None` for a PIN with a key, whose JWT is issued when the
                client proves that it has the key.
            sealed_token: the sealed new token.
            now: seconds since 1970.
            switched_by: the account that had switched to `account_id`, if any; the new token ends with that switch.
            approver_digest: the digest of the approving token or session, which must still be valid.

        Returns:
            `False`, with nothing written, if the PIN has expired or is linked or denied, the account is disabled, or
            the approving token or session has ended.
        """
        transaction.require(is_credential_active(transaction, approver_digest, now))
        (client,) = transaction.require_row(
            """
            UPDATE pin SET account_id = ?2, linked_at = ?3, sealed_token = ?4, new_registration = 0, by_account_id = ?5
            WHERE id = ?1 AND linked_at IS NULL AND denied_at IS NULL AND expires_at > ?3
                AND EXISTS (SELECT 1 FROM account WHERE id = ?2 AND disabled_at IS NULL)
            RETURNING client
            """,
            pin_id,
            account_id,
            now,
            sealed_token,
            switched_by,
        )
        device_id = upsert_device(transaction, account_id, _decode_client(client), now)
        if token_digest is not None and sealed_token is not None:
            insert_token(
                transaction,
                digest=token_digest,
                sealed=sealed_token,
                kind="account",
                account_id=account_id,
                device_id=device_id,
                now=now,
                switched_by=switched_by,
            )
        return True

    @transactional
    def deny(self, transaction: Transaction, pin_id: int, now: int) -> bool:
        """Deny a PIN; `False` if it has expired or is linked or denied."""
        return transaction.execute(
            """
            UPDATE pin SET denied_at = ?2
            WHERE id = ?1 AND linked_at IS NULL AND denied_at IS NULL AND expires_at > ?2
            """,
            pin_id,
            now,
        )


def _decode_pin(row: SqlRow) -> PinRow:
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
        new_registration=None if row[10] is None else bool(row[10]),
        denied_at=row[11],
        switched_by=row[12],
    )
