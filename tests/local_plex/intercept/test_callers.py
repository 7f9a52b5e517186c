"""The proxy serves only this user's programs: by the secret in its URL, or by what the system says about the peer."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.local_plex.asking import MIRA, world
from tests.local_plex.intercept.conftest import PATIENCE, Stage
from ticketstub.local_plex.http.server import run_in_thread
from ticketstub.local_plex.intercept.interception import build_host_table, create_run_context
from ticketstub.local_plex.intercept.peers import ClientAuthenticator, find_owner_uid, get_own_uid
from ticketstub.local_plex.intercept.proxy import ProxyServer, UpstreamProxy
from ticketstub.local_plex.intercept.variables import AUTHORITY_FILE, ProgramSettings, merge_environment
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.world.schema import World
from ticketstub.tokens import Secret

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says whose a connection is")
UNPROVEN = b"HTTP/1.1 407 Proxy Authentication Required: this proxy serves the programs of its own user only\r\n"
REQUESTS = (
    b"CONNECT plex.tv:443 HTTP/1.1\r\nHost: plex.tv:443\r\n\r\n",
    b"CONNECT media.example:443 HTTP/1.1\r\n\r\n",
    b"GET http://plex.tv/api/v2/user HTTP/1.1\r\nHost: plex.tv\r\n\r\n",
    b"GET http://media.example/ HTTP/1.1\r\nHost: media.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"no request at all\r\n\r\n",
)
NOBODY = 65534
"""Another user's number: there need not be such a user."""
# Every request on a connection of its own: port, requests in hexadecimal; prints what comes in hexadecimal.
ASKING = """
import socket, sys
for text in sys.argv[2:]:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60) as connection:
        connection.sendall(bytes.fromhex(text))
        came = b""
        while piece := connection.recv(65536):
            came += piece
            if b"Connection established" in came:
                break
        print(came.hex())
"""


def unknown(_near: tuple[str, int], _far: tuple[str, int]) -> None:
    """Do not identify a connection's owner, as systems other than Linux."""


def proof(proxy: ProxyServer) -> bytes:
    """Return the header field that programs send that have this proxy's URL."""
    parts = urlsplit(proxy.url)
    return b"Proxy-Authorization: Basic " + b64encode(f"{parts.username}:{parts.password}".encode()) + b"\r\n"


def with_field(request: bytes, field: bytes) -> bytes:
    return request.replace(b"\r\n", b"\r\n" + field, 1)


@linux
@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can be another user")
def test_another_users_program_is_not_served(stage: Stage) -> None:
    """Another user's process gets 407 whatever it sends; with the secret it is served."""
    further = stage.backend(b"HTTP/1.1 200 OK\r\n\r\n")
    proxy = stage.proxy(upstream=UpstreamProxy(further.address, Secret("Basic dTpw")))
    port = proxy.url.rpartition(":")[2]
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin") or sys.executable

    def asked(*requests: bytes) -> list[bytes]:
        command = [python, "-I", "-S", "-c", ASKING, port, *(request.hex() for request in requests)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, user=NOBODY, cwd="/", check=True)
        return [bytes.fromhex(line) for line in done.stdout.split()]

    for answer in asked(*REQUESTS):
        assert answer.startswith(UNPROVEN)
        assert b"plex.tv" not in answer
        assert 1 == answer.count(b"HTTP/1.1")
    assert ([], [], []) == (further.came, stage.plex_tv.came, stage.attic.came)
    assert {("", "refused")} == set(stage.told(len(REQUESTS)))
    served = asked(with_field(REQUESTS[0], proof(proxy)))
    assert [b"HTTP/1.1 200 Connection established\r\n\r\n"] == served


@linux
def test_this_users_program_needs_no_secret(stage: Stage) -> None:
    """Java sends none: the system identifies the connection's owner."""
    client = stage.client(stage.proxy())
    assert client.tunnel("plex.tv:443").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("request_", REQUESTS)
def test_without_proof_nothing_is_served(stage: Stage, request_: bytes) -> None:
    """If the system does not identify the owner, the secret decides: none or a wrong one is 407."""
    further = stage.backend(b"HTTP/1.1 200 OK\r\n\r\n")
    proxy = stage.proxy(
        upstream=UpstreamProxy(further.address, Secret("Basic dTpw")), callers=ClientAuthenticator(unknown)
    )
    right = proof(proxy)
    wrong = (b"", right[:-4] + b"\r\n", right.replace(b"Basic", b"Bearer"), right * 2, b"Proxy-Authorization:\r\n")
    for field in wrong:
        client = stage.client(proxy)
        client.say(with_field(request_, field))
        said = client.rest()
        assert said.startswith(UNPROVEN)
        assert b'\r\nProxy-Authenticate: Basic realm="ticketstub run"\r\n' in said
        assert 1 == said.count(b"HTTP/1.1 ")
    assert ([], []) == (further.came, stage.plex_tv.came)


def test_the_secret_opens_and_goes_no_further(stage: Stage) -> None:
    """Requests with the secret are served, and no server, further proxy or log gets it."""
    further = stage.backend(b"HTTP/1.1 200 OK\r\n\r\n")
    proxy = stage.proxy(
        upstream=UpstreamProxy(further.address, Secret("Basic dTpw")), callers=ClientAuthenticator(unknown)
    )
    for request in REQUESTS[:4]:
        client = stage.client(proxy)
        client.say(with_field(request, proof(proxy)))
        if b"CONNECT plex.tv" in request:
            assert client.head().startswith(b"HTTP/1.1 200 ")
            client.close()
        else:
            assert client.rest().startswith(b"HTTP/1.1 200 ")
    assert (2, 2) == (len(further.came), len(stage.plex_tv.came))
    assert all(b"Proxy-Authorization: Basic dTpw\r\n" in came for came in further.came)
    password = urlsplit(proxy.url).password or "-"
    seen = b"".join([*further.came, *stage.plex_tv.came]) + repr(stage.events).encode()
    assert password.encode() not in seen
    assert proof(proxy).split()[-1] not in seen


def test_a_web_page_gets_a_403(stage: Stage, connect: Callable[[], object]) -> None:
    """A page in this user's browser (DNS rebinding) gets 403 for whatever it sends, and the connection ends."""
    port = stage.proxy().url.rpartition(":")[2]
    host = f"Host: evil.example:{port}\r\nOrigin: http://evil.example:{port}\r\n".encode()
    smuggled = b"CONNECT plex.tv:443 HTTP/1.1\r\n\r\n"
    bodies = (
        b"GET / HTTP/1.1\r\n" + host + b"\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + host + b"\r\n",
        b"POST /api HTTP/1.1\r\n" + host + b"Content-Length: %d\r\n\r\n" % len(smuggled) + smuggled,
        b"GET //plex.tv/api HTTP/1.1\r\n" + host + b"\r\n" + smuggled,
    )
    for text in bodies:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=PATIENCE) as browser:
            browser.sendall(text)
            came = b""
            while piece := browser.recv(65536):
                came += piece
        assert came.startswith(b"HTTP/1.1 403 ")
        assert 1 == came.count(b"HTTP/1.1 ")
    assert [] == stage.plex_tv.came


@linux
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_system_says_whose_a_connection_is(family: socket.AddressFamily) -> None:
    """It works for IPv4 and for IPv4 in IPv6. A closed connection has no owner, although the table names a user."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.socket(family) as client:
            client.connect(address if family == socket.AF_INET else (f"::ffff:{address[0]}", address[1]))
            near = ("127.0.0.1", client.getsockname()[1])
            far, _ = listener.accept()
            assert os.getuid() == find_owner_uid(near, address)
            assert find_owner_uid(("127.0.0.1", 1), address) is None
            client.shutdown(socket.SHUT_WR)
            assert os.getuid() == find_owner_uid(near, address)
        with far:
            deadline = time.monotonic() + 60
            while find_owner_uid(near, address) is not None:
                assert time.monotonic() < deadline
                time.sleep(0.01)
    assert get_own_uid() in {None, os.getuid()}


PYTHON = {
    "urllib": "import urllib.request\nask = lambda url: urllib.request.urlopen(url, timeout=60).read().decode()",
    "requests": "import requests\nask = lambda url: requests.get(url, timeout=60).text",
    "httpx": "import httpx\nask = lambda url: httpx.get(url, timeout=60).text",
    "httpx2": "import httpx2\nask = lambda url: httpx2.get(url, timeout=60).text",
    "aiohttp": (
        "import aiohttp, asyncio\n"
        "async def answer(url):\n"
        "    async with aiohttp.ClientSession(trust_env=True) as session, session.get(url) as found:\n"
        "        return await found.text()\n"
        "ask = lambda url: asyncio.run(answer(url))"
    ),
}
NODE = """
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 21)) { console.log('old'); process.exit(); }
(async () => { for (const url of process.argv.slice(1)) console.log(await (await fetch(url)).text()); })();
"""
GO = """
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	for _, url := range os.Args[1:] {
		response, err := http.Get(url)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(response.Body)
		fmt.Println(string(body))
	}
}
"""


@pytest.fixture
def told(stage: Stage, tmp_path: Path) -> Callable[..., list[str]]:
    """Run a program in the environment of a run on a system that does not identify owners; return its output lines."""
    described = world()
    plex = stage.endings.enter_context(LocalPlex(World.from_dict(described), plex_direct=True).run_in_thread())
    hosts, folder = build_host_table(plex, offline=True), tmp_path / "run"
    folder.mkdir()
    plex.enable_tls(
        create_run_context(hosts.certificate_names, folder=folder, environ={}, exclusive=True), lambda _port: None
    )
    proxy = ProxyServer(hosts, authenticator=ClientAuthenticator(unknown))
    stage.endings.enter_context(run_in_thread(proxy.serve, "proxy"))
    given = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environ = merge_environment(ProgramSettings(proxy.url, folder / AUTHORITY_FILE), given)

    def ran(*command: str) -> list[str]:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environ, check=False)
        assert 0 == done.returncode, done.stderr
        return [line for line in done.stdout.splitlines() if line.strip()]

    return ran


URLS = tuple(
    f"{scheme}://plex.tv/api/v2/ping.json?X-Plex-Token={MIRA}&X-Plex-Client-Identifier=here"
    for scheme in ("https", "http")
)


@pytest.mark.long
@pytest.mark.parametrize("library", PYTHON)
def test_python_sends_the_secret(told: Callable[..., list[str]], library: str) -> None:
    """urllib, requests, httpx, httpx2 and aiohttp send the secret in the proxy's URL, for HTTPS and HTTP."""
    pytest.importorskip(library)
    text = f"{PYTHON[library]}\nimport sys\nfor url in sys.argv[1:]: print(ask(url))"
    assert [{"pong": True}] * 2 == list(map(json.loads, told(sys.executable, "-c", text, *URLS)))


@pytest.mark.long
def test_other_languages_send_the_secret(told: Callable[..., list[str]], tmp_path: Path) -> None:
    """So do curl, Node.js (in versions that read the variables) and Go."""
    (tmp_path / "main.go").write_text(GO)
    commands: dict[str, list[tuple[str, ...]]] = {
        "curl": [("-sS", "-w", "\\n", url) for url in URLS],
        "node": [("-e", NODE, *URLS)],
        "go": [("run", str(tmp_path / "main.go"), *URLS)],
    }
    found = [name for name in commands if shutil.which(name)]
    if not found:
        pytest.skip("none of curl, Node.js and Go is installed")
    for name in found:
        said = [line for arguments in commands[name] for line in told(name, *arguments)]
        assert said in (['{"pong":true}'] * 2, ["old"]), name
