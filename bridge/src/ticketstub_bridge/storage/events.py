"""What happened, for the administrator.

Rule: an event names people by `sub`, applications by id and Plex accounts by number. It holds no secret, and nothing
depends on it.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import select

from ticketstub_bridge.storage.database import Database
from ticketstub_bridge.storage.tables import events


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    id: int
    at: float
    kind: str
    sub: str | None
    client_id: str | None
    detail: str


class EventStore:
    """Operations on events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, kind: str, *, sub: str | None = None, client_id: str | None = None, detail: str = "") -> None:
        """Store an event."""
        with self._database.write() as connection:
            connection.execute(
                events.insert().values(
                    at=self._database.now(), kind=kind, sub=sub, client_id=client_id, detail=detail[:500]
                )
            )

    def list_newest(self, limit: int = 100) -> list[Event]:
        """List the newest events, oldest first."""
        query = select(events).order_by(events.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            rows = list(connection.execute(query))
        return [Event(**{name: getattr(row, name) for name in Event.__struct_fields__}) for row in reversed(rows)]
