"""What applications were given: authorization codes, access tokens and refresh tokens.

Rule: a grant is one authorization of one application, and all its codes and tokens end with it. A code or refresh token
is redeemed by one conditional statement in the transaction that stores what it gives. A second redemption ends the
grant, even if the first was an attacker's. Whatever is read is checked against the grant and the person at that moment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, Table, and_, bindparam, select, update

from ticketstub_bridge.config import Lifetimes
from ticketstub_bridge.sealing import digest, make_identifier
from ticketstub_bridge.storage.database import Database, is_current
from ticketstub_bridge.storage.people import IDENTITY_COLUMNS, Freshness, Identity, Person, make_identity, read_person
from ticketstub_bridge.storage.tables import access_tokens, codes, grants, people, refresh_tokens


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A grant that counts, and whose it is.

    Attributes:
        id: its identifier.
        client_id: the application.
        sid: the session that it was given in.
        scope: what was granted.
        is_offline: whether it outlives the session.
        auth_time: when the person had approved at Plex.
        person: the person.
    """

    id: str
    client_id: str
    sid: str
    scope: str
    is_offline: bool
    auth_time: float
    person: Person


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization code that can still be redeemed."""

    grant: Grant
    digest: str
    redirect_uri: str
    nonce: str | None
    code_challenge: str | None


class RefreshToken(msgspec.Struct, frozen=True, kw_only=True):
    """A refresh token that can still be redeemed."""

    grant: Grant
    digest: str


class Access(msgspec.Struct, frozen=True, eq=False):
    """What an access token gives. While nothing of it changes, it is the same object, so that it can be a key.

    Attributes:
        client_id: the application.
        scope: what is covered.
        person: whose grant it is.
    """

    client_id: str
    scope: str
    person: Identity


class AccessToken(msgspec.Struct, frozen=True):
    """An access token that counts.

    Attributes:
        access: what it gives.
        expires_at: when it expires.
    """

    access: Access
    expires_at: float


class IssuedTokens(msgspec.Struct, frozen=True, kw_only=True):
    """What a redemption stores.

    Attributes:
        access_token, refresh_token: the tokens; the second only for offline access.
        scope: the scope of the access token.
        access_seconds, refresh_seconds: their lifetimes.
    """

    access_token: str
    refresh_token: str | None
    scope: str
    access_seconds: float
    refresh_seconds: float


class GrantStore:
    """Operations on grants.

    Args:
        database: the database.
        freshness: how long a membership counts.
        lifetimes: how long codes and tokens count.
    """

    def __init__(self, database: Database, *, freshness: Freshness, lifetimes: Lifetimes) -> None:
        self._database = database
        self._seconds = {codes: lifetimes.code, refresh_tokens: lifetimes.refresh_token}
        self._access_seconds = lifetimes.access_token
        self.freshness = freshness
        self._select_by_digests = self._build_select_by_digests()

    def issue_code(
        self,
        code: str,
        *,
        client_id: str,
        sub: str,
        sid: str,
        scope: str,
        is_offline: bool,
        auth_time: float,
        redirect_uri: str,
        nonce: str | None,
        code_challenge: str | None,
        code_seconds: float,
        grant_seconds: float,
    ) -> None:
        """Begin a grant, with the code that the application redeems.

        Args:
            code: the code.
            client_id: the application.
            sub: the person.
            sid: the session.
            scope: what is granted.
            is_offline: whether it outlives the session.
            auth_time: when the person approved at Plex.
            redirect_uri: where the code is sent.
            nonce: the application's nonce.
            code_challenge: its S256 challenge.
            code_seconds: the code's lifetime.
            grant_seconds: after how long the grant may be deleted, if it is not renewed.
        """
        grant_id, now = make_identifier(), self._database.now()
        with self._database.write() as connection:
            connection.execute(
                grants.insert().values(
                    id=grant_id,
                    client_id=client_id,
                    sub=sub,
                    sid=sid,
                    scope=scope,
                    is_offline=is_offline,
                    auth_time=auth_time,
                    created_at=now,
                    expires_at=now + grant_seconds,
                )
            )
            connection.execute(
                codes.insert().values(
                    digest=digest(code),
                    grant_id=grant_id,
                    redirect_uri=redirect_uri,
                    nonce=nonce,
                    code_challenge=code_challenge,
                    expires_at=now + code_seconds,
                )
            )

    def find_code(self, code: str, client_id: str) -> Code | None:
        """Return a code that this application can redeem. A code that was redeemed before ends its grant."""
        row = self._find(codes, code, client_id)
        if row is None:
            return None
        if row.redeemed_at is not None:
            self.end(row.grant_id)
            return None
        if not row.is_good:
            return None
        return Code(
            grant=_read_grant(row),
            digest=row.digest,
            redirect_uri=row.redirect_uri,
            nonce=row.nonce,
            code_challenge=row.code_challenge,
        )

    def find_refresh_token(self, token: str, client_id: str) -> RefreshToken | None:
        """Return a refresh token that this application can redeem. One that was redeemed before ends its grant."""
        row = self._find(refresh_tokens, token, client_id)
        if row is None:
            return None
        if row.used_at is not None:
            self.end(row.grant_id)
            return None
        return RefreshToken(grant=_read_grant(row), digest=row.digest) if row.is_good else None

    def find_refreshing_person(self, token: str, client_id: str) -> Person | None:
        """Return whose refresh token this is, if this application can still redeem it."""
        now = self._database.now()
        query = (
            select(people)
            .join(grants, grants.c.sub == people.c.sub)
            .join(refresh_tokens, refresh_tokens.c.grant_id == grants.c.id)
            .where(refresh_tokens.c.digest == digest(token), refresh_tokens.c.used_at.is_(None))
            .where(grants.c.client_id == client_id)
            .where(self._is_current(refresh_tokens, now), self._is_good(now))
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            return read_person(row) if row is not None else None

    def redeem_code(self, code: Code, issued: IssuedTokens) -> bool:
        """Exchange a code for tokens; of several at once one succeeds, and the others end the grant."""
        unused = and_(codes.c.digest == code.digest, codes.c.redeemed_at.is_(None))
        return self._redeem(
            update(codes).where(unused, self._is_current(codes, self._database.now())),
            "redeemed_at",
            code.grant,
            issued,
        )

    def rotate(self, token: RefreshToken, issued: IssuedTokens) -> bool:
        """Exchange a refresh token for tokens; of several at once one succeeds, and the others end the grant."""
        unused = and_(refresh_tokens.c.digest == token.digest, refresh_tokens.c.used_at.is_(None))
        statement = update(refresh_tokens).where(unused, self._is_current(refresh_tokens, self._database.now()))
        return self._redeem(statement, "used_at", token.grant, issued)

    def _redeem(self, statement: Any, column: str, grant: Grant, issued: IssuedTokens) -> bool:  # noqa: ANN401  # SQL
        now = self._database.now()
        is_open = select(grants.c.id).where(grants.c.id == grant.id, grants.c.ended_at.is_(None)).exists()
        with self._database.write() as connection:
            if connection.execute(statement.where(is_open).values({column: now})).rowcount != 1:
                is_redeemed = False
            else:
                is_redeemed = True
                self._store_tokens(connection, grant.id, issued)
        if not is_redeemed:
            self.end(grant.id)
        return is_redeemed

    def _store_tokens(self, connection: Connection, grant_id: str, issued: IssuedTokens) -> None:
        now = self._database.now()
        connection.execute(
            access_tokens.insert().values(
                digest=digest(issued.access_token),
                grant_id=grant_id,
                scope=issued.scope,
                expires_at=now + issued.access_seconds,
            )
        )
        if issued.refresh_token is not None:
            expires_at = now + issued.refresh_seconds
            connection.execute(
                refresh_tokens.insert().values(
                    digest=digest(issued.refresh_token), grant_id=grant_id, expires_at=expires_at
                )
            )
            connection.execute(update(grants).where(grants.c.id == grant_id).values(expires_at=expires_at))

    def find_access_tokens(self, digests: Collection[str]) -> dict[str, AccessToken]:
        """Return those access tokens that count, by their digests."""
        with self._database.read() as connection:
            rows = connection.execute(self._select_by_digests, {"digests": list(digests)}).all()
        return {row.digest: AccessToken(_read_access(*row[2:]), row.expires_at) for row in rows}

    def _build_select_by_digests(self) -> Select[Any]:
        """Build the statement that is executed most, once."""
        now, token = self._database.now(), access_tokens.c
        return (
            select(token.digest, token.expires_at, grants.c.client_id, token.scope, *IDENTITY_COLUMNS)
            .join(grants, grants.c.id == token.grant_id)
            .join(people, people.c.sub == grants.c.sub)
            .where(token.digest.in_(bindparam("digests", expanding=True)))
            .where(is_current(token.expires_at, now, self._access_seconds), self._is_good(now))
        )

    def revoke(self, token: str, client_id: str) -> bool:
        """Revoke a token of this application: an access token alone, a refresh token with its whole grant.

        Returns:
            Whether there was one.
        """
        own = select(grants.c.id).where(grants.c.client_id == client_id)
        with self._database.write() as connection:
            deleted = access_tokens.delete().where(
                access_tokens.c.digest == digest(token), access_tokens.c.grant_id.in_(own)
            )
            if connection.execute(deleted).rowcount == 1:
                return True
            of_token = select(refresh_tokens.c.grant_id).where(refresh_tokens.c.digest == digest(token))
            ended = (
                update(grants)
                .where(grants.c.id.in_(of_token), grants.c.client_id == client_id, grants.c.ended_at.is_(None))
                .values(ended_at=self._database.now())
            )
            return connection.execute(ended).rowcount == 1

    def end(self, grant_id: str) -> None:
        """End a grant with all its codes and tokens."""
        with self._database.write() as connection:
            connection.execute(
                update(grants)
                .where(grants.c.id == grant_id, grants.c.ended_at.is_(None))
                .values(ended_at=self._database.now())
            )

    def end_of_clients(self, known: Iterable[str]) -> int:
        """End the grants of applications that were removed; returns how many."""
        with self._database.write() as connection:
            ended = (
                update(grants)
                .where(grants.c.client_id.not_in(list(known)), grants.c.ended_at.is_(None))
                .values(ended_at=self._database.now())
            )
            return connection.execute(ended).rowcount

    def _find(self, table: Any, secret: str, client_id: str) -> Any:  # noqa: ANN401  # a table, a row
        now = self._database.now()
        good = and_(self._is_current(table, now), self._is_good(now))
        query = (
            select(table, grants, people, good.label("is_good"))
            .join(grants, grants.c.id == table.c.grant_id)
            .join(people, people.c.sub == grants.c.sub)
            .where(table.c.digest == digest(secret), grants.c.client_id == client_id)
        )
        with self._database.read() as connection:
            return connection.execute(query).one_or_none()

    def _is_current(self, table: Table, now: ColumnElement[float]) -> ColumnElement[bool]:
        return is_current(table.c.expires_at, now, self._seconds[table])

    def _is_good(self, now: ColumnElement[float]) -> ColumnElement[bool]:
        return and_(grants.c.ended_at.is_(None), self.freshness.is_member(now))


@lru_cache(maxsize=4096)
def _read_access(client_id: str, scope: str, *person: Any) -> Access:  # noqa: ANN401  # what columns contain
    return Access(client_id, scope, make_identity(*person))


_GRANT_COLUMNS = {name: grants.c[name] for name in Grant.__struct_fields__ if name != "person"}


def _read_grant(row: Any) -> Grant:  # noqa: ANN401  # a row
    found = row._mapping  # noqa: SLF001  # SQLAlchemy's public name for it
    return Grant(**{name: found[column] for name, column in _GRANT_COLUMNS.items()}, person=read_person(row))
