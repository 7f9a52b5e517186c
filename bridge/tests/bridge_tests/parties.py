"""Relying parties: programs of others that sign people in through a bridge.

Rule: each party has a folder in tests/parties with its program, or its configuration, and its pins; the library or
server in it is unmodified. It reaches the bridge by https, and checks the certificate as it would anywhere.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import httpx2 as httpx
import pytest
import trustme

from bridge_tests.processes import find_port

HOME = Path(__file__).parents[1] / "parties"
_ENVIRONMENTS = HOME.parents[2] / "tests" / "strangers" / "environments.py"


def load_environments() -> ModuleType:
    """Return the module that makes environments for programs of others; it belongs to the tests of the library."""
    spec = importlib.util.spec_from_file_location("party_environments", _ENVIRONMENTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def require(program: str, package: str) -> str:
    """Return a program's path. Without it the test is skipped and says why; in CI it fails."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    return found or give_up(f"needs {program}: apt install {package}")


def give_up(reason: str) -> str:
    """Skip the test; in CI it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


class TlsFront:
    """Listens with TLS, and passes everything on to a port of this computer.

    Attributes:
        url: its address.
        authority: the certificate of the authority that parties must trust.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self._target = port
        self._port = find_port()
        self.url = f"https://localhost:{self._port}"
        self.authority = folder / "authority.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.authority))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self._context)

    @contextmanager
    def run(self) -> Iterator[None]:
        """Pass connections on for as long as the `with` block lasts."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        opened = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._pass_on, "127.0.0.1", self._port, ssl=self._context), loop
        )
        server = opened.result(30)
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(_stop(server), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(30)
            loop.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(there_writer)
            await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the other side is gone, or the test is over
        finally:
            for each in writers:
                each.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    writer.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0.1)  # aborted connections close in the loop's next rounds


class Echo:
    """An application behind a proxy that signs people in: it answers with the headers that it gets, as JSON.

    Args:
        leads_to: where it sends people on to instead, another application perhaps.
    """

    def __init__(self, leads_to: str | None = None) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("_", (_EchoHandler,), {"leads_to": leads_to}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def run(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join(30)


class _EchoHandler(BaseHTTPRequestHandler):
    leads_to: str | None

    def do_GET(self) -> None:
        if self.leads_to is not None:
            self.send_response(302)
            self.send_header("Location", self.leads_to)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Say nothing."""


@contextmanager
def run_program(command: list[str], url: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """Run a party's program until the `with` block ends, from when it answers at `url`; yields its log."""
    log = folder / "party.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output, cwd=folder)
    try:
        ends = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text("utf-8", "replace")
            try:
                httpx.get(url)
                break
            except httpx.TransportError:
                assert time.monotonic() < ends, log.read_text("utf-8", "replace")
                time.sleep(0.05)
        yield log
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)
