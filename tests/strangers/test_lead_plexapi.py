"""python-plexapi in a test suite's own process, led to the local Plex by one fixture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.strangers.conftest import set_up

pytestmark = pytest.mark.strangers
SOURCE = Path(__file__).parents[2] / "src"
SUITE = """
from plexapi.myplex import MyPlexAccount


def test_sign_in(plex_tv_is_local):
    account = MyPlexAccount("tom", "rainy-harbour-17")
    assert "tom" == account.username
    assert {"Attic", "Old Cellar"} == {resource.name for resource in account.resources()}
    assert "Old Cellar" == account.resource("Old Cellar").connect(timeout=30).friendlyName


def test_with_a_code(plex_tv_is_local):
    account = MyPlexAccount("mira_quill", "paper-lantern-42", code=plex_tv_is_local.code_for("mira_quill"))
    assert "Mira" == account.friendlyName
"""


def test_python_plexapi_needs_one_line(tmp_path: Path, require, tell) -> None:
    """In a suite of its own `MyPlexAccount(user, password)` signs in at the local Plex, with one fixture."""
    python = Path(set_up("plexapi_4_18_3", require, tell)[0])
    packages = next(python.parents[1].glob("[Ll]ib/**/site-packages"))
    (tmp_path / "test_suite.py").write_text(SUITE, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), str(packages)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "2 passed" in done.stdout
