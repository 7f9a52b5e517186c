"""The sessions of browsers, the transactions of their sign-ins, and what people consented to.

Rule: a transaction belongs to the browser that began it, and each of its steps is one conditional statement: of two
that try the same step, one succeeds. Whether a session still counts is decided when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, select, update

from ticketstub_bridge.sealing import digest, make_identifier, make_secret
from ticketstub_bridge.storage.database import MAX_ERROR, Database, is_current
from ticketstub_bridge.storage.people import Freshness, Person, read_person
from ticketstub_bridge.storage.tables import consents, grants, people, sessions, transactions

_TOUCH_SECONDS = 60


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session that counts, and whose it is.

    Attributes:
        sid: its identifier, which applications know too.
        person: the person.
        auth_time: when the person last approved at Plex.
        age: seconds since then.
        created_at, seen_at: when it began and was last used.
        browser: what the browser says it is.
    """

    sid: str
    person: Person
    auth_time: float
    age: float
    created_at: float
    seen_at: float
    browser: str


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in or consent in progress.

    Attributes:
        id: its identifier, which is no secret.
        request: the parameters of the authorization request; empty for a sign-in to the bridge itself.
        pending: the sealed sign-in at Plex.
        sid: the session, once there is one.
    """

    id: str
    request: Mapping[str, str]
    pending: bytes | None
    sid: str | None


class SessionStore:
    """Operations on sessions.

    Args:
        database: the database.
        idle: seconds after which an unused session ends.
        longest: seconds after which any session ends.
        freshness: how long a membership counts.
    """

    def __init__(self, database: Database, *, idle: float, longest: float, freshness: Freshness) -> None:
        self._database = database
        self.idle = idle
        self.longest = longest
        self.freshness = freshness
        self._select_by_secret = self._select(database.now()).where(sessions.c.digest == bindparam("secret_digest"))

    def create(self, sub: str, browser: str) -> tuple[str, str]:
        """Begin a session; returns its identifier and the secret for the cookie."""
        sid, secret, now = make_identifier(), make_secret(), self._database.now()
        with self._database.write() as connection:
            connection.execute(
                sessions.insert().values(
                    sid=sid,
                    digest=digest(secret),
                    sub=sub,
                    auth_time=now,
                    created_at=now,
                    seen_at=now,
                    expires_at=now + self.longest,
                    browser=browser,
                )
            )
        return sid, secret

    def renew(self, sid: str) -> str | None:
        """Store a new approval at Plex in a session, under a new secret; `None` if the session has ended."""
        secret, now = make_secret(), self._database.now()
        with self._database.write() as connection:
            renewed = (
                update(sessions)
                .where(sessions.c.sid == sid, sessions.c.ended_at.is_(None), sessions.c.expires_at > now)
                .values(digest=digest(secret), auth_time=now, seen_at=now)
            )
            return secret if connection.execute(renewed).rowcount == 1 else None

    def find(self, secret: str) -> Session | None:
        """Return the session of a cookie, if it still counts, and note that it was used."""
        now = self._database.now()
        with self._database.read() as connection:
            row = connection.execute(self._select_by_secret, {"secret_digest": digest(secret)}).one_or_none()
        if row is None:
            return None
        if abs(row.now - row.seen_at) > _TOUCH_SECONDS:
            with self._database.write() as connection:
                connection.execute(update(sessions).where(sessions.c.sid == row.sid).values(seen_at=now))
        return _read_session(row)

    def list_active(self, sub: str | None = None) -> list[Session]:
        """List the sessions that count, newest first, of one person or of everybody."""
        query = self._select(self._database.now()).order_by(sessions.c.created_at.desc()).limit(1000)
        if sub is not None:
            query = query.where(sessions.c.sub == sub)
        with self._database.read() as connection:
            return [_read_session(row) for row in connection.execute(query)]

    def list_clients(self, sid: str) -> list[str]:
        """List the applications that a session has signed in to."""
        with self._database.read() as connection:
            query = select(grants.c.client_id).where(grants.c.sid == sid).distinct().order_by(grants.c.client_id)
            return list(connection.execute(query).scalars())

    def _select(self, now: Any) -> Any:  # noqa: ANN401  # SQL
        return (
            select(sessions, people, now.label("now"))
            .join(people, people.c.sub == sessions.c.sub)
            .where(
                sessions.c.ended_at.is_(None),
                is_current(sessions.c.expires_at, now, self.longest),
                sessions.c.seen_at > now - self.idle,
                self.freshness.is_member(now),
            )
        )


def _read_session(row: Row[Any]) -> Session:
    values = row._mapping  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # it is public in SQLAlchemy
    age = row.now - values[sessions.c.auth_time]
    return Session(
        sid=values[sessions.c.sid],
        person=read_person(row),
        auth_time=values[sessions.c.auth_time],
        age=age if age > -MAX_ERROR else inf,  # approved in the future: how long ago is not known
        created_at=values[sessions.c.created_at],
        seen_at=values[sessions.c.seen_at],
        browser=values[sessions.c.browser],
    )


class TransactionStore:
    """Operations on sign-ins in progress; `lifetime` is their time limit in seconds."""

    def __init__(self, database: Database, *, lifetime: float) -> None:
        self._database = database
        self.lifetime = lifetime

    def begin(self, transaction_id: str, browser: str, request: Mapping[str, str], pending: bytes) -> None:
        """Store a sign-in that waits for its return from Plex.

        Args:
            transaction_id: its identifier.
            browser: the secret of the browser's cookie.
            request: the parameters of the authorization request.
            pending: the sealed sign-in at Plex.
        """
        self._insert(id=transaction_id, state="pending", browser=browser, request=request, pending=pending, sid=None)

    def begin_consent(self, browser: str, request: Mapping[str, str], sid: str) -> str:
        """Store a request of a person who is signed in and has to consent; returns the transaction's identifier."""
        transaction_id = make_identifier()
        self._insert(id=transaction_id, state="signed_in", browser=browser, request=request, pending=None, sid=sid)
        return transaction_id

    def _insert(self, *, browser: str, request: Mapping[str, str], **values: object) -> None:
        with self._database.write() as connection:
            connection.execute(
                transactions.insert().values(
                    browser_digest=digest(browser),
                    request=msgspec.json.encode(dict(request)).decode(),
                    expires_at=self._database.now() + self.lifetime,
                    **values,
                )
            )

    def take_return(self, transaction_id: str, browser: str) -> Transaction | None:
        """Take the only return of a sign-in; `None` if this browser did not begin it, or it is over.

        A return in another browser ends the transaction.
        """
        if taken := self._step(transaction_id, browser, "pending", "returned"):
            return taken
        with self._database.write() as connection:
            connection.execute(
                update(transactions)
                .where(transactions.c.id == transaction_id, transactions.c.state == "pending")
                .values(state="burned", pending=None)
            )
        return None

    def sign_in(self, transaction_id: str, sid: str) -> bool:
        """Store the session that a returned sign-in has led to; returns whether it still could."""
        with self._database.write() as connection:
            signed_in = (
                update(transactions)
                .where(transactions.c.id == transaction_id, transactions.c.state == "returned")
                .values(state="signed_in", sid=sid, pending=None)
            )
            return connection.execute(signed_in).rowcount == 1

    def find(self, transaction_id: str, browser: str, sid: str) -> Transaction | None:
        """Return a transaction of this browser and session that waits for consent."""
        with self._database.read() as connection:
            query = select(transactions).where(
                transactions.c.id == transaction_id,
                transactions.c.browser_digest == digest(browser),
                transactions.c.sid == sid,
                transactions.c.state == "signed_in",
                is_current(transactions.c.expires_at, self._database.now(), self.lifetime),
            )
            row = connection.execute(query).one_or_none()
            return _read_transaction(row) if row is not None else None

    def finish(self, transaction_id: str, browser: str) -> bool:
        """End a transaction that waits for consent; returns whether it did not end before."""
        return self._step(transaction_id, browser, "signed_in", "done") is not None

    def _step(self, transaction_id: str, browser: str, old: str, new: str) -> Transaction | None:
        with self._database.write() as connection:
            statement = (
                update(transactions)
                .where(
                    transactions.c.id == transaction_id,
                    transactions.c.browser_digest == digest(browser),
                    transactions.c.state == old,
                    is_current(transactions.c.expires_at, self._database.now(), self.lifetime),
                )
                .values(state=new)
                .returning(transactions)
            )
            row = connection.execute(statement).one_or_none()
            return _read_transaction(row) if row is not None else None


def _read_transaction(row: Row[Any]) -> Transaction:
    request = msgspec.json.decode(row.request, type=dict[str, str])
    return Transaction(id=row.id, request=request, pending=row.pending, sid=row.sid)


class ConsentStore:
    """Operations on what people consented to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_scope(self, sub: str, client_id: str) -> frozenset[str]:
        """Return the scope that a person has passed on to an application before."""
        with self._database.read() as connection:
            query = select(consents.c.scope).where(consents.c.sub == sub, consents.c.client_id == client_id)
            return frozenset((connection.execute(query).scalar() or "").split())

    def give(self, sub: str, client_id: str, scope: frozenset[str]) -> None:
        """Store a consent; it adds to the one before."""
        with self._database.write() as connection:
            key = (consents.c.sub == sub) & (consents.c.client_id == client_id)
            known = frozenset((connection.execute(select(consents.c.scope).where(key)).scalar() or "").split())
            connection.execute(consents.delete().where(key))
            connection.execute(
                consents.insert().values(
                    sub=sub, client_id=client_id, scope=" ".join(sorted(known | scope)), given_at=self._database.now()
                )
            )
