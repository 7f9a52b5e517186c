"""What only a tester does to a database: ending something early, and putting everything back as it was.

Rule: as in base.py; nothing but the control verbs asks for these. A `Moment` is all rows of all tables, secrets as
sealed or hashed as they are there; going back to it is one transaction. Whoever goes back forgets what is in memory.
Rows are put back as they were taken, by position; foreign keys are looked at once all of them are back.
"""

from __future__ import annotations

from ticketstub.local_plex.storage.database import Family, Statements, in_transaction

Moment = dict[str, list[tuple[object, ...]]]
"""The rows of each table."""


class Rewinding(Family):
    """The tester's operations of a store."""

    @in_transaction
    def moment(self, transaction: Statements) -> Moment:
        """Return what is in the database now."""
        names = [
            name
            for (name,) in transaction.all(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        ]
        return {name: transaction.all(f'SELECT * FROM "{name}"') for name in names}  # noqa: S608  # our tables

    @in_transaction
    def go_back(self, transaction: Statements, moment: Moment) -> None:
        """Replace what is in the database by what was there then."""
        transaction.run("PRAGMA defer_foreign_keys = ON")  # until this transaction ends
        for name in moment:
            transaction.run(f'DELETE FROM "{name}"')  # noqa: S608  # likewise
        for name, rows in moment.items():
            if rows:
                places = ", ".join("?" * len(rows[0]))
                transaction.connection.executemany(f'INSERT INTO "{name}" VALUES ({places})', rows)  # noqa: S608  # likewise

    @in_transaction
    def expire_token(self, transaction: Statements, digest: bytes, now: int) -> bool:
        """End a token's time; `False` if there was none alive."""
        return transaction.run(
            """
            UPDATE token SET expires_at = ?2
            WHERE digest = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)
            """,
            digest,
            now,
        )

    @in_transaction
    def expire_pin(self, transaction: Statements, pin_id: int, now: int) -> bool:
        """End a PIN's time; `False` if there is none, or it is over already."""
        return transaction.run("UPDATE pin SET expires_at = ?2 WHERE id = ?1 AND expires_at > ?2", pin_id, now)
