"""The renewal lock: one thread, task or process at a time renews a stored sign-in.

Rule: a flow that is given up while its thread is getting the lock must not leave it held: whichever of the two ends
first, the lock is free in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Lock

from ticketstub.client.flows.request import Clock, Flow, Sleep, run_blocking
from ticketstub.errors import CredentialsError

LOCK_RETRY_INTERVAL = 0.05
"""How many seconds pass between two tries; a renewal takes longer (ours)."""


class RenewalLock:
    """One turn at a lock.

    Args:
        lock: makes a context manager that is entered at once or raises a `CredentialsError`; it may be left in another
            thread than it was entered in.
    """

    def __init__(self, lock: Callable[[], AbstractContextManager[None]]) -> None:
        self._lock = lock
        self._acquired: AbstractContextManager[None] | None = None
        self._is_closed = False
        self._guard = Lock()

    def acquire(self, clock: Clock, timeout: float) -> Flow[None]:
        """Wait for the turn, at most so many seconds.

        Raises:
            CredentialsError: it did not come.
        """
        deadline = clock.monotonic() + timeout
        while True:
            try:
                yield from run_blocking(self._try_acquire)
            except CredentialsError:
                if clock.monotonic() >= deadline:
                    raise
            else:
                return
            yield Sleep(LOCK_RETRY_INTERVAL)

    def _try_acquire(self) -> None:
        acquired = self._lock()
        acquired.__enter__()
        with self._guard:
            if not self._is_closed:
                self._acquired = acquired
                return
        acquired.__exit__(None, None, None)  # the flow is gone

    def close(self) -> None:
        """Give the turn back; nothing happens if it is not held."""
        with self._guard:
            acquired, self._acquired, self._is_closed = self._acquired, None, True
        if acquired is not None:
            acquired.__exit__(None, None, None)
