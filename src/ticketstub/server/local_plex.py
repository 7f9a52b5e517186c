"""The local Plex, put together: a world, a database, keys, sockets and the application on them.

Rule: nothing happens before it is started; it is ready when every address answers, and over when nothing of it is
left, within the time that the settings give it. One object is one run: a second start is a new object.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ticketstub.server.instance import Clock, Instance
from ticketstub.server.keys import Keys
from ticketstub.server.rates import Rates
from ticketstub.server.settings import Settings
from ticketstub.server.world import World, WorldAccount

if TYPE_CHECKING:
    from ticketstub.server.app import App, OnAnswer
    from ticketstub.server.control.hand import Hand
    from ticketstub.server.control.sites import Control, Sites
    from ticketstub.server.elsewhere import Elsewhere
    from ticketstub.server.listening import Server
    from ticketstub.server.passwords import Passwords
    from ticketstub.server.pool import Pool
    from ticketstub.server.store.base import MediaServerRow, Store

_STOPS_WITHIN = 10.0


class RunningMediaServer(msgspec.Struct, frozen=True, kw_only=True):
    """A media server of a running local Plex, and where it answers."""

    name: str
    machine_identifier: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """Its base address."""
        return _url(self.host, self.port)


class LocalPlex:
    """A local Plex. Constructing one starts nothing.

    Args:
        world: its accounts, media servers, shares and sources.
        db: `sqlite:///file.db`, or `None` for a database in memory. With a file, what exists in it is kept.
        host: the address to listen on.
        port: plex.tv's port; 0 takes a free one.
        clock: seconds since 1970.
        settings: the limits.
        on_answer: told of each answer: method, path of the route, status, milliseconds, request id.
        hand: a tester's hand on it (see control/hand.py); it runs on the clock then, and may move it.
        control: where that hand's verbs are answered over HTTP, on the same address as all else; left out, nowhere.
        record: a folder for what media servers upstream answer, in the form that `replies` serves, without secrets.
        plex_direct: whether media servers' https names below plex.direct are listed: only behind a proxy of ours
            (`server/proxy/`) do they lead anywhere.

    `serve` and `running` raise `StoreError`, `KeysError` and `ListenError` (`PortInUse`) before they are ready.
    """

    def __init__(
        self,
        world: World,
        *,
        db: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock = time.time,
        settings: Settings | None = None,
        on_answer: OnAnswer | None = None,
        hand: Hand | None = None,
        control: Control | None = None,
        record: Path | None = None,
        plex_direct: bool = False,
    ) -> None:
        if control is not None and hand is None:
            raise ValueError("the control API needs a hand that does what is asked")
        self.world = world
        self.passwords: Passwords | None = None
        """What checks passwords, once started."""
        self.passcodes: Passwords | None = None
        """What checks the passcodes of Home users, once started."""
        self._db = db
        self._host = host
        self._port = port
        self._clock = clock if hand is None else hand.runs_on(clock)
        self._hand = hand
        self._control = control
        self._settings = settings or Settings()
        self._on_answer = on_answer
        self._record = record
        self._plex_direct = plex_direct
        self._media_servers: tuple[RunningMediaServer, ...] = ()
        self._elsewhere: dict[str, Elsewhere | None] = {}

    @property
    def url(self) -> str:
        """The base address of plex.tv's API, once started."""
        return _url(self._host, self._port)

    @property
    def control_url(self) -> str | None:
        """The base address of the control API, once started; `None` where it is not asked for."""
        return _url(self._host, self._control.port) if self._control else None

    @property
    def accounts(self) -> tuple[WorldAccount, ...]:
        """The world's accounts."""
        return self.world.accounts

    @property
    def media_servers(self) -> tuple[RunningMediaServer, ...]:
        """The media servers, once started."""
        return self._media_servers

    def media_server(self, name: str) -> RunningMediaServer:
        """Return a media server by its name or machine identifier; raises `LookupError` where there is none."""
        for server in self._media_servers:
            if name in {server.name, server.machine_identifier}:
                return server
        raise LookupError(f"no media server is called {name!r}")

    async def serve(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Run until `stop` is set.

        Args:
            ready: called once every address answers.
            stop: ends it, within the settings' `stop_seconds` and a moment, whatever clients do.
        """
        with contextlib.ExitStack() as sockets:
            plex_tv = sockets.enter_context(self._listen(self._port))
            self._port = plex_tv.getsockname()[1]
            async with self._opened() as (instance, rows):
                listeners = [*self._listen_all(rows, sockets), *self._listen_for_control(sockets)]
                app = await self._assembled(instance, rows)
                await self._run(app, [plex_tv, *listeners], ready, stop)

    @contextlib.contextmanager
    def running(self) -> Generator[LocalPlex, None, None]:
        """Run in a thread of its own for as long as the `with` lasts."""
        loops: list[Callable[[], object]] = []
        ready, failure = threading.Event(), list[BaseException]()

        async def serve() -> None:
            stop, loop = asyncio.Event(), asyncio.get_running_loop()
            loops.append(lambda: loop.call_soon_threadsafe(stop.set))
            await self.serve(ready.set, stop)

        def run() -> None:
            try:
                from ticketstub.server.listening import new_event_loop  # loaded only to be run

                with asyncio.Runner(loop_factory=new_event_loop) as runner:
                    runner.run(serve())
            except BaseException as error:  # noqa: BLE001  # it is raised again where `running` was called
                failure.append(error)
            finally:
                ready.set()

        thread = threading.Thread(target=run, name="ticketstub-local-plex", daemon=True)
        thread.start()
        ready.wait()
        try:
            if not failure:
                yield self
        finally:
            with contextlib.suppress(RuntimeError, IndexError):  # it ended by itself
                loops[0]()
            thread.join(_STOPS_WITHIN)
        if failure:
            raise failure[0]

    def _listen(self, port: int) -> socket.socket:
        from ticketstub.server.listening import listen  # loaded only to be run

        return listen(self._host, port)

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncGenerator[tuple[Instance, tuple[MediaServerRow, ...]], None]:
        """Open the database and bring the world in."""
        from ticketstub.server.passwords import Passwords  # likewise
        from ticketstub.server.store.seed import seed  # likewise

        keys, store = self._database()
        passwords = self.passwords = Passwords(keys, pool=self._pool())
        instance = Instance(store, keys, passwords, self._clock, self.world.answers, {}, self._rates())
        instance.plex_direct = self._plex_direct
        self.passcodes = instance.passcodes
        try:
            await seed(store, self.world, keys, passwords, instance.now())
            await instance.signing.refresh(instance.now())
            yield instance, await store.media_servers()
        finally:
            if self._hand is not None:
                self._hand.let_go()
            passwords.close()
            await instance.finish()
            await store.close()

    def _rates(self) -> Rates:
        return Rates(self._settings) if self._hand is None else Rates(self._settings, self._hand.clock.ticks)

    def _pool(self) -> Pool:
        """Make the pool that hashes; among clients that all have the one loopback address there is nothing to share."""
        from ticketstub.server.pool import WAITING, Pool  # likewise

        alone = self._host == "localhost" or ip_address(self._host).is_loopback
        return Pool(per_address=2 * WAITING if alone else self._settings.sign_ins_per_address)

    def _database(self) -> tuple[Keys, Store]:
        from ticketstub.server.store.sqlite import SqliteStore  # likewise
        from ticketstub.server.store.sqlite_file import database_path  # likewise

        if self._db is None:
            return Keys.ephemeral(), SqliteStore()
        # The keys first: a database without its key is refused before it is touched.
        keys = Keys.for_database(database_path(self._db))
        return keys, SqliteStore(self._db)

    def _listen_all(self, rows: tuple[MediaServerRow, ...], sockets: contextlib.ExitStack) -> list[socket.socket]:
        """Take each media server's port, the named ones first so that no free one is in their way."""
        found: dict[str, socket.socket] = {}
        for row in sorted(rows, key=lambda row: row.port is None):
            if row.port and row.port == self._port:
                from ticketstub.server.listening import ListenError  # as in _listen

                raise ListenError(f"port {row.port} is {row.name}'s in the world: name another one for plex.tv's API")
            found[row.machine_identifier] = sockets.enter_context(self._listen(row.port or 0))
        self._media_servers = tuple(
            RunningMediaServer(
                name=row.name,
                machine_identifier=row.machine_identifier,
                host=self._host,
                port=found[row.machine_identifier].getsockname()[1],
            )
            for row in rows
        )
        return list(found.values())

    def _listen_for_control(self, sockets: contextlib.ExitStack) -> list[socket.socket]:
        if self._control is None:
            return []
        listener = sockets.enter_context(self._listen(self._control.port))
        self._control = self._control._replace(port=listener.getsockname()[1])
        return [listener]

    async def _assembled(self, instance: Instance, rows: tuple[MediaServerRow, ...]) -> App:
        from ticketstub.server.app import App  # likewise
        from ticketstub.server.elsewhere import elsewhere  # likewise

        whole = {server.machine_identifier: server for server in self.world.media_servers}
        for row in rows:
            found = whole.get(row.machine_identifier)
            self._elsewhere[row.machine_identifier] = elsewhere(found, row.name, self._record) if found else None
        if self._hand is None:
            sites = self._sites(instance, rows)
            return App(sites.plex_tv, sites.media_servers, self._settings, self._on_answer, self._clock)
        from ticketstub.server.control.held import held  # likewise

        async def again() -> Sites:
            return self._sites(instance, await instance.store.media_servers())

        return await held(
            self._hand,
            instance,
            self.world,
            again,
            settings=self._settings,
            places={server.port: server.name for server in self._media_servers},
            control=self._control,
            on_answer=self._on_answer,
        )

    def _sites(self, instance: Instance, rows: tuple[MediaServerRow, ...]) -> Sites:
        """Make plex.tv and the media servers, with nothing in memory."""
        from ticketstub.server.box import Box  # likewise
        from ticketstub.server.control.sites import Sites  # likewise
        from ticketstub.server.media_server import MediaServer  # likewise
        from ticketstub.server.plex_tv import PlexTv  # likewise
        from ticketstub.server.transient import TransientTokens  # likewise

        settings, sites, transient = self._settings, dict[int, MediaServer](), list[TransientTokens]()
        for row, running in zip(rows, self._media_servers, strict=True):
            instance.addresses[row.machine_identifier] = (_reached_at(running.host), running.port)
            transient.append(TransientTokens(instance.keys, settings.transient_tokens))
            box, more = Box(row, instance, transient[-1]), self._elsewhere[row.machine_identifier]
            sites[running.port] = MediaServer(box, settings.media_server_keep_alive_seconds, more)
        return Sites(PlexTv(instance), sites, transient)

    async def _run(
        self, app: App, listeners: list[socket.socket], ready: Callable[[], None], stop: asyncio.Event
    ) -> None:
        from ticketstub.server.listening import Server  # likewise

        kept = {server.port: self._settings.media_server_keep_alive_seconds for server in self._media_servers}
        server = Server(app, self._settings, kept)
        if self._hand is not None:
            self._hand.watch.cut = server.cut
        serving = asyncio.create_task(server.serve(listeners))
        while not server.started and not serving.done():  # noqa: ASYNC110  # the library says it in no other way
            await asyncio.sleep(0)
        if serving.done():
            serving.result()
        ready()
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait([waiting, serving], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await self._end(app, server, serving)

    async def _end(self, app: App, server: Server, serving: asyncio.Task[None]) -> None:
        """Answer what is under way, then cut what is left."""
        app.stop_waiting()
        if self.passwords is not None:
            self.passwords.close()
        server.should_exit = True
        await serving
        server.abandon()
        await asyncio.sleep(0)  # the connections learn of it before the loop ends


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reached_at(host: str) -> str:
    """Say where to reach what listens on all addresses: on this machine, by its loopback address."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # told apart, not listened on
