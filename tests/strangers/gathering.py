"""The pytest plugin that makes docs/tested-clients.md of a run of the strangers' tests, or holds it against one.

Rule: the page is what a run found, or the run fails. Only a run of all of them says anything: where some were left out,
were skipped or failed, the page is not looked at. With xdist the workers note and the first process gathers. Every run
of any tests loads this, so it loads what makes the page only then.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from tests.strangers import asked

TESTS = "tests/strangers/"
PAGE = "docs/tested-clients.md"
HOW = "make strangers, or: python -m pytest tests/strangers --write-strangers"
OF_THE_PAGE = f"{TESTS}test_table.py"
"""Its tests are of the page, not of strangers: whatever becomes of them, the page is written and compared."""
PROPERTY = "asked of strangers"
LEFT_OUT = "strangers_left_out"


class Gathering:
    """What one session's tests asked of strangers, and what became of them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._page = config.rootpath / PAGE
        self._collected: set[str] = set()
        self._ended: set[str] = set()
        self._failed: set[str] = set()
        self._skipped: set[str] = set()
        self._left_out = 0
        self._results: list[asked.Result] = []
        self._says: list[str] = []

    # In the process that runs tests.

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Forget what the test before asked."""
        asked.NOTED.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Give the report what its test asked, in texts that a worker can send."""
        report = yield
        if report.when == "call" and asked.NOTED:
            told = [[one.client, one.operation, one.way, one.called] for one in sorted(asked.NOTED)]
            report.user_properties.append((PROPERTY, told))
        return report

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the strangers' tests that an option leaves out."""
        self._left_out += sum(item.nodeid.startswith(TESTS) for item in items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember which tests are to run."""
        self._remember(item.nodeid for item in session.items)

    # In the process that was started.

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """Remember which tests the workers are to run between them."""
        self._remember(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take over what a worker counted; every worker counts the same."""
        self._left_out = max(self._left_out, getattr(node, "workeroutput", {}).get(LEFT_OUT, 0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Put together what a test asked and what became of it."""
        if not report.nodeid.startswith(TESTS):
            return
        if report.when == "teardown":
            self._ended.add(report.nodeid)
        if report.nodeid.startswith(OF_THE_PAGE):
            return
        expected = str(getattr(report, "wasxfail", ""))
        if report.failed:
            self._failed.add(report.nodeid)
        elif report.skipped and not expected:
            self._skipped.add(report.nodeid)
        if report.when == "call":
            why = expected.removeprefix("reason: ") if report.skipped else ""
            told: list[Any] = [value for name, value in report.user_properties if name == PROPERTY]
            found = [asked.Asked(*each) for value in told for each in value]
            self._results += [asked.Result(one, passed=report.passed, why=why) for one in found]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page or hold it against the run, if the run can tell."""
        output: dict[str, int] | None = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[LEFT_OUT] = self._left_out
            return
        writes = self._config.getoption("--write-strangers")
        if lacking := self._lacking():
            self._say(session, [f"{PAGE} is not written: {lacking}."] if writes else self._skipped_in_ci())
            return
        try:
            made = self._made()
        except ValueError as why:
            self._say(session, [str(why)])
        else:
            if writes:
                self._page.write_text(made, "utf-8")
            self._say(session, self._differences(made))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what is wrong with the page, and how to write it anew."""
        if self._says:
            terminalreporter.section(PAGE, red=True, bold=True)
            for line in self._says:
                terminalreporter.write_line(line)

    def _remember(self, ids: Any) -> None:
        self._collected.update(one for one in ids if one.startswith(TESTS))

    def _left_out_ones(self) -> list[str]:
        """Which of the strangers' tests or files were not run, as far as they can be named."""
        files = {f"{TESTS}{path.name}" for path in (self._config.rootpath / TESTS).glob("test_*.py")}
        unseen = files - {one.partition("::")[0] for one in self._ended}
        counted = [f"{self._left_out} that an option leaves out"] if self._left_out else []
        named = [one for one in self._config.args if "::" in one]
        return [*counted, *(f"all but {one}" for one in named), *sorted(unseen | (self._collected - self._ended))]

    def _lacking(self) -> str:
        """Say why this run does not tell all, or nothing."""
        if left_out := self._left_out_ones():
            return f"not all of the strangers' tests were run ({', '.join(left_out[:3])})"
        if self._failed:
            return f"{len(self._failed)} of the strangers' tests failed"
        return f"{len(self._skipped)} of the strangers' tests were skipped" if self._skipped else ""

    def _skipped_in_ci(self) -> list[str]:
        """Where CI is set nothing may be skipped, so that the page is compared at least there; Windows has no say."""
        in_ci = os.environ.get("CI") == "true" and sys.platform != "win32"
        whole_but_skipped = in_ci and self._skipped and not self._failed and not self._left_out_ones()
        return (
            [f"{PAGE} cannot be compared, for these were skipped:", *sorted(self._skipped)] if whole_but_skipped else []
        )

    def _made(self) -> str:
        from tests.strangers import table

        return table.page(table.known(self._config.rootpath / TESTS), self._results)

    def _differences(self, made: str) -> list[str]:
        there = self._page.read_text("utf-8") if self._page.exists() else ""
        lines = there.splitlines(), made.splitlines()
        differences = list(difflib.unified_diff(*lines, "the page", "what this run found", n=0, lineterm=""))
        return [*differences, f"Write it anew: {HOW}"] if differences else []

    def _say(self, session: pytest.Session, lines: list[str]) -> None:
        self._says = lines
        if lines:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes the page."""
    parser.addoption("--write-strangers", action="store_true", help=f"write {PAGE} from this run")


def pytest_configure(config: pytest.Config) -> None:
    """Gather in every process of the session."""
    config.pluginmanager.register(Gathering(config), "strangers gathering")
