"""docs/tested-clients.md as a text, from what a run found: which client was asked what, and what passed.

Rule: the page depends on folders, pins and results alone; no date, duration or machine is in it. A folder with pins
gets a row by itself; whoever has words for it writes them into `words.py` or `unanswered.py`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from textwrap import wrap

from tests.strangers.asked import Result, Way
from tests.strangers.kinds import KINDS, PLEX_TV_CALLS, SERVER_CALLS
from tests.strangers.unanswered import UNANSWERED
from tests.strangers.words import NAMES, OPERATIONS, OPERATIONS_OF, PROGRAMS, REMARKS, REQUESTS

FOLDER = re.compile(r"([a-z]+)_(\d+(?:_\d+)*)")
LOCK = Path(__file__).parents[2] / "requirements" / "dev.txt"
DAGGER = "\u00a0†"
PINS = {
    "requirements.in": ("Python", re.compile(r"(?m)^([\w.-]+)==([\w.]+)")),
    "package.json": ("JavaScript", re.compile(r'"(\S+)": "(\d\S*)"')),
    "go.mod": ("Go", re.compile(r"(?m)^(?:require)?\s*\S*?([\w.-]+) v(\d[\w.]*)")),
    "pom.xml": ("Java", re.compile(r"<artifactId>([^<]+)</artifactId>\s*<version>([^<]+)</version>")),
}
"""The files that may hold a folder's pins: the language, and a package with its version."""


@dataclass(frozen=True)
class Client:
    """A row's part that needs no run. The key is a folder, `raw_requests/SDK` or a program's name."""

    key: str
    name: str
    version: str
    language: str
    remark: str = ""


def known(folder: Path) -> list[Client]:
    """Return the clients that have a folder, then those that are a few lines of a program."""
    strangers = [of_folder(one) for one in folder.iterdir() if FOLDER.fullmatch(one.name) and any(one.iterdir())]
    requests = [Client(f"raw_requests/{sdk}", f"{sdk}'s requests", *facts) for sdk, facts in REQUESTS.items()]
    programs = [Client(name, name, version or _locked(name), *more) for name, (version, *more) in PROGRAMS.items()]
    return [*_sorted(strangers), *_sorted(requests), *_sorted(programs)]


def of_folder(folder: Path) -> Client:
    """Read from its pins which client a folder holds; raises ValueError where its version is not pinned there."""
    found = FOLDER.fullmatch(folder.name)
    version = found[2].replace("_", ".") if found else ""
    for name, (language, pinned) in PINS.items():
        pins = folder / name
        for package, its in pinned.findall(pins.read_text("utf-8")) if pins.exists() else ():
            if its == version:
                return Client(folder.name, NAMES.get(package, package), version, language, REMARKS.get(folder.name, ""))
    raise ValueError(f"{folder.name}: {version or 'a version'} is pinned in none of {', '.join(PINS)}")


def page(clients: Sequence[Client], results: Iterable[Result]) -> str:
    """Write the page: a row for each client, and what each was asked."""
    of_client: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        of_client[result.asked.client].append(result)
    nameless = sorted(of_client.keys() - {client.key for client in clients})
    unknown = [Client(key, key, "", "") for key in nameless]
    rows = [Row(one, of_client[one.key], UNANSWERED.get(one.key, {})) for one in (*clients, *unknown)]
    asked = [row for row in rows if row.tried]
    return PAGE.substitute(
        rows="\n".join(str(row) for row in rows), operations="\n".join(row.operations for row in asked)
    )


class Row:
    """One client's part of the page."""

    def __init__(self, client: Client, results: Sequence[Result], unanswered: Mapping[str, str]) -> None:
        self.client = client
        self._results = results
        self._unanswered = dict(unanswered)
        self._failed = {result.asked.operation: result.why for result in results if not result.passed}
        self.tried = {result.asked.operation for result in results} | self._unanswered.keys()
        self.passed = self.tried - self._failed.keys() - self._unanswered.keys()

    def __str__(self) -> str:
        unpointed = self._in("run")
        cells = [self.client.name, self.client.version, self._language(), len(self.tried), len(self.passed)]
        return f"| {' | '.join(map(str, [*cells, len(unpointed), self._why()]))} |"

    @property
    def operations(self) -> str:
        """What the client was asked and what passed, in words; what also passed in a run is set apart."""
        both = self.passed & self._in("run")
        version = self.client.version if self.client.version[:1].isdigit() else ""
        passed = sorted(self._words(one) + (DAGGER if one in both else "") for one in self.passed)
        text = f"* **{f'{self.client.name} {version}'.strip()}**: {', '.join(passed) or 'nothing'}"
        return "\n".join(wrap(text, 120, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False))

    def _in(self, way: Way) -> set[str]:
        return {one.asked.operation for one in self._results if one.asked.way == way} & self.passed

    def _language(self) -> str:
        called = ", ".join(sorted({one.asked.called for one in self._results} - {""}))
        return f"{self.client.language} ({called})" if called else self.client.language

    def _words(self, operation: str) -> str:
        own = OPERATIONS_OF.get(self.client.key.partition("_")[0], {})
        plain = operation if " " in operation else f"`{operation}`"
        return own.get(operation) or OPERATIONS.get(operation) or plain

    def _why(self) -> str:
        """Say why operations do not pass, those with one reason together; then what else there is to say."""
        by_reason: dict[str, list[str]] = defaultdict(list)
        for operation, why in sorted((self._failed | self._unanswered).items()):
            by_reason[why or "it fails"].append(self._words(operation))
        reasons = [f"{', '.join(sorted(those))}: {why}" for why, those in by_reason.items()]
        nothing = "" if self.tried else "it was not tried"
        told = (*reasons, nothing, *self._lacks(), self.client.remark)
        return "<br>".join(f"{one[0].upper()}{one[1:]}." for one in told if one)

    def _lacks(self) -> Iterator[str]:
        """Say which of the generated SDKs' operations and errors a release does not have."""
        for kind in KINDS:
            if kind.folder == self.client.key:
                lacking = (PLEX_TV_CALLS | SERVER_CALLS) - kind.offers, kind.offers - kind.typed_errors
                for what, those in zip(("does not offer", "has no error class for a 401"), lacking, strict=True):
                    if those:
                        yield f"{what}: {', '.join(sorted(self._words(one) for one in those))}"


def _sorted(clients: Iterable[Client]) -> list[Client]:
    return sorted(clients, key=lambda one: (one.name.lower(), [int(part) for part in re.findall(r"\d+", one.version)]))


def _locked(package: str) -> str:
    found = re.search(rf"(?m)^{re.escape(package)}==(\S+)", LOCK.read_text("utf-8"))
    assert found, f"{package} is not in {LOCK.name}"
    return found[1]


PAGE = Template("""\
# Tested clients

<!-- Written by `make strangers` from a run of the strangers' tests; every whole run of them compares the two. -->

These published Plex clients were run against the local Plex. Each is unmodified, has a pinned version and its own
environment, and can reach no Plex but the local one. They matter because the same people wrote both ends of this
project. If we are wrong about Plex, our client and our local Plex are wrong in the same way, and agree with each other.

An operation *passed* if every test that uses a client for it passed: the client accepted the response, and returned
the right result, or for a wrong password, for example, the right error. This shows that the client accepts what the
local Plex answers. It does not show that Plex itself answers in the same way.

In some tests, the client is *configured* to use the local Plex, with an option of its own such as a server URL or an
HTTP session. In others it is *unconfigured*: it uses Plex's own addresses, and
[`ticketstub run`](how-to/test/run.md) directs it to the local Plex, as it does with any program.

| client | version | language (variants) | tried | passed | passed unconfigured | reasons and notes |
|---|---|---|---|---|---|---|
$rows

*Tried*, *passed* and *passed unconfigured* are numbers of operations. If a client can be called in several ways, the
language column lists the variants that were tried. The last column says why an operation does not pass.

`make strangers` runs these tests, which are in `tests/strangers/`, and writes this page from the results. It needs
Node.js, Go, Java, Ruby and curl, and the first time also the network, to download the clients. `make test-all` runs the
same tests, and fails if this page differs from the results.

## What passed

Operations with a † also passed unconfigured.

$operations

## Next

* [Coming from another library](how-to/migrate/index.md): the equivalents of each client's calls.
* [The SDKs' pages](sdks/index.md): every row of five SDKs' Authentication pages.
* [Quirks](reference/quirks.md): where clients depend on what Plex answers.
""")
