"""`ticketstub env`: the variables of a run for another shell, a file, or containers.

Rule: it starts nothing and changes nothing; what it prints is the table of variables.py in the words of whoever reads
it. Inside `ticketstub run` it needs to be told nothing, and for containers nothing has to run.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

import click

from ticketstub.cli.failures import InvalidUsage
from ticketstub.cli.help import CliCommand


@click.command(cls=CliCommand)
@click.option(
    "--format",
    "form",
    metavar="FORM",
    type=click.Choice(["sh", "fish", "powershell", "dotenv", "compose"]),
    default="sh",
    help="For sh, fish or powershell; dotenv, a file of variables; or compose.",
)
@click.option(
    "--proxy",
    metavar="URL",
    envvar="TICKETSTUB_PROXY",
    show_envvar=True,
    help="The proxy of a run; else as its --ca says.",
)
@click.option(
    "--ca",
    metavar="FILE",
    type=click.Path(path_type=Path),
    envvar="TICKETSTUB_CA",
    show_envvar=True,
    help="The authority of that run: its shell says.",
)
@click.option(
    "--world",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="For Compose: the world, not the demonstration.",
)
@click.option(
    "--address",
    metavar="ADDRESS",
    default="172.31.99.2",
    help="For Compose: the local Plex's, in a network of its own.",
)
@click.option("--service", metavar="NAME", default="tests", help="For Compose: your service that takes it for Plex.")
@click.option("--image", metavar="NAME", default="ticketstub", help="For Compose: what the Dockerfile was built as.")
def env(
    *, form: str, proxy: str | None, ca: Path | None, world: Path | None, address: str, service: str, image: str
) -> None:
    """Print the variables by which programs find a running `ticketstub run`, or a local Plex in a container."""
    if form == "compose":
        _print_compose(world, address, service, image)
    else:
        _print_variables(form, proxy, ca)


def _print_variables(form: str, proxy: str | None, ca: Path | None) -> None:
    from ticketstub.local_plex.intercept.variables import PROXY_FILE, ProgramSettings, build_variables
    from ticketstub.tokens import Secret

    if ca is None:
        raise InvalidUsage(
            "there is no run to point at: name its --ca",
            hint="start one with `ticketstub run`: its shell says it, and inside it this command knows it",
        )
    if not ca.is_file():
        raise InvalidUsage(f"{ca}: there is no such file", hint="has that run ended?")
    if proxy is None:
        address_file = ca.with_name(PROXY_FILE)
        proxy = address_file.read_text("utf-8") if address_file.is_file() else ""
    inside_run = (os.environ.get("TICKETSTUB_PROXY", ""), os.environ.get("TICKETSTUB_CA")) == (proxy, str(ca))
    run_environ: Mapping[str, str] = os.environ if inside_run else {}
    key = run_environ.get("TICKETSTUB_CONTROL_KEY")
    # The run's own options of Java are there already: they are not added twice.
    base_environ = {name: text for name, text in os.environ.items() if not (inside_run and name == "JAVA_TOOL_OPTIONS")}
    endpoints = ProgramSettings(
        proxy,
        ca.absolute(),
        run_environ.get("TICKETSTUB_PLEX_TV", ""),
        run_environ.get("TICKETSTUB_CONTROL", ""),
        Secret(key) if key else None,
    )
    for name, value in build_variables(endpoints, base_environ).items():
        print(_format_assignment(form, name, value))


def _print_compose(world: Path | None, address: str, service: str, image: str) -> None:
    from ticketstub.cli.compose import ComposeOptions, is_usable_address, render_compose_file
    from ticketstub.cli.local_plex import explain_server_errors, load_world

    try:
        ip_address = IPv4Address(address)
    except ValueError:
        raise click.BadParameter(f"{address} is no IPv4 address", param_hint="--address") from None
    if not is_usable_address(ip_address):
        raise click.BadParameter("it is a private address, not its network's first two or last", param_hint="--address")
    if not re.fullmatch(r"[a-zA-Z0-9._-]+", service) or service == "ticketstub":
        raise click.BadParameter("it is a service of yours: letters, digits, . _ -", param_hint="--service")
    with explain_server_errors():
        print(
            render_compose_file(
                ComposeOptions(service, ip_address, image, world), load_world(world, demo=world is None)
            )
        )


def _format_assignment(form: str, name: str, value: str) -> str:
    """Write a variable as a shell, or a file of variables, has it."""
    if form == "fish":
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{escaped}';"
    if form == "powershell":
        escaped = value.replace("'", "''")
        return f"$env:{name} = '{escaped}'"
    return f"{name}={value}" if form == "dotenv" else f"export {name}={shlex.quote(value)}"
