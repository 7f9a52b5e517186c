"""What Plex's own clock shows, learnt from its answers: this computer's may be wrong.

Rule: an answer's Date counts; where none came, what was learnt before; else this computer's clock.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from ticketstub.flows.caller import Senses
from ticketstub.wire.http import Response


class ServerTime:
    """Plex's clock, carried on by the clock that only grows.

    Args:
        senses: this computer's clocks.
        ahead: by how many seconds Plex's was ahead when it was last seen.
    """

    def __init__(self, senses: Senses, ahead: float = 0.0) -> None:
        self._senses = senses
        self._offset = senses.now() + ahead - senses.clock()

    def heard(self, response: Response) -> None:
        """Learn from an answer."""
        told = served_at(response)
        if told is not None:
            self._offset = told - self._senses.clock()

    def now(self) -> float:
        """Return Plex's epoch seconds."""
        return self._senses.clock() + self._offset

    @property
    def ahead(self) -> float:
        """By how many seconds it is ahead of this computer's clock."""
        return self.now() - self._senses.now()


def served_at(response: Response) -> float | None:
    """Read the moment of an answer from its Date header, in epoch seconds, whole ones."""
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
