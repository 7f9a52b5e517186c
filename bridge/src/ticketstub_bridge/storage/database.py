"""The connection to the database: SQLite or PostgreSQL, its transactions and its clock.

Rule: a write is acknowledged after it is on the disk. On SQLite every write begins with BEGIN IMMEDIATE, and writers of
one process wait for each other here, which is fair, not in SQLite, which is not. On PostgreSQL the time is the
database's, so that replicas agree. Whatever fails raises an `SQLAlchemyError`, which the application answers with 503.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Double,
    Engine,
    and_,
    bindparam,
    cast,
    create_engine,
    event,
    extract,
    func,
    select,
)
from sqlalchemy.exc import IntegrityError

from ticketstub_bridge.storage.tables import meta

SCHEMA_VERSION = "0001"
"""The last migration that this code needs."""

MAX_ERROR = 60.0
"""Seconds by which a stored time may be ahead of the clock. More means that the clock was set back."""

_WAIT = 5
_READS = {"isolation_level": "AUTOCOMMIT"}
_SQLITE_READS = {"ticketstub_reads": True}


class StoreError(Exception):
    """The database cannot be used by this bridge, and trying again does not help."""


class Clock:
    """The time, and what tests do to it.

    Attributes:
        offset: seconds that have passed only in the test.
        error: by how many seconds the clock is wrong.
    """

    def __init__(self) -> None:
        self.offset = 0.0
        self.error = 0.0

    def __call__(self) -> float:
        """Return the seconds since 1970."""
        return time.time() + self.offset + self.error

    def steady(self) -> float:
        """Return seconds that only ever grow, whatever is done to the clock."""
        return time.monotonic() + self.offset


class Database:
    """A database and its clock.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.
        clock: the time; on PostgreSQL, only its offset and error are used.
        connections: how many connections are open at most.

    Raises:
        OSError: the SQLite file cannot be created.

    Attributes:
        writes: how many transactions of this process have ended; it changes before a write is acknowledged.
    """

    def __init__(self, url: str, clock: Clock | None = None, *, connections: int = 8) -> None:
        self.clock = clock or Clock()
        self.writes = 0
        self._count = itertools.count(1)  # no number comes twice, whichever threads end at once
        self.is_sqlite = url.startswith("sqlite")
        self._engine = _create_engine(url, connections)
        self._reading_engine = self._engine.execution_options(**(_SQLITE_READS if self.is_sqlite else _READS))
        self._now = self._create_now()
        self._write_lock = threading.Lock() if self.is_sqlite else nullcontext()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._engine.dialect.name}>"

    def _create_now(self) -> ColumnElement[float]:
        if self.is_sqlite:
            return bindparam("clock", callable_=self.clock, type_=Double)
        offset = bindparam("clock_offset", callable_=lambda: self.clock.offset + self.clock.error, type_=Double)
        return cast(extract("epoch", func.clock_timestamp()), Double) + offset

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Open a connection for reading, without a transaction: each statement sees what was committed before it."""
        with self._reading_engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """Open a transaction, which is committed at the end of the block."""
        try:
            with self._write_lock, self._engine.begin() as connection:
                yield connection
        finally:
            self.writes = next(self._count)

    def now(self) -> ColumnElement[float]:
        """The current time as SQL: that of the statement's execution, so that a statement can be built once."""
        return self._now

    def get_time(self) -> float:
        """Ask for the current time; on PostgreSQL also shows that the database answers."""
        with self.read() as connection:
            return float(connection.execute(select(self.now())).scalar_one())

    def check_schema(self) -> None:
        """Check that the tables are those of this code.

        Raises:
            StoreError: they are older. Newer ones are accepted: a migration never takes away what older code needs.
        """
        from sqlalchemy import inspect, text

        with self.read() as connection:
            has_tables = inspect(connection).has_table("alembic_version")
            version = (
                connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if has_tables else None
            )
        if version is None or str(version) < SCHEMA_VERSION:
            raise StoreError(
                "the database was not migrated: ticketstub bridge serve does it, or ticketstub bridge migrate"
            )

    def check_key(self, fingerprint: str, *, may_store: bool = True) -> None:
        """Compare the key of this bridge with the one that the database was first used with.

        Args:
            fingerprint: the key's.
            may_store: whether to store it in a database that was not used yet.

        Raises:
            StoreError: it is another one.
        """
        query = select(meta.c.value).where(meta.c.name == "key")
        with self.read() as connection:
            known = connection.execute(query).scalar()
        if known is None and not may_store:
            return
        if known is None:
            try:
                with self.write() as connection:
                    connection.execute(meta.insert().values(name="key", value=fingerprint))
                known = fingerprint
            except IntegrityError:  # a replica that started at the same moment has just stored its key
                with self.read() as connection:
                    known = connection.execute(query).scalar()
        if known != fingerprint:
            raise StoreError(
                "bridge.key is not the key of this database: restore the right one from your backup. Without it, "
                "the signing keys and Plex tokens in the database are lost: begin with a new database"
            )

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def is_current(until: ColumnElement[float], now: ColumnElement[float], seconds: float) -> ColumnElement[bool]:
    """Whether what lives for so many seconds still counts: it has not expired, and did not begin in the future.

    After the clock was set back, expired things would count again. Most of them are from the future then, and refused.
    """
    return and_(until > now, until <= now + (seconds + MAX_ERROR))


def _create_file(path: str) -> None:
    """Create an SQLite file that only its owner can read; SQLite gives the files beside it the same mode."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _create_engine(url: str, connections: int) -> Engine:
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        _create_file(path)
        engine = create_engine(
            URL.create("sqlite", database=path),  # SQLAlchemy would read `%20` and `?` in a path as something else
            pool_size=connections,
            max_overflow=0,
            pool_timeout=_WAIT,
            connect_args={"timeout": _WAIT},
        )
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    # A cut connection is noticed within seconds: an answer that is late is a 503.
    return create_engine(
        "postgresql+psycopg://" + url.partition("://")[2],
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_WAIT,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 3,
            "options": f"-c statement_timeout={_WAIT}s -c lock_timeout={_WAIT}s -c synchronous_commit=on",
            "tcp_user_timeout": _WAIT * 1000,
        },
    )


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401  # sqlite3's, by SQLAlchemy's event
    connection.isolation_level = None  # `_begin_sqlite` begins the transactions
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    if "ticketstub_reads" not in connection.get_execution_options():
        connection.exec_driver_sql("BEGIN IMMEDIATE")
