"""The Date of answers, by the instance's own clock.

Rule: a client learns from it what Plex's clock shows (a PIN's end, the time in a device JWT), so it is the same clock
as everything else of an instance, also where that one is moved.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate


class Dates:
    """Writes the Date header's value, once a second.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._second = -1
        self._written = b""

    def now(self) -> bytes:
        """Return the value for an answer of now (RFC 9110, 5.6.7)."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._written = second, formatdate(second, usegmt=True).encode()
        return self._written
