"""The local Plex, put together: a world, a database, keys, sockets and the application on them.

Rule: nothing happens before it is started; it is ready when every address answers, and over when nothing of it is
left, within the time that the settings give it. One object is one run: a second start is a new object.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ticketstub.local_plex.domain.media_servers import build_addresses, derive_plex_direct_id, list_certificate_names
from ticketstub.local_plex.listeners import Listeners, TlsConfig
from ticketstub.local_plex.settings import OPENAPI_PATH, RateLimits, Settings
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.world.schema import World, WorldMediaServer

if TYPE_CHECKING:
    from ticketstub.local_plex.api.media_server import Fallback, MediaServerSite
    from ticketstub.local_plex.api.plex_tv import PlexTv
    from ticketstub.local_plex.control.controller import Controller
    from ticketstub.local_plex.domain.instance import Instance, TimeSource
    from ticketstub.local_plex.domain.overview import Overview
    from ticketstub.local_plex.domain.passwords import PasswordChecker
    from ticketstub.local_plex.http.application import App, OnAnswer
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

    Args:
        world: its accounts, media servers, shares and sources.
        db: `sqlite:///file.db`, or `None` for a database in memory. With a file, what exists in it is kept. A file has
            one local Plex at a time.
        reset: whether a new database replaces the one of `db`, once nothing is in the way of that.
        host: the address to listen on.
        port: plex.tv's port; 0 takes a free one.
        clock: seconds since 1970.
        settings: the limits.
        on_answer: told of each answer: method, path of the route, status, milliseconds, request id.
        controller: a tester's hand on it (see control/hand.py); it runs on the clock then, and may move it.
        control: where that hand's verbs are answered over HTTP, on the same address as all else; left out, nowhere.
        record: a folder for what media servers upstream answer, in the form that `replies` serves, without secrets.
        plex_direct: whether media servers' https names below plex.direct are listed: behind a proxy of ours
            (`server/proxy/`) they lead here. With `tls` they always are.
        tls: how https is answered too; left out, it is not.
        advertise: the address that media servers are listed at, where it is another than `host`.
        media_port: the port of the first media server whose port the world leaves open, the next ones after it; left
            out, they take free ones.

    `serve` and `running` raise `StoreError`, `InstanceKeysError` and `ListenError` (`PortInUse`) before they are ready.
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
            raise ValueError("the control API needs a hand that does what is asked")
        if reset and db is None:
            raise ValueError("reset starts a database over: name it by db")
        self.world = world
        self.passwords: PasswordChecker | None = None
        """What checks passwords and passcodes, once started."""
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
        """Answer https too on every port from now on, once started; from any thread.

        Args:
            context: what TLS is spoken with.
            on_failure: told of the port at which TLS could not be agreed on.
        """
        if self._server is None:
            raise RuntimeError("the local Plex has not started")
        self._server.acceptor.on_tls_failure = on_failure
        self._server.acceptor.ssl_context = context

    async def serve(self, on_ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Run until `stop` is set.

        Args:
            on_ready: called once every address answers.
            stop: ends it, within the settings' `stop_seconds` and a moment, whatever clients do.
        """
        path = self._resolve_database_path()
        with contextlib.ExitStack() as stack:
            listeners = self.bind_plex_tv(stack)
            if path is not None:
                from ticketstub.local_plex.storage.sqlite_file import lock_database  # loaded only to be run

                stack.enter_context(lock_database(path))
            if path is not None and self._reset:
                await self._reset_database(path, listeners, stack)
            async with self._open_instance(path) as instance:
                if not self._reset:
                    self._bind_media_servers(await instance.store.list_media_servers(), listeners, stack)
                await self._run(instance, listeners, on_ready, stop)

    @contextlib.contextmanager
    def run_in_thread(self) -> Generator[LocalPlex, None, None]:
        """Run in a thread of its own for as long as the `with` lasts."""
        from ticketstub.local_plex.http.server import run_in_thread  # loaded only to be run

        with run_in_thread(self.serve, "ticketstub-local-plex"):
            yield self

    def _resolve_database_path(self) -> Path | None:
        """Return the database's file; `None` where it is in memory."""
        if self._db is None:
            return None
        from ticketstub.local_plex.storage.sqlite_file import parse_database_url  # likewise

        return parse_database_url(self._db).resolve()

    async def _reset_database(self, path: Path, listeners: list[socket.socket], stack: contextlib.ExitStack) -> None:
        """Replace the database by a new one with the world in it, once every address is taken."""
        from ticketstub.local_plex.domain.passwords import PasswordChecker  # likewise
        from ticketstub.local_plex.storage.seed import seed  # likewise
        from ticketstub.local_plex.storage.sqlite import SqliteStore  # likewise
        from ticketstub.local_plex.storage.sqlite_file import replace_database  # likewise

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
        """Take the media servers' addresses, and make what can fail of that which answers there."""
        listeners += self.bind_other_ports(rows, stack)
        for row in rows:
            if world_server := self._world_servers.get(row.machine_identifier):
                self._fallbacks[row.machine_identifier] = self._create_fallback(world_server, row.name)
        if self._tls:
            digits = [derive_plex_direct_id(server.machine_identifier) for server in self.media_servers]
            self._tls_context = self._tls.create_context(list_certificate_names(digits))

    def _create_fallback(self, server: WorldMediaServer, name: str) -> Fallback | None:
        """Return what answers for a media server beyond the local Plex's own routes, if its world names anything."""
        from ticketstub.local_plex.content.recording import Recorder, find_secrets  # likewise
        from ticketstub.local_plex.content.replies import ReplyFolder, encode_segment  # likewise
        from ticketstub.local_plex.content.upstream import Upstream  # likewise

        if server.replies:
            return ReplyFolder(Path(server.replies))
        if not server.upstream:
            return None
        recorder = Recorder(self._record / encode_segment(name), find_secrets(self.world)) if self._record else None
        return Upstream(server, recorder)

    @contextlib.asynccontextmanager
    async def _open_instance(self, path: Path | None) -> AsyncGenerator[Instance, None]:
        """Open the database and bring the world in."""
        from ticketstub.local_plex.domain.instance import Instance  # likewise
        from ticketstub.local_plex.domain.passwords import PasswordChecker  # likewise
        from ticketstub.local_plex.storage.seed import seed  # likewise
        from ticketstub.local_plex.storage.sqlite import SqliteStore  # likewise

        # The keys first: a database without its key is refused before it is touched.
        keys = InstanceKeys.load_or_create(path) if path else InstanceKeys.create_ephemeral()
        store = SqliteStore(f"sqlite:///{path}", instance=keys.id) if path else SqliteStore()
        passwords = self.passwords = PasswordChecker(remember=path is None)
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
        """Make plex.tv and the media servers, with nothing in memory."""
        from ticketstub.local_plex.api.media_server import MediaServerSite  # likewise
        from ticketstub.local_plex.api.plex_tv import PlexTv  # likewise
        from ticketstub.local_plex.pages.site import Pages  # likewise

        sites: dict[int, MediaServerSite] = {}
        for row, running in zip(await instance.store.list_media_servers(), self.media_servers, strict=True):
            world_server, advertised_host = self._world_servers.get(row.machine_identifier), self.advertised_host
            world_addresses = world_server.addresses if world_server else None
            instance.addresses[row.machine_identifier] = build_addresses(advertised_host, running.port, world_addresses)
            fallback = self._fallbacks.get(row.machine_identifier)
            sites[running.port] = MediaServerSite(row, instance, fallback, _list_documents("media server"))
        return PlexTv(instance, Pages(instance), _list_documents("plex.tv")), sites

    async def _create_app(self, instance: Instance) -> App:
        """Make the application, and give the controller its part in it."""
        from ticketstub.local_plex.http.application import App  # likewise

        plex_tv, media_servers = await self._create_sites(instance)
        controller = self._controller
        if controller is None:
            return App(plex_tv, media_servers, self._settings, self._on_answer, self._clock)
        from ticketstub.local_plex.control.app import ControlledApp  # likewise
        from ticketstub.local_plex.control.http_api import ControlSite  # likewise

        control_sites = {}
        if self.control is not None:
            control_sites[self.control.port] = ControlSite(controller, self.control.key, _list_documents("control"))
        app = ControlledApp(controller, plex_tv, media_servers, control_sites, self._settings, self._on_answer)

        async def renew_sites() -> dict[int, MediaServerSite]:
            plex_tv, media_servers = await self._create_sites(instance)
            app.replace_sites(plex_tv, media_servers)
            return media_servers

        await controller.attach(instance, self.world, app, media_servers, renew_sites)
        return app

    async def _run(
        self, instance: Instance, listeners: list[socket.socket], on_ready: Callable[[], None], stop: asyncio.Event
    ) -> None:
        from ticketstub.local_plex.http.server import HttpServer  # likewise

        settings, controller, app = self._settings, self._controller, await self._create_app(instance)
        keep_alive = {server.port: settings.media_server_keep_alive_seconds for server in self.media_servers}
        server = self._server = HttpServer(app, settings, keep_alive, self._tls_context)
        if controller is not None:
            controller.attach_server(server, self.host, (self.port, *self.more_ports))
        for listener in listeners:
            server.open_port(listener)
        try:
            on_ready()
            await stop.wait()
        finally:
            if self._controller is not None:
                self._controller.cancel_waits()
            instance.passwords.close()
            await server.close()


@cache
def build_openapi_document(api: ApiName) -> bytes:
    """Return the OpenAPI document, as JSON, of one kind of port; it is built once a process."""
    import msgspec

    from ticketstub.local_plex.api import media_server, plex_tv  # likewise
    from ticketstub.local_plex.control.commands import COMMANDS  # likewise
    from ticketstub.local_plex.openapi import documents  # likewise
    from ticketstub.local_plex.pages.site import PAGES  # likewise

    if api == "control":
        document = documents.build_control_document(COMMANDS)
    elif api == "plex.tv":
        document = documents.build_document(api, plex_tv.ROUTES.list_routes(), PAGES)
    else:
        document = documents.build_document(api, media_server.ROUTES.list_routes())
    return msgspec.json.encode(document)


def _list_documents(api: ApiName) -> dict[str, Callable[[], OutgoingResponse]]:
    """Return what a port of this kind answers with documents, by path."""
    return {OPENAPI_PATH: partial(_answer_with_document, api)}


def _answer_with_document(api: ApiName) -> OutgoingResponse:
    from ticketstub.local_plex.http.response import OutgoingResponse  # likewise

    return OutgoingResponse(200, _DOCUMENT_HEADERS, build_openapi_document(api))
