"""Measures the bridge and prints the table: `make bridge-bench`, or `make bridge-bench args="checks signing_in"`.

Rule: the subjects of a comparison take turns, and medians and the fastest and slowest rounds are printed, because the
computer does other things too. A figure that misses what it must reach is printed as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from rich.console import Console

from benchmarks.__main__ import print_table
from benchmarks.measure import Row
from bridge.benchmarks import checks, process, signing_in

GROUPS = {"checks": checks.rows, "process": process.rows, "signing_in": signing_in.rows}


def main() -> None:
    """Measure and print."""
    chosen = sys.argv[1:] or list(GROUPS)
    if unknown := set(chosen) - set(GROUPS):
        raise SystemExit(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    console = Console(width=None if sys.stdout.isatty() else 150)
    rows: list[Row] = []
    for group in chosen:
        for row in GROUPS[group]():
            console.print(f"{row.what}: {row.verdict}")
            rows.append(row)
    print_table(console, rows)


if __name__ == "__main__":
    main()
