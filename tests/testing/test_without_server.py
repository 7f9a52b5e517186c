"""Without the extra `server`, each way to a local Plex says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The extra's libraries cannot be imported, as where they are not installed.
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"uvicorn", "uvloop", "httptools", "jinja2", "argon2"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""
COMMAND = "import runpy; sys.argv[0] = 'ticketstub'; runpy.run_module('ticketstub', run_name='__main__')"
TESTING = "from ticketstub.testing import local_plex\nwith local_plex(): pass"
PYTEST = "import pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-W', 'ignore', *sys.argv[1:]]))"
SAID = 'pip install "ticketstub[server]"'


def run(program: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TICKETSTUB_"))}
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + program, *arguments],
        env=kept | {"HOME": str(home), "XDG_DATA_HOME": str(home)},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["serve --demo", "demo", "run -- true", "openapi"])
def test_each_command_says_what_to_install(tmp_path: Path, name: str) -> None:
    """Commands that run a local Plex name the missing part and how to install it, without a traceback."""
    done = run(COMMAND, *name.split(), home=tmp_path)
    assert (1, "") == (done.returncode, done.stdout)
    assert SAID in done.stderr
    assert "Traceback" not in done.stderr


def test_the_others_work(tmp_path: Path) -> None:
    """Signing in needs none of it."""
    done = run(COMMAND, "status", home=tmp_path)
    assert (0, "No sign-in is stored.\n") == (done.returncode, done.stdout)


def test_a_script_is_told(tmp_path: Path) -> None:
    """`ticketstub.testing` raises a ModuleNotFoundError that says what to install."""
    done = run(TESTING, home=tmp_path)
    assert f"which is not installed: {SAID}" in done.stderr.splitlines()[-1]


def test_a_fixture_is_told(tmp_path: Path) -> None:
    """A test with the fixture fails with that sentence, without a traceback."""
    (tmp_path / "test_it.py").write_text("def test_it(local_plex): pass\n", "utf-8")
    done = run(PYTEST, "test_it.py", home=tmp_path)
    assert 1 == done.returncode
    assert SAID in done.stdout
    assert "Traceback" not in done.stdout
    assert "in find_spec" not in done.stdout
