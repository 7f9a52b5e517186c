"""The commands in their order, and what `ticketstub --help` says around them.

Rule: a command's file is imported here for its options; what it needs to do its work it imports itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Annotated

import typer

from ticketstub.cli.check import check
from ticketstub.cli.claim import claim
from ticketstub.cli.demo import demo
from ticketstub.cli.devices import devices
from ticketstub.cli.env import env
from ticketstub.cli.exits import table
from ticketstub.cli.home import home
from ticketstub.cli.login import login
from ticketstub.cli.logout import logout
from ticketstub.cli.openapi import openapi
from ticketstub.cli.ping import ping
from ticketstub.cli.renew import renew
from ticketstub.cli.resources import resources
from ticketstub.cli.run import run
from ticketstub.cli.serve import serve
from ticketstub.cli.servers import servers
from ticketstub.cli.source import source
from ticketstub.cli.status import status
from ticketstub.cli.token import token
from ticketstub.cli.version import version
from ticketstub.cli.whoami import whoami

_ABOUT = "Sign in to Plex, and run a local Plex to build and test against. Not affiliated with Plex."
_EPILOGUE = f"""\b
Environment:
  TICKETSTUB_TOKEN    the token; else it is read from standard input when piped,
                      else it is the kept one
  TICKETSTUB_PROFILE  used where --profile is not given
  TICKETSTUB_PLEX_TV  used where --plex-tv is not given

\b
Exit codes:
{table()}"""

app = typer.Typer(
    name="ticketstub",
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


_COMMANDS: tuple[Callable[..., None], ...] = (
    *(login, whoami, status, check, renew, logout, servers, resources, token, claim, source, ping),
    *(serve, openapi, demo),
)
for _command in _COMMANDS:
    app.command()(_command)
# What stands behind the program's name is the program's.
app.command(context_settings={"allow_interspersed_args": False})(run)
app.command()(env)
for _group in (home, devices):
    app.add_typer(_group)
