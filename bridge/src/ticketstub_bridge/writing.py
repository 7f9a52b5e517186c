"""Writing bridge.toml: adding and removing applications, and a new file.

Rule: comments and order of the file stay. A change is checked as a whole before it is written, and written as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument

from ticketstub_bridge.config import ANYONE, ConfigError, parse_config


def write_new(path: Path, values: dict[str, Any], servers: list[dict[str, Any]]) -> None:
    """Write a first bridge.toml.

    Args:
        path: the file, which must not exist.
        values: its keys.
        servers: its media servers.

    Raises:
        ConfigError: it would be refused.
        FileExistsError: it exists.
    """
    document = tomlkit.document()
    for name, value in values.items():
        document.add(name, tomlkit.item(value))
    document.add("access", tomlkit.item({"allow": ["owner", "home", "friend"]}))
    document.add("server", tomlkit.aot())
    for server in servers:
        document["server"].append(_make_table(server))
    text = tomlkit.dumps(document)
    parse_config(text, path.parent)
    if path.exists():
        raise FileExistsError(path)
    _write(path, text)


def find_problems(values: dict[str, Any]) -> list[str]:
    """Return what is wrong with the first keys of a bridge.toml, before its media servers are known."""
    try:
        parse_config(tomlkit.dumps({**values, "access": {"allow": [ANYONE]}}))
    except ConfigError as error:
        return error.problems
    return []


def add_client(path: Path, client: dict[str, Any]) -> None:
    """Add an application.

    Raises:
        ConfigError: the file would be refused.
    """

    def change(document: TOMLDocument) -> None:
        if "client" not in document:
            document.add("client", tomlkit.aot())
        document["client"].append(_make_table(client))

    _change(path, change)


def remove_client(path: Path, client_id: str) -> bool:
    """Remove an application; returns whether it was there."""
    is_removed = False

    def change(document: TOMLDocument) -> None:
        nonlocal is_removed
        clients: Any = document.get("client", [])
        for index, client in reversed(list(enumerate(clients))):
            if client.get("id") == client_id:
                del clients[index]
                is_removed = True

    _change(path, change)
    return is_removed


def _make_table(values: dict[str, Any]) -> Any:  # noqa: ANN401  # tomlkit's types do not name it
    """Return an entry of a list of tables, after an empty line."""
    table: Any = tomlkit.item(values)
    table.trivia.indent = "\n"
    return table


def _change(path: Path, change: Callable[[TOMLDocument], None]) -> None:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError([f"{path}: does not exist; `ticketstub bridge init` creates it"]) from None
    parse_config(text, path.parent)  # a file with faults is refused before it is touched
    document = tomlkit.parse(text)
    change(document)
    changed = tomlkit.dumps(document)
    parse_config(changed, path.parent)
    _write(path, changed)


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
