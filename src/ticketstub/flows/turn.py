"""A turn at a lock, waited for without blocking anybody, and given back whatever happens.

Rule: a flow that is given up while its thread is just getting the lock must not leave it held: whoever leaves first,
the flow or the thread, the lock is free in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Lock

from ticketstub.errors import CredentialsError
from ticketstub.flows.caller import Senses
from ticketstub.flows.steps import Flow, Sleep, do

PAUSE = 0.05
"""How many seconds pass between two tries; a renewal takes longer (ours)."""


class Turn:
    """One turn at a lock.

    Args:
        lock: makes a context manager that is entered at once or raises a `CredentialsError`; it may be left in another
            thread than it was entered in.
    """

    def __init__(self, lock: Callable[[], AbstractContextManager[None]]) -> None:
        self._lock = lock
        self._held: AbstractContextManager[None] | None = None
        self._left = False
        self._guard = Lock()

    def wait(self, senses: Senses, patience: float) -> Flow[None]:
        """Wait for the turn, at most so many seconds.

        Raises:
            CredentialsError: it did not come.
        """
        deadline = senses.clock() + patience
        while True:
            try:
                yield from do(self._take)
            except CredentialsError:
                if senses.clock() >= deadline:
                    raise
            else:
                return
            yield Sleep(PAUSE)

    def _take(self) -> None:
        held = self._lock()
        held.__enter__()
        with self._guard:
            if not self._left:
                self._held = held
                return
        held.__exit__(None, None, None)  # the flow is gone

    def leave(self) -> None:
        """Give the turn back; nothing happens if it is not held."""
        with self._guard:
            held, self._held, self._left = self._held, None, True
        if held is not None:
            held.__exit__(None, None, None)
