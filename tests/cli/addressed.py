"""A world whose media servers have good addresses and bad ones, for the commands that connect to them."""

import errno
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ticketstub.dns import is_loopback
from ticketstub.testing import LocalPlexController, local_plex

MIRA_TOKEN, TOM_TOKEN = "mira-0123456789abcde", "tom-0123456789abcdef"
FAR = "192.168.254.254"
ADDRESSES_WORLD = f"""
[[account]]
username = "mira_quill"
email = "mira@example.test"
token = "{MIRA_TOKEN}"

[[account]]
username = "tom"
email = "tom@example.test"
token = "{TOM_TOKEN}"

[[media_server]]
name = "Attic"
owner = "mira_quill"

[[media_server.address]]
local = true
behaviour = "login_page"

[[media_server.address]]
behaviour = "other_server"
plex_direct = true

[[media_server.address]]
certificate = "expired"
plex_direct = true

[[media_server.address]]
plex_direct = true

[[media_server]]
name = "Barn"
owner = "tom"

[[media_server.share]]
account = "mira_quill"

[[media_server.address]]
behaviour = "refusing"
local = true

[[media_server.address]]
certificate = "self_signed"
plex_direct = true
dns = "fails"

[[media_server.address]]
uri = "http://{FAR}:32400"
local = true

[[media_server]]
name = "Cellar"
owner = "mira_quill"
"""


@pytest.fixture(scope="session")
def addressed() -> Iterator[LocalPlexController]:
    """A local Plex with a server that has one good address, one that has none, and one like any other."""
    with local_plex(ADDRESSES_WORLD) as plex:
        yield plex


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts to which a TCP connection was attempted; those beyond loopback refuse it."""
    hosts: list[str] = []
    connect = socket.socket.connect

    def attempt(self: socket.socket, address: Any) -> None:
        if self.type == socket.SOCK_STREAM and self.family != getattr(socket, "AF_UNIX", None):
            hosts.append(address[0])
            if not is_loopback(address[0]):
                raise ConnectionRefusedError(errno.ECONNREFUSED, "refused by the test")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", attempt)
    return hosts


@pytest.fixture
def mira(
    command: Callable[..., Any],
    addressed: LocalPlexController,
    dialled: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Callable[..., Any]]:
    """The command as mira uses it on a computer that trusts the local Plex's authority."""
    authority = tmp_path / "authority.pem"
    authority.write_text(addressed.authority, "ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setenv("TICKETSTUB_PLEX_TV", addressed.url)
    monkeypatch.setenv("TICKETSTUB_TOKEN", MIRA_TOKEN)
    look_up = socket.getaddrinfo

    def resolve(host: str, port: int, *arguments: Any, **more: Any) -> list[Any]:
        if not host.endswith(".plex.direct"):
            return look_up(host, port, *arguments, **more)
        return [(each.family, socket.SOCK_STREAM, 6, "", each.sockaddr) for each in addressed.resolve(host, port)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield command
    assert set(dialled) <= {"127.0.0.1", FAR}
    addressed.reset()
