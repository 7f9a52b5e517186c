"""Reading from SQLite, for every family of verbs.

Rule: a read takes all its rows at once, so that no snapshot stays open behind it, and fails as `StoreUnavailable`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, TypeAlias

from ticketstub.server.store.base import StoreUnavailable

# A row of sqlite3: the types of its columns are those of the statement and the tables, which no checker reads.
Columns: TypeAlias = tuple[Any, ...]


class Reader:
    """Reads on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self, statement: str, values: Mapping[str, object]) -> list[Columns]:
        """Return all rows."""
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot be read: {error}") from error

    def one(self, statement: str, values: Mapping[str, object]) -> Columns | None:
        """Return the first row, if there is one."""
        rows = self.all(statement, values)
        return rows[0] if rows else None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def numbered(*values: object) -> dict[str, object]:
    """Bind values to `$1`, `$2` …: SQLite binds a plain sequence by first appearance instead."""
    return {str(number): value for number, value in enumerate(values, 1)}
