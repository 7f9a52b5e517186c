"""Writes the performance page: a table and the plots of each group, and what they were measured on.

Rule: every figure on the page comes from one run of all groups, and the README's from the page; nothing is typed in.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import Curve, Figure, Result, Row

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/explanation/performance.md"
PLOTS = ROOT / "docs/_static/performance"
README = ROOT / "README.md"
TITLES = {
    "client": "The library",
    "command": "The command",
    "connect": "Connecting to a media server",
    "flood": "The local Plex, attacked",
    "server": "The local Plex",
    "signing_in": "Signing in",
    "testing": "In tests",
}
_PACKAGES = ("aiohttp", "click", "cryptography", "httpx2", "msgspec", "starlette", "uvicorn", "uvloop")
_INTRODUCTION = """# Performance

This page shows what Ticketstub costs in time and memory. Most figures stand beside a peer, which is another library
that does the same, or a floor, which is the least that the same work can cost. The subjects of a row take turns,
round by round, so that a busy machine slows them alike. Ratios compare figures of the same round. Figures are
medians, with the middle half of the rounds in brackets. `make bench` measures everything and writes this page. Each
section says how to repeat its rows. On two cores, the program that sends requests to a server competes with the
server.
"""
_ON_ONE_LINE = str.maketrans({" ": "\N{NO-BREAK SPACE}", "–": "–\N{WORD JOINER}"})
_SUMMARY = """\
A fresh process gets its first answer after {first[ours]} (plex-api-client {first[plex-api-client]}, `http.client`
{first[http.client]}), and each further one after {more[ours]} ({more[plex-api-client]}, {more[http.client]}):
see [Performance](docs/explanation/performance.md).
"""
_NEXT = """
## Next

* [Options](../reference/options.md): time limits, retries, and your own HTTP client
* [Connect to a media server](../how-to/connect.md): the order in which addresses are tried
* [Limits](limits.md): how much a local Plex accepts at once
"""
_BUSY = """
The machine was busy with other work ({load:.1f} runnable processes on {cores} cores), so absolute times are longer
and vary more than on an idle one. The ratios are more reliable.
"""


def write(results: Mapping[str, Sequence[Result]], load: float, page: Path = PAGE, plots: Path = PLOTS) -> None:
    """Write the page and draw its plots. Write the README's line of figures, too, if the page is the documentation's.

    Args:
        results: what was measured, by group.
        load: how many processes were runnable before the run, on average.
        page: the page's file.
        plots: the folder of the plots.
    """
    from benchmarks.plots import draw  # matplotlib is not needed for a table

    plots.mkdir(parents=True, exist_ok=True)
    parts = [_INTRODUCTION, _describe_machine(load)]
    for group, measured in results.items():
        parts.append(f"\n## {TITLES[group]}\n\nTo repeat: `make bench args={group}`.\n")
        rows = [row for each in measured for row in (each.rows() if isinstance(each, Curve) else [each])]
        parts.append(_write_table(rows))
        for curve in (each for each in measured if isinstance(each, Curve)):
            draw(curve, plots)
            parts.append(_show_plot(curve, os.path.relpath(plots, page.parent)))
    parts.append(_NEXT)
    text = "\n".join(part.rstrip("\n") + "\n" for part in parts)
    page.write_text(text, "utf-8")
    if page == PAGE:
        README.write_text(put_summary(README.read_text("utf-8"), text), "utf-8")


def put_summary(readme: str, page: str) -> str:
    """Return the README with the line of figures that the performance page gives: below the comment that says so."""
    figures = {"first": "fresh process to first answer", "more": "get_token_details, one after the other"}
    summary = _SUMMARY.format(**{name: _read_medians(page, what) for name, what in figures.items()})
    return re.sub(r"(?<=<!-- figures: `make bench` -->\n).+?\n(?=\n)", summary, readme, count=1, flags=re.DOTALL)


def _read_medians(page: str, what: str) -> dict[str, str]:
    """Return each subject's median with its unit, of a row of the page."""
    found = re.search(rf"^\| {re.escape(what)} \| (.+?) \|", page, re.MULTILINE)
    assert found, f"the page has no row {what}"
    figures = re.findall(r"(\S+)(?:\s\+\sjson)?\s([\d,.]+)\s\([^)]*\)\s(\S+)", found[1].replace("<br>", "\n"))
    return {who: f"{median} {unit}" for who, median, unit in figures}


def _describe_machine(load: float) -> str:
    cores = os.cpu_count() or 1
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    facts = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} on {platform.system()} {platform.machine()}, {_find_processor()}, "
        f"{cores} cores, with Python {platform.python_version()}, {packages}."
    )
    return facts + "\n" + (_BUSY.format(load=load, cores=cores) if load > cores / 2 else "")


def _find_processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8").splitlines() if information.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def _write_table(rows: Sequence[Row]) -> str:
    lines = ["| what | measured | must reach | reached |", "|---|---|---|---|"]
    for row in rows:
        figures = "<br>".join(
            f"{who} {format_figure(each)} {row.unit}".translate(_ON_ONE_LINE) for who, each in row.figures.items()
        )
        what = row.what.replace("--", r"\--")  # otherwise the site shows a dash
        lines.append(f"| {what} | {figures} | {row.reach} | {row.verdict} |")
    return "\n".join(lines) + "\n"


def format_figure(figure: Figure) -> str:
    """Write the median, and the middle half in brackets."""
    low, high = figure.middle_half
    return f"{_format(figure.median)} ({_format(low)} – {_format(high)})"


def _format(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _show_plot(curve: Curve, folder: str) -> str:
    text = f"{curve.what}, in {curve.unit}, by {curve.size}; the figures are in the table above."
    return "\n" + "".join(
        f'<img class="only-{theme}" src="{folder}/{curve.name}-{theme}.svg#gh-{theme}-mode-only" alt="{text}">\n'
        for theme in ("light", "dark")
    )
