"""The commands in their order, and what `ticketstub --help` says around them.

Rule: to list the commands none is loaded, and to run one no other is. What it needs to do its work a command imports
itself. What the list says of a command is how its own help begins (a test compares them).
"""

from __future__ import annotations

import shutil
from importlib import import_module

import click

from ticketstub.cli import get_version
from ticketstub.cli.completion import install_completion_option, show_completion_option
from ticketstub.cli.failures import EXIT_CODES
from ticketstub.cli.help import CliCommand, CliGroup

COMMANDS = {
    "login": ("login", "Sign in to Plex, and keep the sign-in."),
    "whoami": ("token", "Say who is signed in."),
    "status": ("profiles", "Show what is kept, where, and until when."),
    "profiles": ("profiles", "List the sign-ins of all programs that are kept here."),
    "check": ("token", "Find out about a token."),
    "renew": ("profiles", "Renew the kept sign-in now."),
    "logout": ("logout", "Sign out: end the kept token at Plex, then forget it."),
    "home": ("home", "The users of the Plex Home."),
    "devices": ("devices", "The account's authorized devices."),
    "servers": ("servers", "List the account's media servers."),
    "resources": ("servers", "List the account's media servers and players."),
    "token": ("token", "Write the kept token out, or make a transient one."),
    "claim": ("token", "Write a claim token, to add a new media server."),
    "source": ("servers", "Ask a media server how to reach a source."),
    "ping": ("token", "Keep a token alive and say whether it is."),
    "serve": ("serve", "Run a local Plex."),
    "run": ("run", "Run a program on a local Plex."),
    "code": ("code", "Write the current verification code of a local Plex's account."),
    "env": ("env", "Print the variables by which programs find a running `ticketstub run`."),
    "record": ("record", "Record a real media server's answers, without secrets, for a local Plex to serve."),
    "openapi": ("serve", "Print the OpenAPI document of what a local Plex answers."),
    "demo": ("demo", "Sign in to a local Plex two ways and look around."),
}
"""Each command in the order in which they are listed: the module below `ticketstub.cli` that holds it under its name,
and what the list says of it."""


class LazyGroup(CliGroup):
    """The commands, each loaded when it is named."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click names it
        """Load a command; `None` where there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"ticketstub.cli.{COMMANDS[cmd_name][0]}"), cmd_name)
        return command

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # likewise
        """Write which variables are read, and what the exit codes mean."""
        with formatter.section("Environment"):
            formatter.write_dl(
                [
                    (
                        "TICKETSTUB_TOKEN",
                        "the token; else read from standard input if it is piped, else it is the kept one",
                    ),
                    ("TICKETSTUB_PROFILE", "used where --profile is not given"),
                    ("TICKETSTUB_PLEX_TV", "used where --plex-tv is not given"),
                ]
            )
        with formatter.section("Exit codes"):
            formatter.write_dl([(f"{code:>3}", meaning) for code, meaning in EXIT_CODES.items()])


def _show_version(context: click.Context, _parameter: click.Parameter, requested: bool) -> None:
    if requested:
        print(f"ticketstub {get_version()}")
        context.exit()


app = LazyGroup(
    "ticketstub",
    commands={name: CliCommand(name, help=about) for name, (_, about) in COMMANDS.items()},
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version and exit.",
        ),
        install_completion_option,
        show_completion_option,
    ],
    help="Sign in to Plex, and run a local Plex to build and test against. Not affiliated with Plex.",
    context_settings={
        "terminal_width": min(shutil.get_terminal_size().columns, 100),
        "help_option_names": ["-h", "--help"],
        "show_default": True,
    },
)
