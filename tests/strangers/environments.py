"""Make the environments that strangers run in, once; the bridge's relying parties, too (bridge/tests/parties).

Rule: each stranger has its own, made from the hashes pinned in its folder and kept below `.strangers/` under a name
that holds the digest of those pins; it is used offline from then on. An environment is built aside and moved into
place when complete, so an interrupted or simultaneous run leaves no half of one. A Go program is its own environment:
what is kept is the program, built from the modules that its go.sum names.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping
from pathlib import Path

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / ".strangers"
LONGEST = 900
"""Seconds that one environment may take to download and install."""
GO_PROGRAM = "program.exe" if sys.platform == "win32" else "program"


class CannotSetUp(Exception):
    """An environment could not be made: most often no network on the first run."""


Tell = Callable[[str], None]


def python_environment(stranger: str, tell: Tell = print, home: Path = HERE) -> list[str]:
    """Return the command that runs this stranger's program, making its virtual environment when it is not there."""
    pins = home / stranger / "requirements.txt"
    made = _kept(stranger, [pins], platform.python_version(), tell, lambda folder: _install_python(folder, pins))
    python = made / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    return [str(python), str(home / stranger / "program.py")]


def node_environment(stranger: str, node: str, npm: str, tell: Tell = print, home: Path = HERE) -> list[str]:
    """Return the command that runs this stranger's program, making its node_modules when they are not there."""
    pins = [home / stranger / name for name in ("package.json", "package-lock.json", ".npmrc")]
    made = _kept(stranger, pins, "", tell, lambda folder: _install_node(folder, pins, npm))
    # Node looks for packages beside the program, not beside the caller.
    return [node, str(shutil.copy(str(home / stranger / "program.cjs"), made))]


def go_environment(stranger: str, go: str, tell: Tell = print, home: Path = HERE, package: str = ".") -> list[str]:
    """Return the command that runs this stranger's program, building it when it is not there (a minute or so).

    With `package`, the program is that package of a module in go.mod, and the folder has no main.go.
    """
    sources = ["main.go"] if package == "." else []
    pins = [home / stranger / name for name in ("go.mod", "go.sum", *sources)]
    made = _kept(stranger, pins, "", tell, lambda folder: _install_go(folder, pins, go, package))
    return [str(made / GO_PROGRAM)]


def _kept(stranger: str, pins: list[Path], interpreter: str, tell: Tell, install: Callable[[Path], None]) -> Path:
    facts = [interpreter, sys.platform, platform.machine(), *(pin.read_text("utf-8") for pin in pins)]
    digest = hashlib.sha256("\0".join(facts).encode()).hexdigest()[:12]
    place = KEPT / f"{stranger}-{digest}"
    if not place.exists():
        tell(f"{stranger}: making its environment in .strangers/ (once; needs the network)")
        KEPT.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT, prefix="making-", ignore_cleanup_errors=True) as aside:
            folder = Path(aside) / "environment"
            install(folder)
            _move(folder, place)
    return place


def _move(folder: Path, place: Path) -> None:
    try:
        folder.rename(place)
    except OSError:
        if not place.exists():  # else somebody else was faster, with the same pins
            raise


def _install_python(folder: Path, pins: Path) -> None:
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary=:all:"]
    _run([sys.executable, "-m", "pip", "--python", str(python), "install", *options, "-r", str(pins)], folder)


def _install_node(folder: Path, pins: list[Path], npm: str) -> None:
    folder.mkdir()
    for pin in pins:
        shutil.copy(pin, folder)
    _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)


def _install_go(folder: Path, pins: list[Path], go: str, package: str) -> None:
    folder.mkdir()
    for pin in pins:
        shutil.copy(pin, folder)
    # An older Go takes a newer one for the build where go.mod asks for it. go.sum is all there: nothing is to be added
    # to it, and no other list of sums is asked.
    only = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOWORK": "off", "GOFLAGS": "-mod=readonly"}
    options = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
    _run([go, "build", *options, "-o", GO_PROGRAM, package], folder, only)


def _run(command: list[str], folder: Path, variables: Mapping[str, str] | None = None) -> None:
    environment = dict(os.environ) | dict(variables or {})
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise CannotSetUp(f"{Path(command[0]).name} took longer than {LONGEST} s") from late
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-2:])
        raise CannotSetUp(f"the first run needs the network; {Path(command[0]).name} said:\n{said}")
