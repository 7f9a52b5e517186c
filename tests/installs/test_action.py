"""The GitHub Action, `action.yml`: its steps, run as GitHub runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # comes with schemathesis; its types are a package of their own

from tests.installs.installation import PATIENCE, ROOT

WORLD = '[[account]]\nusername = "ada"\nemail = "ada@example.test"\ntoken = "Ad7-lovelace_notes_g"\n'
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))


def test_every_input_is_used() -> None:
    """Each input of the action reaches a step, and no step reads one that does not exist."""
    used = re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text("utf-8"))
    assert set(ACTION["inputs"]) == set(used)


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="the action's steps are written for bash")
def test_a_job_gets_a_local_plex(tmp_path: Path, free_tcp_port: int) -> None:
    """A job with a world of its own gets the URL of a local Plex that knows this world."""
    (tmp_path / "world.toml").write_text(WORLD, "utf-8")
    outputs = tmp_path / "outputs"
    inputs = {name: each["default"] for name, each in ACTION["inputs"].items()}
    inputs |= {"world": "world.toml", "port": str(free_tcp_port), "python": sys.executable}
    places = {"RUNNER_TEMP": str(tmp_path), "GITHUB_ACTION_PATH": str(ROOT), "GITHUB_OUTPUT": str(outputs)}
    try:
        for step in ACTION["runs"]["steps"]:
            own = {key: _fill_in(value, inputs) for key, value in step["env"].items()}
            command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            environment = os.environ | places | own
            subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=10 * PATIENCE)
        found = dict(line.split("=", 1) for line in outputs.read_text("utf-8").splitlines())
        headers = {"X-Plex-Token": "Ad7-lovelace_notes_g", "X-Plex-Client-Identifier": "job"}
        request = urllib.request.Request(f"{found['plex-tv']}/api/v2/user", headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            assert b'username="ada"' in response.read()
        _wait_for("/api/v2/user", Path(found["log"]))
    finally:
        if (pid := tmp_path / "ticketstub.pid").exists():
            os.kill(int(pid.read_text("utf-8")), signal.SIGTERM)


def _wait_for(text: str, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while text not in (content := path.read_text("utf-8")):
        assert time.monotonic() < deadline, content
        time.sleep(0.05)


def _fill_in(value: str, inputs: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], value)
