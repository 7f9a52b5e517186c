"""An installed Ticketstub, used as its user does: an interpreter, an empty home, and nothing of this checkout.

Rule: what runs in the installation is a program of its own. This module imports nothing of the library.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 120
"""Seconds that only a hang exceeds."""

# What a system needs to start programs at all. No keyring, browser, display, proxy or setting of ours is among them.
_KEPT = ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "LANG")


@dataclass(frozen=True)
class Done:
    """How a program ended, and what it wrote."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Installation:
    """The interpreter of an environment in which Ticketstub is installed."""

    python: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def run(self, home: Path, *arguments: str, stdin: str = "", code: int = 0, **variables: str) -> Done:
        """Run the command, which has to end with this code."""
        return self._run([str(self.python), "-m", "ticketstub", *arguments], home, stdin, code, variables)

    def execute(self, home: Path, program: str, **variables: str) -> str:
        """Run a Python program, which has to end well; return what it prints."""
        return self._run([str(self.python), "-c", program], home, "", 0, variables).out

    @contextmanager
    def serve(self, home: Path, *options: str) -> Generator[dict[str, str], None, None]:
        """Run `ticketstub serve --demo` on free ports; yields its addresses by name."""
        command = [str(self.python), "-m", "ticketstub", "serve", "--demo", "--port", "0", *options]
        with subprocess.Popen(
            command,
            cwd=home,
            env=self.variables(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        ) as process:
            watch = threading.Timer(PATIENCE, process.kill)
            watch.start()
            try:
                addresses = _addresses(process)
                watch.cancel()
                yield addresses
            finally:
                watch.cancel()
                process.terminate()
                rest, _ = process.communicate(timeout=PATIENCE)
        if sys.platform != "win32":  # which has no SIGTERM: there the process is just ended
            assert process.returncode == 0, rest

    def _run(self, command: list[str], home: Path, stdin: str, code: int, variables: dict[str, str]) -> Done:
        done = subprocess.run(
            command,
            cwd=home,
            env=self.variables(home, **variables),
            stdin=None if stdin else subprocess.DEVNULL,
            input=stdin or None,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
        assert code == done.returncode, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert "Warning" not in done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def variables(self, home: Path, **more: str) -> dict[str, str]:
        """Return the environment of a program: a home, and what was named."""
        kept = {name: value for name, value in os.environ.items() if name in _KEPT}
        homes = dict.fromkeys(("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"), str(home))
        # Warnings of the library and its dependencies are shown, and `_run` refuses them.
        own = {
            "PYTHONUTF8": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "default,ignore::ResourceWarning",
            "COLUMNS": "120",
        }
        return kept | homes | own | self.environment | more


def _addresses(process: subprocess.Popen[str]) -> dict[str, str]:
    """Read what `serve` says until it is ready."""
    said = ""
    for line in process.stdout or ():
        said += line
        if line.startswith("ready"):
            return dict(re.findall(r"(?m)^\s+(plex\.tv|Attic|Old Cellar) +(http://[\d.:]+)", said))
    raise AssertionError(f"it ended before it was ready:\n{said}")
