"""Ending sessions and grants, and the logout messages to applications that follow.

Rule: what ends, and what must be told to whom, is stored in one transaction. A message is then claimed by one replica
at a time until it is delivered or given up.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, or_, select, update

from ticketstub_bridge.sealing import make_identifier
from ticketstub_bridge.storage.database import MAX_ERROR, Database
from ticketstub_bridge.storage.tables import grants, logouts, sessions

_CLAIM_SECONDS = 30
LONGEST_WAIT = 600.0
"""Seconds for which a message is postponed at most."""


class LogoutMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A back-channel logout that an application must be told of; `attempts` were made before this one."""

    id: str
    client_id: str
    sub: str
    sid: str
    attempts: int


class EndingStore:
    """Operations that end sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def end_session(self, sid: str, told: Collection[str]) -> bool:
        """End a session, and the grants that do not outlive it; returns whether it did not end before.

        Args:
            sid: the session.
            told: the applications that take logout messages.
        """
        return bool(self._end(sessions.c.sid == sid, grants.c.is_offline.is_(False), told))

    def end_person(self, sub: str, told: Collection[str]) -> int:
        """End all sessions and all grants of a person; returns how many sessions there were."""
        with self._database.write() as connection:
            ended = self._end_in(connection, sessions.c.sub == sub, grants.c.sub == sub, told)
            others = update(grants).where(grants.c.sub == sub, grants.c.ended_at.is_(None))
            left = connection.execute(
                others.values(ended_at=self._database.now()).returning(grants.c.client_id, grants.c.sid, grants.c.sub)
            )
            self._store_messages(connection, {tuple(row) for row in left if row.sid not in ended}, told)
            return len(ended)

    def _end(self, which: ColumnElement[bool], which_grants: ColumnElement[bool], told: Collection[str]) -> list[str]:
        with self._database.write() as connection:
            return self._end_in(connection, which, which_grants, told)

    def _end_in(
        self,
        connection: Connection,
        which: ColumnElement[bool],
        which_grants: ColumnElement[bool],
        told: Collection[str],
    ) -> list[str]:
        now = self._database.now()
        statement = update(sessions).where(which, sessions.c.ended_at.is_(None)).values(ended_at=now)
        ended = list(connection.execute(statement.returning(sessions.c.sid)).scalars())
        if ended:
            of_sessions = grants.c.sid.in_(ended)
            signed_in = select(grants.c.client_id, grants.c.sid, grants.c.sub).where(of_sessions).distinct()
            self._store_messages(connection, {tuple(row) for row in connection.execute(signed_in)}, told)
            connection.execute(
                update(grants).where(of_sessions, which_grants, grants.c.ended_at.is_(None)).values(ended_at=now)
            )
        return ended

    def _store_messages(self, connection: Connection, signed_in: set[tuple[Any, ...]], told: Collection[str]) -> None:
        for client_id, sid, sub in sorted(signed_in):
            if client_id in told:
                connection.execute(
                    logouts.insert().values(
                        id=make_identifier(),
                        client_id=client_id,
                        sub=sub,
                        sid=sid,
                        attempts=0,
                        next_at=self._database.now(),
                    )
                )

    def list_due_clients(self) -> list[str]:
        """List the applications for which messages are due."""
        with self._database.read() as connection:
            query = select(logouts.c.client_id).where(self._is_due()).distinct().order_by(logouts.c.client_id)
            return list(connection.execute(query).scalars())

    def claim_messages(self, client_id: str, limit: int) -> list[LogoutMessage]:
        """Choose messages for an application that are due, each for one replica at a time."""
        now, is_due = self._database.now(), self._is_due()
        due = select(logouts.c.id).where(logouts.c.client_id == client_id, is_due)
        with self._database.write() as connection:
            found = list(connection.execute(due.order_by(logouts.c.next_at).limit(limit)).scalars())
            claim = update(logouts).where(logouts.c.id.in_(found), is_due)
            claimed = connection.execute(claim.values(next_at=now + _CLAIM_SECONDS).returning(logouts))
            return [
                LogoutMessage(**{name: getattr(row, name) for name in LogoutMessage.__struct_fields__})
                for row in claimed
            ]

    def _is_due(self) -> ColumnElement[bool]:
        now = self._database.now()
        # What waits longer than anything is postponed was stored before the clock was set back.
        return or_(logouts.c.next_at <= now, logouts.c.next_at > now + LONGEST_WAIT + MAX_ERROR)

    def finish_message(self, message_id: str) -> None:
        """Remove a message that was delivered or given up."""
        with self._database.write() as connection:
            connection.execute(logouts.delete().where(logouts.c.id == message_id))

    def postpone_message(self, message_id: str, seconds: float) -> None:
        """Count an attempt that failed, and try again later."""
        with self._database.write() as connection:
            connection.execute(
                update(logouts)
                .where(logouts.c.id == message_id)
                .values(attempts=logouts.c.attempts + 1, next_at=self._database.now() + seconds)
            )

    def count_messages(self) -> int:
        """Count the messages that wait."""
        from sqlalchemy import func

        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(logouts)).scalar_one()


def is_over(now: ColumnElement[float], seconds: float) -> ColumnElement[bool]:
    """Whether a session ended or expired this long ago."""
    return or_(sessions.c.ended_at < now - seconds, sessions.c.expires_at < now - seconds)
