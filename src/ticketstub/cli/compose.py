"""A Compose file for a local Plex and the service that is to take it for Plex: `ticketstub env --format compose`.

Rule: it is complete, and stands beside the user's own file, with which Compose merges it. It is JSON, which is YAML, so
that no text of the user's can be read as anything else. The local Plex has a fixed
address in a network of its own, for its media servers' names below plex.direct hold that address. The variables are
those of variables.py, for a program that needs no proxy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NamedTuple

from ticketstub.cli.local_plex import list_plex_names
from ticketstub.local_plex.intercept.variables import (
    AUTHORITY_FILE,
    BUNDLE_FILE,
    LOOPBACK,
    TRUST_STORE_FILE,
    VARIABLES,
    ValueKind,
    build_trust_store_options,
)
from ticketstub.local_plex.world.schema import World

ADDRESS = "172.31.99.2"
"""Where the local Plex is in the network that is made for it."""
TLS_FOLDER = "/tls"
"""Where what is to be trusted stands, in both containers."""
CONTROL_PORT = 8191
MEDIA_PORT = 32400
"""The port of the first media server whose port the world leaves open: what real ones have."""
HEALTH_CHECK = (
    "import socket, ssl; "
    f"ssl.create_default_context(cafile='{TLS_FOLDER}/{AUTHORITY_FILE}').wrap_socket("
    "socket.create_connection(('127.0.0.1', 443), 3), server_hostname='plex.tv')"
)
"""A program that fails until the local Plex in its container answers: TLS is agreed on, and nothing asked."""
_SERVICE_NAME = "ticketstub"
_OPTIONAL_CONTROL_KEY = "${TICKETSTUB_CONTROL_KEY:-}"

ComposeValue = str | int | bool | Sequence["ComposeValue"] | Mapping[str, "ComposeValue"]


class ComposeOptions(NamedTuple):
    """What the file is made for.

    Attributes:
        service: the name of the service that is to take the local Plex for Plex.
        address: the local Plex's.
        image: its image.
        file: the world's file; `None` for the demonstration.
    """

    service: str = "tests"
    address: IPv4Address = IPv4Address(ADDRESS)
    image: str = _SERVICE_NAME
    world_file: Path | None = None


def render_compose_file(options: ComposeOptions, world: World) -> str:
    """Return the file."""
    client_service: dict[str, ComposeValue] = {
        "environment": build_environment(options.address),
        "depends_on": {_SERVICE_NAME: {"condition": "service_healthy"}},
        "networks": {"default": {}, "plex": {}},
        "volumes": [f"ticketstub-tls:{TLS_FOLDER}:ro"],
    }
    document: dict[str, ComposeValue] = {
        "x-ticketstub": "A local stand-in for Plex, not Plex. Made by `ticketstub env --format compose`.",
        "services": {_SERVICE_NAME: _build_local_plex_service(options, world), options.service: client_service},
        "networks": {"plex": {"ipam": {"config": [{"subnet": str(_get_subnet(options.address))}]}}},
        "volumes": {"ticketstub-tls": {}},
    }
    return json.dumps(document, indent=2, ensure_ascii=False)  # YAML has no pairs of surrogates


def is_usable_address(address: IPv4Address) -> bool:
    """Tell whether the local Plex can have an address: private, and none that its network needs for itself."""
    subnet = _get_subnet(address)
    reserved = {subnet.network_address, subnet.network_address + 1, subnet.broadcast_address}
    return address.is_private and not address.is_loopback and address not in reserved


def _get_subnet(address: IPv4Address) -> IPv4Network:
    return IPv4Network(f"{address}/24", strict=False)


def _build_local_plex_service(options: ComposeOptions, world: World) -> dict[str, ComposeValue]:
    world_arguments, volumes = _build_world_mount(options, world)
    listen_arguments = [
        "--host",
        "0.0.0.0",  # noqa: S104  # within a container
        "--advertise",
        str(options.address),
        "--media-port",
        str(MEDIA_PORT),
    ]  # within a container
    return {
        "image": _escape_dollars(options.image),
        # A name without a place is one of this machine's images: nobody else's of that name is to be fetched.
        **({} if "/" in options.image else {"pull_policy": "never"}),
        "command": ["serve", *world_arguments, *listen_arguments, "--tls", TLS_FOLDER, "--log"],
        "environment": {"TICKETSTUB_SERVE_CONTROL_KEY": _OPTIONAL_CONTROL_KEY},
        "healthcheck": {
            "test": ["CMD", "python", "-c", HEALTH_CHECK],
            "interval": "2s",
            "timeout": "5s",
            "retries": 15,
        },
        "networks": {
            "plex": {"ipv4_address": str(options.address), "aliases": list_plex_names(world, str(options.address))}
        },
        "volumes": [f"ticketstub-tls:{TLS_FOLDER}", *volumes],
    }


def _build_world_mount(options: ComposeOptions, world: World) -> tuple[list[str], list[ComposeValue]]:
    """Return the options that name the world, and what is mounted for it: with its folder where it names folders."""
    if options.world_file is None:
        return ["--demo"], []
    mounts_folder = any(server.replies for server in world.media_servers)
    source = options.world_file.parent if mounts_folder else options.world_file
    source_path = source.as_posix() if source.is_absolute() else f"./{source.as_posix()}"
    target = "/world" if mounts_folder else "/world.toml"
    mount: dict[str, ComposeValue] = {
        "type": "bind",
        "source": _escape_dollars(source_path),
        "target": target,
        "read_only": True,
    }
    return ["--world", f"/world/{_escape_dollars(options.world_file.name)}" if mounts_folder else target], [mount]


def _escape_dollars(text: str) -> str:
    """Write a text of the user's so that Compose puts no variable into it."""
    return text.replace("$", "$$")


def build_environment(address: IPv4Address) -> dict[str, str]:
    """Return the variables of a program in a container, to which Plex's names lead here."""
    java = build_trust_store_options(f"{TLS_FOLDER}/{TRUST_STORE_FILE}")
    values: dict[ValueKind, str] = {
        # For containers that are given a proxy: it would lead to the real Plex.
        "exceptions": ",".join(
            [*LOOPBACK, "plex.tv", ".plex.tv", "plex.direct", ".plex.direct", _SERVICE_NAME, str(address)]
        ),
        "authority": f"{TLS_FOLDER}/{AUTHORITY_FILE}",
        "bundle": f"{TLS_FOLDER}/{BUNDLE_FILE}",
        "java": " ".join(f"-D{name}={value}" for name, value in java.items()),
        "control": f"http://{_SERVICE_NAME}:{CONTROL_PORT}/control/v1",
        "key": _OPTIONAL_CONTROL_KEY,
    }
    return {name: values[kind] for name, kind, _ in VARIABLES if kind in values}
