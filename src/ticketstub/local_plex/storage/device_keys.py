"""Device keys, nonces, JWTs, and the keys that sign JWTs.

Rule: as in base.py. One operation uses up the nonce and stores the JWT: of many exchanges with one nonce exactly one
succeeds. A JWT is stored as a digest only: it can be revoked, but its text is never shown again. Expired rows are
deleted when new ones are added; nothing depends on that.
"""

from __future__ import annotations

from ticketstub.local_plex.storage.accounts import insert_token, is_credential_active
from ticketstub.local_plex.storage.base import AccountRow, DeviceRow, Row
from ticketstub.local_plex.storage.database import Repository, Transaction, transactional
from ticketstub.local_plex.storage.devices import SELECT_DEVICE, upsert_device


class DeviceKeyRow(Row, frozen=True, kw_only=True):
    """A registered device key with its account and device. `jwk` is JSON."""

    kid: str
    jwk: str
    account: AccountRow
    device_id: int
    client_identifier: str


class SigningKeyRow(Row, frozen=True, kw_only=True):
    """A key of the instance that signs JWTs: its id, its sealed private part, and its public part as JSON."""

    kid: str
    sealed: bytes
    jwk: str
    created_at: int


_INSERT_KEY = """
    INSERT INTO device_key (thumbprint, kid, jwk, device_id, client_identifier, created_at, by_account_id)
    SELECT ?1, ?2, ?3, id, client_identifier, ?5, ?6 FROM device WHERE id = ?4
    ON CONFLICT DO NOTHING
"""


class DeviceKeyRepository(Repository):
    """Operations on device keys, nonces, JWTs and signing keys."""

    @transactional
    def register(
        self,
        transaction: Transaction,
        *,
        thumbprint: str,
        kid: str,
        jwk: str,
        account_id: int,
        device_id: int | None,
        client: DeviceRow,
        token_digest: bytes | None,
        now: int,
        switched_by: int | None = None,
    ) -> bool:
        """Register a key for a device of an account.

        Args:
            transaction: the writer's transaction.
            thumbprint: the key's thumbprint.
            kid: its id.
            jwk: its JSON.
            account_id: the account of its device.
            device_id: the device of the requesting token, if it has one.
            client: names the device if the token has none; the token then gets this device.
            token_digest: the digest of the requesting token, which must still be valid.
            now: seconds since 1970.
            switched_by: the account that had switched to `account_id`, if any.

        Returns:
            `False`, with nothing written, if the key or its id is already registered, or the token has ended.
        """
        transaction.require(is_credential_active(transaction, token_digest, now))
        if device_id is None:
            device_id = upsert_device(transaction, account_id, client, now)
            transaction.execute(
                "UPDATE token SET device_id = ?2 WHERE digest = ?1 AND device_id IS NULL", token_digest, device_id
            )
        return transaction.execute(_INSERT_KEY, thumbprint, kid, jwk, device_id, now, switched_by)

    @transactional
    def register_pin_key(
        self,
        transaction: Transaction,
        pin_id: int,
        *,
        thumbprint: str,
        kid: str,
        jwk: str,
        account_id: int,
        client: DeviceRow,
        now: int,
        switched_by: int | None = None,
    ) -> bool:
        """Register the key of a linked PIN, or move a registered one to the account that has linked the PIN.

        Returns `False` if another client has the key, or the PIN is gone or another account's: removing a device or
        changing a password deletes PINs.
        """
        transaction.require_row(
            "SELECT 1 FROM pin WHERE id = ?1 AND account_id = ?2 AND expires_at > ?3", pin_id, account_id, now
        )
        (device_id,) = transaction.require_row(SELECT_DEVICE, account_id, client.client_identifier)
        return transaction.execute(
            _INSERT_KEY, thumbprint, kid, jwk, device_id, now, switched_by
        ) or transaction.execute(
            """
            UPDATE device_key SET device_id = ?3, by_account_id = ?4,
                first_jwt_at = CASE WHEN device_id = ?3 THEN first_jwt_at END
            WHERE thumbprint = ?1 AND kid = ?2
                AND client_identifier = (SELECT client_identifier FROM device WHERE id = ?3)
            """,
            thumbprint,
            kid,
            device_id,
            switched_by,
        )

    async def find_key(self, kid: str, client_identifier: str) -> DeviceKeyRow | None:
        """Return a client's key by its id, unless its account is disabled."""
        row = self._reader.fetch_one(
            """
            SELECT k.kid, k.jwk, k.device_id, d.client_identifier,
                a.id, a.record, a.password_hash, a.sealed_verification, a.email_only_auth, a.disabled_at
            FROM device_key AS k JOIN device AS d ON d.id = k.device_id JOIN account AS a ON a.id = d.account_id
            WHERE k.kid = ?1 AND k.client_identifier = ?2 AND a.disabled_at IS NULL
            """,
            kid,
            client_identifier,
        )
        return (
            DeviceKeyRow(
                kid=row[0],
                jwk=row[1],
                account=self._reader.decode_account(row[4:]),
                device_id=row[2],
                client_identifier=row[3],
            )
            if row
            else None
        )

    @transactional
    def add_nonce(
        self,
        transaction: Transaction,
        digest: bytes,
        client_identifier: str,
        now: int,
        expires_at: int,
        max_nonces: int,
    ) -> bool:
        """Store a nonce; `False` if `max_nonces` are valid."""
        transaction.execute(
            "DELETE FROM nonce WHERE digest IN (SELECT digest FROM nonce WHERE expires_at <= ?1 LIMIT 100)", now
        )
        return transaction.execute(
            """
            INSERT INTO nonce (digest, client_identifier, expires_at)
            SELECT ?1, ?2, ?3 WHERE (SELECT count(*) FROM nonce WHERE expires_at > ?4) < ?5
            """,
            digest,
            client_identifier,
            expires_at,
            now,
            max_nonces,
        )

    @transactional
    def add_jwt(
        self,
        transaction: Transaction,
        *,
        kid: str,
        client_identifier: str,
        device_id: int,
        jwt_digest: bytes,
        nonce_digest: bytes | None,
        first_ends_tokens: bool,
        now: int,
        expires_at: int,
    ) -> bool:
        """Use up the nonce and store the JWT.

        Args:
            transaction: the writer's transaction.
            kid: the id of the key that requested it.
            client_identifier: the key's client.
            device_id: the device that the JWT names; the key may have moved since.
            jwt_digest: the digest of the JWT.
            nonce_digest: the digest of the nonce; `None` uses up none.
            first_ends_tokens: whether the first JWT revokes the device's previous tokens.
            now: seconds since 1970.
            expires_at: when the JWT expires.

        Returns:
            `False`, with nothing written, if the nonce or the key is gone.
        """
        account_id, first_jwt_at, switched_by = transaction.require_row(
            """
            SELECT d.account_id, k.first_jwt_at, k.by_account_id
            FROM device_key AS k JOIN device AS d ON d.id = k.device_id JOIN account AS a ON a.id = d.account_id
            WHERE k.kid = ?1 AND k.client_identifier = ?2 AND k.device_id = ?3 AND a.disabled_at IS NULL
            """,
            kid,
            client_identifier,
            device_id,
        )
        if nonce_digest is not None:  # of many requests with one nonce, one passes
            transaction.require_row(
                "DELETE FROM nonce WHERE digest = ?1 AND client_identifier = ?2 AND expires_at > ?3 RETURNING 1",
                nonce_digest,
                client_identifier,
                now,
            )
        if first_jwt_at is None:
            transaction.execute(
                "UPDATE device_key SET first_jwt_at = ?3 WHERE kid = ?1 AND client_identifier = ?2",
                kid,
                client_identifier,
                now,
            )
            if first_ends_tokens:
                transaction.execute(
                    "UPDATE token SET revoked_at = ?2 WHERE device_id = ?1 AND kind = 'account' AND revoked_at IS NULL",
                    device_id,
                    now,
                )
        transaction.execute(
            """
            DELETE FROM token WHERE digest IN (
                SELECT digest FROM token WHERE device_id = ?1 AND kind = 'jwt' AND expires_at <= ?2
            )
            """,
            device_id,
            now - 24 * 3600,  # expired JWTs are remembered for a day
        )
        # A JWT for the same nonce and second has the same text.
        if not transaction.has_row("SELECT 1 FROM token WHERE digest = ?1", jwt_digest):
            insert_token(
                transaction,
                digest=jwt_digest,
                sealed=b"",
                kind="jwt",
                account_id=account_id,
                device_id=device_id,
                now=now,
                expires_at=expires_at,
                switched_by=switched_by,
            )
        return True

    async def list_signing_keys(self, since: int) -> tuple[SigningKeyRow, ...]:
        """Return the current key and those replaced after `since`, the newest last, without revoked ones."""
        return tuple(
            SigningKeyRow(kid=row[0], sealed=row[1], jwk=row[2], created_at=row[3])
            for row in self._reader.fetch_all(
                """
                SELECT kid, sealed, jwk, created_at FROM signing_key
                WHERE revoked_at IS NULL AND (replaced_at IS NULL OR replaced_at > ?1) ORDER BY number
                """,
                since,
            )
        )

    @transactional
    def add_signing_key(self, transaction: Transaction, key: SigningKeyRow, *, replaced_kid: str | None) -> bool:
        """Add the key that signs from now on; `False` if the current one is not `replaced_kid`."""
        select_current = "SELECT kid FROM signing_key WHERE replaced_at IS NULL AND revoked_at IS NULL"
        transaction.require(transaction.fetch_value(str, select_current) == replaced_kid)
        transaction.execute("UPDATE signing_key SET replaced_at = ?1 WHERE replaced_at IS NULL", key.created_at)
        return transaction.execute(
            "INSERT INTO signing_key (kid, sealed, jwk, created_at) VALUES (?1, ?2, ?3, ?4)",
            key.kid,
            key.sealed,
            key.jwk,
            key.created_at,
        )
