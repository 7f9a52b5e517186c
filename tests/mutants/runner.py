"""Which mutants the tests notice: each is made in a copy of the source, and the tests that reach its place are run.

Rule: a mutant is caught if a test fails or hangs that passes without it. The tests are those of `make test`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest

from tests.mutants.plugin import OUTCOMES, SELECTED
from tests.mutants.sites import Mutant, Site, all_sites, applied, find, probed

PACKAGE = Path("src", "ticketstub")
COPIED = ("src", "tests", "docs", "benchmarks", "requirements", "Makefile", "*.md", "*.toml", "Dockerfile", ".*ignore")
FIRST_TESTS = 30
LAST_TESTS = 2000
REACHED = """
import os

folder, seen = os.environ.get("MUTANTS_REACHED"), set()


def reached(number):
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    if folder and test and (number, test) not in seen:
        seen.add((number, test))
        file = os.open(f"{folder}/{os.getpid()}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, f"{number} {test}\\n".encode())
        os.close(file)
"""
PROBE = "__import__('ticketstub_reached').reached"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a mutant: `caught`, `survived`, `unreached` or `gone`; and the test that caught it."""

    mutant: Mutant
    outcome: str
    by: str = ""


@dataclass
class Reach:
    """Which tests come by each mutant's place, and how long each test takes."""

    tests: dict[int, list[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def first(self, number: int) -> list[str]:
        """Return the tests to begin with: those that come by few mutants, and some by chance."""
        crowd: defaultdict[str, int] = defaultdict(int)
        for tests in self.tests.values():
            for test in tests:
                crowd[test] += 1
        ordered = sorted(self.tests[number], key=lambda test: (crowd[test], self.seconds.get(test, 0.0), test))
        rest = ordered[FIRST_TESTS // 2 :]
        random.Random(number).shuffle(rest)
        return ordered[: FIRST_TESTS // 2] + rest[: FIRST_TESTS // 2]

    def limit(self, tests: list[str]) -> float:
        """Return after how many seconds a run of some tests hangs."""
        return 90 + 10 * sum(self.seconds.get(test, 1.0) for test in tests)


@dataclass
class Tree:
    """A copy of a checkout."""

    root: Path

    @classmethod
    def copy(cls, origin: Path, root: Path) -> Tree:
        """Copy what the tests need, without what is made from it."""
        for path in sorted({path for pattern in COPIED for path in origin.glob(pattern)}):
            if path.is_dir():
                shutil.copytree(path, root / path.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                root.mkdir(exist_ok=True)
                shutil.copy(path, root / path.name)
        shutil.copy(Path(__file__).with_name("plugin.py"), root / "src" / "mutants_plugin.py")
        (root / "src" / "ticketstub_reached.py").write_text(REACHED, "utf-8")
        return cls(root)

    @contextmanager
    def changed(self, file: str, text: str) -> Generator[None]:
        """Have another text in one of the package's files for a while."""
        path = self.root / PACKAGE / file
        before = path.read_bytes()
        try:
            self._write(path, text.encode())
            yield
        finally:
            self._write(path, before)

    @staticmethod
    def _write(path: Path, text: bytes) -> None:
        path.write_bytes(text)
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):  # of the same second and size, perhaps
            compiled.unlink()

    def pytest(self, *arguments: str, limit: float, **variables: str) -> tuple[int, str]:
        """Run pytest here; return its exit code and what it said, with the code of a process killed if it hangs."""
        command = [sys.executable, "-m", "pytest", "-p", "mutants_plugin", "-q", "--tb=line", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(self.root / "src"), **variables}
        with subprocess.Popen(
            command,
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                said, _ = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                said, _ = process.communicate()
        return process.returncode, said


def measure(tree: Tree, sites: dict[int, Site], tests: list[str]) -> Reach:
    """Run the tests once and note which of them come by which mutant; those that fail then are no help."""
    files: defaultdict[Path, dict[int, Site]] = defaultdict(dict)
    for number, site in sites.items():
        files[site.path][number] = site
    reached, outcomes = tree.root / "reached", tree.root / "outcomes"
    reached.mkdir()
    originals = {path: path.read_text("utf-8") for path in files}
    for path, members in files.items():
        path.write_text(probed(path, members, PROBE), "utf-8")
    tree.pytest(
        *("--short", "-n", str(os.cpu_count() or 1), "--dist", "loadfile", *tests),
        limit=3600,
        **{"MUTANTS_REACHED": str(reached), OUTCOMES: str(outcomes)},
    )
    for path, text in originals.items():
        tree._write(path, text.encode())
    reach, failed, found = Reach(), set[str](), defaultdict[int, set[str]](set)
    for line in outcomes.read_text("utf-8").splitlines():
        test, bad, seconds = json.loads(line)
        reach.seconds[test] = reach.seconds.get(test, 0.0) + seconds
        if bad:
            failed.add(test)
    for path in reached.iterdir():
        for line in path.read_text("utf-8").splitlines():
            reached_by, _, test = line.partition(" ")
            found[int(reached_by)].add(test)
    print(f"{len(reach.seconds)} tests, of which {len(failed)} fail where it is measured whom they reach", flush=True)
    reach.tests = {number: sorted((found[number] & set(reach.seconds)) - failed) for number in sites}
    return reach


def try_one(tree: Tree, site: Site, number: int, reach: Reach) -> Result:
    """Make a mutant in a copy, and run first a few of the tests that reach it, then all."""
    if not reach.tests[number]:
        return Result(mutant=site.mutant, outcome="unreached")
    some = reach.first(number)
    rest = [test for test in reach.tests[number] if test not in some][:LAST_TESTS]
    with tree.changed(site.mutant.file, applied(site)):
        for tests in filter(None, (some, rest)):
            (tree.root / "selected.json").write_text(json.dumps(tests), "utf-8")
            files = sorted({test.partition("::")[0] for test in tests})
            code, said = tree.pytest(
                *("-x", "-p", "no:cacheprovider", *files),
                limit=reach.limit(tests),
                **{SELECTED: str(tree.root / "selected.json")},
            )
            if code == pytest.ExitCode.NO_TESTS_COLLECTED:
                raise RuntimeError(f"none of the tests of {site.mutant.name} was found:\n{said}")
            if code != 0:
                by = [
                    line.partition(" ")[2].partition(" - ")[0]
                    for line in said.splitlines()
                    if line.startswith(("FAILED ", "ERROR "))
                ]
                return Result(mutant=site.mutant, outcome="caught", by=by[0] if by else f"exit code {code}")
    return Result(mutant=site.mutant, outcome="survived")


def run(mutants: list[Mutant], origin: Path, workers: int, tests: list[str]) -> list[Result]:
    """Try each mutant in copies of a checkout, as many at once as there are workers."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees: SimpleQueue[Tree] = SimpleQueue()
        as_it_is = Tree.copy(origin, Path(folder, "as-it-is"))
        every = all_sites(as_it_is.root / PACKAGE)
        places = {number: site for number, mutant in enumerate(mutants) if (site := find(mutant, every))}
        copies = [Tree.copy(origin, Path(folder, str(number))) for number in range(workers)]
        first = copies[0]
        moved = {
            number: Site(site.mutant, first.root / PACKAGE / site.mutant.file, site.node, site.statement)
            for number, site in places.items()
        }
        reach = measure(first, moved, tests)
        for tree in copies:
            trees.put(tree)

        def try_with_a_tree(number: int) -> Result:
            if number not in places:
                return Result(mutant=mutants[number], outcome="gone")
            tree = trees.get()
            try:
                found = try_one(tree, places[number], number, reach)
            finally:
                trees.put(tree)
            print(f"{found.outcome:9} {mutants[number].name}  {found.by}", flush=True)
            return Result(mutant=mutants[number], outcome=found.outcome, by=found.by)

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(try_with_a_tree, range(len(mutants))))
