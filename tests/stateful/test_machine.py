"""S6, S15, S16: after any actions in any order, each route treats each token as a small model says.

Rule: the default run always does the same; `STATEFUL_RUNS` and `STATEFUL_STEPS` make it longer and random.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.machine import Plexes
from tests.stateful.mutants import MUTANTS, QUICKLY_FOUND

RUNS, STEPS = int(os.environ.get("STATEFUL_RUNS", "0")), int(os.environ.get("STATEFUL_STEPS", "30"))
USUAL = settings(
    max_examples=RUNS or 30,
    stateful_step_count=STEPS,
    derandomize=not RUNS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
# Whatever is found first is enough there, in whatever order of steps.
HUNT = settings(
    USUAL,
    max_examples=400,
    stateful_step_count=30,
    derandomize=True,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)


def test_each_token_stands_as_the_model_says() -> None:
    """Each route accepts or refuses each token as the model says, and each end takes effect once it is acknowledged."""
    run_state_machine_as_test(Plexes, settings=USUAL)


@pytest.mark.parametrize("mutant", MUTANTS if RUNS else QUICKLY_FOUND, ids=lambda mutant: mutant.__name__)
def test_chance_finds_a_defect(mutant: type[Plexes]) -> None:
    """A local Plex with one of these defects fails the machine; a long run looks for all of them."""
    with pytest.raises(AssertionError):
        run_state_machine_as_test(mutant, settings=HUNT)


def walk(machine: type[Plexes], way: Callable[[Plexes], None]) -> None:
    """Follow one path, and compare at its end."""
    plexes = machine()
    try:
        plexes.begin()
        plexes.begin_with_others()
        way(plexes)
        plexes.a_token_stands_as_the_model_says()
    finally:
        plexes.teardown()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_defect_is_noticed(mutant: type[Plexes]) -> None:
    """Each of these defects fails on its shortest path, on which a local Plex without defects passes."""
    walk(Plexes, MUTANTS[mutant])
    with pytest.raises(AssertionError):
        walk(mutant, MUTANTS[mutant])
