"""Running a bridge: sockets, signals, and the client that tells applications of logouts.

Rule: the database is migrated before anything listens. At SIGTERM the bridge first says that it is not ready, then
stops accepting, then finishes what it has begun. SIGHUP reads bridge.toml again; a faulty one changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop
from starlette.types import ASGIApp

from ticketstub import AsyncPlex, Device
from ticketstub_bridge.app import create_app
from ticketstub_bridge.config import Config, ConfigError, load_config
from ticketstub_bridge.control import SOCKET_NAME, create_control_app, open_socket
from ticketstub_bridge.core import Bridge, SendLogout
from ticketstub_bridge.observing import log, log_failure
from ticketstub_bridge.sealing import Sealer, read_key_file
from ticketstub_bridge.storage import Database
from ticketstub_bridge.storage.migrate import migrate_if_needed

KEY_NAME = "bridge.key"
CONFIG_NAME = "bridge.toml"
_FINISH_SECONDS = 20


def serve(folder: Path, *, database: str | None = None, drain: float = 2.0) -> None:
    """Run the bridge of a folder until it is told to stop.

    Args:
        folder: where bridge.toml and bridge.key are.
        database: a database that replaces the one in bridge.toml.
        drain: seconds between "not ready" and the end, for load balancers.

    Raises:
        ConfigError, KeyFileError, StoreError, OSError: it cannot start.
    """

    def load() -> Config:
        config = load_config(folder / CONFIG_NAME)
        return config.with_database(database) if database else config

    config, key = load(), read_key_file(folder / KEY_NAME)
    migrate_if_needed(config.database)
    for warning in config.warnings:
        log("warning", logging.WARNING, text=warning)
    with open_socket(folder / SOCKET_NAME) as control:  # first: it knows a bridge that runs here, a port does not
        try:
            with open_listener(config.listen) as listener:
                uvloop.run(_serve(config, key, load, listener, control, drain))
        finally:
            (folder / SOCKET_NAME).unlink(missing_ok=True)


def open_listener(address: str) -> socket.socket:
    """Listen on an IP address and port; port 0 takes a free one."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=512)
    except OSError as error:
        raise OSError(f"cannot listen on {address}: {os.strerror(error.errno or 0).lower()}") from None


async def _serve(
    config: Config,
    key: bytes,
    load: Callable[[], Config],
    listener: socket.socket,
    control: socket.socket,
    drain: float,
) -> None:
    async with open_logout_sender() as send_logout:
        bridge = create_bridge(config, key, send_logout)
        server = BridgeServer(bridge, drain)
        controls = BridgeServer(bridge, 0, create_control_app(bridge, load))
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(None, _reload, bridge, load))
        log("started", url=config.url, listen=config.listen)
        with controls.ignore_signals():
            background = asyncio.create_task(controls.serve([control]))
            await server.serve([listener])
            controls.should_exit = True
            await background
        log("stopped")


def create_bridge(config: Config, key: bytes, send_logout: SendLogout) -> Bridge:
    """Return a bridge that asks the configured Plex.

    Raises:
        StoreError: the database cannot be used.
    """
    device = Device(client_identifier=Sealer(key).client_identifier, product=config.host, platform="Web")
    plex = AsyncPlex(device=device, plex_tv=config.plex_tv, timeout=10)
    return Bridge(config, key, Database(config.database), plex, send_logout)


def _reload(bridge: Bridge, load: Callable[[], Config]) -> None:
    try:
        bridge.reload(load())
    except ConfigError as error:
        for problem in error.problems:
            log("configuration_refused", logging.ERROR, problem=problem)
    except Exception as error:  # noqa: BLE001  # the old configuration stays
        log_failure("configuration_refused", error)


class BridgeServer(uvicorn.Server):
    """A server that drains before it stops.

    Args:
        bridge: the bridge.
        drain: seconds between "not ready" and the end.
        app: what it serves; by default the bridge's application.
    """

    def __init__(self, bridge: Bridge, drain: float, app: ASGIApp | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                app or create_app(bridge),
                access_log=False,  # it would show query strings
                log_config=None,
                proxy_headers=False,  # nothing is taken from X-Forwarded-*
                server_header=False,
                lifespan="on",
                limit_concurrency=1000,
                timeout_graceful_shutdown=_FINISH_SECONDS,
            )
        )
        self._bridge = bridge
        self._drain = drain
        self._has_signals = True

    @contextlib.contextmanager
    def ignore_signals(self) -> Generator[None]:
        """Leave signals to another server of this process."""
        self._has_signals = False
        yield

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take SIGINT and SIGTERM while serving."""
        if not self._has_signals:
            yield
            return
        with super().capture_signals():
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's signature
        """Begin to drain; a second signal stops at once."""
        if self._bridge.is_draining:
            self.force_exit = self.should_exit
            self.should_exit = True
            return
        self._bridge.is_draining = True
        log("draining", seconds=self._drain)
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(loop.call_later, self._drain, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


@contextlib.asynccontextmanager
async def open_logout_sender() -> AsyncGenerator[SendLogout]:
    """Yield the function that sends logout tokens; it follows no redirect, uses no cookie, and has no time limit."""
    import aiohttp

    session: aiohttp.ClientSession | None = None

    async def send(url: str, token: str) -> int:
        nonlocal session
        session = session or aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None),  # who calls it limits the time
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        async with session.post(url, data={"logout_token": token}, allow_redirects=False) as response:
            return response.status

    try:
        yield send
    finally:
        if session is not None:
            await session.close()
