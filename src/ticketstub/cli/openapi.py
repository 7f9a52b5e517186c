"""`ticketstub openapi`: print the OpenAPI document of what a local Plex answers.

Rule: it is what a running one serves at `/ticketstub/openapi.json`, indented; nothing is started for it.
"""

from __future__ import annotations

from typing import Annotated

import typer


def openapi(
    *,
    media_server: Annotated[
        bool, typer.Option("--media-server", help="Of a media server, instead of plex.tv's port.")
    ] = False,
    control: Annotated[bool, typer.Option("--control", help="Of the control API, instead.")] = False,
) -> None:
    """Print the OpenAPI document of what a local Plex answers."""
    from ticketstub.cli.complaints import WrongUsage
    from ticketstub.cli.starting import explained

    if control and media_server:
        raise WrongUsage("one document at a time: leave out --control, or --media-server")
    with explained():
        from ticketstub.server.openapi import text

        print(text("control" if control else "media server" if media_server else "plex.tv"))
