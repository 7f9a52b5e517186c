"""The options that several commands share, each defined once.

Rule: no option takes a secret as its value: what stands on a command line can be read by every process of the machine.
"""

from __future__ import annotations

import math
from typing import Annotated, TypeAlias

import typer

PLEX_TV = "https://plex.tv"
SECONDS = 15.0


def _finite(seconds: float) -> float:
    if not (math.isfinite(seconds) and seconds > 0):
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
    float, typer.Option("--timeout", metavar="SECONDS", callback=_finite, help="How long the call may take in all.")
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
