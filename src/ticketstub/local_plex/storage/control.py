"""What only a test does to a database: restore an earlier state, expire a token or PIN early, replace a password.

Rule: as in base.py; only control commands use these operations. A `Snapshot` contains all rows of all tables, with
secrets sealed or hashed as they are stored. Restoring is one transaction; the caller must discard what it holds in
memory. Rows are restored by position, and foreign keys are checked once all rows are back.
"""

from __future__ import annotations

from ticketstub.local_plex.storage.database import Repository, Transaction, transactional

Snapshot = dict[str, list[tuple[object, ...]]]
"""The rows of each table, by its name."""


class ControlRepository(Repository):
    """Operations of control commands."""

    @transactional
    def take_snapshot(self, transaction: Transaction) -> Snapshot:
        """Return all rows of the database."""
        return {
            name: transaction.fetch_all(f'SELECT * FROM "{name}"')  # noqa: S608  # our tables
            for (name,) in transaction.fetch_all(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        }

    @transactional
    def restore_snapshot(self, transaction: Transaction, snapshot: Snapshot) -> None:
        """Replace all rows of the database by those of a snapshot.

        Args:
            transaction: the writer's transaction.
            snapshot: what `take_snapshot` of the same database returned.
        """
        transaction.execute("PRAGMA defer_foreign_keys = ON")  # until this transaction ends
        for name in snapshot:
            transaction.execute(f'DELETE FROM "{name}"')  # noqa: S608  # our tables
        for name, rows in snapshot.items():
            if rows:
                placeholders = ", ".join("?" * len(rows[0]))
                transaction.connection.executemany(f'INSERT INTO "{name}" VALUES ({placeholders})', rows)  # noqa: S608  # our tables

    @transactional
    def expire_token(self, transaction: Transaction, digest: bytes, now: int) -> bool:
        """Expire a token; `False` if there is no valid one."""
        return transaction.execute(
            """
            UPDATE token SET expires_at = ?2
            WHERE digest = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)
            """,
            digest,
            now,
        )

    @transactional
    def expire_pin(self, transaction: Transaction, pin_id: int, now: int) -> bool:
        """Expire a PIN; `False` if there is none that has not expired."""
        return transaction.execute("UPDATE pin SET expires_at = ?2 WHERE id = ?1 AND expires_at > ?2", pin_id, now)

    @transactional
    def replace_password_hash(self, transaction: Transaction, account_id: int, old_hash: str, new_hash: str) -> bool:
        """Replace a password hash; `False` if it is no longer `old_hash`."""
        return transaction.execute(
            """
            UPDATE account SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2
            """,
            account_id,
            old_hash,
            new_hash,
        )
