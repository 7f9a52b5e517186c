"""What `make test` leaves out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import HERE, LONG

pytestmark = pytest.mark.long

PROGRAM = """
import sys, pytest
code = pytest.main()
print([name for name in sys.modules if "crashes" in name])
sys.exit(code)
"""


def collect(*arguments: str) -> str:
    """Return what pytest collects with these arguments, and which of the long modules it imported."""
    command = [sys.executable, "-c", PROGRAM, "--collect-only", "-q", *arguments]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_long_tests_exist() -> None:
    """Each name in `LONG` is a file or a folder of tests."""
    assert [] == [name for name in LONG if not (HERE / name).exists()]


def test_short_does_not_import_long_files() -> None:
    """With `--short`, the files of long tests are not even imported; without it they are collected."""
    short, whole = collect("--short", "tests/credentials"), collect("tests/credentials")
    assert "test_stores.py" in short
    assert "crashes" not in short
    assert "test_crashes.py" in whole


def test_short_leaves_single_long_tests_out() -> None:
    """With `--short`, a test that is marked as long in another file is deselected."""
    short = collect("--short", "tests/credentials", "tests/test_short.py")
    assert "test_stores.py" in short
    assert "test_short.py" not in short


def test_what_is_named_runs() -> None:
    """A long file that the command line names is collected with `--short`, too."""
    assert "test_crashes.py" in collect("--short", "tests/credentials/test_crashes.py")
