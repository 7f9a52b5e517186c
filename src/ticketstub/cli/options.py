"""Declaring commands: the Click classes, and the options that several commands share.

Rule: no option takes a secret as its value, because every process on the machine can read a command line. Help texts
wrap to any width, in a terminal and in a pipe; no name or sentence is cut off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ticketstub.cli.completion import complete_profiles
from ticketstub.cli.errors import InvalidUsage


class CliHelpFormatter(click.HelpFormatter):
    """Writes each name beside its description, or above it where the line is too narrow."""

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write names and descriptions; names take at most three eighths of the width."""
        super().write_dl(rows, min(col_max, self.width * 3 // 8), col_spacing)


class CliContext(click.Context):
    """The context in which a command runs."""

    formatter_class = CliHelpFormatter


class CliArgument(click.Argument):
    """An argument that is described in its command's help."""

    def __init__(self, declarations: Sequence[str], *, help: str, **attributes: Any) -> None:  # noqa: A002, ANN401  # as Click
        super().__init__(declarations, **attributes)
        self.help_text = help  # not `help`: newer versions of Click write that too


argument = partial(click.argument, cls=CliArgument)
"""Declares an argument: `click.argument` with `help`."""


class CliCommand(click.Command):
    """A command whose help describes its arguments."""

    context_class = CliContext

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments, then the options."""
        arguments = [(each.metavar or "", each.help_text) for each in self.params if isinstance(each, CliArgument)]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        super().format_options(ctx, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line. An error names this command, which Click leaves out if an option lacks its value."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


class CliGroup(click.Group):
    """A command with subcommands, listed in the order of their definition. Without a subcommand, it shows its help."""

    context_class = CliContext
    command_class = CliCommand

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # Click's signature
        """Return the names of the subcommands."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands, each with its whole first sentence."""
        with formatter.section("Commands"):
            names = self.list_commands(ctx)
            formatter.write_dl([(name, self.commands[name].get_short_help_str(limit=200)) for name in names])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; an empty one means `--help`."""
        return super().parse_args(ctx, args or ["--help"])


def validate_seconds(_context: click.Context, _parameter: click.Parameter, seconds: float | None) -> float | None:
    """Accept a number of seconds above 0, or `None`."""
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise click.BadParameter("it must be a number of seconds above 0")
    return seconds


def validate_share(_context: click.Context, _parameter: click.Parameter, share: float) -> float:
    """Accept a number from 0 to 1."""
    # click.FloatRange accepts nan.
    if not 0 <= share <= 1:
        raise click.BadParameter("it must be a number from 0 to 1")
    return share


def refuse_empty(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """Refuse an empty text, such as that of a shell variable that is not set: it would mean the default."""
    if text == "":
        raise click.BadParameter("it must not be empty; leave the option out for the default")
    return text


def is_given(name: str) -> bool:
    """Return whether the running command's parameter of this name is on the command line."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def refuse_unused(name: str, explanation: str, *, unless: bool) -> None:
    """Refuse an option that would have no effect.

    Args:
        name: the running command's parameter.
        explanation: what follows the option's name in the error: `needs --chaos`.
        unless: whether it has an effect.

    Raises:
        InvalidUsage: it is on the command line, and has none.
    """
    if is_given(name) and not unless:
        (option,) = (each.opts[0] for each in click.get_current_context().command.params if each.name == name)
        raise InvalidUsage(f"{option} {explanation}")


profile = click.option(
    "--profile",
    metavar="NAME",
    shell_complete=complete_profiles,
    callback=refuse_empty,
    help="Use the sign-in stored under this name; TICKETSTUB_TOKEN and standard input are then ignored.",
)
as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON, also for errors (on standard error), with secrets as fingerprints.",
)
print_token = click.option("--print-token", is_flag=True, help="Print only the token to standard output.")
yes_to_print = click.option("--yes", is_flag=True, help="Print it even to a terminal.")
allow_http = click.option(
    "--allow-http",
    is_flag=True,
    help="Also use unencrypted connections to private addresses, which do not prove which server answers.",
)
max_wait = click.option(
    "--max-wait",
    metavar="SECONDS",
    type=float,
    default=6.5,
    callback=validate_seconds,
    help="The time limit for trying a server's addresses.",
)
storage = click.option(
    "--storage",
    metavar="WHERE",
    type=click.Choice(["auto", "keyring", "file", "memory"]),
    default="auto",
    help="Where to store the sign-in: auto, keyring, file or memory. auto: the keyring, else a file only you can read.",
)
world = click.option("--world", metavar="FILE", type=click.Path(path_type=Path), help="The world: a TOML file.")
demo = click.option("--demo", is_flag=True, help="Use the demonstration world.")
chaos = click.option(
    "--chaos",
    metavar="SHARE",
    type=float,
    default=0.0,
    callback=validate_share,
    help="Let this share of calls fail, from 0 to 1: 0.05 is 1 in 20.",
)
seed = click.option("--seed", metavar="N", type=int, default=0, help="The random seed for --chaos.")


def pass_connection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that calls Plex; the command receives `connection` and `as_json`."""

    @profile
    @click.option(
        "--plex-tv",
        metavar="URL",
        default="https://plex.tv",
        envvar="TICKETSTUB_PLEX_TV",
        show_envvar=True,
        help="The address of plex.tv, or of a local Plex.",
    )
    @as_json
    @click.option(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=15.0,
        callback=validate_seconds,
        help="The time limit for the whole call.",
    )
    @click.option(
        "--client-identifier",
        metavar="TEXT",
        callback=refuse_empty,
        help="Send this client identifier instead of this installation's own.",
    )
    @wraps(command)
    def wrapper(
        *, profile: str | None, plex_tv: str, timeout: float, client_identifier: str | None, **arguments: object
    ) -> object:
        from ticketstub.cli.sign_ins import ConnectionOptions

        return command(connection=ConnectionOptions(plex_tv, timeout, client_identifier, profile), **arguments)

    return wrapper
