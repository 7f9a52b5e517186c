"""F-CL-1, C11: whatever process is killed at any time, a file has its old or new content, and its lock is free.

The processes are started by a separate program, dying.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.credentials.conftest import ROOT, make_environment, posix

pytestmark = posix


def run_trial(name: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.credentials.dying", name, str(folder)],
        cwd=ROOT,
        env=make_environment(folder),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert "" == done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_f_cl_1_killed_at_each_step_of_a_save(tmp_path: Path) -> None:
    """F-CL-1: a save that is killed before or after any of its system calls leaves the old or the new credential."""
    found = run_trial("each_step", tmp_path)
    assert (0, 0, True) == (found["outcomes"]["torn"], found["last"], found["saved"])
    assert found["outcomes"]["old"] > 15
    assert found["outcomes"]["new"] > 3
    assert found["steps"] == sum(found["outcomes"].values())


def test_f_cl_1_killed_at_any_time(tmp_path: Path) -> None:
    """F-CL-1: 100 kills at random moments of a process that saves in a loop corrupt and lose nothing."""
    found = run_trial("any_time", tmp_path)
    assert (0, False) == (found["torn"], found["backward"])
    assert found["saved"] > 100, "no power: hardly anything was saved"


def test_c11_renewals_of_many_processes(tmp_path: Path) -> None:
    """C11: 8 processes renew 50 times each while 24 are killed: one at a time, none twice, the file always valid."""
    found = run_trial("renewals", tmp_path)
    enough = found.pop("enough")
    nothing = dict.fromkeys(("torn", "failed", "left", "overlaps", "again"), 0)
    assert nothing | {"killed": 24, "sorted": True} == found
    assert enough


def test_a_surviving_child_keeps_no_lock(tmp_path: Path) -> None:
    """A program that forks while it holds the lock, as servers do, and is killed, leaves the lock free."""
    assert {"held": True, "free": True} == run_trial("orphans", tmp_path)


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    """A save on a full disk is an error that says so. The old file remains and no draft is left."""
    assert {"status": 7, "kept": True, "drafts": 0} == run_trial("full", tmp_path)
