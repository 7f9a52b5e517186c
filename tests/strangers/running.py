"""Programs through `ticketstub run`: nothing of them is pointed anywhere, their environment is all that they get.

Rule: each run is offline, so that nothing can be answered by anybody else, and has the strangers' world.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.strangers.processes import ANSWERS_WITHIN, STARTS_WITHIN, WORLD, Lines, Outcome, _environment

TELL_AND_BECOME = (
    "import os, sys; print(os.environ['TICKETSTUB_PLEX_TV'], flush=True); os.execv(sys.argv[1], sys.argv[1:])"
)


def command(folder: Path, *program: str) -> list[str]:
    """Return the command that runs a program on a local Plex with the strangers' world, on free ports."""
    world = folder / "world.toml"
    world.write_text(re.sub(r"(?m)^port = \d+\n", "", WORLD.read_text("utf-8")), "utf-8")
    return [sys.executable, "-m", "ticketstub", "run", "--offline", "--world", str(world), "--", *program]


def ran(folder: Path, *program: str, cwd: Path | None = None) -> str:
    """Run a program to its end, which has to be a good one, and return what it printed."""
    done = subprocess.run(
        command(folder, *program),
        env=_environment(ours=True),
        cwd=cwd or folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Unpointed:
    """A stranger's program within a run: one request a line, one outcome a line."""

    def __init__(self, name: str, program: list[str], folder: Path) -> None:
        self.name = name
        """The stranger's folder: which client this is, at which version."""
        telling = [sys.executable, "-c", TELL_AND_BECOME, *program]
        self._process = Lines(command(folder, *telling), environment=_environment(ours=True), folder=folder)
        self.plex_tv = self._process.next_line(STARTS_WITHIN)
        """The local Plex's own address: for the test, which approves what a person would; the program is not told."""

    def ask(self, call: str, **arguments: object) -> Outcome:
        self._process.say(json.dumps({"call": call, "plex_tv": None, **arguments}))
        return json.loads(self._process.next_line(ANSWERS_WITHIN))

    def result(self, call: str, **arguments: object) -> Outcome:
        outcome = self.ask(call, **arguments)
        assert "result" in outcome, outcome
        return outcome["result"]

    def end(self) -> int:
        return self._process.end(politely=True)
