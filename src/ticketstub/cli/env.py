"""`ticketstub env`: the variables of a run for another shell, a file, or containers.

Rule: it starts nothing and changes nothing; what it prints is the table of variables.py in the words of whoever reads
it. Inside `ticketstub run` it needs to be told nothing, and for containers nothing has to run.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Literal

import typer

from ticketstub.cli.complaints import WrongUsage

Form = Literal["sh", "fish", "powershell", "dotenv", "compose"]


def env(
    *,
    form: Annotated[
        Form,
        typer.Option(
            "--format", metavar="FORM", help="For sh, fish or powershell; dotenv, a file of variables; or compose."
        ),
    ] = "sh",
    proxy: Annotated[
        str | None,
        typer.Option(
            "--proxy", metavar="URL", envvar="TICKETSTUB_PROXY", help="The proxy of a run; else as its --ca says."
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", envvar="TICKETSTUB_CA", help="The authority of that run: its shell says."),
    ] = None,
    world: Annotated[
        Path | None, typer.Option("--world", metavar="FILE", help="For Compose: the world, not the demonstration.")
    ] = None,
    address: Annotated[
        str,
        typer.Option("--address", metavar="ADDRESS", help="For Compose: the local Plex's, in a network of its own."),
    ] = "172.31.99.2",
    service: Annotated[
        str, typer.Option("--service", metavar="NAME", help="For Compose: your service that takes it for Plex.")
    ] = "tests",
    image: Annotated[
        str, typer.Option("--image", metavar="NAME", help="For Compose: what the Dockerfile was built as.")
    ] = "ticketstub",
) -> None:
    """Print the variables by which programs find a running `ticketstub run`, or a local Plex in a container."""
    if form == "compose":
        _print_compose(world, address, service, image)
    else:
        _print_variables(_WRITTEN[form], proxy, ca)


def _print_variables(write: Callable[[str, str], str], proxy: str | None, ca: Path | None) -> None:
    from ticketstub.server.proxy.variables import ADDRESS, Pointing, variables
    from ticketstub.token import Secret

    if ca is None:
        raise WrongUsage(
            "there is no run to point at: name its --ca",
            hint="start one with `ticketstub run`: its shell says it, and inside it this command knows it",
        )
    if not ca.is_file():
        raise WrongUsage(f"{ca}: there is no such file", hint="has that run ended?")
    if proxy is None:
        beside = ca.with_name(ADDRESS)
        proxy = beside.read_text("utf-8") if beside.is_file() else ""
    here = (os.environ.get("TICKETSTUB_PROXY", ""), os.environ.get("TICKETSTUB_CA")) == (proxy, str(ca))
    known: Mapping[str, str] = os.environ if here else {}
    key = known.get("TICKETSTUB_CONTROL_KEY")
    # The run's own options of Java are there already: they are not added twice.
    given = {name: text for name, text in os.environ.items() if not (here and name == "JAVA_TOOL_OPTIONS")}
    pointing = Pointing(
        proxy,
        ca.absolute(),
        known.get("TICKETSTUB_PLEX_TV", ""),
        known.get("TICKETSTUB_CONTROL", ""),
        Secret(key) if key else None,
    )
    for name, value in variables(pointing, given).items():
        print(write(name, value))


def _print_compose(world: Path | None, address: str, service: str, image: str) -> None:
    from ticketstub.cli.compose import Wanted, compose, fits
    from ticketstub.cli.starting import explained, inhabited

    try:
        where = IPv4Address(address)
    except ValueError:
        raise typer.BadParameter(f"{address} is no IPv4 address", param_hint="--address") from None
    if not fits(where):
        raise typer.BadParameter("it is a private address, not its network's first two or last", param_hint="--address")
    if not re.fullmatch(r"[a-zA-Z0-9._-]+", service) or service == "ticketstub":
        raise typer.BadParameter("it is a service of yours: letters, digits, . _ -", param_hint="--service")
    with explained():
        print(compose(Wanted(service, where, image, world), inhabited(world, demo=world is None)), end="")


def _sh(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{escaped}';"


def _powershell(name: str, value: str) -> str:
    escaped = value.replace("'", "''")
    return f"$env:{name} = '{escaped}'"


def _dotenv(name: str, value: str) -> str:
    return f"{name}={value}"


_WRITTEN: Mapping[Form, Callable[[str, str], str]] = {
    "sh": _sh,
    "fish": _fish,
    "powershell": _powershell,
    "dotenv": _dotenv,
}
