"""A bridge as a process, as `ticketstub bridge serve` runs it."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx

from bridge_tests.bridges import CONFIG, URL
from ticketstub.testing import LocalPlexController
from ticketstub_bridge.sealing import create_key_file

COMMAND = [sys.executable, "-m", "ticketstub", "bridge"]


def find_port() -> int:
    """Return a port for a program that listens later: none of those that the system gives away in the meantime."""
    while True:
        port = random.randrange(12000, 32000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue


def run_bridge_command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `ticketstub bridge` with these arguments."""
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False, **options)


class ServedBridge:
    """A bridge in a process.

    Args:
        local_plex: its Plex.
        folder: its folder; the configuration is written by the first bridge there.
        database: a database that replaces SQLite.
        port: its port; another bridge of the same address has another one.
        url: its public address, if that is not this port.
        more: further applications.
        top: further keys of bridge.toml.
    """

    def __init__(
        self,
        local_plex: LocalPlexController,
        folder: Path,
        database: str | None = None,
        url: str | None = None,
        more: str = "",
        top: str = "",
    ) -> None:
        self.local_plex = local_plex
        self.folder = folder
        self.port = find_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.url = url or f"http://localhost:{self.port}"
        self.log = folder / f"log-{self.port}"
        self._database = ["--db", database] if database else []
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        top += f'\nplex_tv = "{local_plex.url}"\nlisten = "127.0.0.1:{self.port}"'
        text = CONFIG.replace("@top@", top).replace("@access@", "").replace("@more@", more).replace(URL, self.url)
        (folder / "bridge.toml").write_text(text, "utf-8")
        if not (folder / "bridge.key").exists():
            create_key_file(folder / "bridge.key")

    def start(self, *options: str, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            command = [*COMMAND, "serve", "--folder", str(self.folder), *self._database, *options]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self, seconds: float = 60) -> None:
        assert self._process is not None
        ends = time.monotonic() + seconds
        while True:
            try:
                if httpx.get(f"{self.address}/readyz").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < ends, self.log.read_text()
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = 30) -> int:
        assert self._process is not None
        return self._process.wait(seconds)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(30)

    def read_log(self) -> list[dict[str, Any]]:
        """Return the log; every line is JSON."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]

    def measure_memory(self) -> float:
        """Return the resident memory in MiB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def transport(self) -> httpx.AsyncBaseTransport:
        return _Redirected(self.address)

    def http(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.transport(), base_url=self.url, **options)


class _Redirected(httpx.AsyncBaseTransport):
    """Sends requests for the public address to one process, as a proxy does."""

    def __init__(self, address: str) -> None:
        self._address = httpx.URL(address)
        self._transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url.copy_with(host=self._address.host, port=self._address.port)
        sent = httpx.Request(request.method, url, headers=request.headers, stream=request.stream)
        return await self._transport.handle_async_request(sent)

    async def aclose(self) -> None:
        await self._transport.aclose()
