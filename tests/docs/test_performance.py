"""The performance page is what `make bench` writes: its groups, rows and plots are those of the benchmarks."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.__main__ import GROUPS
from benchmarks.page import PAGE, PLOTS, README, TITLES, put_summary
from tests.docs.pages import ROOT


def read_rows(page: Path) -> dict[str, str]:
    """Return what each row must reach, by what it measured."""
    lines = re.findall(r"^\| (.+?) \| .+? \| (.+?) \| .+? \|$", page.read_text("utf-8"), re.MULTILINE)
    return {what: reach for what, reach in lines if what != "what"}


def test_each_group_is_on_the_page_with_its_command() -> None:
    """A reader can repeat the rows of each section with the command above them."""
    text = PAGE.read_text("utf-8")
    assert list(GROUPS) == re.findall(r"^To repeat: `make bench args=(\w+)`\.$", text, re.MULTILINE)
    assert [*(TITLES[group] for group in GROUPS), "Next"] == re.findall(r"^## (.+)$", text, re.MULTILINE)


def test_each_plot_is_on_the_page_for_light_and_for_dark() -> None:
    """The page shows the plots that there are, each says what it shows, and none asks another host."""
    tags = re.findall(
        r'<img class="only-(light|dark)" src="\S+/([\w-]+\.svg)#\S+" alt=".{20,}">', PAGE.read_text("utf-8")
    )
    files = sorted(PLOTS.iterdir())
    assert sorted(name for _, name in tags) == [file.name for file in files]
    assert [] == [name for theme, name in tags if not name.endswith(f"-{theme}.svg")]
    drawn = [
        re.sub(r"<metadata>.*?</metadata>|<!DOCTYPE.*?>", "", each.read_text("utf-8"), flags=re.DOTALL)
        for each in files
    ]
    assert drawn
    assert [] == [svg for svg in drawn if re.search(r"url\((?!#)|@import|@font-face|href=\"(?!#)", svg)]


def test_the_readme_has_the_figures_of_the_page() -> None:
    """The README's line of figures is the one that `make bench` writes from the page, and follows other figures."""
    readme, text = README.read_text("utf-8"), PAGE.read_text("utf-8")
    assert readme == put_summary(readme, text)
    assert readme != put_summary(readme, re.sub(r"(plex-api-client\s)[\d,]+", r"\g<1>9", text))


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_the_rows_are_those_of_the_benchmarks(
    tmp_path: Path, require: Callable[[str, str], str], require_package: Callable[[str, str], None]
) -> None:
    """Every benchmark runs, and the page has its rows and what they must reach; more sizes are on the page alone."""
    require("wrk", "install your system's package of that name")
    require_package("matplotlib", "`make bench-setup` installs it")
    command = [sys.executable, "-m", "benchmarks", "--quick", "--to", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=900, check=False)
    assert 0 == done.returncode, done.stderr
    measured, shown = read_rows(tmp_path / "performance.md"), read_rows(PAGE)
    assert measured.items() <= shown.items()
    curves = {re.sub(r": [\d,]+$", ": N", what) for what in measured}
    assert set() == {re.sub(r": [\d,]+$", ": N", what) for what in shown} - curves
    assert sorted(each.name for each in PLOTS.iterdir()) == sorted(each.name for each in tmp_path.glob("*.svg"))
