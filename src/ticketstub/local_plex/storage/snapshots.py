"""What only a tester does to a database: ending something early, and putting everything back as it was.

Rule: as in base.py; nothing but the control verbs asks for these. A `Snapshot` is all rows of all tables, secrets as
sealed or hashed as they are there; going back to it is one transaction. Whoever goes back forgets what is in memory.
Rows are put back as they were taken, by position; foreign keys are looked at once all of them are back.
"""

from __future__ import annotations

from ticketstub.local_plex.storage.database import Repository, Transaction, transactional

Snapshot = dict[str, list[tuple[object, ...]]]
"""The rows of each table."""


class SnapshotRepository(Repository):
    """The tester's operations of a store."""

    @transactional
    def take_snapshot(self, transaction: Transaction) -> Snapshot:
        """Return what is in the database now."""
        names = [
            name
            for (name,) in transaction.fetch_all(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        ]
        return {name: transaction.fetch_all(f'SELECT * FROM "{name}"') for name in names}  # noqa: S608  # our tables

    @transactional
    def restore_snapshot(self, transaction: Transaction, snapshot: Snapshot) -> None:
        """Replace what is in the database by what was there then."""
        transaction.execute("PRAGMA defer_foreign_keys = ON")  # until this transaction ends
        for name in snapshot:
            transaction.execute(f'DELETE FROM "{name}"')  # noqa: S608  # likewise
        for name, rows in snapshot.items():
            if rows:
                placeholders = ", ".join("?" * len(rows[0]))
                transaction.connection.executemany(f'INSERT INTO "{name}" VALUES ({placeholders})', rows)  # noqa: S608  # likewise

    @transactional
    def expire_token(self, transaction: Transaction, digest: bytes, now: int) -> bool:
        """End a token's time; `False` if there was none alive."""
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
        """End a PIN's time; `False` if there is none, or it is over already."""
        return transaction.execute("UPDATE pin SET expires_at = ?2 WHERE id = ?1 AND expires_at > ?2", pin_id, now)
