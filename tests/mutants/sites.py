"""Small changes of the source that a test should notice: where they can be made, and how each is found again.

Rule: a mutant is known by its function and by the text that it changes, never by a line, so that it outlives code that
moves. Only what runs within functions is changed.
"""

from __future__ import annotations

import ast
import copy
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
# Where nothing is changed: what only type checkers read, and what has a syntax of its own.
UNTOUCHED = (ast.JoinedStr, ast.pattern, ast.Assert, ast.arguments)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """One change: in which file and function, what it changes into what, and which of the same texts there it means.

    `statement` is the first line of the statement around it: by that it is found where its function has another name.
    """

    file: str
    function: str
    kind: str
    statement: str
    before: str
    after: str
    occurrence: int = 0
    base: str = ""
    """What became of it when it was chosen: `caught` or `survived`."""

    @property
    def name(self) -> str:
        number = f" (number {self.occurrence + 1})" if self.occurrence else ""
        return f"{self.file} {self.function}: {self.before} -> {self.after}{number}"


@dataclass(frozen=True)
class Site:
    """Where a mutant is in a tree of today: the node that it replaces, and the statement around that."""

    mutant: Mutant
    path: Path
    node: ast.expr | ast.stmt
    statement: ast.stmt


def changes(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield what a node can be changed into, each with its kind of change."""
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in FLIPPED:
            flipped = copy.copy(node)
            flipped.ops = [FLIPPED[type(operator)]()]
            yield "comparison", ast.unparse(flipped)
        case ast.BoolOp():
            swapped = copy.copy(node)
            swapped.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "and/or", ast.unparse(swapped)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not", ast.unparse(operand)
        case ast.Constant(value=bool() as truth):
            yield "boolean", repr(not truth)
        case ast.Constant(value=int() as number):
            yield "number", repr(number + 1)
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield "return", "return None"
        case ast.Raise() | ast.Expr(value=ast.Call() | ast.Await(value=ast.Call())):
            yield "statement", "pass"
        case _:
            return


def _walk(
    node: ast.AST, names: tuple[str, ...] = (), statement: ast.stmt | None = None, *, inside: bool = False
) -> Iterator[tuple[ast.expr | ast.stmt, str, ast.stmt]]:
    """Yield what runs within functions, with the function's full name and the statement around it."""
    if isinstance(node, UNTOUCHED):
        return
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        for child in node.body:
            yield from _walk(child, (*names, node.name), inside=isinstance(node, FUNCTIONS))
        return
    if isinstance(node, ast.stmt) and inside:
        statement = node
    if isinstance(node, (ast.expr, ast.stmt)) and statement is not None:
        yield node, ".".join(names), statement
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and field != "annotation":
                yield from _walk(child, names, statement, inside=inside)


def sites_of(path: Path, root: Path) -> list[Site]:
    """Return every change that can be made in a file, in the order of its text."""
    found: list[Site] = []
    known: Counter[tuple[str, str, str]] = Counter()
    for node, function, statement in _walk(ast.parse(path.read_text("utf-8"))):
        for kind, after in changes(node):
            before, line = ast.unparse(node), ast.unparse(statement).partition("\n")[0]
            key = (function, kind, before)
            mutant = Mutant(
                file=path.relative_to(root).as_posix(),
                function=function,
                kind=kind,
                statement=line,
                before=before,
                after=after,
                occurrence=known[key],
            )
            known[key] += 1
            found.append(Site(mutant, path, node, statement))
    return found


def all_sites(root: Path) -> list[Site]:
    """Return every change that can be made below a folder."""
    return [site for path in sorted(root.rglob("*.py")) for site in sites_of(path, root)]


def choose(sites: list[Site], count: int, seed: int, *, at_least: int = 1) -> list[Mutant]:
    """Choose mutants: by package in proportion to what can be changed there, and of each kind as many as there can be.

    A package is a folder; each has so many at least.
    """
    chance = random.Random(seed)
    packages: defaultdict[str, list[Site]] = defaultdict(list)
    for site in sites:
        packages[site.mutant.file.rpartition("/")[0]].append(site)
    shares = {name: count * len(members) / len(sites) for name, members in packages.items()}
    wanted = {name: max(at_least, int(share)) for name, share in shares.items()}
    by_rest = sorted(shares, key=lambda name: shares[name] % 1, reverse=True)
    for name in by_rest[: max(0, count - sum(wanted.values()))]:
        wanted[name] += 1
    chosen: list[Mutant] = []
    for name, members in sorted(packages.items()):
        kinds: defaultdict[str, list[Mutant]] = defaultdict(list)
        for site in members:
            kinds[site.mutant.kind].append(site.mutant)
        for _ in range(wanted[name]):
            kind = chance.choice([kind for kind in sorted(kinds) if kinds[kind]])
            chosen.append(kinds[kind].pop(chance.randrange(len(kinds[kind]))))
    return chosen


def find(mutant: Mutant, sites: list[Site]) -> Site | None:
    """Find a mutant in a tree of today: where it was, else in a function of its name, else by its whole statement.

    `None` if it is gone, or if more than one place could be meant.
    """
    same = [
        site
        for site in sites
        if (site.mutant.kind, site.mutant.before, site.mutant.after) == (mutant.kind, mutant.before, mutant.after)
    ]
    here = [site for site in same if (site.mutant.file, site.mutant.function) == (mutant.file, mutant.function)]
    if here:
        return next((site for site in here if site.mutant.occurrence == mutant.occurrence), here[-1])
    last = mutant.function.rpartition(".")[2]
    for alike in (
        [site for site in same if site.mutant.function == mutant.function],
        [site for site in same if site.mutant.function.rpartition(".")[2] == last],
        [site for site in same if site.mutant.statement == mutant.statement],
    ):
        exact = [site for site in alike if site.mutant.statement == mutant.statement]
        if len(exact or alike) == 1:
            return (exact or alike)[0]
    return None


def _offset(lines: list[bytes], line: int, column: int) -> int:
    return sum(len(each) for each in lines[: line - 1]) + column


def applied(site: Site) -> str:
    """Return the text of the file with the change made."""
    text = site.path.read_bytes()
    lines, node = text.splitlines(keepends=True), site.node
    start = _offset(lines, node.lineno, node.col_offset)
    end = _offset(lines, node.end_lineno or node.lineno, node.end_col_offset or 0)
    after = site.mutant.after if isinstance(node, ast.stmt) else f"({site.mutant.after})"
    return (text[:start] + after.encode() + text[end:]).decode()


def probed(path: Path, sites: dict[int, Site], probe: str) -> str:
    """Return the text of a file in which each of these sites says, before its statement runs, that it is reached."""
    before: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for number, site in sites.items():
        before[site.statement.lineno, site.statement.col_offset].append(number)

    class Probing(ast.NodeTransformer):
        def generic_visit(self, node: ast.AST) -> ast.AST:
            super().generic_visit(node)
            for name in ("body", "orelse", "finalbody"):
                statements = getattr(node, name, None)
                if isinstance(statements, list):
                    setattr(node, name, [new for each in statements for new in [*self.probes(each), each]])
            return node

        def probes(self, statement: ast.stmt) -> list[ast.stmt]:
            numbers = before.get((statement.lineno, statement.col_offset), [])
            return [each for number in numbers for each in ast.parse(f"{probe}({number})").body]

    return ast.unparse(ast.fix_missing_locations(Probing().visit(ast.parse(path.read_text("utf-8")))))
