"""What the tests guard, by name, read from the tests' own source: `python -m tests.guards` writes it into README.md.

Rule: a requirement's id stands in the name or the docstring of each test that shows it, or in that of a file all of
whose tests do. Nothing is imported: the tables hold for tests that cannot run here, too.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
README = HERE / "README.md"

_ID = re.compile(r"\bF-(?:SQ|CL)-\d+\b|(?<!%)\b[CSLI]\d{1,2}\b")
_SPAN = re.compile(r"\b([CSLI])(\d{1,2}) to (?:[CSLI])(\d{1,2})\b")
_ID_OF_NAME = re.compile(r"(?<=test_)(?:f_(?:sq|cl)_\d+|[csli]\d{1,2})(?=_)")
_ROW = re.compile(r"^\| (\S+) \| (.*?) \| (.*) \|$", re.MULTILINE)
HEAD = "| guard | what | tests |\n|---|---|---|\n"


def ids_in(text: str) -> set[str]:
    """Return the ids of requirements that a text names; `I1 to I4` names four."""
    spans = [
        f"{letter}{number}"
        for letter, first, last in _SPAN.findall(text)
        for number in range(int(first), int(last) + 1)
    ]
    named = [found.upper().replace("_", "-") for found in _ID_OF_NAME.findall(text)]
    return {*_ID.findall(text), *spans, *named}


@cache
def test_files() -> tuple[tuple[str, ast.Module], ...]:
    """Return the name and the syntax tree of each file of tests that names an id."""
    texts = ((path, path.read_text("utf-8")) for path in sorted(HERE.rglob("test_*.py")))
    return tuple((path.relative_to(HERE).as_posix(), ast.parse(text)) for path, text in texts if ids_in(text))


def tests_in(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the tests of a file."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [
        node
        for node in [*tree.body, *(member for each in classes for member in each.body)]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def guarded() -> dict[str, set[str]]:
    """Return, for each id, the tests that show it: `file::test`, or the file alone if all of its tests do."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for file, tree in test_files():
        whole = ids_in(ast.get_docstring(tree) or "")
        for name in whole:
            found[name].add(file)
        for test in tests_in(tree):
            for name in ids_in(f"{test.name} {ast.get_docstring(test) or ''}") - whole:
                found[name].add(f"{file}::{test.name}")
    return dict(found)


# What is guarded one by one besides: the tests of each family. Its members are read from where they are declared.
FAMILIES = {
    "ledger": "`sdk_pages/data/ours.toml`: each has rows on the five reference pages, and a test that shows it",
    "clients": "published Plex clients",
    "pages": "pages of the documentation whose examples are run as they stand",
    "mutants": "defects of a local Plex that the stateful machine notices",
}


def families() -> dict[str, tuple[list[str], set[str]]]:
    """Return what else is guarded one by one: for each family its members' names, and its tests."""
    ledger = tomllib.loads((HERE / "sdk_pages" / "data" / "ours.toml").read_text("utf-8"))
    equivalents = {
        f"{group}.{name}": facts["test"] for group, facts_of in ledger.items() for name, facts in facts_of.items()
    }
    clients = {path.parent.name for path in HERE.glob("strangers/*/*") if path.name.startswith(("program.", "main.go"))}
    pages = [path for path in (HERE.parent / "README.md", *HERE.parent.glob("docs/**/*.md")) if _has_examples(path)]
    return {
        "ledger": (sorted(equivalents), {f"sdk_pages/{test}" for test in equivalents.values()}),
        "clients": (sorted(clients), {f"strangers/{path.name}" for path in HERE.glob("strangers/test_*.py")}),
        "pages": (
            sorted(path.relative_to(HERE.parent).as_posix() for path in pages),
            {"docs/test_as_read.py::test_as_read", "docs/test_testing_examples.py"},
        ),
        "mutants": (
            _mutants(),
            {f"stateful/test_machine.py::test_{name}" for name in ("a_defect_is_noticed", "chance_finds_a_defect")},
        ),
    }


def _has_examples(path: Path) -> bool:
    return re.search(r"^```(python|console|sh|toml)$", path.read_text("utf-8"), re.MULTILINE) is not None


def _mutants() -> list[str]:
    tree = ast.parse((HERE / "stateful" / "mutants.py").read_text("utf-8"))
    table = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and ast.unparse(node.target) == "MUTANTS"
        and isinstance(node.value, ast.Dict)
    )
    return [ast.unparse(key.args[0] if isinstance(key, ast.Call) else key) for key in table.keys if key is not None]


def listed(tests: Iterable[str]) -> str:
    """Write tests as the tables do: by file, `file`: `test`, `test`; the file alone where all of its tests count."""
    by_file: defaultdict[str, list[str]] = defaultdict(list)
    for test in sorted(tests):
        file, _, name = test.partition("::")
        by_file[file] += [f"`{name}`"] if name else []
    return "; ".join(f"`{file}`" + (f": {', '.join(names)}" if names else "") for file, names in by_file.items())


def _order(name: str) -> tuple[str, int]:
    return name.rstrip("0123456789"), int(re.search(r"\d+$", name)[0])  # type: ignore[index]  # an id ends in digits


def sections(text: str) -> dict[str, tuple[str, str]]:
    """Return the rows of the README's table of guards: by name, what is guarded and by which tests."""
    return {name: (what, tests) for name, what, tests in _ROW.findall(text.partition(HEAD)[2])}


def wanted(text: str) -> dict[str, tuple[str, str]]:
    """Return the rows that there should be; what a row says of an id is taken from the README as it is.

    A row whose id no test names any more stays, without tests.
    """
    said, found = sections(text), guarded()
    ids = sorted({*found, *said} - FAMILIES.keys(), key=_order)
    rows = {name: (said.get(name, ("", ""))[0], listed(found.get(name, ()))) for name in ids}
    for family, (members, tests) in families().items():
        rows[family] = (f"{FAMILIES[family]}: " + ", ".join(f"`{name}`" for name in members), listed(tests))
    return rows


def document(text: str) -> str:
    """Return the README with the table as it should be."""
    rows = [f"| {name} | {what} | {tests} |\n" for name, (what, tests) in wanted(text).items()]
    before, _, rest = text.partition(HEAD)
    return before + HEAD + "".join(rows) + rest.lstrip("|").partition("\n\n")[2]


if __name__ == "__main__":
    README.write_text(document(README.read_text("utf-8")), "utf-8")
