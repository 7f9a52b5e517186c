"""Chaos: a share of the calls goes wrong, reproducibly, so that clients learn to try again.

Rule: the same seed and the same sequence of calls make the same trouble, whatever the calls are: each takes the same
number of draws. Trouble is of five kinds, equally likely: refused as too many (429), refused for a moment (503),
answered late, cut off in the middle of the answer's body, and before its first byte, by a reset. What was cut off was
done. A proxy of ours passes both on, the reset as a connection without an end of TLS. All of it is ours.
"""

from __future__ import annotations

import random
from typing import Literal, NamedTuple

FaultKind = Literal["too many", "unavailable", "late", "cut off", "unanswered"]

FAULT_KINDS: tuple[FaultKind, ...] = ("too many", "unavailable", "late", "cut off", "unanswered")


class InjectedFault(NamedTuple):
    """What happens to one call, and for `late` the seconds that it waits."""

    kind: FaultKind
    seconds: float


class Chaos:
    """A sequence of troubles.

    Args:
        share: how many of the calls go wrong: 0.05 is one of twenty.
        seed: which sequence it is.
        longest: seconds that a late answer waits at most.

    Raises:
        ValueError: the share is not between 0 and 1, or `longest` is negative.
    """

    def __init__(self, share: float, seed: int = 0, longest: float = 0.5) -> None:
        if not 0 <= share <= 1:
            raise ValueError("chaos takes a share of the calls: a number from 0 to 1")
        if not 0 <= longest <= 60:
            raise ValueError("a late answer waits 0 to 60 seconds")
        self.share = share
        self.seed = seed
        self._max_delay = longest
        self._random = random.Random(seed)  # noqa: S311  # it must repeat itself, and protects nothing

    def draw_fault(self) -> InjectedFault | None:
        """Say what happens to the next call; `None`: nothing."""
        whether, which, how_long = self._random.random(), self._random.random(), self._random.random()
        if whether >= self.share:
            return None
        kind = FAULT_KINDS[int(which * len(FAULT_KINDS))]
        return InjectedFault(kind, how_long * self._max_delay if kind == "late" else 0.0)

    def restart(self) -> None:
        """Begin the sequence again."""
        self._random = random.Random(self.seed)  # noqa: S311  # as above
