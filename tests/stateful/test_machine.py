"""S6, S15, S16: any order of events, and each token on each route stands as a small model says."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.machine import Plexes


def test_x() -> None:
    run_state_machine_as_test(Plexes, settings=settings(max_examples=int(__import__("os").environ.get("N","40")), stateful_step_count=int(__import__("os").environ.get("S","30")), deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)))
