"""Rounds, medians, spreads and the rows of the table.

Rule: a subject is a function that does its work once and returns what it took in the row's unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

Subject = Callable[[], float]


@dataclass(frozen=True)
class Figure:
    """What one subject took: the median of its rounds, and the fastest and the slowest."""

    median: float
    low: float
    high: float


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


def rounds(subjects: Mapping[str, Subject], count: int = 7) -> dict[str, Figure]:
    """Let the subjects take turns this often, after one turn each to warm up."""
    for subject in subjects.values():
        subject()
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(count):
        for name, subject in subjects.items():
            taken[name].append(subject())
    return {name: Figure(median(each), min(each), max(each)) for name, each in taken.items()}
