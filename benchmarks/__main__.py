"""Measures everything and writes the performance page, or the groups named: `python -m benchmarks [client] …`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import client, command, connect, flood, page, server, signing_in, testing
from benchmarks.measure import Plan, Result, Row, list_rows

GROUPS = {
    "client": client.rows,
    "command": command.rows,
    "connect": connect.rows,
    "server": server.rows,
    "flood": flood.rows,
    "signing_in": signing_in.rows,
    "testing": testing.rows,
}


def main() -> None:
    """Measure, print the table, and write the page if all groups were measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], help="the groups to measure; all by default")
    parser.add_argument("--quick", action="store_true", help="one turn each, to see that they work; needs --to")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write the page to this folder instead")
    given = parser.parse_args()
    if given.quick and not (given.to or given.groups):
        parser.error("the figures of --quick are not for the page: add --to FOLDER")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    console = Console(width=None if sys.stdout.isatty() else 150)
    results: dict[str, list[Result]] = {}
    for group in given.groups or GROUPS:
        results[group] = []
        for result in GROUPS[group](Plan(is_quick=given.quick)):
            for row in list_rows(result):
                console.print(f"{row.what}: {row.verdict}")
            results[group].append(result)
    print_table(console, [row for measured in results.values() for each in measured for row in list_rows(each)])
    if given.to:
        page.write(results, load, given.to / "performance.md", given.to)
    elif not given.groups:
        page.write(results, load)
        console.print(f"written: {page.PAGE}")


def print_table(console: Console, rows: list[Row]) -> None:
    """Print the rows."""
    table = Table("what", "who", "median (middle half)", "must reach", "reached")
    for row in rows:
        for index, (who, figure) in enumerate(row.figures.items()):
            what, reach, verdict = (row.what, row.reach, row.verdict) if index == 0 else ("", "", "")
            table.add_row(what, who, f"{page.format_figure(figure)} {row.unit}", reach, verdict)
        table.add_section()
    console.print(table)


if __name__ == "__main__":
    main()
