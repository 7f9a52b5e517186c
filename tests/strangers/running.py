"""Programs through `ticketstub run`: nothing of them is pointed anywhere, their environment is all that they get.

Rule: each run is offline, so that nothing can be answered by anybody else, and has the strangers' world. A program that
looks for no proxy gets a run of the kind that needs none (`--transparent`); which of the two it is, is the program's
own matter and no choice of a test's.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_run_transparent import possible
from tests.strangers import asked
from tests.strangers.environments import HERE
from tests.strangers.processes import ANSWERS_WITHIN, STARTS_WITHIN, WORLD, Lines, Outcome, _environment

BY_PROXY = ("--offline",)
TRANSPARENT = ("--transparent",)


def command(folder: Path, *program: str, options: tuple[str, ...] = BY_PROXY, more: str = "") -> list[str]:
    """Return the command that runs a program on a local Plex with the strangers' world and `more`, on free ports."""
    world = folder / "world.toml"
    world.write_text(re.sub(r"(?m)^port = \d+\n", "", WORLD.read_text("utf-8")) + more, "utf-8")
    return [sys.executable, "-m", "ticketstub", "run", *options, "--world", str(world), "--", *program]


def ran(folder: Path, *program: str, cwd: Path | None = None, options: tuple[str, ...] = BY_PROXY) -> str:
    """Run a program to its end, which has to be a good one, and return what it printed."""
    done = subprocess.run(
        command(folder, *program, options=options),
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


def options_for_node(node: str) -> tuple[str, ...]:
    """Return the options of a run for this Node.js: from 24 and from 22.21 on its `fetch` goes by the proxy."""
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = (int(part) for part in said.strip().lstrip("v").split(".")[:2])
    return BY_PROXY if major >= 24 or (major, minor) >= (22, 21) else transparent()


def transparent() -> tuple[str, ...]:
    """Return the options of a run without a proxy; where that is not to be had, the test is skipped, or fails in CI."""
    if not possible():
        reason = "this system does not let its users have namespaces, and this program looks for no proxy"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return TRANSPARENT


class Unpointed:
    """A stranger's program within a run: one request a line, one outcome a line.

    Args:
        name: the stranger's folder: which client this is, at which version.
        program: the command that starts it.
        folder: where the run finds its world.
        options: which kind of run it is.
        more: lines that the strangers' world gets.
    """

    def __init__(
        self, name: str, program: list[str], folder: Path, options: tuple[str, ...] = BY_PROXY, more: str = ""
    ) -> None:
        self.name = name
        self.options = options
        within = [sys.executable, str(HERE / "within.py"), *program]
        run = command(folder, *within, options=(*options, "--control"), more=more)
        self._process = Lines(run, environment=_environment(ours=True), folder=folder)
        try:
            self.plex_tv = self._process.next_line(STARTS_WITHIN)
            """The local Plex's own address, for the test; the program is not told."""
        except AssertionError:
            self._process.end(politely=False)
            raise

    def ask(self, call: str, **arguments: object) -> Outcome:
        asked.note(self.name, call, "run", arguments)
        return self._asked(json.dumps({"call": call, "plex_tv": None, **arguments}))

    def result(self, call: str, **arguments: object) -> Outcome:
        outcome = self.ask(call, **arguments)
        assert "result" in outcome, outcome
        return outcome["result"]

    def by_hand(self, verb: str, **order: object) -> Outcome:
        """Do what a person or the tester does, within the run, and return what was told back."""
        return self._told(hand=verb, order=order)

    def approve(self, code: str) -> None:
        """Approve a code, as the world's first account."""
        self.by_hand("pins/approve", pin=code)

    def look(self, path: str, token: str) -> Outcome:
        """Look at what the local Plex has for this token, within the run."""
        return self._told(look=path, token=token)

    def address(self, server: str, token: str, *, https: bool) -> str:
        """Return a media server's address, as a person finds it in Plex's own app."""
        found: Any = self.look(f"/api/v2/resources?includeHttps={https:d}", token)
        (connections,) = [each["connections"] for each in found if each["name"] == server]
        return next(each["uri"] for each in connections if each["uri"].startswith("https:") is https)

    def end(self) -> int:
        return self._process.end(politely=True)

    def _told(self, **line: object) -> Outcome:
        outcome = self._asked(json.dumps(line))
        assert "told" in outcome, outcome
        return outcome["told"]

    def _asked(self, line: str) -> Outcome:
        self._process.say(line)
        return json.loads(self._process.next_line(ANSWERS_WITHIN))
