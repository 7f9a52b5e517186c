"""Measures everything, or the groups named, and prints the table: `python -m benchmarks [client] [server] …`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from benchmarks import client, connect, flood, server, signing_in, testing
from benchmarks.measure import Row

GROUPS = {
    "client": client.rows,
    "connect": connect.rows,
    "flood": flood.rows,
    "server": server.rows,
    "signing_in": signing_in.rows,
    "testing": testing.rows,
}


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


def print_table(console: Console, rows: list[Row]) -> None:
    """Print the rows."""
    table = Table("what", "who", "median", "fastest – slowest", "must reach", "reached")
    for row in rows:
        for index, (who, figure) in enumerate(row.figures.items()):
            what, reach, verdict = (row.what, row.reach, row.verdict) if index == 0 else ("", "", "")
            spread = f"{figure.low:,.1f} – {figure.high:,.1f}"
            table.add_row(what, who, f"{figure.median:,.1f} {row.unit}", spread, reach, verdict)
        table.add_section()
    console.print(table)


if __name__ == "__main__":
    main()
