"""Database connections: immediate reads, grouped writes, and the base class of the families of operations.

Rule: reads run on the event loop's own connection (10 to 20 µs, faster than a thread) and fetch all their rows, so that
no snapshot stays open. A write returns only after its COMMIT; a failed commit fails every job in the group. Each job
runs in its own savepoint, so that a failed job does not affect the others. After a failed commit the connection is
replaced, because a failed sync may have lost pages.
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
# A row of sqlite3. Its column types depend on the statement and the tables, which no type checker reads.
SqlRow: TypeAlias = tuple[Any, ...]

_MAX_BATCH = 128
_MAX_QUEUE = 1000


class OperationAborted(Exception):
    """A condition of an operation does not hold: the operation is undone and returns `False`."""


class Transaction:
    """Runs statements on one connection. Values are bound to `?1`, `?2` … in their order."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def fetch_all(self, statement: str, *values: object) -> list[SqlRow]:
        """Return all rows."""
        return self.connection.execute(statement, values).fetchall()

    def fetch_one(self, statement: str, *values: object) -> SqlRow | None:
        """Return the first row, or `None`."""
        return next(iter(self.fetch_all(statement, *values)), None)

    def fetch_value(self, kind: type[T], statement: str, *values: object) -> T | None:  # noqa: ARG002
        """Return the first column of the first row, or `None`. `kind` is the column's type, for the type checker."""
        return next((cast("T", row[0]) for row in self.fetch_all(statement, *values)), None)

    def fetch_decoded(self, decode: Callable[[SqlRow], T], statement: str, *values: object) -> T | None:
        """Return what `decode` makes of the first row, or `None`."""
        return next(map(decode, self.fetch_all(statement, *values)), None)

    def has_row(self, statement: str, *values: object) -> bool:
        """Return whether the statement has a result."""
        return self.fetch_one(statement, *values) is not None

    def execute(self, statement: str, *values: object) -> bool:
        """Run a statement that writes, and return whether it changed a row."""
        return self.connection.execute(statement, values).rowcount > 0

    def require(self, condition: object) -> None:
        """Abort the operation, which then returns `False`, unless the condition holds."""
        if not condition:
            raise OperationAborted

    def require_row(self, statement: str, *values: object) -> SqlRow:
        """Return the first row; abort the operation if there is none."""
        rows = self.fetch_all(statement, *values)
        self.require(rows)
        return rows[0]


class ReadConnection(Transaction):
    """Reads on one connection and caches the accounts that it read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.decode_account = lru_cache(4096)(_decode_account)
        """Returns the account of its columns; unchanged accounts come from a cache."""

    def fetch_all(self, statement: str, *values: object) -> list[SqlRow]:
        """Return all rows; raises `StoreUnavailable` if the database cannot be read."""
        try:
            return self.connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot be read: {error}") from error


def _decode_account(row: SqlRow) -> AccountRow:
    return AccountRow(
        id=row[0],
        record=_decode_record(row[1]),
        password_hash=row[2],
        sealed_verification=row[3],
        email_only_auth=bool(row[4]),
        disabled=row[5] is not None,
    )


def _decode_secret(kind: type, value: object) -> object:
    """Decode a secret of a record: only an account's `pin`, which is random. Records never contain tokens."""
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError(f"a {kind.__name__} is never kept in a record")


_decode_record = msgspec.json.Decoder(Account, dec_hook=_decode_secret).decode


class DirectWriter:
    """Writes on the caller's thread, for a database in memory."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.commits = 0
        """The number of transactions, including failed ones. When it rises, what was read before may be out of date."""

    async def run(self, job: Job[T]) -> T:
        """Run a job in its own transaction."""
        try:
            (outcome,) = _commit_together(self._connection, [job])
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot write: {error}") from error
        finally:
            self.commits += 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class ThreadWriter:
    """Writes on a dedicated thread, which commits all waiting jobs together."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = connect()
        self.commits = 0
        """As for `DirectWriter`. It rises after the commit and before a write is acknowledged."""
        self._queue: queue.SimpleQueue[tuple[Job[Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run_jobs, name="ticketstub-writer", daemon=True)
        self._thread.start()

    async def run(self, job: Job[T]) -> T:
        """Queue a job and wait for its commit."""
        if not self._thread.is_alive():
            raise StoreUnavailable("the database is closed")
        if self._queue.qsize() >= _MAX_QUEUE:
            raise StoreUnavailable("too many writes are waiting")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((job, future))
        return await future

    def close(self) -> None:
        """Finish the queued jobs and end the thread."""
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
            outcomes = self._run_batch([work for work, _ in jobs]) if jobs else []
            for (_, future), outcome in zip(jobs, outcomes, strict=True):
                with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits for the outcome
                    future.get_loop().call_soon_threadsafe(_resolve, future, outcome)
        self._drop_connection()

    def _run_batch(self, jobs: Sequence[Job[Any]]) -> list[Any]:
        """Run the jobs and commit."""
        try:
            self._connection = self._connection or self._connect()
            return _commit_together(self._connection, jobs)
        except (sqlite3.Error, StoreError) as error:
            self._drop_connection()
            return [StoreUnavailable(f"the database cannot write: {error}") for _ in jobs]
        finally:
            self.commits += 1

    def _drop_connection(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.close()
        self._connection = None


def _commit_together(connection: sqlite3.Connection, jobs: Sequence[Job[T]]) -> list[T | Exception]:
    """Run jobs in one transaction and commit; return each job's result or exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = [_run_in_savepoint(connection, work) for work in jobs]
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back already
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _run_in_savepoint(connection: sqlite3.Connection, job: Job[T]) -> T | Exception:
    connection.execute("SAVEPOINT job")
    try:
        outcome: T | Exception = job(connection)
    except sqlite3.Error as error:
        outcome = StoreUnavailable(f"the database cannot write: {error}")
    except Exception as error:  # noqa: BLE001  # the caller of `run` gets it
        outcome = error
    if isinstance(outcome, Exception):
        # This fails if SQLite has given up the whole transaction (disk full), and so fails the group.
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")
    return outcome


def _resolve(future: asyncio.Future[Any], outcome: object) -> None:
    if isinstance(outcome, Exception) and not future.done():
        future.set_exception(outcome)
    elif not future.done():
        future.set_result(outcome)


class Repository:
    """A family of operations of a store: coroutines that read immediately, or return once their write is committed."""

    def __init__(self, reader: ReadConnection, writer: DirectWriter | ThreadWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def run_in_transaction(self, work: Callable[[Transaction], T]) -> T:
        """Run statements in one transaction. If `work` raises or returns `False`, nothing is written."""

        def job(connection: sqlite3.Connection) -> T:
            try:
                result = work(Transaction(connection))
            except OperationAborted:
                result = cast("T", False)  # noqa: FBT003
            if cast("object", result) is False:
                connection.execute("ROLLBACK TO job")
            return result

        return await self._writer.run(job)


def transactional(
    work: Callable[Concatenate[RepositoryT, Transaction, P], T],
) -> Callable[Concatenate[RepositoryT, P], Coroutine[Any, Any, T]]:
    """Turn a method that takes a transaction into a coroutine that runs it in one."""

    @wraps(work)
    async def run_operation(repository: RepositoryT, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await repository.run_in_transaction(lambda transaction: work(repository, transaction, *args, **kwargs))

    return run_operation
