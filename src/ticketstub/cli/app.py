"""The commands in their order, and what `ticketstub --help` says around them.

Rule: a command's file is loaded when the command is named, for its options; what it needs to do its work it imports
itself.
"""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

from ticketstub.cli.exits import table
from ticketstub.cli.on_demand import Command, group_of
from ticketstub.cli.version import version

COMMANDS = {
    "login": Command("Sign in to Plex, and keep the sign-in.", "login"),
    "whoami": Command("Say who is signed in.", "whoami"),
    "status": Command("Show what is kept, where, and until when.", "status"),
    "profiles": Command("List the sign-ins of all programs that are kept here.", "profiles"),
    "check": Command("Find out about a token.", "check"),
    "renew": Command("Renew the kept sign-in now.", "renew"),
    "logout": Command("Sign out: end the kept token at Plex, then forget it.", "logout"),
    "home": Command("The users of the Plex Home.", "home"),
    "devices": Command("The account's authorized devices.", "devices"),
    "servers": Command("List the account's media servers.", "servers"),
    "resources": Command("List the account's media servers and players.", "resources"),
    "token": Command("Write the kept token out, or make a transient one.", "token"),
    "claim": Command("Write a claim token, to add a new media server.", "claim"),
    "source": Command("Ask a media server how to reach a source.", "source"),
    "ping": Command("Keep a token alive and say whether it is.", "ping"),
    "serve": Command("Run a local Plex.", "serve"),
    # What stands behind the program's name is the program's.
    "run": Command("Run a program on a local Plex.", "run", {"allow_interspersed_args": False}),
    "code": Command("Write the current verification code of a local Plex's account.", "code"),
    "env": Command("Print the variables by which programs find a running `ticketstub run`.", "env"),
    "record": Command("Record a real media server's answers, without secrets, for a local Plex to serve.", "record"),
    "openapi": Command("Print the OpenAPI document of what a local Plex answers.", "openapi"),
    "demo": Command("Sign in to a local Plex two ways and look around.", "demo"),
}
"""Each command, in the order in which they are listed; a new one is a line here and a file of its own."""

_ABOUT = "Sign in to Plex, and run a local Plex to build and test against. Not affiliated with Plex."
_EPILOGUE = f"""\b
Environment:
  TICKETSTUB_TOKEN    the token; else read from standard input if it is piped,
                      else it is the kept one
  TICKETSTUB_PROFILE  used where --profile is not given
  TICKETSTUB_PLEX_TV  used where --plex-tv is not given

\b
Exit codes:
{table()}"""

app = typer.Typer(
    name="ticketstub",
    cls=group_of(COMMANDS),
    help=_ABOUT,
    epilog=_EPILOGUE,
    # Plain help: readable at 40 columns, and Rich need not be loaded for it.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={
        "terminal_width": min(shutil.get_terminal_size().columns, 100),
        "help_option_names": ["-h", "--help"],
    },
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"ticketstub {version()}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def without_command(
    context: typer.Context,
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Show the help where no command is named."""
    if context.invoked_subcommand is None:
        print(context.get_help())
