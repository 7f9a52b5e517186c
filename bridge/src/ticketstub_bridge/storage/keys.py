"""The signing keys, sealed.

Rule: for each algorithm one key is current, which the table enforces: of several replicas that make one at the same
time, one succeeds.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError

from ticketstub_bridge.storage.database import Database
from ticketstub_bridge.storage.tables import signing_keys


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key: `private` is sealed, `public` is a JWK as JSON."""

    kid: str
    algorithm: str
    is_current: bool
    private: bytes
    public: str
    created_at: float

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kid}>"


class KeyStore:
    """Operations on signing keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_published(self) -> list[StoredKey]:
        """List the keys that applications may still need, the current ones first."""
        columns = signing_keys.c
        query = (
            select(signing_keys)
            .where(or_(columns.expires_at.is_(None), columns.expires_at > self._database.now()))
            .order_by(columns.current.is_(None), columns.created_at.desc(), columns.kid)
        )
        with self._database.read() as connection:
            return [
                StoredKey(
                    kid=row.kid,
                    algorithm=row.algorithm,
                    is_current=row.current is not None,
                    private=row.private,
                    public=row.public,
                    created_at=row.created_at,
                )
                for row in connection.execute(query)
            ]

    def replace_current(self, kid: str, algorithm: str, private: bytes, public: str, *, overlap: float) -> bool:
        """Make a key the current one of its algorithm; the one before stays published for `overlap` seconds.

        Returns:
            Whether it was stored; `False` if another replica has just stored one.
        """
        return self._store(kid, algorithm, private, public, overlap)

    def add_first(self, kid: str, algorithm: str, private: bytes, public: str) -> bool:
        """Store the first key of an algorithm; `False` if there is one."""
        return self._store(kid, algorithm, private, public, None)

    def _store(self, kid: str, algorithm: str, private: bytes, public: str, overlap: float | None) -> bool:
        now = self._database.now()
        try:
            with self._database.write() as connection:
                if overlap is not None:
                    connection.execute(
                        update(signing_keys)
                        .where(signing_keys.c.current == algorithm)
                        .values(current=None, expires_at=now + overlap)
                    )
                connection.execute(
                    signing_keys.insert().values(
                        kid=kid, algorithm=algorithm, current=algorithm, private=private, public=public, created_at=now
                    )
                )
        except IntegrityError:
            return False
        return True
