"""Media servers: claim tokens, owners and shares.

Rule: as in base.py. `exchange` starts with one conditional statement: of many exchanges of one claim token exactly one
succeeds. Claim tokens are stored apart from tokens, so that no token look-up finds them; expired ones are deleted when
a new one is added, and nothing depends on that. A server gets and loses its owner, its device and its token together;
without an owner it has no shares either. The token of a machine that is no media server of this database is bound to
its device only. A share is valid as long as its token.
"""

from __future__ import annotations

from typing import Literal, cast

from ticketstub.local_plex.storage.accounts import insert_token, is_credential_active
from ticketstub.local_plex.storage.base import AccountRow, DeviceRow, Row
from ticketstub.local_plex.storage.database import Repository, Transaction, transactional
from ticketstub.local_plex.storage.devices import remove_owner, upsert_device


class ShareRow(Row, frozen=True, kw_only=True):
    """A share of a media server: its owner, its guest, and the guest's token."""

    server_number: int
    machine_identifier: str
    server_name: str
    owner: AccountRow
    guest: AccountRow
    sealed_token: bytes
    created_at: int


_SELECT_OWNER = "SELECT owner_id FROM media_server WHERE machine_identifier = ?1"

SELECT_IS_OWNER = "SELECT 1 FROM media_server WHERE machine_identifier = ?1 AND owner_id = ?2"
_END_SHARE = """
    UPDATE token SET revoked_at = ?3 WHERE revoked_at IS NULL
        AND digest = (SELECT digest FROM share WHERE account_id = ?1 AND machine_identifier = ?2)
"""
UPSERT_SHARE = """
    INSERT INTO share (account_id, machine_identifier, digest) VALUES (?1, ?2, ?3)
    ON CONFLICT (account_id, machine_identifier) DO UPDATE SET digest = excluded.digest
"""


class ClaimRepository(Repository):
    """Operations on claim tokens and owners."""

    @transactional
    def create(
        self,
        transaction: Transaction,
        *,
        digest: bytes,
        account_id: int,
        now: int,
        expires_at: int,
        max_claims: int,
        requester_digest: bytes | None = None,
    ) -> bool:
        """Store a claim token; `False`, with nothing written, if the account has `max_claims` valid ones.

        The claim token ends with the requesting token, or with the session of a browser that had switched to the
        account: `requester_digest` is the digest of either, and `None` for other browsers.
        """
        transaction.execute(
            "DELETE FROM claim WHERE digest IN (SELECT digest FROM claim WHERE expires_at <= ?1 LIMIT 100)", now
        )
        return transaction.execute(
            """
            INSERT INTO claim (digest, account_id, expires_at, origin)
            SELECT ?1, ?2, ?4, ?6
            WHERE (SELECT count(*) FROM claim WHERE account_id = ?2 AND expires_at > ?3 AND spent_at IS NULL) < ?5
            """,
            digest,
            account_id,
            now,
            expires_at,
            max_claims,
            requester_digest,
        )

    @transactional
    def exchange(
        self,
        transaction: Transaction,
        *,
        digest: bytes,
        device: DeviceRow,
        token_digest: bytes,
        sealed_token: bytes,
        now: int,
        refuse_owned: bool = False,
    ) -> int | Literal[False]:
        """Make the account of a claim token the owner of a machine, and return the account's id.

        The machine gets a device and a token; its previous tokens end.

        Args:
            transaction: the writer's transaction.
            digest: the digest of the claim token.
            device: what the machine says about itself.
            token_digest: the digest of the server's new token.
            sealed_token: the sealed new token.
            now: seconds since 1970.
            refuse_owned: whether to refuse a machine that the account already owns.

        Returns:
            `False`, with nothing written, if the claim token is unknown, expired or used, its account is disabled, the
            token that requested it has ended, or another account owns the machine.
        """
        account_id, requester_digest = transaction.require_row(
            """
            UPDATE claim SET spent_at = ?2
            WHERE digest = ?1 AND expires_at > ?2 AND spent_at IS NULL
            RETURNING account_id, origin
            """,
            digest,
            now,
        )
        transaction.require(is_credential_active(transaction, requester_digest, now))
        machine = device.client_identifier
        is_known_server = transaction.has_row("SELECT 1 FROM media_server WHERE machine_identifier = ?1", machine)
        transaction.require(
            not is_known_server
            or transaction.execute(
                """
                UPDATE media_server SET owner_id = ?2
                WHERE machine_identifier = ?1 AND (owner_id IS NULL OR owner_id = ?2 AND NOT ?3)
                """,
                machine,
                account_id,
                refuse_owned,
            )
        )
        device_id = upsert_device(transaction, account_id, device, now)
        transaction.execute(
            "UPDATE token SET revoked_at = ?2 WHERE device_id = ?1 AND kind = 'server' AND revoked_at IS NULL",
            device_id,
            now,
        )
        insert_token(
            transaction,
            digest=token_digest,
            sealed=sealed_token,
            kind="server",
            account_id=account_id,
            device_id=device_id,
            machine_identifier=machine if is_known_server else None,
            now=now,
        )
        # If another account had switched to this one, the new token ends when that switch does.
        transaction.execute(
            """
            INSERT INTO home_switch (digest, account_id, by_account_id) SELECT ?1, ?2, by_account_id FROM (
                SELECT by_account_id FROM home_switch WHERE digest = ?3
                UNION ALL SELECT by_account_id FROM session WHERE digest = ?3 AND by_account_id IS NOT NULL
            )
            """,
            token_digest,
            account_id,
            requester_digest,
        )
        return cast("int", account_id)

    async def get_owner_id(self, machine_identifier: str) -> int | None:
        """Return the id of a media server's owner."""
        return self._reader.fetch_value(int, _SELECT_OWNER, machine_identifier)

    async def get_sealed_server_token(self, machine_identifier: str, now: int) -> bytes | None:
        """Return a media server's own token, sealed."""
        return self._reader.fetch_value(
            bytes,
            """
            SELECT sealed FROM token
            WHERE machine_identifier = ?1 AND kind = 'server' AND revoked_at IS NULL
                AND (expires_at IS NULL OR expires_at > ?2)
            ORDER BY created_at DESC, digest LIMIT 1
            """,
            machine_identifier,
            now,
        )

    async def list_guests(self, machine_identifier: str, now: int) -> tuple[AccountRow, ...]:
        """Return the accounts that have a valid share of a media server."""
        return tuple(
            self._reader.decode_account(row)
            for row in self._reader.fetch_all(
                """
                SELECT a.id, a.record, a.password_hash, a.sealed_verification, a.email_only_auth, a.disabled_at
                FROM share AS s JOIN token AS t ON t.digest = s.digest JOIN account AS a ON a.id = s.account_id
                WHERE s.machine_identifier = ?1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ?2)
                    AND a.disabled_at IS NULL
                ORDER BY a.id
                """,
                machine_identifier,
                now,
            )
        )

    @transactional
    def unclaim(self, transaction: Transaction, machine_identifier: str, now: int) -> bool:
        """Take a media server from its owner, and end its token, device and shares; `False` if it has no owner."""
        (owner_id,) = transaction.require_row(_SELECT_OWNER, machine_identifier)
        return remove_owner(transaction, owner_id, machine_identifier, now)


class ShareRepository(Repository):
    """Operations on shares."""

    async def list_shares(self, account_id: int) -> tuple[ShareRow, ...]:
        """Return the shares that an account gave and received, in the order of the servers."""
        return tuple(
            ShareRow(
                server_number=row[0],
                machine_identifier=row[1],
                server_name=row[2],
                sealed_token=row[3],
                created_at=row[4],
                owner=self._reader.decode_account(row[5:11]),
                guest=self._reader.decode_account(row[11:17]),
            )
            for row in self._reader.fetch_all(
                """
                SELECT m.number, m.machine_identifier, m.name, t.sealed, t.created_at,
                    o.id, o.record, o.password_hash, o.sealed_verification, o.email_only_auth, o.disabled_at,
                    g.id, g.record, g.password_hash, g.sealed_verification, g.email_only_auth, g.disabled_at
                FROM share AS s
                JOIN media_server AS m ON m.machine_identifier = s.machine_identifier
                JOIN token AS t ON t.digest = s.digest AND t.revoked_at IS NULL
                JOIN account AS o ON o.id = m.owner_id AND o.disabled_at IS NULL
                JOIN account AS g ON g.id = s.account_id AND g.disabled_at IS NULL
                WHERE s.account_id = ?1
                    OR s.machine_identifier IN (SELECT machine_identifier FROM media_server WHERE owner_id = ?1)
                ORDER BY m.number, g.id
                """,
                account_id,
            )
        )

    @transactional
    def share(
        self,
        transaction: Transaction,
        machine_identifier: str,
        *,
        owner_id: int,
        guest_id: int,
        digest: bytes,
        sealed_token: bytes,
        now: int,
    ) -> bool:
        """Share a media server, or replace the guest's token of an existing share.

        Returns `False`, with nothing written, if `owner_id` no longer owns the server.
        """
        transaction.require_row(SELECT_IS_OWNER, machine_identifier, owner_id)
        transaction.execute(_END_SHARE, guest_id, machine_identifier, now)
        insert_token(
            transaction,
            digest=digest,
            sealed=sealed_token,
            kind="server_share",
            account_id=guest_id,
            machine_identifier=machine_identifier,
            now=now,
        )
        return transaction.execute(UPSERT_SHARE, guest_id, machine_identifier, digest)

    @transactional
    def unshare(self, transaction: Transaction, guest_id: int, machine_identifier: str, now: int) -> bool:
        """End a share with its token; `False` if there is no valid one."""
        return transaction.execute(_END_SHARE, guest_id, machine_identifier, now)
