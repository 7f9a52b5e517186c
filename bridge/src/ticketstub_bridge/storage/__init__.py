"""Everything that the bridge remembers, in SQLite or PostgreSQL.

Rule: each operation is atomic, and each one-time step is one conditional statement. `tests/store_suite.py` is the
contract that both databases are tested against.
"""

from __future__ import annotations

from sqlalchemy import or_

from ticketstub_bridge.config import Config
from ticketstub_bridge.storage.database import Clock, Database, StoreError
from ticketstub_bridge.storage.endings import EndingStore, LogoutMessage, is_over
from ticketstub_bridge.storage.events import Event, EventStore
from ticketstub_bridge.storage.grants import Access, AccessToken, Code, Grant, GrantStore, IssuedTokens, RefreshToken
from ticketstub_bridge.storage.keys import KeyStore, StoredKey
from ticketstub_bridge.storage.people import Freshness, Identity, Person, PersonStore, Profile
from ticketstub_bridge.storage.sessions import ConsentStore, Session, SessionStore, Transaction, TransactionStore
from ticketstub_bridge.storage.tables import (
    access_tokens,
    events,
    grants,
    logouts,
    refresh_tokens,
    sessions,
    signing_keys,
    transactions,
)

__all__ = [
    "Access",
    "AccessToken",
    "Clock",
    "Code",
    "Database",
    "Event",
    "Freshness",
    "Grant",
    "Identity",
    "IssuedTokens",
    "LogoutMessage",
    "Person",
    "Profile",
    "RefreshToken",
    "Session",
    "Store",
    "StoreError",
    "StoredKey",
    "Transaction",
]

_DAY = 86400.0


class Store:
    """The operations, by subject.

    Args:
        database: the database.
        config: the configuration, for the lifetimes.
    """

    def __init__(self, database: Database, config: Config) -> None:
        self.database = database
        freshness, lifetimes = Freshness(config.recheck, config.grace), config.lifetimes
        self.people = PersonStore(database)
        self.sessions = SessionStore(
            database, idle=lifetimes.session_idle, longest=lifetimes.session_max, freshness=freshness
        )
        self.transactions = TransactionStore(database, lifetime=lifetimes.transaction)
        self.consents = ConsentStore(database)
        self.grants = GrantStore(database, freshness=freshness, lifetimes=lifetimes)
        self.endings = EndingStore(database)
        self.keys = KeyStore(database)
        self.events = EventStore(database)
        self.freshness = freshness

    def delete_old(self) -> None:
        """Delete what no longer counts. Nothing depends on it but the database's size."""
        now = self.database.now()
        for table, condition in (
            (transactions, transactions.c.expires_at < now - _DAY),
            (access_tokens, access_tokens.c.expires_at < now - _DAY),
            (refresh_tokens, refresh_tokens.c.expires_at < now - _DAY),
            (grants, or_(grants.c.expires_at < now - _DAY, grants.c.ended_at < now - 30 * _DAY)),
            (sessions, is_over(now, 7 * _DAY)),
            (signing_keys, signing_keys.c.expires_at < now - _DAY),
            (events, events.c.at < now - 90 * _DAY),
            (logouts, logouts.c.next_at < now - 7 * _DAY),
        ):
            with self.database.write() as connection:
                connection.execute(table.delete().where(condition))
