"""The two drivers, which run a flow on a transport: `run` for `Plex`, and `arun`, with `await`, for `AsyncPlex`.

Rule: the drivers only perform steps. Everything that both would have to decide is in flows/. A flow can start others
beside it: those are threads for `run` and tasks for `arun`. None of them outlives the flow that started it, and Ctrl-C
or a cancelled task ends them all. Only what a flow detaches goes on, until it ends or the client is closed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from copy import copy
from functools import partial
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeVar, cast

from ticketstub.client.flows.request import (
    Clock,
    Detach,
    Finished,
    Flow,
    Invoke,
    LookUp,
    NextFinished,
    RunBlocking,
    Send,
    Share,
    Sleep,
    Start,
    Step,
)
from ticketstub.client.transports.base import AsyncTransport, BranchingTransport, Transport
from ticketstub.errors import PlexError

if TYPE_CHECKING:  # `Plex` does not load asyncio
    from asyncio import AbstractEventLoop, Task

    from ticketstub.client.config import BackgroundJobs

V = TypeVar("V")

SYSTEM_CLOCK = Clock(time.monotonic, time.time, lambda: int.from_bytes(os.urandom(4), "big") / 2**32)
"""The real clocks and real randomness."""

_POLL_INTERVAL = 0.05  # on Windows, Ctrl-C does not interrupt a wait


def run(flow: Flow[V], transport: Transport, jobs: BackgroundJobs) -> V:
    """Run a flow to its end: perform each step, send its result back, throw its failure in.

    Args:
        flow: the flow.
        transport: what its requests are sent with.
        jobs: what the client runs in the background, and what several callers wait for together.
    """
    branches = Branches(transport, jobs)
    try:
        step = next(flow)
        while True:
            try:
                result = _perform_step(step, transport, branches, jobs)
            except PlexError as failure:
                step = flow.throw(failure)
            except StopIteration as stopped:  # otherwise it would look like the end of the flow
                raise RuntimeError("a token source or transport raised StopIteration") from stopped
            else:
                step = flow.send(result)
    except StopIteration as end:
        return cast("V", end.value)
    finally:
        branches.cancel_all()
        flow.close()


def _perform_step(step: Step, transport: Transport, branches: Branches, jobs: BackgroundJobs) -> object:
    if isinstance(step, Send):
        return transport.send(step.request, deadline=step.deadline, connect_timeout=step.connect_timeout)
    if isinstance(step, Sleep):
        transport.sleep(step.seconds)
        return None
    if isinstance(step, RunBlocking):
        return step.work()
    if isinstance(step, Invoke):
        return step.callback()
    return _perform_parallel_step(step, transport, branches, jobs)


def _perform_parallel_step(
    step: Start | NextFinished | Detach | Share | LookUp,
    transport: Transport,
    branches: Branches,
    jobs: BackgroundJobs,
) -> object:
    if isinstance(step, Start):
        return branches.start(step.flow)
    if isinstance(step, NextFinished):
        return branches.wait(step.seconds)
    if isinstance(step, Detach):
        _detach(step.flow, transport, jobs)
        return None
    if isinstance(step, Share):
        return _share(step, transport, jobs)
    from ticketstub.dns import look_up, resolve_with_system

    try:
        resolver = getattr(transport, "resolver", resolve_with_system)
        return look_up(step.host, step.port, resolver, step.deadline, is_strict=True)
    except OSError as error:
        return error


class Branches:
    """The flows that a flow has started, each on a daemon thread and with a transport that can be aborted."""

    def __init__(self, transport: Transport, jobs: BackgroundJobs) -> None:
        self._transport = transport
        self._jobs = jobs
        self._finished: list[Finished] = []
        self._woken: Event | None = None  # created by the first branch: most flows have none
        self._aborts: dict[int, Callable[[], object]] = {}
        self._count = 0

    def start(self, flow: Flow[object]) -> int:
        """Start a flow and return its number."""
        from ticketstub.dns import DetachedTask  # loads socket

        woken = self._woken = self._woken or Event()
        self._count = number = self._count + 1
        transport, self._aborts[number] = _open_branch(self._transport)

        def work() -> None:
            value, error = _run_to_result(flow, transport, self._jobs)
            self._finished.append(Finished(number, value, error))

        DetachedTask(work, woken.set)
        return number

    def wait(self, seconds: float) -> Finished | None:
        """Return the next branch that has ended; `None` if none has after so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            if self._finished:
                finished = self._finished.pop(0)
                del self._aborts[finished.number]
                return finished
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return None
            if self._woken is None:
                self._transport.sleep(remaining)
            elif self._woken.wait(min(remaining, _POLL_INTERVAL)):
                self._woken.clear()

    def cancel_all(self) -> None:
        """Abort what still runs, and drop its results."""
        while self._aborts:
            self._aborts.popitem()[1]()


def _open_branch(transport: Transport) -> tuple[Transport, Callable[[], object]]:
    """Return a transport for another thread, and the function that aborts its request, if that is possible."""
    if isinstance(transport, BranchingTransport):
        branch = transport.open_branch()
        return branch, branch.abort
    return transport, lambda: None


def _run_to_result(
    flow: Flow[object], transport: Transport, jobs: BackgroundJobs
) -> tuple[object, BaseException | None]:
    try:
        return run(flow, transport, jobs), None
    except BaseException as error:  # noqa: BLE001  # the flow that waits for it decides
        return None, error


def _detach(flow: Flow[object], transport: Transport, jobs: BackgroundJobs) -> None:
    from ticketstub.dns import DetachedTask

    branch, abort = _open_branch(transport)
    jobs.add(abort)

    def work() -> None:
        _run_to_result(flow, branch, jobs)
        jobs.discard(abort)

    DetachedTask(work, lambda: None)


class _SharedRun:
    """One run of a flow that several threads wait for."""

    def __init__(self) -> None:
        self.done = Event()
        self.value: object = None
        self.error: BaseException | None = None
        self.is_abandoned = True


_share_lock = Lock()


def _share(step: Share, transport: Transport, jobs: BackgroundJobs) -> object:
    """Run a flow for all threads that ask for it now. If the one that runs it is interrupted, another one does."""
    while True:
        with _share_lock:
            current = jobs.shared.get(step.key)
            is_leader = current is None
            if current is None:
                current = jobs.shared[step.key] = _SharedRun()
        shared = cast("_SharedRun", current)
        if is_leader:
            return _lead(step, shared, transport, jobs)
        while not shared.done.wait(_POLL_INTERVAL):
            pass
        if shared.error is not None:
            raise copy(shared.error)
        if not shared.is_abandoned:
            return shared.value


def _lead(step: Share, shared: _SharedRun, transport: Transport, jobs: BackgroundJobs) -> object:
    try:
        shared.value = run(step.create_flow(), transport, jobs)
        shared.is_abandoned = False
    except PlexError as error:
        shared.error = copy(error)
        raise
    finally:
        with _share_lock:
            del jobs.shared[step.key]
        shared.done.set()
    return shared.value


async def arun(flow: Flow[V], transport: AsyncTransport, jobs: BackgroundJobs) -> V:
    """As `run`, with `await`."""
    branches = AsyncBranches(transport, jobs)
    try:
        step = next(flow)
        while True:
            try:
                result = await _aperform_step(step, transport, branches, jobs)
            except PlexError as failure:
                step = flow.throw(failure)
            else:
                step = flow.send(result)
    except StopIteration as end:
        return cast("V", end.value)
    finally:
        await branches.cancel_all()
        flow.close()


async def _aperform_step(
    step: Step, transport: AsyncTransport, branches: AsyncBranches, jobs: BackgroundJobs
) -> object:
    if isinstance(step, Send):
        return await transport.send(step.request, deadline=step.deadline, connect_timeout=step.connect_timeout)
    if isinstance(step, Sleep):
        await transport.sleep(step.seconds)
        return None
    if isinstance(step, RunBlocking):
        from asyncio import to_thread  # `Plex` does not load asyncio

        return await to_thread(step.work)
    if isinstance(step, Invoke):
        from inspect import isawaitable  # not needed by most programs

        result = step.callback()
        return await result if isawaitable(result) else result
    return await _aperform_parallel_step(step, transport, branches, jobs)


async def _aperform_parallel_step(
    step: Start | NextFinished | Detach | Share | LookUp,
    transport: AsyncTransport,
    branches: AsyncBranches,
    jobs: BackgroundJobs,
) -> object:
    if isinstance(step, Start):
        return branches.start(step.flow)
    if isinstance(step, NextFinished):
        return await branches.wait(step.seconds)
    if isinstance(step, Detach):
        _adetach(step.flow, transport, jobs)
        return None
    if isinstance(step, Share):
        return await _ashare(step, transport, jobs)
    from asyncio import timeout

    from ticketstub.dns import alook_up, resolve_with_system

    try:
        resolver = getattr(transport, "resolver", resolve_with_system)
        async with timeout(max(0.0, step.deadline - time.monotonic())):
            return await alook_up(step.host, step.port, resolver, is_strict=True)
    except OSError as error:
        return error


class AsyncBranches:
    """The flows that a flow has started, each in a task."""

    def __init__(self, transport: AsyncTransport, jobs: BackgroundJobs) -> None:
        self._transport = transport
        self._jobs = jobs
        self._tasks: dict[int, Task[object]] = {}
        self._count = 0

    def start(self, flow: Flow[object]) -> int:
        """Start a flow and return its number."""
        from asyncio import create_task

        self._count += 1
        self._tasks[self._count] = create_task(arun(flow, self._transport, self._jobs))
        return self._count

    async def wait(self, seconds: float) -> Finished | None:
        """Return the next branch that has ended; `None` if none has after so many seconds."""
        from asyncio import FIRST_COMPLETED, wait

        if not self._tasks:
            await self._transport.sleep(seconds)
            return None
        done, _ = await wait(self._tasks.values(), timeout=max(0.0, seconds), return_when=FIRST_COMPLETED)
        for number, task in self._tasks.items():
            if task in done:
                del self._tasks[number]
                error = task.exception()
                return Finished(number, None if error else task.result(), error)
        return None

    async def cancel_all(self) -> None:
        """Cancel what still runs, and wait until its connections are closed."""
        if self._tasks:
            tasks, self._tasks = list(self._tasks.values()), {}
            await _end_tasks(tasks)


async def _end_tasks(tasks: list[Task[object]]) -> None:
    from asyncio import gather

    for task in tasks:
        task.cancel()
    await gather(*tasks, return_exceptions=True)


def _adetach(flow: Flow[object], transport: AsyncTransport, jobs: BackgroundJobs) -> None:
    from asyncio import create_task

    task = create_task(arun(flow, transport, jobs))
    jobs.add(task.cancel)

    def forget(ended: Task[object]) -> None:
        jobs.discard(task.cancel)
        if not ended.cancelled():
            ended.exception()  # nobody else asks for it

    task.add_done_callback(forget)


class _SharedTask:
    """One run of a flow that several tasks of one event loop wait for."""

    def __init__(self, task: Task[object]) -> None:
        self.task = task
        self.waiting = 0


async def _ashare(step: Share, transport: AsyncTransport, jobs: BackgroundJobs) -> object:
    """Run a flow for all tasks that ask for it now, until the last of them is cancelled."""
    from asyncio import create_task, get_running_loop, shield

    key: tuple[AbstractEventLoop, object] = (get_running_loop(), step.key)
    shared = cast("_SharedTask | None", jobs.shared.get(key))
    if shared is None:
        shared = jobs.shared[key] = _SharedTask(create_task(arun(step.create_flow(), transport, jobs)))
        shared.task.add_done_callback(partial(_forget_shared, jobs, key))
    shared.waiting += 1
    try:
        return await shield(shared.task)
    except PlexError as error:
        raise copy(error) from None
    finally:
        shared.waiting -= 1
        if not shared.waiting and not shared.task.done():
            jobs.shared.pop(key, None)
            await _end_tasks([shared.task])


def _forget_shared(jobs: BackgroundJobs, key: object, task: Task[object]) -> None:
    if (shared := jobs.shared.get(key)) is not None and cast("_SharedTask", shared).task is task:
        del jobs.shared[key]
    if not task.cancelled():
        task.exception()
