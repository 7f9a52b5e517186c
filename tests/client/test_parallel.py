"""Flows beside others: what is aborted, shared and left in the background, on real threads and tasks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.client.doubles import AsyncRecording, Recording
from tests.client.transports import hostile
from ticketstub.client.config import BackgroundJobs
from ticketstub.client.driver import arun, run
from ticketstub.client.flows.request import Detach, NextFinished, RunBlocking, RunShared, Send, Sleep, Start
from ticketstub.client.transports.http1 import StandardTransport
from ticketstub.errors import PlexError, Unreachable
from ticketstub.messages import Request

Flow = Generator[Any, Any, Any]


def get(url: str) -> Send:
    """A request that nothing answers in time if the server does not."""
    return Send(Request("t", "GET", url, {}), time.monotonic() + 30, 30)


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def count_threads() -> int:
    return sum(thread.name == "ticketstub-detached" for thread in threading.enumerate())


def test_a_started_flow_is_aborted_with_its_starter() -> None:
    """When a flow ends, the request of one that it started is aborted, and its thread and connection are gone."""
    with hostile.Server(hostile.silent) as server:
        transport = StandardTransport()

        def child() -> Flow:
            yield get(server.url)

        def main() -> Flow:
            yield Start(child())
            yield RunBlocking(lambda: wait_for(lambda: server.requests))
            return "done"

        before = count_threads()
        assert "done" == run(main(), transport, BackgroundJobs())
        assert server.ended.wait(60)
        wait_for(lambda: count_threads() <= before)


def test_a_flow_that_has_ended_aborts_no_other_request() -> None:
    """A connection that a started flow has returned to the pool is not shut down when its starter ends."""
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        transport = StandardTransport()
        ended = threading.Event()

        def child() -> Flow:
            yield get(server.url)
            ended.set()

        def main() -> Flow:
            yield Start(child())
            yield RunBlocking(ended.wait)  # its end is never asked for

        run(main(), transport, BackgroundJobs())
        transport.send(get(server.url).request, deadline=time.monotonic() + 30, connect_timeout=30)
        assert 1 == server.connections
        transport.close()


def test_callers_share_a_run() -> None:
    """Threads that ask for the same at the same time share one run, its value, and copies of its error."""
    jobs, transport = BackgroundJobs(), Recording()
    release, runs = threading.Event(), list[str]()

    def shared() -> Flow:
        runs.append("run")
        yield RunBlocking(release.wait)
        raise Unreachable("no", sent=False)

    def caller() -> Flow:
        yield RunShared("key", shared)

    errors: list[PlexError] = []

    def work() -> None:
        try:
            run(caller(), transport, jobs)
        except PlexError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    wait_for(lambda: runs)
    time.sleep(0.1)
    release.set()
    for thread in threads:
        thread.join()
    assert ["run"] == runs
    assert 20 == len({id(error) for error in errors})
    assert {} == jobs.shared


def test_callers_share_a_value() -> None:
    """Threads that wait for a run that succeeds get its value, and do not run it again."""
    jobs, transport = BackgroundJobs(), Recording()
    release, runs, values = threading.Event(), list[str](), list[object]()

    def shared() -> Flow:
        runs.append("run")
        yield RunBlocking(release.wait)
        return "value"

    def caller() -> Flow:
        return (yield RunShared("key", shared))

    threads = [threading.Thread(target=lambda: values.append(run(caller(), transport, jobs))) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: runs)
    time.sleep(0.05)  # the others wait
    release.set()
    for thread in threads:
        thread.join()
    assert (["run"], ["value"] * 4) == (runs, values)


def test_an_interrupted_leader_is_replaced() -> None:
    """If the thread that runs a shared flow is interrupted, another caller runs it again."""
    jobs, transport = BackgroundJobs(), Recording()
    began, runs = threading.Event(), list[int]()

    def shared() -> Flow:
        runs.append(1)
        if len(runs) == 1:
            began.set()
            yield RunBlocking(lambda: time.sleep(0.15))
            raise KeyboardInterrupt
        return "value"
        yield

    def caller() -> Flow:
        return (yield RunShared("key", shared))

    def lead() -> None:
        with pytest.raises(KeyboardInterrupt):
            run(caller(), transport, jobs)

    leader = threading.Thread(target=lead)
    leader.start()
    began.wait()
    assert "value" == run(caller(), transport, jobs)
    leader.join()
    assert {} == jobs.shared


def test_what_is_detached_after_the_end_is_stopped() -> None:
    """A flow that is detached when its client has been closed meanwhile is aborted at once."""
    with hostile.Server(hostile.silent) as server:
        jobs, transport = BackgroundJobs(), StandardTransport()
        jobs.stop_all()
        ended = threading.Event()

        def background() -> Flow:
            try:
                yield get(server.url)
            finally:
                ended.set()

        def main() -> Flow:
            yield Detach(background())

        run(main(), transport, jobs)
        assert ended.wait(60)
        assert 0 == server.connections  # and not until its deadline


async def test_a_caller_that_comes_after_a_cancelled_one() -> None:
    """A caller that asks while a shared run is being cancelled gets a run of its own, and is not cancelled."""
    jobs, transport = BackgroundJobs(), AsyncRecording()
    runs: list[int] = []
    is_closing = asyncio.Event()

    class Slow(AsyncRecording):
        async def sleep(self, seconds: float) -> None:
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                is_closing.set()
                await asyncio.sleep(0.01)  # as a connection does that is being closed
                raise

    transport = Slow()

    def shared() -> Flow:
        runs.append(1)
        if len(runs) == 1:
            yield Sleep(60)
        return "value"

    def caller() -> Flow:
        return (yield RunShared("key", shared))

    first = asyncio.create_task(arun(caller(), transport, jobs))
    await asyncio.sleep(0.01)
    first.cancel()
    await is_closing.wait()
    assert "value" == await arun(caller(), transport, jobs)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert {} == jobs.shared


async def test_a_cancelled_caller_leaves_the_run_to_the_others() -> None:
    """A caller that is cancelled does not end the run for the others; the last one does."""
    jobs, transport = BackgroundJobs(), AsyncRecording()

    def shared() -> Flow:
        yield Start(child())
        yield NextFinished(0.05)
        return "value"

    def child() -> Flow:
        yield RunBlocking(lambda: time.sleep(0.02))

    def caller() -> Flow:
        return (yield RunShared("key", shared))

    tasks = [asyncio.create_task(arun(caller(), transport, jobs)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert ["value"] * 2 == await asyncio.gather(*tasks[1:])
    assert {asyncio.current_task()} == asyncio.all_tasks()
