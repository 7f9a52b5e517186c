"""What is in the wheel, and what each of its extras brings by itself."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.installs.conftest import Install
from tests.installs.installation import PATIENCE, ROOT, Installation

PACKAGE = ROOT / "src" / "ticketstub"
KINDS = {".py", ".toml", ".html", ".css", ".js", ".svg", ".typed", ".pyi"}


@pytest.mark.long
def test_files(wheel: Path) -> None:
    """The wheel holds every file of the package and its own metadata, and nothing else."""
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "src"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    source = {name.removeprefix("src/") for name in tracked.stdout.split() if (ROOT / name).exists()}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    metadata = {name.partition("/")[2] for name in names if ".dist-info/" in name}
    assert {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"} == metadata
    assert source == {name for name in names if ".dist-info/" not in name}
    assert set() == {Path(name).suffix for name in source} - KINDS
    assert {"ticketstub/py.typed", "ticketstub/local_plex/world/demo.toml"} <= source


@pytest.mark.long
def test_without_extras(install: Install, checkout: Installation, tmp_path: Path) -> None:
    """The library and its command work without extras; a command of the local Plex says what to install."""
    base = install()
    with checkout.serve(tmp_path) as addresses:
        here = ("--plex-tv", addresses["plex.tv"])
        assert "tom" in base.run(tmp_path, "whoami", *here, TICKETSTUB_TOKEN="Tm8-harbour_rainy_17").out
        program = "import ticketstub; print(ticketstub.check('Tm8-harbour_rainy_17', plex_tv={!r}).alive)"
        assert "True\n" == base.execute(tmp_path, program.format(addresses["plex.tv"]))
    for line in (["serve", "--demo"], ["demo"], ["run", "--", "true"]):
        assert "ticketstub[server]" in base.run(tmp_path, *line, code=1).err


@pytest.mark.long
def test_the_server_alone(install: Install, tmp_path: Path) -> None:
    """The extra `server` brings all that the demonstration and `serve` need."""
    server = install("[server]")
    assert "transient" in server.run(tmp_path, "demo").out
    with server.serve(tmp_path) as addresses:
        assert {"plex.tv", "Attic", "Old Cellar"} == set(addresses)


@pytest.mark.long
def test_what_is_published(tmp_path: Path, require_package: Callable[[str, str], None]) -> None:
    """A wheel can be built from the source distribution, and an index would take and show both."""
    require_package("twine", "`make docs` installs it")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    built = sorted(tmp_path.iterdir())
    assert [".tar.gz", ".whl"] == sorted(re.sub(r".*(\.tar\.gz|\.whl)$", r"\1", file.name) for file in built)
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert 0 == checked.returncode, checked.stdout
