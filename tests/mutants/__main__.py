"""Mutants of the source, by hand: `python -m tests.mutants choose|replace|run`; tests/README.md says more."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

import msgspec
from msgspec.structs import replace

from tests.mutants.runner import PACKAGE, Result, run
from tests.mutants.sites import Mutant, all_sites, choose, find

ROOT = Path(__file__).parents[2]
CHOSEN = Path(__file__).with_name("chosen.json")


def read() -> list[Mutant]:
    """Return the mutants that were chosen, with what became of them then."""
    return msgspec.json.decode(CHOSEN.read_bytes(), type=list[Mutant])


def write(path: Path, content: object) -> None:
    """Write JSON for people."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def summary(results: list[Result]) -> str:
    """Say how many there are of each outcome, and which were caught when they were chosen and are not now."""
    lost = [f"  {each.mutant.name}" for each in results if each.mutant.base == "caught" and each.outcome == "survived"]
    lost += [
        f"  {each.mutant.name}" for each in results if each.mutant.base == "caught" and each.outcome == "unreached"
    ]
    counts = ", ".join(f"{count} {outcome}" for outcome, count in Counter(each.outcome for each in results).items())
    return "\n".join([counts, *(["caught before, and not now:", *lost] if lost else [])])


def main() -> int:
    """Choose mutants, or run them."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    chooser = commands.add_parser("choose", help="choose mutants anew")
    chooser.add_argument("--seed", type=int, default=11)
    chooser.add_argument("--count", type=int, default=150)
    replacer = commands.add_parser("replace", help="choose others in the place of those that are gone")
    replacer.add_argument("--seed", type=int, default=12)
    runner = commands.add_parser("run", help="find which of the chosen mutants are caught")
    runner.add_argument("--tree", type=Path, default=ROOT, help="the checkout to try them in")
    runner.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    runner.add_argument("--only", default="", help="only those whose name has this text")
    runner.add_argument("--tests", nargs="*", default=[], help="only these files or folders of tests")
    runner.add_argument("--output", type=Path, help="a JSON file for the results")
    runner.add_argument("--new", action="store_true", help="only those of which it is not known")
    runner.add_argument("--base", action="store_true", help="what is found now is what later runs are compared with")
    arguments = parser.parse_args()
    if arguments.command == "choose":
        write(CHOSEN, choose(all_sites(ROOT / PACKAGE), arguments.count, arguments.seed))
        return 0
    if arguments.command == "replace":
        sites = all_sites(ROOT / PACKAGE)
        found = {site.mutant: each.base for each in read() if (site := find(each, sites))}
        free = [site for site in sites if site.mutant not in found]
        more = choose(free, len(read()) - len(found), arguments.seed, at_least=0)
        write(CHOSEN, [replace(mutant, base=base) for mutant, base in found.items()] + more)
        return 0
    wanted = [each for each in read() if arguments.only in each.name and not (arguments.new and each.base)]
    results = run(wanted, arguments.tree.absolute(), arguments.workers, arguments.tests)
    if arguments.output:
        write(arguments.output, results)
    if arguments.base:
        outcomes = {each.mutant.name: each.outcome for each in results}
        write(CHOSEN, [replace(each, base=outcomes.get(each.name, each.base)) for each in read()])
    text = summary(results)
    print(text)
    return 1 if "caught before" in text else 0


if __name__ == "__main__":
    sys.exit(main())
