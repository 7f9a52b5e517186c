"""`ticketstub env`: the environment variables of a run for another shell, for a file, or for containers.

Rule: it starts and changes nothing; it prints the variables of local_plex/intercept/variables.py in the chosen syntax.
Inside `ticketstub run` it needs no options. A Compose file can be printed without a run.

The Compose file is complete; Compose merges it with the user's own file. It is written as JSON, which is also YAML, so
that no value can be misread as YAML syntax. The local Plex has a fixed address in its own network,
because the plex.direct names of its media servers contain that address.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ticketstub.cli import options
from ticketstub.cli.errors import InvalidUsage
from ticketstub.cli.local_plex import explain_server_errors, list_plex_names, load_world
from ticketstub.cli.options import CliCommand
from ticketstub.local_plex.intercept.variables import (
    AUTHORITY_FILE,
    BUNDLE_FILE,
    LOOPBACK,
    PROXY_FILE,
    TRUST_STORE_FILE,
    VARIABLES,
    ProgramSettings,
    ValueKind,
    build_trust_store_options,
    build_variables,
)
from ticketstub.tokens import Secret

if TYPE_CHECKING:
    from ticketstub.local_plex.world.schema import World

ADDRESS = IPv4Interface("172.31.99.2/24")
"""The address of the local Plex, and the network that is created for it."""
TLS_FOLDER = "/tls"
"""The folder of the trusted certificates, in both containers."""
CONTROL_PORT = 8191
MEDIA_PORT = 32400
"""The port of the first media server that has none in the world: the default of Plex Media Server."""
HEALTH_CHECK = (
    "import socket, ssl; "
    f"ssl.create_default_context(cafile='{TLS_FOLDER}/{AUTHORITY_FILE}').wrap_socket("
    "socket.create_connection(('127.0.0.1', 443), 3), server_hostname='plex.tv')"
)
"""A program that succeeds once the local Plex in its container accepts a TLS handshake; it sends no request."""
_SERVICE_NAME = "ticketstub"
_OPTIONAL_CONTROL_KEY = "${TICKETSTUB_CONTROL_KEY:-}"

ComposeValue = str | int | bool | Sequence["ComposeValue"] | Mapping[str, "ComposeValue"]


_ASSIGNMENTS: dict[str, Callable[[str, str], str]] = {
    "sh": lambda name, value: f"export {name}={shlex.quote(value)}",
    "fish": lambda name, value: "set -gx {} '{}';".format(name, value.replace("\\", "\\\\").replace("'", "\\'")),
    "powershell": lambda name, value: "$env:{} = '{}'".format(name, value.replace("'", "''")),
    "dotenv": lambda name, value: f"{name}={value}",
}
"""How each shell, and a file of variables, sets a variable."""


@click.command(cls=CliCommand)
@click.option(
    "--format",
    "form",
    metavar="FORM",
    type=click.Choice([*_ASSIGNMENTS, "compose"]),
    default="sh",
    help="The syntax: sh, fish, powershell, dotenv (a file of variables) or compose.",
)
@click.option(
    "--proxy",
    metavar="URL",
    envvar="TICKETSTUB_PROXY",
    show_envvar=True,
    help="The proxy of the run; by default, the one stored beside the --ca file.",
)
@click.option(
    "--ca",
    metavar="FILE",
    type=click.Path(path_type=Path),
    envvar="TICKETSTUB_CA",
    show_envvar=True,
    help="The certificate authority of the run; `ticketstub run` prints its path.",
)
@click.option(
    "--world",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="For compose: the world; by default, the demonstration world.",
)
@click.option(
    "--address",
    metavar="ADDRESS",
    default=str(ADDRESS.ip),
    help="For compose: the address of the local Plex in its own network.",
)
@click.option("--service", metavar="NAME", default="tests", help="For compose: your service that connects to Plex.")
@click.option(
    "--image", metavar="NAME", default=_SERVICE_NAME, help="For compose: the image built from the Dockerfile."
)
def env(
    *, form: str, proxy: str | None, ca: Path | None, world: Path | None, address: str, service: str, image: str
) -> None:
    """Print the environment variables that connect programs to a running `ticketstub run`, or to a container."""
    for name in ("world", "address", "service", "image"):
        options.refuse_unused(name, "needs --format compose", unless=form == "compose")
    for name in ("proxy", "ca"):
        options.refuse_unused(name, "cannot be used with --format compose", unless=form != "compose")
    if form == "compose":
        if not re.fullmatch(r"[a-zA-Z0-9._-]+", service) or service == _SERVICE_NAME:
            raise click.BadParameter("it must be one of your services: letters, digits, . _ -", param_hint="--service")
        plex_address = _parse_address(address)
        with explain_server_errors():
            print(render_compose_file(load_world(world, demo=world is None), world, plex_address, service, image))
        return
    if ca is None:
        raise InvalidUsage(
            "no run is named: add --ca FILE",
            hint="start one with `ticketstub run`, which prints the option; inside its shell, no option is needed",
        )
    if not ca.is_file():
        raise InvalidUsage(f"{ca}: no such file", hint="has that run ended?")
    if proxy is None:
        address_file = ca.with_name(PROXY_FILE)
        proxy = address_file.read_text("utf-8") if address_file.is_file() else ""
    inside_run = (os.environ.get("TICKETSTUB_PROXY", ""), os.environ.get("TICKETSTUB_CA")) == (proxy, str(ca))
    run_environ: Mapping[str, str] = os.environ if inside_run else {}
    settings = ProgramSettings(
        proxy,
        ca.absolute(),
        run_environ.get("TICKETSTUB_PLEX_TV", ""),
        run_environ.get("TICKETSTUB_CONTROL", ""),
        Secret(run_environ.get("TICKETSTUB_CONTROL_KEY", "")),
    )
    # Inside the run, JAVA_TOOL_OPTIONS already contains the run's own options: they are not added again.
    base_environ = {name: text for name, text in os.environ.items() if not (inside_run and name == "JAVA_TOOL_OPTIONS")}
    for name, value in build_variables(settings, base_environ).items():
        print(_ASSIGNMENTS[form](name, value))


def _parse_address(text: str) -> IPv4Interface:
    """Return the address of the local Plex with its network, a /24."""
    try:
        address = IPv4Interface(f"{text}/24")
    except ValueError:
        raise click.BadParameter(f"{text} is not an IPv4 address", param_hint="--address") from None
    first, last = address.network.network_address, address.network.broadcast_address
    if not address.ip.is_private or address.ip.is_loopback or address.ip in {first, first + 1, last}:
        raise click.BadParameter(
            "it must be a private address, but not the first two or the last of its network", param_hint="--address"
        )
    return address


def render_compose_file(
    world: World,
    world_file: Path | None = None,
    address: IPv4Interface = ADDRESS,
    service: str = "tests",
    image: str = _SERVICE_NAME,
) -> str:
    """Render the Compose file for a local Plex and the service that connects to it.

    Args:
        world: the world of the local Plex.
        world_file: the world's file; `None` for the demonstration world.
        address: the address of the local Plex, with its network.
        service: the user's service that connects to the local Plex as if it were Plex.
        image: the image of the local Plex.
    """
    world_arguments, mounts = _build_world_mount(world, world_file)
    listen_arguments = ["--host", "0.0.0.0", "--advertise", str(address.ip), "--media-port", str(MEDIA_PORT)]  # noqa: S104  # within a container
    names = list_plex_names(world, str(address.ip))
    services: dict[str, ComposeValue] = {
        _SERVICE_NAME: {
            "image": _escape_dollars(image),
            # A name without a slash is a local image: never pull somebody else's image of that name.
            **({} if "/" in image else {"pull_policy": "never"}),
            "command": ["serve", *world_arguments, *listen_arguments, "--tls", TLS_FOLDER, "--log"],
            "environment": {"TICKETSTUB_SERVE_CONTROL_KEY": _OPTIONAL_CONTROL_KEY},
            "healthcheck": {
                "test": ["CMD", "python", "-c", HEALTH_CHECK],
                "interval": "2s",
                "timeout": "5s",
                "retries": 15,
            },
            "networks": {"plex": {"ipv4_address": str(address.ip), "aliases": names}},
            "volumes": [f"ticketstub-tls:{TLS_FOLDER}", *mounts],
        },
        service: {
            "environment": _build_environment(str(address.ip)),
            "depends_on": {_SERVICE_NAME: {"condition": "service_healthy"}},
            "networks": {"default": {}, "plex": {}},
            "volumes": [f"ticketstub-tls:{TLS_FOLDER}:ro"],
        },
    }
    document: dict[str, ComposeValue] = {
        "x-ticketstub": "A local stand-in for Plex, not Plex. Made by `ticketstub env --format compose`.",
        "services": services,
        "networks": {"plex": {"ipam": {"config": [{"subnet": str(address.network)}]}}},
        "volumes": {"ticketstub-tls": {}},
    }
    return json.dumps(document, indent=2, ensure_ascii=False)  # YAML does not read JSON's surrogate pairs


def _build_world_mount(world: World, file: Path | None) -> tuple[list[str], list[ComposeValue]]:
    """Return the options that name the world, and its mount: with its folder if the world names recorded folders."""
    if file is None:
        return ["--demo"], []
    mounts_folder = any(server.replies for server in world.media_servers)
    source = file.parent if mounts_folder else file
    target = "/world" if mounts_folder else "/world.toml"
    mount: dict[str, ComposeValue] = {
        "type": "bind",
        "source": _escape_dollars(source.as_posix() if source.is_absolute() else f"./{source.as_posix()}"),
        "target": target,
        "read_only": True,
    }
    return ["--world", f"/world/{_escape_dollars(file.name)}" if mounts_folder else target], [mount]


def _escape_dollars(text: str) -> str:
    """Escape text so that Compose does not substitute variables in it."""
    return text.replace("$", "$$")


def _build_environment(address: str) -> dict[str, str]:
    """Return the variables of a program in a container, where Plex's names resolve to the local Plex."""
    java = build_trust_store_options(f"{TLS_FOLDER}/{TRUST_STORE_FILE}")
    values: dict[ValueKind, str] = {
        # For containers with a proxy, which would lead to the real Plex.
        "exceptions": ",".join(
            [*LOOPBACK, "plex.tv", ".plex.tv", "plex.direct", ".plex.direct", _SERVICE_NAME, address]
        ),
        "authority": f"{TLS_FOLDER}/{AUTHORITY_FILE}",
        "bundle": f"{TLS_FOLDER}/{BUNDLE_FILE}",
        "java": " ".join(f"-D{name}={value}" for name, value in java.items()),
        "control": f"http://{_SERVICE_NAME}:{CONTROL_PORT}/control/v1",
        "key": _OPTIONAL_CONTROL_KEY,
    }
    return {name: values[kind] for name, kind, _ in VARIABLES if kind in values}
