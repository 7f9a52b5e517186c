"""Writing to SQLite: one job at a time, many jobs a commit.

Rule: a job's answer is given only after the COMMIT that holds it returned, and a commit that fails fails every job in
it. Each job runs in its own savepoint, so that one that fails takes no other with it. After a failed commit the
connection is not trusted any more and a new one is made (a failed sync may have lost pages).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from ticketstub.server.store.base import StoreError, StoreUnavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Connect = Callable[[], sqlite3.Connection]

_LARGEST_GROUP = 128
_LONGEST_QUEUE = 1000


class Writer(Protocol):
    """Whatever runs jobs that write."""

    async def run(self, work: Work[T]) -> T:
        """Run a job in a transaction and return its answer once that is committed."""
        ...

    def close(self) -> None:
        """Finish what was begun and close the connection."""
        ...


class DirectWriter:
    """Writes on the caller's thread: for a database in memory, where nothing is waited for."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def run(self, work: Work[T]) -> T:
        """Run a job in a transaction of its own."""
        try:
            return _unwrap(_commit_together(self._connection, [work])[0])
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot write: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class _Job(msgspec.Struct, Generic[T], eq=False):
    work: Work[T]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]


class ThreadWriter:
    """Writes on one thread of its own, which commits all jobs that wait in one go."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = connect()
        self._queue: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="ticketstub-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Work[T]) -> T:
        """Hand a job to the thread and wait for its commit."""
        if self._closed:
            raise StoreUnavailable("the database is closed")
        if self._queue.qsize() >= _LONGEST_QUEUE:
            raise StoreUnavailable("too many writes are waiting")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Job(work, loop, future))  # type: ignore[arg-type]  # the thread only hands the answer on
        return await future

    def close(self) -> None:
        """Let the thread finish what waits, and end it."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        going = True
        while going:
            group = [self._queue.get()]
            while group[-1] is not None and len(group) < _LARGEST_GROUP:
                try:
                    group.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            jobs = [job for job in group if job is not None]
            going = len(jobs) == len(group)
            self._answer(jobs)
        self._drop_connection()

    def _answer(self, jobs: Sequence[_Job[object]]) -> None:
        """Run the jobs, commit, and only then tell those who wait."""
        outcomes = self._outcomes(jobs) if jobs else []
        for job, outcome in zip(jobs, outcomes, strict=True):
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                job.loop.call_soon_threadsafe(_resolve, job.future, outcome)

    def _outcomes(self, jobs: Sequence[_Job[object]]) -> list[object]:
        try:
            self._connection = self._connection or self._connect()
            return _commit_together(self._connection, [job.work for job in jobs])
        except (sqlite3.Error, StoreError) as error:
            self._drop_connection()
            return [StoreUnavailable(f"the database cannot write: {error}") for _ in jobs]

    def _drop_connection(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.close()
        self._connection = None


def _unwrap(outcome: T | Exception) -> T:
    """Return a job's answer or raise the error it ended with."""
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _commit_together(connection: sqlite3.Connection, works: Sequence[Work[T]]) -> list[T | Exception]:
    """Run jobs in one transaction and commit; an answer that is an exception is that job's alone."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = [_in_savepoint(connection, work) for work in works]
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back already, and the cause is known
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _in_savepoint(connection: sqlite3.Connection, work: Work[T]) -> T | Exception:
    connection.execute("SAVEPOINT job")
    try:
        outcome: T | Exception = work(connection)
    except sqlite3.Error as error:
        outcome = StoreUnavailable(f"the database cannot write: {error}")
    except Exception as error:  # noqa: BLE001  # it is handed to whoever waits
        outcome = error
    if isinstance(outcome, Exception):
        # This fails where SQLite gave up the whole transaction (disk full), and so ends the group.
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")
    return outcome


def _resolve(future: asyncio.Future[object], outcome: object) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
