"""Flows that run beside others: on threads for `Plex`, in tasks for `AsyncPlex`.

Rule: none outlives the flow that started it, and Ctrl-C or a cancelled task ends them all. Only what a flow detaches
goes on, until it ends or the client is closed. A shared flow runs once for all callers that ask for it at the same
time. If the thread that runs it is interrupted, another one runs it again; a shared task ends with its last caller.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine
from copy import copy
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ticketstub.client.config import BackgroundJobs
from ticketstub.client.flows.request import Detach, Finished, Flow, LookUp, NextFinished, RunShared, Start
from ticketstub.client.transports.base import AsyncTransport, BranchingTransport, Transport
from ticketstub.dns import DetachedTask, Resolver, alook_up, look_up, resolve_with_system
from ticketstub.errors import PlexError

if TYPE_CHECKING:  # `Plex` does not load asyncio
    from asyncio import Task

ParallelStep: TypeAlias = Start | NextFinished | Detach | RunShared | LookUp
Run: TypeAlias = Callable[[Flow[object], Transport, BackgroundJobs], object]
AsyncRun: TypeAlias = Callable[[Flow[object], AsyncTransport, BackgroundJobs], Coroutine[Any, Any, object]]

_POLL_INTERVAL = 0.05  # on Windows, Ctrl-C does not interrupt a wait


def _get_resolver(transport: Transport | AsyncTransport) -> Resolver:
    return cast("Resolver", getattr(transport, "resolver", resolve_with_system))


class ParallelFlows:
    """The flows that a flow has started, each on a daemon thread and with a transport that can be aborted.

    Args:
        transport: what their requests are sent with.
        jobs: what the client runs in the background.
        run: runs a flow to its end.
    """

    def __init__(self, transport: Transport, jobs: BackgroundJobs, run: Run) -> None:
        self._transport = transport
        self._jobs = jobs
        self._run = run
        self._finished: list[Finished] = []
        self._woken = Event()
        self._aborts: dict[int, Callable[[], object]] = {}
        self._count = 0

    def perform(self, step: ParallelStep) -> object:
        """Perform a step and return its result."""
        if isinstance(step, Start):
            return self._start(step.flow)
        if isinstance(step, NextFinished):
            return self._wait(step.seconds)
        if isinstance(step, RunShared):
            return self._share(step)
        if isinstance(step, Detach):
            self._detach(step.flow)
            return None
        try:
            return look_up(step.host, step.port, _get_resolver(self._transport), step.deadline, is_strict=True)
        except OSError as error:
            return error

    def cancel_all(self) -> None:
        """Abort what still runs, and drop its results."""
        while self._aborts:
            self._aborts.popitem()[1]()

    def _start(self, flow: Flow[object]) -> int:
        self._count = number = self._count + 1
        transport, self._aborts[number] = self._open_branch()
        work = partial(self._run_to_result, flow, transport)
        DetachedTask(lambda: self._finished.append(Finished(number, *work())), self._woken.set)
        return number

    def _open_branch(self) -> tuple[Transport, Callable[[], object]]:
        """Return a transport for another thread, and the function that aborts its request, if that is possible."""
        if isinstance(self._transport, BranchingTransport):
            branch = self._transport.open_branch()
            return branch, branch.abort
        return self._transport, lambda: None

    def _run_to_result(self, flow: Flow[object], transport: Transport) -> tuple[object, BaseException | None]:
        try:
            return self._run(flow, transport, self._jobs), None
        except BaseException as error:  # noqa: BLE001  # the flow that waits for it decides
            return None, error

    def _wait(self, seconds: float) -> Finished | None:
        """Return the next flow that has ended; `None` if none has after so many seconds."""
        deadline = time.monotonic() + seconds
        while not self._finished:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return None
            self._woken.wait(min(remaining, _POLL_INTERVAL))
            self._woken.clear()
        finished = self._finished.pop(0)
        del self._aborts[finished.number]
        return finished

    def _detach(self, flow: Flow[object]) -> None:
        branch, abort = self._open_branch()
        self._jobs.add(abort)
        work = partial(self._run_to_result, flow, branch)
        DetachedTask(work, partial(self._jobs.discard, abort))

    def _share(self, step: RunShared) -> object:
        key = (os.getpid(), step.key)  # a forked child has no thread that could end the parent's run
        while True:
            mine = _SharedRun()
            try:
                current = self._jobs.shared.setdefault(key, mine)  # atomic: a lock could be inherited by a fork
                if current is mine:
                    return self._lead(step, mine)
            finally:  # Ctrl-C too, at any moment
                if self._jobs.shared.get(key) is mine:
                    del self._jobs.shared[key]
                mine.done.set()
            current = cast("_SharedRun", current)
            while not current.done.wait(_POLL_INTERVAL):
                pass
            if current.error is not None:
                raise copy(current.error)
            if not current.is_interrupted:
                return current.value

    def _lead(self, step: RunShared, shared: _SharedRun) -> object:
        """Run a shared flow for this thread and all that wait for it."""
        try:
            shared.value = self._run(step.create_flow(), self._transport, self._jobs)
            shared.is_interrupted = False
        except PlexError as error:
            shared.error = copy(error)
            raise
        return shared.value


class _SharedRun:
    """One run of a flow that several threads wait for."""

    def __init__(self) -> None:
        self.done = Event()
        self.value: object = None
        self.error: PlexError | None = None
        self.is_interrupted = True


class AsyncParallelFlows:
    """As `ParallelFlows`, each in a task."""

    def __init__(self, transport: AsyncTransport, jobs: BackgroundJobs, run: AsyncRun) -> None:
        self._transport = transport
        self._jobs = jobs
        self._run = run
        self._tasks: dict[int, Task[object]] = {}
        self._count = 0

    async def perform(self, step: ParallelStep) -> object:
        """Perform a step and return its result."""
        if isinstance(step, Start):
            return self._start(step.flow)
        if isinstance(step, NextFinished):
            return await self._wait(step.seconds)
        if isinstance(step, RunShared):
            return await self._share(step)
        if isinstance(step, Detach):
            self._detach(step.flow)
            return None
        from asyncio import timeout

        try:
            async with timeout(max(0.0, step.deadline - time.monotonic())):
                return await alook_up(step.host, step.port, _get_resolver(self._transport), is_strict=True)
        except OSError as error:
            return error

    async def cancel_all(self) -> None:
        """Cancel what still runs, and wait until its connections are closed."""
        if self._tasks:
            tasks, self._tasks = list(self._tasks.values()), {}
            await _end_tasks(tasks)

    def _create_task(self, flow: Flow[object]) -> Task[object]:
        from asyncio import create_task

        return create_task(self._run(flow, self._transport, self._jobs))

    def _start(self, flow: Flow[object]) -> int:
        self._count += 1
        self._tasks[self._count] = self._create_task(flow)
        return self._count

    async def _wait(self, seconds: float) -> Finished | None:
        """Return the next flow that has ended; `None` if none has after so many seconds."""
        from asyncio import FIRST_COMPLETED, sleep, wait

        if not self._tasks:
            await sleep(seconds)
            return None
        done, _ = await wait(self._tasks.values(), timeout=max(0.0, seconds), return_when=FIRST_COMPLETED)
        for number, task in self._tasks.items():
            if task in done:
                del self._tasks[number]
                if task.cancelled():  # by a hook or a transport, not by this flow
                    return Finished(number, None, RuntimeError("a task that the program passed was cancelled"))
                error = task.exception()
                return Finished(number, None if error else task.result(), error)
        return None

    def _detach(self, flow: Flow[object]) -> None:
        task = self._create_task(flow)
        self._jobs.add(task.cancel)
        task.add_done_callback(partial(_forget_job, self._jobs))

    async def _share(self, step: RunShared) -> object:
        from asyncio import get_running_loop, shield

        key = (get_running_loop(), step.key)
        shared = cast("_SharedTask | None", self._jobs.shared.get(key))
        if shared is None:
            shared = self._jobs.shared[key] = _SharedTask(self._create_task(step.create_flow()))
            shared.task.add_done_callback(partial(self._forget_shared, key, shared))
        shared.waiting += 1
        try:
            return await shield(shared.task)
        except PlexError as error:
            raise copy(error) from None
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.task.done():  # the last caller was cancelled
                self._forget_shared(key, shared)  # nobody else may wait for a run that is cancelled
                await _end_tasks([shared.task])

    def _forget_shared(self, key: object, run: _SharedTask, _task: Task[object] | None = None) -> None:
        if self._jobs.shared.get(key) is run:
            del self._jobs.shared[key]


class _SharedTask:
    """One run of a flow that several tasks wait for."""

    def __init__(self, task: Task[object]) -> None:
        self.task = task
        self.waiting = 0


async def _end_tasks(tasks: list[Task[object]]) -> None:
    from asyncio import gather

    for task in tasks:
        task.cancel()
    await gather(*tasks, return_exceptions=True)


def _forget_job(jobs: BackgroundJobs, task: Task[object]) -> None:
    jobs.discard(task.cancel)
    if not task.cancelled():
        task.exception()  # nobody else asks for it
