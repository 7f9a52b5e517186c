"""Rounds, figures, the rows of the table and the curves of the plots.

Rule: a subject is a function that does its work once and returns what it took in the row's unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

Subject = Callable[[], float]


@dataclass(frozen=True)
class Figure:
    """What one subject took, in each of its rounds."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)

    @property
    def low(self) -> float:
        """The smallest of the rounds."""
        return min(self.rounds)

    @property
    def high(self) -> float:
        """The largest of the rounds."""
        return max(self.rounds)

    @property
    def middle_half(self) -> tuple[float, float]:
        """Between which figures the middle half of the rounds lies."""
        if len(self.rounds) == 1:
            return self.rounds[0], self.rounds[0]
        first, _, third = quantiles(self.rounds, n=4, method="inclusive")
        return first, third

    def ratio(self, other: Figure) -> float:
        """Return the median ratio to another figure of the same rounds, round by round."""
        return median(mine / theirs for mine, theirs in zip(self.rounds, other.rounds, strict=True))


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        unit: of the figures.
        figures: one per subject; ours is the first.
        reach: what the first must reach, in words.
        verdict: the ratio or figure to hold against that, in words.
    """

    what: str
    unit: str
    figures: Mapping[str, Figure]
    reach: str
    verdict: str


@dataclass(frozen=True)
class Curve:
    """How a figure grows with a size: a plot, and a row for each size.

    Attributes:
        name: the plot's file name.
        what: what was measured.
        unit: of the figures.
        size: what grows.
        sizes: each size.
        figures: one list per subject, with a figure for each size; ours is the first.
        reach: what it must reach, in words.
        verdict: for each size, the ratio or figure to hold against that, in words.
    """

    name: str
    what: str
    unit: str
    size: str
    sizes: Sequence[int]
    figures: Mapping[str, Sequence[Figure]]
    reach: str
    verdict: Sequence[str]

    def rows(self) -> Iterator[Row]:
        """Yield a row for each size."""
        for index, size in enumerate(self.sizes):
            figures = {who: each[index] for who, each in self.figures.items()}
            yield Row(f"{self.what}, {self.size}: {size:,}", self.unit, figures, self.reach, self.verdict[index])


Result = Row | Curve


def list_rows(result: Result) -> list[Row]:
    """Return a row as it is, and the rows of a curve."""
    return list(result.rows()) if isinstance(result, Curve) else [result]


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        is_quick: whether each subject takes one turn, and only the two smallest sizes are measured: it shows that the
            benchmarks work and which rows they have, not how long anything takes.
    """

    is_quick: bool = False

    def rounds(self, subjects: Mapping[str, Subject], count: int = 7) -> dict[str, Figure]:
        """Let the subjects take turns this often, after one turn each to warm up."""
        taken: dict[str, list[float]] = {name: [] for name in subjects}
        if not self.is_quick:
            for subject in subjects.values():
                subject()
        for _ in range(1 if self.is_quick else count):
            for name, subject in subjects.items():
                taken[name].append(subject())
        return {name: Figure(tuple(each)) for name, each in taken.items()}

    def choose_sizes(self, *sizes: int) -> tuple[int, ...]:
        """Return the sizes to measure."""
        return sizes[:2] if self.is_quick else sizes


rounds = Plan().rounds
"""Lets the subjects take turns, as often as for the page."""
