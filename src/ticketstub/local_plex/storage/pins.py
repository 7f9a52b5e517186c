"""What is kept of PINs, and their operations.

Rule: as in base.py. A PIN is for one client and one approval: `link` is one conditional statement, and of many at once
exactly one wins. A PIN that is over is as good as none, decided when it is read; those that are over are deleted when a
new one is made, and nothing depends on that.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ticketstub.local_plex.storage.accounts import insert_token, is_credential_active
from ticketstub.local_plex.storage.base import DeviceRow, Row
from ticketstub.local_plex.storage.database import Repository, SqlRow, Transaction, transactional
from ticketstub.local_plex.storage.devices import upsert_device

CreateResult = Literal["made", "taken", "full"]
"""How making a PIN went: its id or code is another living PIN's, or there are too many."""


class PinRow(Row, frozen=True, kw_only=True):
    """A PIN that is not over.

    `client` is who made it, `jwk` its device key as JSON text, `account_id` and `sealed_token` are there once it was
    linked. `denied_at`: somebody said no. `switched_by`: who had switched to the
    account.
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
    """The PINs of a store."""

    @transactional
    def create(self, transaction: Transaction, pin: PinRow, max_pins: int) -> CreateResult:
        """Keep a new PIN unless `max_pins` live already; all but `"made"` have written nothing."""
        now = pin.created_at
        transaction.execute("DELETE FROM pin WHERE id IN (SELECT id FROM pin WHERE expires_at <= ?1 LIMIT 100)", now)
        if transaction.fetch_all("SELECT count(*) FROM pin WHERE expires_at > ?1", now)[0][0] >= max_pins:
            return "full"
        client = (pin.client.client_identifier, msgspec.json.encode(pin.client))
        facts = (pin.strong, pin.legacy, *client, pin.jwk, now, pin.expires_at)
        made = transaction.execute(
            """
            INSERT INTO pin (id, code, strong, legacy, client_identifier, client, jwk, created_at, expires_at)
            SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
            WHERE NOT EXISTS (SELECT 1 FROM pin WHERE id = ?1) AND NOT EXISTS (SELECT 1 FROM pin WHERE code = ?2)
            """,
            pin.id,
            pin.code,
            *facts,
        )
        return "made" if made else "taken"

    async def find(self, pin_id: int, now: int) -> PinRow | None:
        """Return the PIN of this id unless it is over."""
        row = self._reader.fetch_one(_SELECT_BY_ID, pin_id, now)
        return _decode_pin(row) if row else None

    async def find_by_code(self, code: str, now: int) -> PinRow | None:
        """Return the PIN of this code unless it is over; linked and denied ones are returned too."""
        row = self._reader.fetch_one(_SELECT_BY_CODE, code, now)
        return _decode_pin(row) if row else None

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
        """Give the PIN to an account: note its device, keep its token.

        Args:
            transaction: the writer's.
            pin_id: which PIN.
            account_id: whose it is from now on.
            token_digest: that of the PIN's new token; `None` for a PIN with a key, whose JWT is made when the key is
                proven.
            sealed_token: the new token.
            now: seconds since 1970.
            switched_by: the account that had switched to this one, if any: what it switched to ends one day, and this
                with it.
            approver_digest: the digest of the token or session that approves, which must be alive still.

        Returns:
            `False`, with nothing written, if it is over, linked or denied, the account is off, or what approves has
            ended.
        """
        if not is_credential_active(transaction, approver_digest, now):
            return False
        row = transaction.fetch_one(
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
        if row is None:
            return False
        device_id = upsert_device(transaction, account_id, _decode_client(row[0]), now)
        if device_id is not None and token_digest is not None and sealed_token is not None:
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
        """Say no; `False` if the PIN is over, linked or denied already."""
        return transaction.execute(
            """
            UPDATE pin SET denied_at = ?2
            WHERE id = ?1 AND linked_at IS NULL AND denied_at IS NULL AND expires_at > ?2
            """,
            pin_id,
            now,
        )


def _decode_pin(row: SqlRow) -> PinRow:
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
        switched_by=row[12],
    )
