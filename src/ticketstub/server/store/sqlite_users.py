"""Other people in SQLite.

Rule: as in sqlite.py. A share counts while its token and both accounts are alive.
"""

from __future__ import annotations

from collections.abc import Callable

from ticketstub.server.store.base import AccountRow
from ticketstub.server.store.sqlite_reader import Columns, Reader
from ticketstub.server.store.users import ShareRow

_SHARES = """
    SELECT m.number, m.machine_identifier, m.name, t.sealed, t.created_at,
        o.id, o.version, o.record, o.password_hash, o.sealed_verification, o.email_only_auth, o.disabled_at,
        g.id, g.version, g.record, g.password_hash, g.sealed_verification, g.email_only_auth, g.disabled_at
    FROM share AS s
    JOIN media_server AS m ON m.machine_identifier = s.machine_identifier
    JOIN token AS t ON t.digest = s.digest AND t.revoked_at IS NULL
    JOIN account AS o ON o.id = m.owner_id AND o.disabled_at IS NULL
    JOIN account AS g ON g.id = s.account_id AND g.disabled_at IS NULL
    WHERE s.account_id = $1 OR s.machine_identifier IN (SELECT machine_identifier FROM media_server WHERE owner_id = $1)
    ORDER BY m.number, g.id
"""


class SqliteUsers:
    """The people of a store on SQLite.

    Args:
        reader: reads.
        account: makes an account of its columns.
    """

    def __init__(self, reader: Reader, account: Callable[[Columns], AccountRow]) -> None:
        self._reader = reader
        self._account = account

    async def shares(self, account_id: int) -> tuple[ShareRow, ...]:
        """See `Users`."""
        return tuple(self._share(row) for row in self._reader.all(_SHARES, {"1": account_id}))

    def _share(self, row: Columns) -> ShareRow:
        return ShareRow(
            server_number=row[0],
            machine_identifier=row[1],
            server_name=row[2],
            sealed_token=row[3],
            created_at=row[4],
            owner=self._account(row[5:12]),
            guest=self._account(row[12:19]),
        )
