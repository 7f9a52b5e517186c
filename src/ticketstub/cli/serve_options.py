"""The options of `ticketstub serve`, and what their values may be.

Rule: a value that no local Plex could have is refused here, in words that say what it should be.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

CONTROL_KEY = "TICKETSTUB_SERVE_CONTROL_KEY"
"""The variable that may hold the control API's key: containers are given secrets so."""


def _allowed_host(host: str) -> str:
    """Take an address that only this machine, its containers or its own network reach."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ip_address(host)
    except ValueError:
        raise typer.BadParameter("this is an IP address, such as 127.0.0.1") from None
    if address.is_loopback or address.is_private or address.is_unspecified:
        return host
    raise typer.BadParameter("a local Plex listens on loopback and private addresses only")


def _allowed_advertised(address: str | None) -> str | None:
    """Take an address at which the same can reach it."""
    if address is None:
        return None
    allowed = _allowed_host(address)
    if ip_address(allowed).is_unspecified:
        raise typer.BadParameter("this is the address that others reach, such as 172.31.99.2")
    return allowed


WorldFile: TypeAlias = Annotated[Path | None, typer.Option("--world", metavar="FILE", help="The world, a TOML file.")]
Demo: TypeAlias = Annotated[bool, typer.Option("--demo", help="Use the demonstration world instead.")]
Port: TypeAlias = Annotated[
    int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="plex.tv's port; 0 takes a free one.")
]
Host: TypeAlias = Annotated[
    str,
    typer.Option(
        "--host",
        metavar="ADDRESS",
        callback=_allowed_host,
        help="Where to listen; 0.0.0.0 is every network of this machine, meant for containers.",
    ),
]
Advertise: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--advertise",
        metavar="ADDRESS",
        callback=_allowed_advertised,
        help="Where media servers are listed to be, if that is not --host; with --tls and 0.0.0.0 it is found out.",
    ),
]
MediaPort: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--media-port",
        metavar="PORT",
        min=1,
        max=65000,
        help="The port of the first media server that has none in the world; the next have the next ones.",
    ),
]
Tls: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--tls",
        metavar="FOLDER",
        help="Answer https too, on every port, and write what clients are to trust into this folder.",
    ),
]
TlsPort: TypeAlias = Annotated[
    int,
    typer.Option(
        "--tls-port",
        metavar="PORT",
        min=0,
        max=65535,
        help="With --tls, a port more of plex.tv's; 0 takes a free one. With 443, 80 is another.",
    ),
]
Db: TypeAlias = Annotated[
    str | None,
    typer.Option("--db", metavar="URL", help="sqlite:///file.db keeps everything; left out, it is gone at the end."),
]
Reset: TypeAlias = Annotated[bool, typer.Option("--reset", help="Start over with a new database.")]
Log: TypeAlias = Annotated[
    bool | None, typer.Option("--log/--no-log", help="A line for each answer; by default on a terminal only.")
]
ShowSecrets: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--show-secrets",
        help="Print your world's passwords, tokens and current codes, and show them to browsers of this machine; "
        "the demonstration's are always shown.",
    ),
]
ControlKeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--control",
        metavar="KEYFILE",
        help="Answer the control API with the key in this file, which is made where there is none; or set "
        f"{CONTROL_KEY}.",
    ),
]
ControlPort: TypeAlias = Annotated[
    int,
    typer.Option("--control-port", metavar="PORT", min=0, max=65535, help="Its port; 0 takes a free one."),
]
RecordFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--record", metavar="FOLDER", help="Keep what media servers upstream answer, without secrets."),
]
