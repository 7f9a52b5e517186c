"""The local Plex, assembled: a world, a database, keys, sockets and the application.

Rule: constructing it starts nothing. It is ready when every address answers. When it stops, everything is closed within
the time that the settings allow. An object runs once; to start again, create a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ticketstub.local_plex.domain.media_servers import build_addresses, derive_plex_direct_id, list_certificate_names
from ticketstub.local_plex.listeners import LOOPBACK_FOR_WILDCARD, Listeners, RunningMediaServer, TlsConfig
from ticketstub.local_plex.settings import OPENAPI_PATH, RateLimits, Settings
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.world.schema import World, WorldMediaServer

if TYPE_CHECKING:
    from ticketstub.local_plex.api.media_server import Fallback, MediaServerSite
    from ticketstub.local_plex.api.plex_tv import PlexTv
    from ticketstub.local_plex.control.controller import Controller
    from ticketstub.local_plex.domain.instance import Instance, TimeSource
    from ticketstub.local_plex.domain.overview import Overview
    from ticketstub.local_plex.http.application import App, OnAnswer, Site
    from ticketstub.local_plex.http.response import OutgoingResponse
    from ticketstub.local_plex.http.server import HttpServer
    from ticketstub.local_plex.listeners import ControlConfig
    from ticketstub.local_plex.openapi.documents import ApiName
    from ticketstub.local_plex.storage.base import MediaServerRow

_DOCUMENT_HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-cache"),
    (b"access-control-allow-origin", b"*"),
    (b"x-content-type-options", b"nosniff"),
]


class LocalPlex(Listeners):
    """A local Plex. Constructing one starts nothing.

    `serve` and `run_in_thread` raise `StoreError`, `InstanceKeysError` and `ListenError` (`PortInUse`) before they are
    ready.

    Args:
        world: its accounts, media servers, shares and sources.
        db: `sqlite:///file.db`, or `None` for a database in memory. Existing data in a file stays. Only one local Plex
            at a time can use a file.
        reset: replace the database with a new one, once nothing else can prevent the start.
        host: the address to listen on.
        port: plex.tv's port; 0 selects a free one.
        clock: returns the seconds since 1970.
        settings: the limits.
        on_answer: called after each response with method, path template, status, milliseconds and request id.
        controller: a tester's controller; the local Plex then runs on the controller's clock.
        control: the control API's key and port, on the same address; it needs a controller. `None` disables it.
        record: a folder for the responses of upstream media servers, without secrets, in the form that `replies` reads.
        plex_direct: list the media servers' HTTPS names below plex.direct, because a proxy of `intercept` leads them
            here. With `tls` they are always listed.
        tls: how to answer HTTPS; `None` disables it.
        advertise: the address at which media servers are listed, if it is not `host`.
        media_port: the port of the first media server without a port in the world; others get the next ports. By
            default they get free ones.
        overview: creates the summary for the banner and the start page; without it there is no start page.
    """

    def __init__(
        self,
        world: World,
        *,
        db: str | None = None,
        reset: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: TimeSource = time.time,
        settings: Settings | None = None,
        on_answer: OnAnswer | None = None,
        controller: Controller | None = None,
        control: ControlConfig | None = None,
        record: Path | None = None,
        plex_direct: bool = False,
        tls: TlsConfig | None = None,
        advertise: str | None = None,
        media_port: int | None = None,
        overview: Overview | None = None,
    ) -> None:
        if control is not None and controller is None:
            raise ValueError("the control API needs a controller")
        if reset and db is None:
            raise ValueError("reset needs the database that it replaces: db")
        self.world = world
        self._db = db
        self._reset = reset
        super().__init__(host, port, tls.ports if tls else (), advertise, media_port, control)
        self._clock = clock if controller is None else controller.shift_clock(clock)
        self._controller = controller
        self._settings = settings or Settings()
        self._on_answer = on_answer
        self._record = record
        self._tls = tls
        self._overview = overview
        self._plex_direct = plex_direct or tls is not None
        self._world_servers = {server.machine_identifier: server for server in world.media_servers}
        self._fallbacks: dict[str, Fallback | None] = {}
        self._tls_context: ssl.SSLContext | None = None
        self._server: HttpServer | None = None

    def enable_tls(self, context: ssl.SSLContext, on_failure: Callable[[int], None]) -> None:
        """Answer HTTPS, too, on every port from now on. Any thread may call this, once the local Plex has started.

        Args:
            context: the TLS context.
            on_failure: called with the port of each failed handshake.
        """
        if self._server is None:
            raise RuntimeError("the local Plex has not started")
        self._server.acceptor.on_tls_failure = on_failure
        self._server.acceptor.ssl_context = context

    async def serve(self, on_ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Run until `stop` is set.

        Args:
            on_ready: called once every address answers.
            stop: ends it, shortly after the settings' `stop_seconds` at the latest, whatever clients do.
        """
        from ticketstub.local_plex.storage.sqlite_file import lock_database, parse_database_url  # loaded when needed

        path = None if self._db is None else parse_database_url(self._db).resolve()
        with contextlib.ExitStack() as stack:
            listeners = self.bind_plex_tv(stack)
            if path is not None:
                stack.enter_context(lock_database(path))
            if path is not None and self._reset:
                await self._reset_database(path, listeners, stack)
            async with self._open_instance(path) as instance:
                if not self._reset:
                    self._bind_media_servers(await instance.store.list_media_servers(), listeners, stack)
                await self._run(instance, listeners, on_ready, stop)

    @contextlib.contextmanager
    def run_in_thread(self) -> Generator[LocalPlex, None, None]:
        """Run in a new thread for as long as the `with` lasts."""
        from ticketstub.local_plex.http.server import run_in_thread  # loaded when needed

        with run_in_thread(self.serve, "ticketstub-local-plex"):
            yield self

    async def _reset_database(self, path: Path, listeners: list[socket.socket], stack: contextlib.ExitStack) -> None:
        """Replace the database by a new one that contains the world, once every address is bound."""
        from ticketstub.local_plex.domain.passwords import PasswordChecker  # loaded when needed
        from ticketstub.local_plex.storage.seed import seed  # loaded when needed
        from ticketstub.local_plex.storage.sqlite import SqliteStore  # loaded when needed
        from ticketstub.local_plex.storage.sqlite_file import replace_database  # loaded when needed

        with replace_database(path) as draft:
            keys = InstanceKeys.load_or_create(path, is_reset=True)
            store = SqliteStore(f"sqlite:///{draft}", instance=keys.id)
            with contextlib.closing(PasswordChecker()) as passwords:
                try:
                    await seed(store, self.world, keys, passwords.hash_or_remember, int(self._clock()))
                    self._bind_media_servers(await store.list_media_servers(), listeners, stack)
                finally:
                    await store.close()

    def _bind_media_servers(
        self, rows: Sequence[MediaServerRow], listeners: list[socket.socket], stack: contextlib.ExitStack
    ) -> None:
        """Bind the media servers' ports, and prepare what could still prevent the start."""
        listeners += self.bind_other_ports(rows, stack)
        for row in rows:
            if world_server := self._world_servers.get(row.machine_identifier):
                self._fallbacks[row.machine_identifier] = self._create_fallback(world_server, row.name)
        if any(address.has_listener for server in self.world.media_servers for address in server.addresses or ()):
            self._bind_addresses(rows, stack)
        if self._tls:
            digits = [derive_plex_direct_id(server.machine_identifier) for server in self.media_servers]
            self._tls_context = self._tls.create_context(list_certificate_names(digits), self.address_authority)

    def _bind_addresses(self, rows: Sequence[MediaServerRow], stack: contextlib.ExitStack) -> None:
        """Bind the addresses that have a listener of their own."""
        from ticketstub.local_plex.addresses.listener import AddressListener, AddressTarget  # loaded when needed
        from ticketstub.local_plex.intercept.authority import AddressCertificates  # loaded when needed

        certificates = AddressCertificates(datetime.now(UTC))
        self.address_authority = certificates.pem
        reached = LOOPBACK_FOR_WILDCARD.get(self.host, self.host)
        servers: list[RunningMediaServer] = []
        for row, running in zip(rows, self.media_servers, strict=True):
            world_server = self._world_servers.get(row.machine_identifier)
            target = AddressTarget(
                name=row.name,
                machine_identifier=row.machine_identifier,
                version=row.version,
                plex_direct_id=derive_plex_direct_id(row.machine_identifier),
                host=reached,
                port=running.port,
                https_required=bool(world_server and world_server.https_required),
            )
            addresses = [
                AddressListener(
                    address,
                    target,
                    listen_host=address.host or self.host,
                    host=address.host or self._advertise or reached,
                    create_context=certificates.create_context,
                )
                for address in (world_server.addresses if world_server else None) or ()
                if address.has_listener
            ]
            for address in addresses:
                stack.callback(address.release)
            servers.append(msgspec.structs.replace(running, addresses=tuple(addresses)))
        self.media_servers = tuple(servers)

    def _create_fallback(self, server: WorldMediaServer, name: str) -> Fallback | None:
        """Return what answers for a media server beyond the local Plex's own routes, if its world names anything."""
        if not (server.replies or server.upstream):
            return None
        from ticketstub.local_plex.content.recording import Recorder, find_secrets  # loaded when needed
        from ticketstub.local_plex.content.replies import ReplyFolder, encode_segment  # loaded when needed
        from ticketstub.local_plex.content.upstream import Upstream  # loaded when needed

        if server.replies:
            return ReplyFolder(Path(server.replies)).answer
        recorder = Recorder(self._record / encode_segment(name), find_secrets(self.world)) if self._record else None
        return Upstream(server, recorder).answer

    @contextlib.asynccontextmanager
    async def _open_instance(self, path: Path | None) -> AsyncGenerator[Instance, None]:
        """Open the database and add the world to it."""
        from ticketstub.local_plex.domain.instance import Instance  # loaded when needed
        from ticketstub.local_plex.domain.passwords import PasswordChecker  # loaded when needed
        from ticketstub.local_plex.storage.seed import seed  # loaded when needed
        from ticketstub.local_plex.storage.sqlite import SqliteStore  # loaded when needed

        # The keys come first: a database without its key is refused before it is touched.
        keys = InstanceKeys.load_or_create(path) if path else InstanceKeys.create_ephemeral()
        store = SqliteStore(f"sqlite:///{path}", instance=keys.id) if path else SqliteStore()
        passwords = PasswordChecker(remember=path is None)
        rates = RateLimits(self._settings, self._controller.clock.monotonic if self._controller else time.monotonic)
        instance = Instance(store, keys, passwords, self._clock, self.world.answers, {}, rates)
        instance.plex_direct = self._plex_direct
        try:
            await seed(store, self.world, keys, passwords.hash_or_remember, instance.now())
            await instance.signing_keys.rotate_if_old(instance.now())
            if self._overview is not None:
                instance.overview = self._overview
                await self._overview.create_initial_summary(instance, seeded=self._db is None)
            yield instance
        finally:
            if self._controller is not None:
                self._controller.detach()
            passwords.close()
            await instance.cancel_background_tasks()
            await store.close()

    async def _create_sites(self, instance: Instance) -> tuple[PlexTv, dict[int, MediaServerSite]]:
        """Create plex.tv and the media servers, with nothing in memory."""
        from ticketstub.local_plex.api.media_server import MediaServerSite  # loaded when needed
        from ticketstub.local_plex.api.plex_tv import PlexTv  # loaded when needed
        from ticketstub.local_plex.pages.site import Pages  # loaded when needed

        sites: dict[int, MediaServerSite] = {}
        for row, running in zip(await instance.store.list_media_servers(), self.media_servers, strict=True):
            world_server = self._world_servers.get(row.machine_identifier)
            if world_server and world_server.https_required:
                instance.https_required.add(row.machine_identifier)
            instance.addresses[row.machine_identifier] = build_addresses(
                self._advertise or LOOPBACK_FOR_WILDCARD.get(self.host, self.host),
                running.port,
                world_server.addresses if world_server else None,
                [(address.host, address.port) for address in running.addresses],
            )
            sites[running.port] = MediaServerSite(
                row, instance, self._fallbacks.get(row.machine_identifier), _list_documents("media server")
            )
        return PlexTv(instance, Pages(instance), _list_documents("plex.tv")), sites

    async def _create_app(self, instance: Instance) -> App:
        """Create the application, and attach the controller if there is one."""
        from ticketstub.local_plex.http.application import App  # loaded when needed

        plex_tv, media_servers = await self._create_sites(instance)
        controller = self._controller
        if controller is None:
            return App(plex_tv, media_servers, self._settings, self._on_answer, self._clock)
        from ticketstub.local_plex.control.app import ControlledApp  # loaded when needed
        from ticketstub.local_plex.control.http_api import ControlSite  # loaded when needed

        control_sites: dict[int, Site] = (
            {self.control.port: ControlSite(controller, self.control.key, _list_documents("control"))}
            if self.control is not None
            else {}
        )
        create_sites = partial(self._create_sites, instance)
        app = ControlledApp(
            controller, plex_tv, media_servers, control_sites, create_sites, self._settings, self._on_answer
        )
        await controller.attach(instance, self.world, app, media_servers, app.renew_sites)
        return app

    async def _run(
        self, instance: Instance, listeners: list[socket.socket], on_ready: Callable[[], None], stop: asyncio.Event
    ) -> None:
        from ticketstub.local_plex.http.server import HttpServer  # loaded when needed

        settings, controller, app = self._settings, self._controller, await self._create_app(instance)
        keep_alive = {server.port: settings.media_server_keep_alive_seconds for server in self.media_servers}
        server = self._server = HttpServer(app, settings, keep_alive, self._tls_context)
        app.open_websocket = server.open_websocket
        if controller is not None:
            controller.attach_server(server, self.host, (self.port, *self.more_ports), self.addresses)
        for listener in listeners:
            server.open_port(listener)
        for address in self.addresses:
            address.open()
        try:
            on_ready()
            await stop.wait()
        finally:
            if controller is not None:
                controller.cancel_waits()
            instance.passwords.close()
            for address in self.addresses:
                await address.close()
            await server.close()
            if controller is not None:
                controller.ports.close()


@cache
def build_openapi_document(api: ApiName) -> bytes:
    """Return the OpenAPI document of one kind of port as JSON; it is built once per process."""
    from ticketstub.local_plex.api import media_server, plex_tv  # loaded when needed
    from ticketstub.local_plex.control.commands import COMMANDS  # loaded when needed
    from ticketstub.local_plex.openapi import documents  # loaded when needed
    from ticketstub.local_plex.pages.site import PAGES  # loaded when needed

    tables: dict[ApiName, dict[str, Any]] = {
        "plex.tv": {"routes": plex_tv.ROUTES.list_routes(), "pages": PAGES},
        "media server": {"routes": media_server.ROUTES.list_routes()},
        "control": {"commands": COMMANDS},
    }
    return msgspec.json.encode(documents.build_document(api, **tables[api]))


def _list_documents(api: ApiName) -> dict[str, Callable[[], OutgoingResponse]]:
    """Return the functions that answer requests for the documents of one kind of port, by path."""
    from ticketstub.local_plex.http.response import OutgoingResponse  # loaded when needed

    return {OPENAPI_PATH: lambda: OutgoingResponse(200, _DOCUMENT_HEADERS, build_openapi_document(api))}
