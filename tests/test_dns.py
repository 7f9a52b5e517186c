"""Looking names up without waiting longer than asked."""

from __future__ import annotations

import threading
import time

import pytest

from ticketstub.dns import run_with_deadline


def test_work_that_is_left_behind_holds_up_nothing() -> None:
    """At the deadline nobody waits any longer, and the thread that goes on does not keep the process alive."""
    started, release = threading.Event(), threading.Event()
    workers: list[threading.Thread] = []

    def work() -> None:
        workers.append(threading.current_thread())
        started.set()
        release.wait(60)

    with pytest.raises(TimeoutError):
        run_with_deadline(work, time.monotonic() - 1)
    assert started.wait(60)
    (worker,) = workers
    assert worker.is_alive()
    assert worker.daemon
    release.set()
    worker.join()
