"""The options that several commands share, each defined once.

Rule: no option takes a secret as its value: what stands on a command line can be read by every process of the machine.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypeAlias

import typer

from ticketstub.cli.completing import profiles

PLEX_TV = "https://plex.tv"
SECONDS = 15.0


def finite(seconds: float | None) -> float | None:
    """Take a number of seconds above 0, or none at all."""
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise typer.BadParameter("this is a number of seconds above 0")
    return seconds


PlexTv: TypeAlias = Annotated[
    str,
    typer.Option(
        "--plex-tv", metavar="URL", envvar="TICKETSTUB_PLEX_TV", help="The address of plex.tv or of a local Plex."
    ),
]
Server: TypeAlias = Annotated[
    str, typer.Option("--server", metavar="URL", help="The media server's address, such as http://192.0.2.7:32400.")
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON, also for errors (on standard error); secrets as fingerprints.")
]
Timeout: TypeAlias = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", callback=finite, help="How long the call may take in all.")
]
ClientIdentifier: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--client-identifier", metavar="TEXT", help="Send this identifier instead of this installation's own."
    ),
]
PrintToken: TypeAlias = Annotated[
    bool, typer.Option("--print-token", help="Write only the token itself, nothing else, to standard output.")
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Let --print-token write to a terminal.")]
YesShow: TypeAlias = Annotated[bool, typer.Option("--yes", help="Write it to a terminal, too.")]
Profile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        autocompletion=profiles,
        help="The sign-in that is kept under this name; TICKETSTUB_TOKEN and standard input are not looked at then.",
    ),
]
Storage: TypeAlias = Annotated[
    Literal["auto", "keyring", "file", "memory"],
    typer.Option(
        "--storage",
        metavar="WHERE",
        help="auto, keyring, file or memory; auto is the keyring, or else a file that only you can read.",
    ),
]
ChaosShare: TypeAlias = Annotated[
    float,
    typer.Option(
        "--chaos", metavar="SHARE", min=0, max=1, help="Let this share of the calls go wrong: 0.05 is one of 20."
    ),
]
Seed: TypeAlias = Annotated[int, typer.Option("--seed", metavar="N", help="Which sequence of them that is.")]
