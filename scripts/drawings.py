"""SVG with text as text: sequence diagrams, layers of boxes, and what a terminal showed.

Rule: a drawing is a function of its words and a theme. It names no font and nothing else of another host: the reader's
own fonts are used, and every text has room to be wider than here.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import NamedTuple

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

MARGIN, ROW, HEAD = 16, 38, 34


@dataclass(frozen=True)
class Theme:
    """The colours of a drawing, for pages that are light or dark."""

    name: str
    text: str
    quiet: str
    line: str
    box: str
    accent: str
    terminal: TerminalTheme


_ANSI_LIGHT = [(31, 35, 40), (179, 38, 30), (20, 110, 50), (122, 75, 0), (9, 80, 170), (120, 40, 140), (0, 100, 110)]
_ANSI_DARK = [(110, 118, 129), (255, 123, 114), (86, 211, 100), (240, 180, 91), (121, 192, 255), (210, 168, 255)]
LIGHT = Theme(
    "light",
    text="#1f2328",
    quiet="#57606a",
    line="#8c959f",
    box="#f6f8fa",
    accent="#7a4b00",
    terminal=TerminalTheme((246, 248, 250), (31, 35, 40), [*_ANSI_LIGHT, (87, 96, 106)]),
)
DARK = Theme(
    "dark",
    text="#e6edf3",
    quiet="#9198a1",
    line="#6e7681",
    box="#1c2128",
    accent="#f0b45b",
    terminal=TerminalTheme((22, 27, 34), (230, 237, 243), [*_ANSI_DARK, (86, 212, 221), (230, 237, 243)]),
)
THEMES = (LIGHT, DARK)

TERMINAL = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<style>
.{unique_id}-matrix {{ font: {char_height}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
.{unique_id}-title {{ font: 16px system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's template without the fonts that it takes from a host."""


class Step(NamedTuple):
    """One line of a sequence diagram: a message between two columns, or within one a note."""

    source: int
    target: int
    text: str
    is_reply: bool = False


def draw_terminal(command: str, output: str, theme: Theme, *, width: int) -> str:
    """Draw a command and what it printed, with its colours (ANSI)."""
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "dim"), (command, "bold")))
    console.print(Text.from_ansi(output), soft_wrap=False)
    drawn = console.export_svg(title="", theme=theme.terminal, code_format=TERMINAL, unique_id="t")
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def draw_sequence(columns: tuple[str, ...], steps: tuple[Step, ...], theme: Theme) -> str:
    """Draw who sends what to whom, from top to bottom."""
    wide = 290 if len(columns) <= 3 else 230
    middle = [MARGIN + wide // 2 + wide * number for number in range(len(columns))]
    height = MARGIN * 2 + HEAD + ROW * (len(steps) + 1)
    parts: list[str] = []
    for x, name in zip(middle, columns, strict=True):
        parts += [
            f'<line class="life" x1="{x}" y1="{MARGIN + HEAD}" x2="{x}" y2="{height - MARGIN}"/>',
            _box(x - 95, MARGIN, 190, HEAD),
            _text(x, MARGIN + 22, name, "name"),
        ]
    for number, step in enumerate(steps, 1):
        y = MARGIN + HEAD + ROW * number
        start, end = middle[step.source], middle[step.target]
        if start == end:
            parts += [_box(start - 115, y - 20, 230, 28), _text(start, y - 1, step.text, "quiet")]
            continue
        kind = "reply" if step.is_reply else "message"
        tip = end - 4 if end > start else end + 4
        parts += [
            f'<line class="{kind}" x1="{start}" y1="{y}" x2="{tip}" y2="{y}" marker-end="url(#tip)"/>',
            _text((start + end) // 2, y - 7, step.text, "quiet" if step.is_reply else "said"),
        ]
    return _svg(MARGIN * 2 + wide * len(columns), height, parts, theme)


class Layer(NamedTuple):
    """A box of the architecture: where it is, in columns and rows, and what it says."""

    column: float
    row: int
    width: float
    name: str
    text: str


def draw_layers(layers: tuple[Layer, ...], theme: Theme) -> str:
    """Draw boxes that stand on each other."""
    unit, high, gap = 190, 54, 8
    parts: list[str] = []
    for layer in layers:
        x, y = MARGIN + layer.column * unit, MARGIN + layer.row * (high + gap)
        wide = layer.width * unit - gap
        parts += [
            _box(x, y, wide, high),
            _text(x + wide / 2, y + (22 if layer.text else 32), layer.name, "name"),
            _text(x + wide / 2, y + 41, layer.text, "quiet"),
        ]
    right = max(layer.column + layer.width for layer in layers)
    rows = max(layer.row for layer in layers) + 1
    return _svg(MARGIN * 2 + right * unit - gap, MARGIN * 2 + rows * (high + gap) - gap, parts, theme)


def _svg(width: float, height: float, parts: list[str], theme: Theme) -> str:
    style = (
        f"text {{ font: 13px system-ui, sans-serif; fill: {theme.text}; text-anchor: middle; }}\n"
        f".name {{ font-weight: 600; }}\n.quiet {{ fill: {theme.quiet}; }}\n.said {{ fill: {theme.text}; }}\n"
        f"rect {{ fill: {theme.box}; stroke: {theme.line}; }}\nline {{ stroke: {theme.line}; }}\n"
        f".life {{ stroke-dasharray: 2 4; }}\n.message {{ stroke: {theme.accent}; stroke-width: 1.5; }}\n"
        f".reply {{ stroke: {theme.line}; stroke-dasharray: 5 3; }}\n#tip path {{ fill: {theme.accent}; }}\n"
    )
    tip = '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    return "\n".join(
        [
            f'<svg viewBox="0 0 {width:g} {height:g}" xmlns="http://www.w3.org/2000/svg" role="img">',
            f"<style>\n{style}</style>",
            f'<defs>{tip}<path d="M0 0 8 4 0 8z"/></marker></defs>',
            *(part for part in parts if part),
            "</svg>\n",
        ]
    )


def _box(x: float, y: float, width: float, height: float) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5"/>'


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(text)}</text>' if text else ""
