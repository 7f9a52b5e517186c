"""The rules that hold the project together, read from its own source.

Rule: only the syntax tree is looked at, so that a rule holds for code no test runs; what is loaded at run time is
asked of a fresh interpreter.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "ticketstub"

LONGEST_FILE = 500
VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "service", "services", "misc"}

# Lower layers never import higher ones. Modules of one row may import each other.
LAYERS = (
    {"messages", "tokens", "models", "errors", "refusals", "device", "tracebacks", "dns", "private_files"},
    {"crypto"},
    {"protocol"},
    {"credentials"},
    {"client", "public_names", "calls"},
    {"compat", "adapters"},
    {"testing", "pytest_plugin", "cli"},
)
# The local Plex stands beside the client on the protocol, and neither knows the other.
SERVER_MAY_IMPORT = {"local_plex", "__version__", "protocol", "crypto"} | LAYERS[0]
BOTH_SIDES = {"testing", "pytest_plugin", "cli"}

# What the command may use: the public names, what they are made of, and the modules by which a local Plex is run.
FACES = {
    *{"ticketstub", "ticketstub.calls", "ticketstub.credentials", "ticketstub.testing"},
    *{f"ticketstub.{name}" for name in ("errors", "refusals", "messages", "models", "tokens", "device")},
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

    @property
    def top(self) -> str:
        """The first part below the package: `wire` for ticketstub.protocol.call, `` for the package itself."""
        return self.name.partition(".")[2].partition(".")[0]

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @cached_property
    def imports(self) -> tuple[tuple[str, int], ...]:
        """Every module that it imports when run, wherever in the file, by its absolute name and line."""
        return tuple(self._imports())

    @cached_property
    def mentions(self) -> tuple[tuple[str, int], ...]:
        """Every name or dotted name that it mentions, with its line."""
        nodes = (node for node in ast.walk(self.tree) if isinstance(node, ast.Attribute | ast.Name))
        return tuple((ast.unparse(node), node.lineno) for node in nodes)

    def _imports(self) -> Iterator[tuple[str, int]]:
        only_types = [node for node in ast.walk(self.tree) if isinstance(node, ast.If) and _for_types(node)]
        ignored = {child for node in only_types for statement in node.body for child in ast.walk(statement)}
        for node in ast.walk(self.tree):
            if node in ignored:
                continue
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                parents = self.package.split(".")
                base = parents[: len(parents) - node.level + 1] if node.level else []
                origin = ".".join([*base, *([node.module] if node.module else [])])
                yield from ((f"{origin}.{alias.name}", node.lineno) for alias in node.names)

    def at(self, line: int) -> str:
        return f"{self.path.relative_to(ROOT)}:{line}"


def _for_types(node: ast.If) -> bool:
    return ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING"


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


def layer_of(top: str) -> int | None:
    return next((height for height, names in enumerate(LAYERS) if top in names), None)


def test_every_module_has_its_layer() -> None:
    """A new module or package is given its place in the layers here before it is imported anywhere."""
    placed = set().union(*LAYERS) | {"local_plex", "", "__main__"}
    assert set() == {module.top for module in modules()} - placed


def test_no_layer_imports_a_higher_one() -> None:
    """Records know nothing of the wire, the wire nothing of flows, flows nothing of clients, clients nothing of cli."""
    wrong = [
        f"{module.at(line)} imports {name}"
        for module in modules()
        for name, line in module.imports
        if starts_with(name, {"ticketstub"})
        and (mine := layer_of(module.top)) is not None
        and (theirs := layer_of(name.split(".")[1] if "." in name else "")) is not None
        and theirs > mine
    ]
    assert [] == wrong


def test_client_and_server_do_not_know_each_other() -> None:
    """The local Plex shares only the wire with the client; only the test fixtures and the command know both."""
    wrong = [
        f"{module.at(line)} imports {name}"
        for module in modules()
        for name, line in module.imports
        if starts_with(name, {"ticketstub"})
        and (
            (module.top == "local_plex" and name.split(".")[1] not in SERVER_MAY_IMPORT)
            or (
                module.top not in BOTH_SIDES | {"local_plex", "__main__"}
                and starts_with(name, {"ticketstub.local_plex"})
            )
        )
    ]
    assert [] == wrong


def test_the_command_uses_public_faces() -> None:
    """The command reaches the library and the local Plex as other programs do; imports for types count."""
    wrong = [
        f"{module.at(node.lineno)} imports {node.module}"
        for module in modules()
        if module.top == "cli"
        for node in ast.walk(module.tree)
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
