"""The connections to a database: reading at once, writing in groups, and what the families of operations stand on.

Rule: reads run at once on the event loop's own connection (10 to 20 µs, less than handing them to a thread) and take
all their rows, so that no snapshot stays open behind them. A job that writes is answered only after the COMMIT that
holds it returned, and a commit that fails fails every job in it. Each job runs in its own savepoint, so that one that
fails takes no other with it. After a failed commit the connection is not trusted any more and a new one is made (a
failed sync may have lost pages).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import lru_cache, wraps
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast

import msgspec

from ticketstub.local_plex.storage.base import AccountRow, StoreError, StoreUnavailable
from ticketstub.models import Account
from ticketstub.tokens import Secret

T = TypeVar("T")
P = ParamSpec("P")
RepositoryT = TypeVar("RepositoryT", bound="Repository")
Job: TypeAlias = Callable[[sqlite3.Connection], T]
# A row of sqlite3: the types of its columns are those of the statement and the tables, which no checker reads.
SqlRow: TypeAlias = tuple[Any, ...]

_MAX_BATCH = 128
_MAX_QUEUE = 1000


class Transaction:
    """Runs statements on one connection. Values are bound to `?1`, `?2` … in their order."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def fetch_all(self, statement: str, *values: object) -> list[SqlRow]:
        """Return all rows."""
        return self.connection.execute(statement, values).fetchall()

    def fetch_one(self, statement: str, *values: object) -> SqlRow | None:
        """Return the first row, if there is one."""
        rows = self.fetch_all(statement, *values)
        return rows[0] if rows else None

    def fetch_value(self, statement: str, *values: object) -> Any:  # noqa: ANN401  # as a column's
        """Return the first column of the first row; `None` where there is no row."""
        row = self.fetch_one(statement, *values)
        return row[0] if row else None

    def has_row(self, statement: str, *values: object) -> bool:
        """Tell whether there is such a row."""
        return self.fetch_one(statement, *values) is not None

    def execute(self, statement: str, *values: object) -> bool:
        """Run a statement that writes; tell whether it changed a row."""
        return self.connection.execute(statement, values).rowcount > 0


class ReadConnection(Transaction):
    """Reads on one connection, and remembers the accounts that it read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._build_account = lru_cache(4096)(_build_account)

    def fetch_all(self, statement: str, *values: object) -> list[SqlRow]:
        """Return all rows; raises `StoreUnavailable`."""
        try:
            return self.connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot be read: {error}") from error

    def decode_account(self, row: SqlRow) -> AccountRow:
        """Make an account of its columns: the one made before, where none of them changed."""
        return self._build_account(*row)


def _build_account(
    account_id: int,
    record: bytes,
    password_hash: str | None,
    sealed_verification: bytes | None,
    email_only_auth: int,
    disabled_at: int | None,
) -> AccountRow:
    return AccountRow(
        id=account_id,
        record=_decode_account(record),
        password_hash=password_hash,
        sealed_verification=sealed_verification,
        email_only_auth=bool(email_only_auth),
        disabled=disabled_at is not None,
    )


def _decode_secret(kind: type, value: object) -> object:
    """Read a secret text of a record: an account's `pin` is random (see seed.py), and tokens are never kept in one."""
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError(f"a {kind.__name__} is never kept in a record")


_decode_account = msgspec.json.Decoder(Account, dec_hook=_decode_secret).decode


class DirectWriter:
    """Writes on the caller's thread: for a database in memory, where nothing is waited for."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def run(self, job: Job[T]) -> T:
        """Run a job in a transaction of its own."""
        try:
            (outcome,) = _commit_together(self._connection, [job])
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot write: {error}") from error
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class ThreadWriter:
    """Writes on one thread of its own, which commits all jobs that wait in one go."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = connect()
        self._queue: queue.SimpleQueue[tuple[Job[Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run_jobs, name="ticketstub-writer", daemon=True)
        self._thread.start()

    async def run(self, job: Job[T]) -> T:
        """Hand a job to the thread and wait for its commit."""
        if self._closed:
            raise StoreUnavailable("the database is closed")
        if self._queue.qsize() >= _MAX_QUEUE:
            raise StoreUnavailable("too many writes are waiting")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((job, future))
        return await future

    def close(self) -> None:
        """Let the thread finish what waits, and end it."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run_jobs(self) -> None:
        is_running = True
        while is_running:
            group = [self._queue.get()]
            while group[-1] is not None and len(group) < _MAX_BATCH and not self._queue.empty():
                group.append(self._queue.get())
            jobs = [job for job in group if job is not None]
            is_running = len(jobs) == len(group)
            outcomes = self._run_batch([work for work, _ in jobs])
            for (_, future), outcome in zip(jobs, outcomes, strict=True):
                with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                    future.get_loop().call_soon_threadsafe(_resolve, future, outcome)
        self._drop_connection()

    def _run_batch(self, jobs: Sequence[Job[Any]]) -> list[Any]:
        """Run the jobs and commit."""
        if not jobs:
            return []
        try:
            self._connection = self._connection or self._connect()
            return _commit_together(self._connection, jobs)
        except (sqlite3.Error, StoreError) as error:
            self._drop_connection()
            return [StoreUnavailable(f"the database cannot write: {error}") for _ in jobs]

    def _drop_connection(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.close()
        self._connection = None


Writer: TypeAlias = DirectWriter | ThreadWriter


def _commit_together(connection: sqlite3.Connection, jobs: Sequence[Job[T]]) -> list[T | Exception]:
    """Run jobs in one transaction and commit; an answer that is an exception is that job's alone."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = [_run_in_savepoint(connection, work) for work in jobs]
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back already, and the cause is known
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _run_in_savepoint(connection: sqlite3.Connection, job: Job[T]) -> T | Exception:
    connection.execute("SAVEPOINT job")
    try:
        outcome: T | Exception = job(connection)
    except sqlite3.Error as error:
        outcome = StoreUnavailable(f"the database cannot write: {error}")
    except Exception as error:  # noqa: BLE001  # it is handed to whoever waits
        outcome = error
    if isinstance(outcome, Exception):
        # This fails where SQLite gave up the whole transaction (disk full), and so ends the group.
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")
    return outcome


def _resolve(future: asyncio.Future[Any], outcome: object) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


class Repository:
    """Some operations of a store: coroutines that read at once, or are answered once what they wrote is committed."""

    def __init__(self, reader: ReadConnection, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def run_in_transaction(self, work: Callable[[Transaction], T]) -> T:
        """Run statements in one transaction; what raises or answers `False` has written nothing."""

        def job(connection: sqlite3.Connection) -> T:
            result = work(Transaction(connection))
            if cast("object", result) is False:
                connection.execute("ROLLBACK TO job")
            return result

        return await self._writer.run(job)


def transactional(
    work: Callable[Concatenate[RepositoryT, Transaction, P], T],
) -> Callable[Concatenate[RepositoryT, P], Coroutine[Any, Any, T]]:
    """Make an operation of what it does inside a transaction, which is no argument of the caller's."""

    @wraps(work)
    async def run_operation(repository: RepositoryT, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await repository.run_in_transaction(lambda transaction: work(repository, transaction, *args, **kwargs))

    return run_operation
