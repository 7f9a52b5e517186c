"""The options that several commands share, each declared once.

Rule: no option takes a secret as its value: what stands on a command line can be read by every process of the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from ticketstub.cli.completion import complete_profiles


def validate_seconds(_context: click.Context, _parameter: click.Parameter, seconds: float | None) -> float | None:
    """Take a number of seconds above 0, or none at all."""
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise click.BadParameter("this is a number of seconds above 0")
    return seconds


profile = click.option(
    "--profile",
    metavar="NAME",
    shell_complete=complete_profiles,
    help="The sign-in that is kept under this name; TICKETSTUB_TOKEN and standard input are not looked at then.",
)
plex_tv = click.option(
    "--plex-tv",
    metavar="URL",
    default="https://plex.tv",
    envvar="TICKETSTUB_PLEX_TV",
    show_envvar=True,
    help="The address of plex.tv or of a local Plex.",
)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, also for errors (on standard error); secrets as fingerprints."
)
timeout = click.option(
    "--timeout",
    metavar="SECONDS",
    type=float,
    default=15.0,
    callback=validate_seconds,
    help="How long the call may take in all.",
)
client_identifier = click.option(
    "--client-identifier", metavar="TEXT", help="Send this identifier instead of this installation's own."
)
print_token = click.option(
    "--print-token", is_flag=True, help="Write only the token itself, nothing else, to standard output."
)
yes_to_print = click.option("--yes", is_flag=True, help="Write it to a terminal, too.")
storage = click.option(
    "--storage",
    metavar="WHERE",
    type=click.Choice(["auto", "keyring", "file", "memory"]),
    default="auto",
    help="auto, keyring, file or memory; auto is the keyring, or else a file that only you can read.",
)
world = click.option("--world", metavar="FILE", type=click.Path(path_type=Path), help="The world, a TOML file.")
demo = click.option("--demo", is_flag=True, help="Use the demonstration world instead.")
chaos = click.option(
    "--chaos",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Let this share of the calls go wrong: 0.05 is one of 20.",
)
seed = click.option("--seed", metavar="N", type=int, default=0, help="Which sequence of them that is.")


def pass_connection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that asks Plex something; it is given `connection` and `as_json`."""

    @profile
    @plex_tv
    @as_json
    @timeout
    @client_identifier
    @wraps(command)
    def wrapper(
        *, profile: str | None, plex_tv: str, timeout: float, client_identifier: str | None, **arguments: object
    ) -> object:
        from ticketstub.cli.clients import ConnectionOptions

        return command(connection=ConnectionOptions(plex_tv, timeout, client_identifier, profile), **arguments)

    return wrapper
