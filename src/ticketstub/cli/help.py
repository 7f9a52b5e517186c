"""Commands whose help can be read at any width, in a terminal and in a pipe.

Rule: no name and no sentence in it is cut off. Arguments explain themselves as options do, and a group that is named
alone shows its help.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import click


class CliHelpFormatter(click.HelpFormatter):
    """Writes names beside what they mean, or above it where there is not the room."""

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write names and what they mean; names take at most three eighths of the width."""
        super().write_dl(rows, min(col_max, self.width * 3 // 8), col_spacing)


class CliContext(click.Context):
    """A call of a command."""

    formatter_class = CliHelpFormatter


class CliArgument(click.Argument):
    """An argument that its command's help explains."""

    def __init__(self, declarations: Sequence[str], *, help: str, **attributes: Any) -> None:  # noqa: A002, ANN401  # as click
        super().__init__(declarations, **attributes)
        self.help_text = help  # not `help`: newer versions of click write that too


argument = partial(click.argument, cls=CliArgument)
"""Declares an argument; as `click.argument`, with `help`."""


class CliCommand(click.Command):
    """A command."""

    context_class = CliContext

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the arguments are, and then the options."""
        arguments = [(each.metavar or "", each.help_text) for each in self.params if isinstance(each, CliArgument)]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        super().format_options(ctx, formatter)


class CliGroup(click.Group):
    """Commands below a command, in the order in which they were added."""

    context_class = CliContext
    command_class = CliCommand

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click names it
        """List the commands' names."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # likewise
        """Write the list of commands, each with its whole first sentence."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(limit=200)) for name, one in self.commands.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; an empty one asks for help."""
        return super().parse_args(ctx, args or ["--help"])
