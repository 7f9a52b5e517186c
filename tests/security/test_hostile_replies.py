"""C7: a hostile response costs little memory and time, measured in a process with limited memory."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.transports.hostile import Server
from tests.protocol.test_hostile_bodies import HOSTILE, LONGEST
from ticketstub.messages import MAX_BODY_SIZE

resource = pytest.importorskip("resource", reason="this system cannot limit a process's memory")
SOURCE = Path(__file__).parents[2] / "src"
MEBIBYTE = 1024 * 1024
MOST_MEMORY = 50 * MEBIBYTE

# It sets the limit after everything is loaded, and says of each answer what came of it and what it cost.
PROGRAM = """
import json, resource, sys, time
from ticketstub import Device, Plex, PlexError, Retry
url, limit, names = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
options = {"device": Device(client_identifier="demo-client-7c1f"), "token": "t" * 20, "retry": Retry(attempts=1)}
def ask(name):
    with Plex(plex_tv=f"{url}/{name}", timeout=60.0, **options) as plex:
        return [_outcome(ask) for ask in (plex.authentication.get_token_details, plex.resources, plex.ping)]
def _outcome(ask):
    begun = time.process_time()
    try:
        found = type(ask()).__name__
    except PlexError as error:
        found = type(error).__name__
        error.response = None
    except BaseException as error:
        found = "escaped: " + type(error).__name__
    return found, time.process_time() - begun
ask("warm"), ask("warm-xml"), ask("warm-gzip")
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + limit,) * 2)
print(json.dumps({name: ask(name) for name in names}))
"""

PLAIN = {f"body{number}": body for number, body in enumerate(HOSTILE.values())}
BOMBS = {
    "bomb": lambda: bytes(64 * MEBIBYTE),
    "bomb-of-lists": lambda: b"[" * 8 * MAX_BODY_SIZE,
    "bomb-at-the-limit": lambda: b"[" + b"[]," * (MAX_BODY_SIZE // 3 - 2) + b"[]]",
}
"""What is packed; only by the worker that sends it, because it takes long."""
WARM = {"warm": b'{"id":1', "warm-xml": b"<user", "warm-gzip": gzip.compress(b"{")}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that answers by the first part of the path; compressed bodies name their coding."""
    bodies = PLAIN | WARM | {name: gzip.compress(make(), 9) for name, make in BOMBS.items()}

    def behave(server: Server, sock: socket.socket) -> None:
        while came := server.read(sock):
            name = came.split(b" ")[1].split(b"/")[1].decode()
            body = bodies[name]
            coding = b"Content-Encoding: gzip\r\n" if body.startswith(b"\x1f\x8b") else b""
            sock.sendall(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (coding, len(body)) + body)

    with Server(behave) as one:
        yield one


def asked(server: Server, names: list[str], limit: int = MOST_MEMORY) -> dict[str, list[tuple[str, float]]]:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, server.url, str(limit), json.dumps(names)],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    found: dict[str, list[tuple[str, float]]] = json.loads(run.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a process is read from /proc")
@pytest.mark.parametrize(
    "names", [pytest.param([*PLAIN], id="plain", marks=pytest.mark.long), pytest.param([*BOMBS], id="packed")]
)
def test_c7_memory_and_time_are_bounded(server: Server, names: list[str]) -> None:
    """Huge, nested, compressed and wrong responses, and XML entities, raise MalformedReply within 50 MiB and 2 s."""
    known = dict(zip(PLAIN, HOSTILE, strict=True))
    for name, outcomes in asked(server, names).items():
        for kind, seconds in outcomes:
            assert "MalformedReply" == kind, known.get(name, name)
            assert seconds < LONGEST, known.get(name, name)
