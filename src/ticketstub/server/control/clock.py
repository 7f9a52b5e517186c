"""A clock that can be moved forwards, and put back.

Rule: it runs on as the clock below it does; moving it moves what an instance thinks of as now, and no one else's time.
Rates have a clock of their own that only rises: it is moved with it, so that waiting a minute is moving a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class ShiftedClock:
    """A clock over another one.

    Args:
        below: seconds since 1970.
        ticks: seconds that only rise.
    """

    def __init__(self, below: Callable[[], float] = time.time, ticks: Callable[[], float] = time.monotonic) -> None:
        self._below = below
        self._ticks = ticks
        self._shift = 0.0

    def __call__(self) -> float:
        """Return the seconds since 1970, as far as it was moved."""
        return self._below() + self._shift

    def ticks(self) -> float:
        """Return seconds that only rise, moved as far."""
        return self._ticks() + self._shift

    def advance(self, seconds: float) -> None:
        """Move it forwards.

        Raises:
            ValueError: the seconds are negative or no number; or it would show a year after 9000.
        """
        if not 0 <= seconds < 2e11 - self():
            raise ValueError("a clock is moved forwards, and not beyond the year 8300")
        self._shift += seconds

    def put_back(self) -> None:
        """Show again what the clock below shows."""
        self._shift = 0.0
