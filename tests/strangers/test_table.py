"""docs/tested-clients.md: what of it needs no run, how it is written, and the plugin that holds it against a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import Page
from tests.strangers import asked, gathering, table, words
from tests.strangers.asked import Asked, Result
from tests.strangers.environments import HERE
from tests.strangers.table import Client
from tests.strangers.unanswered import UNANSWERED

ROOT = HERE.parents[1]
KITE = Client("kite_1_2", "kite", "1.2", "Python")
PING = Asked("kite_1_2", "ping", "pointed")


@pytest.fixture
def rows(request: pytest.FixtureRequest) -> list[tuple[str, ...]]:
    """The rows of the page."""
    if request.config.getoption("--write-strangers"):
        pytest.skip("it is being written")
    return list(Page(ROOT / gathering.PAGE).table("Tested clients").rows)


def test_every_stranger_has_its_row(rows: list[tuple[str, ...]]) -> None:
    """Each folder is in the page with the version that it pins, and nothing is there without one."""
    expected = [(client.name, client.version) for client in table.known(HERE)]
    assert expected == [row[:2] for row in rows], gathering.HOW


def test_what_does_not_pass_has_a_reason(rows: list[tuple[str, ...]]) -> None:
    """Of every client operations were tried; where not all of them passed, the last column says why."""
    for client, _, _, tried, passed, unpointed, why in rows:
        assert int(tried) >= int(passed) >= int(unpointed), client
        assert int(tried) > 0, client
        assert why or tried == passed, client


def test_no_words_are_left_of_a_folder_that_went() -> None:
    """Remarks and reasons belong to clients that are there."""
    assert set() == {*words.REMARKS, *UNANSWERED} - {client.key for client in table.known(HERE)}


@pytest.mark.parametrize(
    ("pins", "text", "expected"),
    [
        ("requirements.in", "requests==9.9\nkite==1.2\n", ("kite", "Python")),
        ("package.json", '{"dependencies": {"@toys/kite": "1.2", "zod": "3.25.76"}}', ("@toys/kite", "JavaScript")),
        ("go.mod", "module stranger\n\ngo 1.24\n\nrequire github.com/toys/kite v1.2\n", ("kite", "Go")),
        ("go.mod", "require (\n\tgithub.com/toys/kite v1.2\n)\n", ("kite", "Go")),
        ("pom.xml", "<artifactId>kite</artifactId>\n  <version>1.2</version>", ("kite", "Java")),
    ],
)
def test_client_of_a_folder(tmp_path: Path, pins: str, text: str, expected: tuple[str, str]) -> None:
    """Name, version and language are those of the package that is pinned at the version of the folder's name."""
    (tmp_path / "kite_1_2").mkdir()
    (tmp_path / "kite_1_2" / pins).write_text(text)
    client = table.of_folder(tmp_path / "kite_1_2")
    assert ("kite_1_2", "1.2", *expected) == (client.key, client.version, client.name, client.language)


def test_folder_whose_version_is_pinned_nowhere(tmp_path: Path) -> None:
    """Such a folder has no place in the page, and the message names it."""
    (tmp_path / "kite_1_2").mkdir()
    (tmp_path / "kite_1_2" / "requirements.in").write_text("kite==1.3\n")
    with pytest.raises(ValueError, match=r"kite_1_2: 1\.2 is pinned in none of"):
        table.known(tmp_path)


@pytest.mark.parametrize(
    ("results", "row"),
    [
        ([Result(PING)], "| kite | 1.2 | Python | 1 | 1 | 0 |  |"),
        ([Result(PING), Result(Asked("kite_1_2", "ping", "run"))], "| kite | 1.2 | Python | 1 | 1 | 1 |  |"),
        (
            [Result(PING), Result(PING, passed=False, why="it has no string")],
            "| kite | 1.2 | Python | 1 | 0 | 0 | Ping: it has no string. |",
        ),
        (
            [Result(Asked("kite_1_2", one, "pointed", how)) for one in ("ping", "link") for how in ("sync", "async")],
            "| kite | 1.2 | Python (async, sync) | 2 | 2 | 0 |  |",
        ),
        ([], "| kite | 1.2 | Python | 0 | 0 | 0 | It was not tried. |"),
    ],
)
def test_row(results: list[Result], row: str) -> None:
    """An operation counts once, and passed where it did in every test that asked for it."""
    assert row in table.page([KITE], results).splitlines()


def test_what_passed_is_told_in_words() -> None:
    """Known operations are told in words, others as their program calls them; a dagger marks what was not pointed."""
    results = [Result(Asked("kite_1_2", "ping", "run")), Result(Asked("kite_1_2", "loop", "pointed"))]
    assert "* **kite 1.2**: `loop`, ping\u00a0†" in table.page([KITE], results).splitlines()


def test_unanswered_operations_count_as_tried() -> None:
    """What a client offers and the local Plex does not answer is tried, does not pass, and has its reason told once."""
    row = table.Row(KITE, [Result(PING)], {"fly": "there is no wind", "dive": "there is no wind", "ping": "no string"})
    assert "| kite | 1.2 | Python | 3 | 0 | 0 | `dive`, `fly`: there is no wind.<br>Ping: no string. |" == str(row)


def test_what_a_generated_sdk_lacks_is_told() -> None:
    """Operations and errors that a release does not have stand in the last column, as the table of kinds knows them."""
    row = str(table.Row(Client("plexpy_0_6_6", "plexpy", "0.6.6", "Python", "it is old"), [], {}))
    lacks = "Does not offer: get token details, list resources, sign in with a password."
    errors = "Has no error class for a 401: get a transient token, get source connection information."
    assert row.endswith(f"| It was not tried.<br>{lacks}<br>{errors}<br>It is old. |")


def test_a_code_makes_another_operation_of_a_sign_in() -> None:
    """What its users see as two is noted as two; of requests, each SDK is a client of its own."""
    before = set(asked.NOTED)
    asked.note("kite_1_2", "sign_in", "pointed", {"verification_code": "123456", "how": "sync"})
    asked.note("raw_requests", "ping", "pointed", {"how": "kitego"})
    expected = {
        Asked("kite_1_2", "sign_in_with_code", "pointed", "sync"),
        Asked("raw_requests/kitego", "ping", "pointed"),
    }
    assert expected == asked.NOTED - before
    asked.NOTED.difference_update(expected)


CONFTEST = 'pytest_plugins = ["tests.strangers.gathering"]\n'
TEST = """
import pytest
from tests.strangers.asked import note

def test_ping():
    note("kite_1_2", "ping", "pointed")

{mark}
def test_link():
    note("kite_1_2", "link", "run")
    {body}
"""


class Project:
    """A folder with a stranger and its tests, run by a pytest of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.page = folder / gathering.PAGE
        self.tests = folder / gathering.TESTS / "test_kite.py"
        for parent in (self.page.parent, self.tests.parent / "kite_1_2"):
            parent.mkdir(parents=True)
        (self.tests.parent / "kite_1_2" / "requirements.in").write_text("kite==1.2\n")
        (folder / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib -p xdist -p no:cacheprovider\n")
        (folder / "conftest.py").write_text(CONFTEST)
        self.test()

    def test(self, mark: str = "", body: str = "") -> None:
        self.tests.write_text(TEST.format(mark=mark, body=body))

    def run(self, *options: str, ci: bool = False) -> tuple[int, str]:
        """Run the tests, as a user or where `CI` is set; return the exit code and what was said."""
        own = {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "CI": str(ci).lower(),
        }
        command = [sys.executable, "-m", "pytest", "-q", *options]
        done = subprocess.run(
            command, cwd=self.folder, env=os.environ | own, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_page_is_what_the_run_finds(project: Project, workers: tuple[str, ...]) -> None:
    """A run writes the page where it is told to; else it fails with the difference where the page says otherwise."""
    assert 0 == project.run(*workers, "--write-strangers")[0]
    assert "| kite | 1.2 | Python | 2 | 2 | 1 |  |" in project.page.read_text("utf-8").splitlines()
    project.page.write_text(project.page.read_text("utf-8").replace("| 2 | 2 | 1 |", "| 2 | 2 | 2 |"), "utf-8")
    code, said = project.run(*workers)
    assert 1 == code
    for line in ("-| kite | 1.2 | Python | 2 | 2 | 2 |  |", "+| kite | 1.2 | Python | 2 | 2 | 1 |  |", gathering.HOW):
        assert line in said


def test_run_that_agrees_says_nothing(project: Project) -> None:
    """A page that is true is not spoken of."""
    assert 0 == project.run("--write-strangers")[0]
    code, said = project.run()
    assert (0, False) == (code, gathering.PAGE in said)


@pytest.mark.parametrize(
    "options",
    [("-k", "ping"), ("-n", "2", "-k", "ping"), ("tests/strangers/test_kite.py::test_ping",)],
    ids=["-k", "-k with xdist", "node"],
)
def test_run_of_some_says_nothing(project: Project, options: tuple[str, ...]) -> None:
    """Where not all of the strangers' tests were run, the page is not looked at, and is not written either."""
    code, said = project.run(*options)
    assert (0, False) == (code, gathering.PAGE in said)
    code, said = project.run(*options, "--write-strangers")
    assert (1, True) == (code, f"{gathering.PAGE} is not written: not all of the strangers' tests were run" in said)
    assert not project.page.exists()


def test_run_with_skips_says_nothing(project: Project) -> None:
    """On a machine that lacks what a stranger needs, the page is not looked at, and the writer is told."""
    project.test("@pytest.mark.skip(reason='no wind')")
    code, said = project.run()
    assert (0, False) == (code, gathering.PAGE in said)
    code, said = project.run("--write-strangers")
    assert (1, True) == (code, "is not written: 1 of the strangers' tests were skipped." in said)


@pytest.mark.skipif(sys.platform == "win32", reason="there, some are skipped for good")
def test_skips_are_told_in_ci(project: Project) -> None:
    """Where CI is set a skip would leave the page uncompared for ever: the run fails and names the test."""
    project.test("@pytest.mark.skip(reason='no wind')")
    code, said = project.run(ci=True)
    assert (1, True) == (code, "tests/strangers/test_kite.py::test_link" in said)
    assert 0 == project.run("-k", "ping", ci=True)[0]


def test_failure_is_enough_by_itself(project: Project) -> None:
    """Where a stranger's test fails, the run says that alone, and the page is not written."""
    project.test(body="assert False")
    code, said = project.run()
    assert (1, False) == (code, gathering.HOW in said)
    code, said = project.run("--write-strangers")
    assert (1, True, False) == (code, "1 of the strangers' tests failed" in said, project.page.exists())


def test_expected_failure_is_told_with_its_reason(project: Project) -> None:
    """What a test expects to fail was tried and did not pass, and the test's reason is the page's."""
    project.test("@pytest.mark.xfail(reason='there is no wind')", "assert False")
    assert 0 == project.run("-n", "2", "--write-strangers")[0]
    row = "| kite | 1.2 | Python | 2 | 1 | 0 | Approve a link code: there is no wind. |"
    assert row in project.page.read_text("utf-8").splitlines()
