"""The plots of the performance page: one SVG for light and one for dark pages.

Rule: a plot is readable without colour: each subject has its own marker and line. The bars
show the middle half of the rounds.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, NullLocator

from benchmarks.measure import Curve

_INK = {"light": "#1a1a1a", "dark": "#e4e4e4"}
_GRID = {"light": "#c8c8c8", "dark": "#4a4a4a"}
_LINES = {"light": ("#7a4b00", "#004f7a", "#4a4a4a"), "dark": ("#f0b45b", "#7cc4f2", "#b8b8b8")}
_STYLES = (("o", "-"), ("s", "--"), ("^", ":"))


def draw(curve: Curve, folder: Path) -> list[Path]:
    """Draw a curve for each theme, and return the files."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": curve.name, "font.family": "sans-serif"}):
        return [_draw(curve, theme, folder / f"{curve.name}-{theme}.svg") for theme in _INK]


def _draw(curve: Curve, theme: str, file: Path) -> Path:
    ink = _INK[theme]
    drawing = Drawing(figsize=(7.2, 3.6), layout="constrained")
    axes = drawing.subplots()
    for (who, figures), colour, (marker, line) in zip(curve.figures.items(), _LINES[theme], _STYLES, strict=False):
        medians = [each.median for each in figures]
        below = [each.median - each.middle_half[0] for each in figures]
        above = [each.middle_half[1] - each.median for each in figures]
        axes.errorbar(
            curve.sizes, medians, yerr=(below, above), color=colour, marker=marker, linestyle=line, capsize=4, label=who
        )
    axes.set_xscale("log")
    axes.set_xticks(list(curve.sizes))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_ylim(0, 1.1 * max(each.middle_half[1] for figures in curve.figures.values() for each in figures))
    axes.set_xlabel(curve.size, color=ink)
    axes.set_ylabel(curve.unit, color=ink)
    axes.set_title(curve.what, color=ink, loc="left")
    axes.grid(axis="y", color=_GRID[theme], linewidth=0.6)
    axes.tick_params(colors=ink)
    for name, spine in axes.spines.items():
        spine.set_visible(name in {"left", "bottom"})
        spine.set_color(ink)
    if len(curve.figures) > 1:
        axes.legend(frameon=False, labelcolor=ink, handlelength=4)
    drawing.savefig(file, transparent=True, metadata={"Date": None})
    return file
