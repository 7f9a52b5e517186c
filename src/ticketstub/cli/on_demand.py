"""Commands that are loaded when they are named: a table of them, and the group that looks there.

Rule: to list the commands none is loaded, and to run one no other is. What the list says of a command is how its own
help begins (a test compares them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

import typer
from typer.core import TyperGroup

Typers: TypeAlias = Any
"""What Typer makes of a command, and writes help with: no class of it has a public name in all versions of Typer."""


class Command(NamedTuple):
    """A command, or a group of commands.

    Args:
        about: what the list of commands says of it.
        module: the module below `ticketstub.cli`. Its function or group has the command's name.
        settings: what the command's parser needs to know besides.
    """

    about: str
    module: str
    settings: Mapping[str, bool] = {}


class Loaded(MutableMapping[str, Typers]):
    """The commands by their names, each made when it is asked for."""

    def __init__(self, table: Mapping[str, Command]) -> None:
        self._table = dict(table)
        self._made: dict[str, Typers] = {}

    def __getitem__(self, name: str) -> Typers:
        if name not in self._made:
            self._made[name] = _made(name, self._table[name])
        return self._made[name]

    def __setitem__(self, name: str, command: Typers) -> None:
        raise TypeError("a command is added to the table")

    def __delitem__(self, name: str) -> None:
        raise TypeError("a command is taken out of the table")

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


def _made(name: str, command: Command) -> Typers:
    found = getattr(import_module(f"ticketstub.cli.{command.module}"), name)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    alone = typer.Typer(rich_markup_mode=None, add_completion=False)
    alone.command(name, context_settings=dict(command.settings))(found)
    return typer.main.get_command(alone)


def group_of(table: Mapping[str, Command]) -> type[TyperGroup]:
    """Make the kind of group that has these commands."""

    class OnDemand(TyperGroup):
        """The commands of a table."""

        def __init__(self, **facts: Typers) -> None:
            super().__init__(**facts)
            self.commands = Loaded(table)

        def format_commands(self, ctx: Typers, formatter: Typers) -> None:  # noqa: ARG002  # Typer names it
            """Write the list of commands without loading them."""
            with formatter.section("Commands"):
                formatter.write_dl([(name, one.about) for name, one in table.items()])

    return OnDemand


def inner_group(name: str, about: str) -> typer.Typer:
    """Make a group of commands below a command; named alone, it shows its help."""
    group = typer.Typer(name=name, rich_markup_mode=None, add_completion=False)

    @group.callback(help=about, invoke_without_command=True)
    def without_command(context: typer.Context) -> None:  # pyright: ignore[reportUnusedFunction]  # Typer keeps it
        if context.invoked_subcommand is None:
            print(context.get_help())

    return group
