"""The rules that hold the project together, read from its own source.

Rule: only the syntax tree is looked at, so that a rule holds for code no test runs; what is loaded at run time is
asked of a fresh interpreter.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "ticketstub"

LONGEST_FILE = 500
VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "service", "services", "misc"}

# What every part may import: plain values, errors, and two leaf modules that both sides need.
GROUND = {"messages", "tokens", "models", "errors", "refusals", "device", "dns", "private_files", "routes"}
# What each part may import beside itself. Imports for types only count, too.
MAY_IMPORT = {
    **dict.fromkeys(GROUND, GROUND),
    "crypto": GROUND,
    "protocol": GROUND | {"crypto"},
    "credentials": GROUND | {"crypto", "protocol"},
    "client": GROUND | {"crypto", "protocol", "credentials"},
    "public_names": set[str](),
    "lazy_names": set[str](),
    "calls": {"public_names", "lazy_names"},
    "adapters": GROUND | {"protocol", "client"},
    "compat": GROUND | {"protocol", "client", "calls"},
    "local_plex": GROUND | {"crypto", "protocol"},
    "testing": GROUND | {"client", "local_plex", "lazy_names"},
    "cli": GROUND | {"client", "credentials", "calls", "local_plex", "testing", "adapters"},
}
# The same within the local Plex. What is not listed is the composition root's alone.
LOCAL_PLEX_MAY_IMPORT = {
    "settings": set[str](),
    "redaction": set[str](),
    "world": {"settings"},
    "storage": {"settings", "world"},
    "domain": {"settings", "world", "storage", "redaction"},
    "http": {"settings", "redaction"},
    "addresses": {"settings", "world", "domain", "http"},
    "api": {"settings", "world", "storage", "domain", "http", "redaction"},
    "pages": {"settings", "world", "storage", "domain", "http", "redaction"},
}
COMPOSITION = "local_plex"
HANDED_IN = {"control", "openapi", "intercept", "content"}

# What the command may use: the public names, what they are made of, and the modules by which a local Plex is run.
FACES = {
    *{"ticketstub", "ticketstub.calls", "ticketstub.credentials", "ticketstub.testing"},
    *{f"ticketstub.{name}" for name in ("errors", "refusals", "messages", "models", "tokens", "device")},
    "ticketstub.adapters.plexapi",
    "ticketstub.dns",  # `doctor` looks names up as the clients do
    "ticketstub.client.transports.dial",  # `run` passes other hosts on by the same proxy as the client uses
    *{
        f"ticketstub.local_plex.{name}"
        for name in ("local_plex", "settings", "listeners", "world.schema", "world.values")
    },
    *{f"ticketstub.local_plex.control.{name}" for name in ("controller", "faults", "http_api")},
    *{f"ticketstub.local_plex.domain.{name}" for name in ("media_servers", "overview")},
    *{
        f"ticketstub.local_plex.intercept.{name}"
        for name in ("authority", "interception", "proxy", "request", "variables")
    },
    *{f"ticketstub.local_plex.content.{name}" for name in ("recording", "upstream")},
    *{f"ticketstub.local_plex.redaction.{name}" for name in ("known_secrets", "scrubbing")},
    *{f"ticketstub.local_plex.{name}" for name in ("http.server", "storage.base", "storage.seal")},  # their errors
}

HTTP_CLIENTS = {"http.client", "aiohttp", "httpx", "httpx2", "requests", "urllib3", "urllib.request"}
DATABASE_DRIVERS = {"sqlite3", "asyncpg", "psycopg", "aiosqlite", "sqlalchemy"}
HEAVY = {
    *{"http.client", "aiohttp", "httpx", "httpx2", "ssl", "asyncio", "cryptography", "jwt", "joserfc", "argon2"},
    *{"typer", "click", "rich", "starlette", "uvicorn", "sqlite3", "msgspec", "tomllib", "logging"},
}


@dataclass(frozen=True)
class Module:
    """One file of the package: its name, where it lives, its lines and its syntax tree."""

    path: Path
    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree; read by the worker that runs these tests, not by each that collects them."""
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the syntax tree."""
        return tuple(ast.walk(self.tree))

    @property
    def top(self) -> str:
        """The first part below the package: `wire` for ticketstub.protocol.call, `` for the package itself."""
        return self.name.partition(".")[2].partition(".")[0]

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @cached_property
    def imports(self) -> tuple[tuple[str, int], ...]:
        """Every module or name that it imports, wherever in the file and for whatever: absolute name and line."""
        return tuple(self._imports())

    @cached_property
    def mentions(self) -> tuple[tuple[str, int], ...]:
        """Every name or dotted name that it mentions, with its line."""
        nodes = (node for node in self.nodes if isinstance(node, ast.Attribute | ast.Name))
        return tuple((ast.unparse(node), node.lineno) for node in nodes)

    def _imports(self) -> Iterator[tuple[str, int]]:
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                parents = self.package.split(".")
                base = parents[: len(parents) - node.level + 1] if node.level else []
                origin = ".".join([*base, *([node.module] if node.module else [])])
                yield from ((f"{origin}.{alias.name}", node.lineno) for alias in node.names)

    def at(self, line: int) -> str:
        return f"{self.path.relative_to(ROOT)}:{line}"


@cache
def modules() -> tuple[Module, ...]:
    return tuple(_read(path) for path in sorted(SOURCE.rglob("*.py")))


def _read(path: Path) -> Module:
    text = path.read_text("utf-8")
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(path, name, text)


def starts_with(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def part_of(name: str, depth: int) -> str:
    """The part of a dotted name below a package: `protocol` of ticketstub.protocol.call at depth 1."""
    return [*name.split("."), "", ""][depth]


def neighbours(module: Module) -> set[str]:
    """The project's modules that one imports."""
    names = {each.name for each in modules()}
    found = {name if name in names else name.rpartition(".")[0] for name, _ in module.imports}
    return (found & names) - {module.name}


def test_every_part_has_its_place() -> None:
    """A new module or package is given its place in the table before it is imported anywhere."""
    assert MAY_IMPORT.keys() | {"", "__main__"} == {part_of(module.name, 1) for module in modules()}


def test_each_part_imports_only_what_it_may() -> None:
    """Models know nothing of the protocol, the protocol nothing of flows, the client nothing of the local Plex."""
    wrong = [
        f"{module.at(line)} imports {name}"
        for module in modules()
        for name, line in module.imports
        if starts_with(name, {"ticketstub"})
        and (mine := part_of(module.name, 1)) in MAY_IMPORT
        and (theirs := part_of(name, 1)) not in MAY_IMPORT[mine] | {mine, "", "__version__"}
        and theirs in MAY_IMPORT
    ]
    assert [] == wrong


def test_each_part_of_the_local_plex_imports_only_what_it_may() -> None:
    """Storage knows no decision, HTTP no route; who composes the parts hands in what is not beneath them."""
    wrong = [
        f"{module.at(line)} imports {name}"
        for module in modules()
        for name, line in module.imports
        if starts_with(name, {"ticketstub.local_plex"})
        and (mine := part_of(module.name, 2)) != (theirs := part_of(name, 2))
        and (
            (mine in LOCAL_PLEX_MAY_IMPORT and theirs not in LOCAL_PLEX_MAY_IMPORT[mine])
            or (part_of(module.name, 1) == "local_plex" and theirs in HANDED_IN and mine != COMPOSITION)
        )
    ]
    assert [] == wrong


def test_no_imports_go_in_a_circle() -> None:
    """No modules import each other, by however many steps, not for types and not within functions either."""
    graph = {module.name: neighbours(module) for module in modules()}
    while ends := {name for name, theirs in graph.items() if not theirs & graph.keys()}:
        graph = {name: theirs for name, theirs in graph.items() if name not in ends}
    starts = {name for name in graph if not any(name in theirs for theirs in graph.values())}
    assert {} == {name: sorted(theirs & graph.keys()) for name, theirs in graph.items() if name not in starts}


def test_a_class_name_has_one_meaning() -> None:
    """No two classes have the same name; what is generated has the names of its source without `Async`.

    But for one: each library's adapter is its `PlexAuth`.
    """
    names = Counter(
        node.name
        for module in modules()
        if not module.text.startswith("# Generated by")
        for node in module.nodes
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [] == [name for name, times in names.items() if times > 1 and name != "PlexAuth"]


def test_documented_arguments_exist() -> None:
    """What an `Args:` or `Attributes:` section describes is there under that name."""
    wrong = [f"{module.path.name}:{line} {name}" for module in modules() for name, line in documented(module)]
    assert [] == wrong


def documented(module: Module) -> Iterator[tuple[str, int]]:
    """Find the documented names that neither the function nor the class has."""
    for node in module.nodes:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            sections = re.split(r"^(\w+):\n", ast.get_docstring(node) or "", flags=re.MULTILINE)
            for title, text in zip(sections[1::2], sections[2::2], strict=True):
                if title in {"Args", "Attributes"}:
                    listed = re.findall(r"^    (\*{0,2}\w+(?:(?:, | and )\*{0,2}\w+)*): ", text, re.MULTILINE)
                    names = {name for names in listed for name in re.findall(r"\w+", names)} - {"and"}
                    yield from ((name, node.lineno) for name in sorted(names - present_in(node)))


def present_in(node: ast.AST) -> set[object]:
    """Return the names and constants within a function or a class."""
    attributes = {ast.arg: "arg", ast.Name: "id", ast.Attribute: "attr", ast.Constant: "value"} | dict.fromkeys(
        (ast.FunctionDef, ast.AsyncFunctionDef), "name"
    )
    return {getattr(each, attributes[type(each)]) for each in ast.walk(node) if type(each) in attributes}


def test_the_command_uses_public_faces() -> None:
    """The command reaches the library and the local Plex as other programs do; imports for types count."""
    wrong = [
        f"{module.at(node.lineno)} imports {node.module}"
        for module in modules()
        if part_of(module.name, 1) == "cli"
        for node in module.nodes
        if isinstance(node, ast.ImportFrom)
        and starts_with(node.module or "", {"ticketstub"})
        and not starts_with(node.module or "", {"ticketstub.cli"})
        and node.module not in FACES
    ]
    assert [] == wrong


def importers(libraries: set[str], *allowed: str) -> list[str]:
    return [
        f"{module.at(line)} imports {name}"
        for module in modules()
        if not starts_with(module.name, {f"ticketstub.{place}" for place in allowed})
        for name, line in module.imports
        if starts_with(name, libraries)
    ]


def test_http_clients_are_imported_in_transports_only() -> None:
    """No HTTP library appears outside the transports (and the adapters for other people's clients).

    But for one: a media server's upstream is no place that our client asks, and the server knows no transport.
    """
    assert [] == importers(HTTP_CLIENTS, "client.transports", "adapters", "local_plex.content.upstream")


def test_database_drivers_are_imported_in_the_store_only() -> None:
    """Only the store knows which database it is."""
    assert [] == importers(DATABASE_DRIVERS, "local_plex.storage")


def test_jose_is_imported_in_keys_only() -> None:
    """Signing and checking of JSON Web Tokens is one module's business."""
    assert [] == importers({"jwt", "joserfc", "jose", "authlib"}, "crypto")


def test_only_the_command_prints() -> None:
    """A library that prints takes the output away from the program that uses it.

    But for one place: without a browser, `sign_in` shows its user the address, on a terminal and nowhere else.
    """
    wrong = [
        f"{module.at(line)} mentions {name}"
        for module in modules()
        if module.top != "cli"
        for name, line in module.mentions
        if (module.name, name) != ("ticketstub.client.flows.sign_in", "sys.stderr")
        if name in {"print", "sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
    ]
    assert [] == wrong


def test_environment_is_read_in_its_three_places_only() -> None:
    """Nothing else changes with the environment, so that a test or a program decides everything by arguments."""
    allowed = {"ticketstub.cli", "ticketstub.local_plex.settings", "ticketstub.client.transports.dial"}
    allowed.add("ticketstub.testing.programs")  # it sets what the libraries of a test's process read, and puts it back
    reading = {"os.environ", "os.getenv", "os.environb", "urllib.request.getproxies", "getproxies"}
    wrong = [
        f"{module.at(line)} reads {name}"
        for module in modules()
        if not starts_with(module.name, allowed)
        for name, line in [*module.mentions, *module.imports]
        if name in reading
    ]
    assert [] == wrong


def test_nothing_configures_logging() -> None:
    """Handlers and levels belong to the program that uses the library."""
    configuring = {"basicConfig", "dictConfig", "fileConfig", "addHandler", "setLevel", "disable"}
    wrong = [
        f"{module.at(line)}: {name}"
        for module in modules()
        if "logging" in module.text
        for name, line in module.mentions
        if name.rpartition(".")[2] in configuring and name.startswith(("logging", "log"))
    ]
    assert [] == wrong


def test_modules_are_of_a_size_to_read_and_say_what_they_are() -> None:
    """Each file opens with what it is, is at most 500 lines long, and its name says something."""
    assert [] == [each.name for each in modules() if not (ast.get_docstring(each.tree) or "").strip()]
    assert [] == [each.name for each in modules() if len(each.text.splitlines()) > LONGEST_FILE]
    assert [] == [each.name for each in modules() if set(each.path.stem.split("_")) & VAGUE]


def in_a_fresh_interpreter(program: str) -> str:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r})\n{program}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_importing_the_package() -> None:
    """`import ticketstub` loads no HTTP, TLS, JWT, command, server or record library.

    `__all__` is sorted, each of its names can be had, and `dir()` shows just these beside what modules have.
    """
    program = (
        "before = set(sys.modules)\n"
        "import ticketstub as t\n"
        f"print(sorted((set(sys.modules) - before) & {HEAVY!r}))\n"
        "print(list(t.__all__) == sorted(t.__all__), [name for name in t.__all__ if not hasattr(t, name)],"
        " sorted(set(name for name in dir(t) if not name.startswith('_')) ^ set(t.__all__) - {'__version__'}))"
    )
    assert "[]\nTrue [] []" == in_a_fresh_interpreter(program)


def test_a_first_call() -> None:
    """A token's check over plain http loads no TLS, no other HTTP client, and no e-mail or address parser."""
    program = (
        "import socket, threading\n"
        "from ticketstub import Device, Plex\n"
        "listening = socket.create_server(('127.0.0.1', 0))\n"
        "def answer():\n"
        "    connection, _ = listening.accept()\n"
        "    connection.recv(65536)\n"
        "    connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 8\\r\\n\\r\\n{\"id\":1}')\n"
        "threading.Thread(target=answer).start()\n"
        "url = f'http://127.0.0.1:{listening.getsockname()[1]}'\n"
        "plex = Plex(device=Device(client_identifier='first'), token='a' * 20, plex_tv=url)\n"
        "print(plex.authentication.get_token_details().id)\n"
        f"print(sorted(set(sys.modules) & {HEAVY | {'email', 'pathlib', 'urllib.parse'}!r}))"
    )
    assert "1\n['msgspec']" == in_a_fresh_interpreter(program)


def tracked_files() -> list[Path]:
    """What would be in a clone: the files that git knows, or in an unpacked archive all but the made ones."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.CalledProcessError):
        made = {".venv", ".strangers", "node_modules", "__pycache__"}
        return [path for path in ROOT.rglob("*") if path.is_file() and not made & set(path.parts)]
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def test_nothing_refers_to_a_place_outside_the_repository() -> None:
    """A clone is complete: no file names a folder beside it, a folder of somebody's machine, or a package index.

    Plex's own paths (`/api/…`) go on with some of these words: one counts where no letter or digit stands before it.
    """
    elsewhere = (
        *("../" + "shared", "/work" + "/", "/ho" + "me/", "/ro" + "ot/", "/t" + "mp/", "/Us" + "ers/"),
        *("pypi" + ".org", "python" + "hosted", "registry.npm" + "js", "--index" + "-url", "--extra-index" + "-url"),
    )
    wrong = [
        f"{path.relative_to(ROOT)} names {word}"
        for path in tracked_files()
        for text in [path.read_bytes().decode("utf-8", "replace")]
        for word in elsewhere
        if word in text and re.search(rf"(?<![A-Za-z0-9}}]){re.escape(word)}", text)
    ]
    assert [] == wrong
