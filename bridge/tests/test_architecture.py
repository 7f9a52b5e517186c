"""The rules of the bridge's source."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ticketstub
import ticketstub.testing

BRIDGE = Path(__file__).parents[1]
SOURCE = BRIDGE / "src" / "ticketstub_bridge"
FILES = sorted(SOURCE.rglob("*.py"))
PUBLIC = {"ticketstub": set(dir(ticketstub)), "ticketstub.testing": set(dir(ticketstub.testing))}


def list_imports(path: Path) -> list[tuple[str, str]]:
    """Return each imported name with its module."""
    found: list[tuple[str, str]] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_keeps_the_rules(path: Path) -> None:
    """Only public names of `ticketstub` are used; each module says its rule; only plex.py and setting up call Plex."""
    imports = list_imports(path)
    for module, name in imports:
        if module.split(".")[0] == "ticketstub":
            assert name in PUBLIC.get(module, set()), f"{module}.{name} is not public"
    if "migrations" not in path.parts:
        assert "Rule:" in (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "")
    assert len(path.read_text("utf-8").splitlines()) <= 500
    if {"Plex", "AsyncPlex", "Account"} & {name for module, name in imports if module == "ticketstub"}:
        assert path.name in {"plex.py", "setting_up.py", "serving.py", "core.py"}
    if any(module.split(".")[0] == "authlib" for module, _ in imports):
        assert "provider.py" == path.name
    if any(module.split(".")[0] == "alembic" for module, _ in imports):
        assert path.name == "migrate.py" or "migrations" in path.parts


def test_what_is_imported_is_required() -> None:
    """Every package that the source imports is a requirement in pyproject.toml."""
    project = tomllib.loads((BRIDGE / "pyproject.toml").read_text("utf-8"))["project"]
    required = {each.partition(">")[0].partition("[")[0].replace("-", "_") for each in project["dependencies"]}
    imported = {module.split(".")[0] for path in FILES for module, _ in list_imports(path)}
    others = {"ticketstub_bridge", "ticketstub", "pytest", "__future__"}
    assert set() == imported - set(sys.stdlib_module_names) - others - required


def test_the_serving_process_never_loads_alembic() -> None:
    """What serves does not import what migrates."""
    program = (
        "import sys, ticketstub_bridge.serving; print([name for name in ('alembic', 'mako') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[]" == result.stdout.strip()
