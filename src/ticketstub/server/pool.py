"""A bounded pool for work that takes a core: password hashes.

Rule: whoever cannot be served soon is told at once (`Overloaded`), so that token checks go on while sign-ins flood in.
The permit belongs to the job, not to whoever waits for it: a client that goes away frees nothing until a worker has
dropped or done its job. Workers leave the processor to the event loop first, and not to every other program: with the
lowest priority, a hash of 20 ms took seconds where both cores were busy.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
_NICENESS = 5


class Overloaded(Exception):
    """There is more work than can be done soon; nothing was done.

    Attributes:
        retry_after: whole seconds after which to try again.
    """

    retry_after = 1

    def __init__(self) -> None:
        super().__init__("too much is waiting already; try again in a second")


class _Job(msgspec.Struct, Generic[T], eq=False):
    work: Callable[[], T]
    address: str
    since: float
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]


WAITING = 16
"""Jobs that wait at most: half a second of work at 20 to 40 ms each."""


class Pool:
    """A few threads and a short queue.

    Args:
        workers: threads; by default one less than there are cores, at least one.
        waiting: jobs that may wait while all threads are busy.
        per_address: jobs that one address may have in the pool.
        oldest: seconds after which a job that has not begun is dropped: whoever asked has given up. It is no measure of
            load, for on a slow or busy machine one hash can take more than a second.
        clock: seconds that only rise.
    """

    def __init__(
        self,
        workers: int | None = None,
        waiting: int = WAITING,
        *,
        per_address: int = 4,
        oldest: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workers = workers or max(1, (os.cpu_count() or 1) - 1)
        self._permits = self._workers + waiting
        self._per_address = per_address
        self._oldest = oldest
        self._clock = clock
        self._jobs: deque[_Job[object]] = deque()
        self._held: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False

    async def run(self, work: Callable[[], T], address: str) -> T:
        """Do `work` on a worker and return what it returns.

        Raises:
            Overloaded: the queue is full, this address has enough in it, it waited too long, or the pool is closed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job = _Job(work, address, self._clock(), loop, future)
        with self._changed:
            if self._closed or self._held.total() >= self._permits or self._held[address] >= self._per_address:
                raise Overloaded
            self._held[address] += 1
            self._jobs.append(job)  # type: ignore[arg-type]  # a worker only hands the result on
            self._changed.notify()
            self._start()
        return await future

    def close(self) -> None:
        """Let the workers finish what they do now; all that waits ends as `Overloaded`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _start(self) -> None:
        if len(self._threads) < self._workers:
            thread = threading.Thread(target=self._serve, name="ticketstub-hashing", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        _step_back()
        while (job := self._next()) is not None:
            answer = self._do(job)
            with self._changed:
                self._held[job.address] -= 1
                self._held += Counter[str]()  # drops the addresses that hold nothing
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                job.loop.call_soon_threadsafe(answer)

    def _next(self) -> _Job[object] | None:
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            return self._jobs.popleft() if self._jobs else None

    def _do(self, job: _Job[object]) -> Callable[[], None]:
        """Do or drop a job; return what tells whoever waits, to be called on their loop."""
        try:
            if job.future.cancelled() or self._closed or self._clock() - job.since > self._oldest:
                raise Overloaded  # noqa: TRY301  # told as any other end of a job
            result = job.work()
        except Exception as error:  # noqa: BLE001  # it is handed to whoever waits
            failure = error  # `error` is gone when this block ends
            return lambda: None if job.future.done() else job.future.set_exception(failure)
        return lambda: None if job.future.done() else job.future.set_result(result)


def _step_back() -> None:
    """Give this thread a low priority, where threads have one of their own (Linux)."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        if os.getpriority(os.PRIO_PROCESS, thread) < _NICENESS:
            os.setpriority(os.PRIO_PROCESS, thread, _NICENESS)
