"""The environments of fresh installs: the built wheel with the newest and with the oldest dependencies.

Rule: pip installs what a user's pip would, from whatever index it is set up to use. Where it reaches none, the tests
are skipped with the reason; in CI they fail.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.installs.installation import PATIENCE, ROOT, Installation

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
INSTALLS_WITHIN = 900
_UNREACHABLE = re.compile(
    r"Retrying \(|Could not fetch URL|Failed to establish a new connection|Network is unreachable"
)

Install = Callable[..., Installation]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel; building it needs no network, because the build backend is installed beside the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    options = [
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
    ]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(ROOT)]
    subprocess.run(command, check=True, timeout=PATIENCE)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="session")
def install(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Install the wheel with some of its extras into an empty environment."""

    def make(extras: str = "", *, base: str = sys.executable, oldest: bool = False) -> Installation:
        folder = tmp_path_factory.mktemp("environment")
        environment = folder / "venv"
        subprocess.run([base, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=PATIENCE)
        python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        options = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--upgrade"]
        if oldest:
            pins = folder / "oldest.txt"
            pins.write_text("\n".join(lower_bounds()), "utf-8")
            options += ["--constraint", str(pins)]
        command = [sys.executable, "-m", "pip", "--python", str(python), "install", *options, f"{wheel}{extras}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLS_WITHIN, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr)[-3000:]
            if _UNREACHABLE.search(said) and os.environ.get("CI") != "true":
                pytest.skip(f"pip reaches no package index: {said.strip().splitlines()[-1]}")
            pytest.fail(f"pip could not install the wheel:\n{said}", pytrace=False)
        return Installation(python)

    return make


def lower_bounds() -> list[str]:
    """Return the requirements of the library and of its extras, each at the oldest version that it allows."""
    extras: dict[str, list[str]] = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *(each for extra in extras.values() for each in extra)]
    found = [re.fullmatch(r"([a-z0-9-]+)>=([\d.]+)[^;]*(;.*)?", each) for each in wanted]
    return [f"{match[1]}=={match[2]}{match[3] or ''}" for match in found if match]


def oldest_python() -> str:
    """Return the oldest Python that is supported, if it is there, or else this one."""
    if sys.version_info[:2] > (3, 11) and (found := shutil.which("python3.11")):
        return found
    if sys.version_info >= (3, 14):
        pytest.skip("the oldest dependencies have no wheels for this Python: put a python3.11 on the PATH")
    return sys.executable


@pytest.fixture(scope="session")
def checkout() -> Installation:
    """This checkout, run by the interpreter of the tests."""
    return Installation(Path(sys.executable), {"PYTHONPATH": str(ROOT / "src")})


@pytest.fixture(
    scope="session",
    params=["checkout", pytest.param("newest", marks=pytest.mark.long), pytest.param("oldest", marks=pytest.mark.long)],
)
def installation(request: pytest.FixtureRequest) -> Installation:
    """This checkout, and the wheel with all extras at the newest and at the oldest versions of its dependencies."""
    if request.param == "checkout":
        checkout: Installation = request.getfixturevalue("checkout")
        return checkout
    install: Install = request.getfixturevalue("install")
    if request.param == "newest":
        return install("[all]")
    return install("[all]", base=oldest_python(), oldest=True)
