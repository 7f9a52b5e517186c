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

from ticketstub.cli.local_plex import plex_names
from ticketstub.local_plex.intercept.variables import (
    AUTHORITY,
    BUNDLE,
    LOOPBACK,
    TRUST_STORE,
    VARIABLES,
    Kind,
    trust_store_options,
)
from ticketstub.local_plex.world.schema import World

ADDRESS = "172.31.99.2"
"""Where the local Plex is in the network that is made for it."""
CERTIFICATES = "/tls"
"""Where what is to be trusted stands, in both containers."""
CONTROL_PORT = 8191
MEDIA_PORT = 32400
"""The port of the first media server whose port the world leaves open: what real ones have."""
HEALTHY = (
    "import socket, ssl; "
    f"ssl.create_default_context(cafile='{CERTIFICATES}/{AUTHORITY}').wrap_socket("
    "socket.create_connection(('127.0.0.1', 443), 3), server_hostname='plex.tv')"
)
"""A program that fails until the local Plex in its container answers: TLS is agreed on, and nothing asked."""
_US = "ticketstub"
_KEY_OR_NOTHING = "${TICKETSTUB_CONTROL_KEY:-}"

Value = str | int | bool | Sequence["Value"] | Mapping[str, "Value"]


class Wanted(NamedTuple):
    """What the file is made for.

    Attributes:
        service: the name of the service that is to take the local Plex for Plex.
        address: the local Plex's.
        image: its image.
        file: the world's file; `None` for the demonstration.
    """

    service: str = "tests"
    address: IPv4Address = IPv4Address(ADDRESS)
    image: str = _US
    file: Path | None = None


def compose(wanted: Wanted, world: World) -> str:
    """Return the file."""
    program: dict[str, Value] = {
        "environment": environment(wanted.address),
        "depends_on": {_US: {"condition": "service_healthy"}},
        "networks": {"default": {}, "plex": {}},
        "volumes": [f"ticketstub-tls:{CERTIFICATES}:ro"],
    }
    file: dict[str, Value] = {
        "x-ticketstub": "A local stand-in for Plex, not Plex. Made by `ticketstub env --format compose`.",
        "services": {_US: _local_plex(wanted, world), wanted.service: program},
        "networks": {"plex": {"ipam": {"config": [{"subnet": str(_subnet(wanted.address))}]}}},
        "volumes": {"ticketstub-tls": {}},
    }
    return json.dumps(file, indent=2, ensure_ascii=False)  # YAML has no pairs of surrogates


def fits(address: IPv4Address) -> bool:
    """Tell whether the local Plex can have an address: private, and none that its network needs for itself."""
    subnet = _subnet(address)
    taken = {subnet.network_address, subnet.network_address + 1, subnet.broadcast_address}
    return address.is_private and not address.is_loopback and address not in taken


def _subnet(address: IPv4Address) -> IPv4Network:
    return IPv4Network(f"{address}/24", strict=False)


def _local_plex(wanted: Wanted, world: World) -> dict[str, Value]:
    place, volumes = _world(wanted, world)
    options = ["--host", "0.0.0.0", "--advertise", str(wanted.address), "--media-port", str(MEDIA_PORT)]  # noqa: S104  # within a container
    return {
        "image": _as_it_is(wanted.image),
        # A name without a place is one of this machine's images: nobody else's of that name is to be fetched.
        **({} if "/" in wanted.image else {"pull_policy": "never"}),
        "command": ["serve", *place, *options, "--tls", CERTIFICATES, "--log"],
        "environment": {"TICKETSTUB_SERVE_CONTROL_KEY": _KEY_OR_NOTHING},
        "healthcheck": {
            "test": ["CMD", "python", "-c", HEALTHY],
            "interval": "2s",
            "timeout": "5s",
            "retries": 15,
        },
        "networks": {"plex": {"ipv4_address": str(wanted.address), "aliases": plex_names(world, str(wanted.address))}},
        "volumes": [f"ticketstub-tls:{CERTIFICATES}", *volumes],
    }


def _world(wanted: Wanted, world: World) -> tuple[list[str], list[Value]]:
    """Return the options that name the world, and what is mounted for it: with its folder where it names folders."""
    if wanted.file is None:
        return ["--demo"], []
    whole = any(server.replies for server in world.media_servers)
    source = wanted.file.parent if whole else wanted.file
    shown = source.as_posix() if source.is_absolute() else f"./{source.as_posix()}"
    inside = "/world" if whole else "/world.toml"
    mounted: dict[str, Value] = {"type": "bind", "source": _as_it_is(shown), "target": inside, "read_only": True}
    return ["--world", f"/world/{_as_it_is(wanted.file.name)}" if whole else inside], [mounted]


def _as_it_is(text: str) -> str:
    """Write a text of the user's so that Compose puts no variable into it."""
    return text.replace("$", "$$")


def environment(address: IPv4Address) -> dict[str, str]:
    """Return the variables of a program in a container, to which Plex's names lead here."""
    java = trust_store_options(f"{CERTIFICATES}/{TRUST_STORE}")
    values: dict[Kind, str] = {
        # For containers that are given a proxy: it would lead to the real Plex.
        "exceptions": ",".join([*LOOPBACK, "plex.tv", ".plex.tv", "plex.direct", ".plex.direct", _US, str(address)]),
        "authority": f"{CERTIFICATES}/{AUTHORITY}",
        "bundle": f"{CERTIFICATES}/{BUNDLE}",
        "java": " ".join(f"-D{name}={value}" for name, value in java.items()),
        "control": f"http://{_US}:{CONTROL_PORT}/control/v1",
        "key": _KEY_OR_NOTHING,
    }
    return {name: values[holds] for name, holds, _ in VARIABLES if holds in values}
