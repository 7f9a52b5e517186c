"""For the runs of pytest that runner.py starts: only the tests that it names, and how each went."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

SELECTED, OUTCOMES = "MUTANTS_SELECTED", "MUTANTS_OUTCOMES"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that the file in `MUTANTS_SELECTED` lists."""
    if SELECTED in os.environ:
        wanted = set(json.loads(Path(os.environ[SELECTED]).read_text("utf-8")))
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in wanted])
        items[:] = [item for item in items if item.nodeid in wanted]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add a line to the file in `MUTANTS_OUTCOMES`: the test, whether this part of it failed, and its seconds."""
    if OUTCOMES in os.environ and "PYTEST_XDIST_WORKER" not in os.environ:
        with Path(os.environ[OUTCOMES]).open("a", encoding="utf-8") as file:
            file.write(json.dumps([report.nodeid, report.failed, report.duration]) + "\n")
