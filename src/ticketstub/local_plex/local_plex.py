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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ticketstub.local_plex.domain.addresses import addresses, certified_names, plex_direct_digits
from ticketstub.local_plex.domain.limits import Rates
from ticketstub.local_plex.http.listeners import Places, Secure
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.storage.seal import Keys
from ticketstub.local_plex.world.schema import World

if TYPE_CHECKING:
    from ticketstub.local_plex.api.media_server import MediaServer
    from ticketstub.local_plex.api.plex_tv import PlexTv
    from ticketstub.local_plex.content.replies import Replies
    from ticketstub.local_plex.content.upstream import Upstream
    from ticketstub.local_plex.control.controller import Hand
    from ticketstub.local_plex.domain.instance import Clock, Instance
    from ticketstub.local_plex.domain.overview import Overview
    from ticketstub.local_plex.domain.passwords import Passwords
    from ticketstub.local_plex.http.application import OnAnswer
    from ticketstub.local_plex.http.listeners import Control
    from ticketstub.local_plex.http.server import Server
    from ticketstub.local_plex.storage.base import MediaServerRow


class LocalPlex(Places):
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
        hand: a tester's hand on it (see control/hand.py); it runs on the clock then, and may move it.
        control: where that hand's verbs are answered over HTTP, on the same address as all else; left out, nowhere.
        record: a folder for what media servers upstream answer, in the form that `replies` serves, without secrets.
        plex_direct: whether media servers' https names below plex.direct are listed: behind a proxy of ours
            (`server/proxy/`) they lead here. With `secure` they always are.
        secure: how https is answered too; left out, it is not.
        advertise: the address that media servers are listed at, where it is another than `host`.
        media_port: the port of the first media server whose port the world leaves open, the next ones after it; left
            out, they take free ones.

    `serve` and `running` raise `StoreError`, `KeysError` and `ListenError` (`PortInUse`) before they are ready.
    """

    def __init__(
        self,
        world: World,
        *,
        db: str | None = None,
        reset: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock = time.time,
        settings: Settings | None = None,
        on_answer: OnAnswer | None = None,
        hand: Hand | None = None,
        control: Control | None = None,
        record: Path | None = None,
        plex_direct: bool = False,
        secure: Secure | None = None,
        advertise: str | None = None,
        media_port: int | None = None,
        overview: Overview | None = None,
    ) -> None:
        if control is not None and hand is None:
            raise ValueError("the control API needs a hand that does what is asked")
        if reset and db is None:
            raise ValueError("reset starts a database over: name it by db")
        self.world = world
        self.passwords: Passwords | None = None
        """What checks passwords and passcodes, once started."""
        self._db = db
        self._reset = reset
        super().__init__(host, port, secure.ports if secure else (), advertise, media_port, control)
        self._clock = clock if hand is None else hand.runs_on(clock)
        self._hand = hand
        self._settings = settings or Settings()
        self._on_answer = on_answer
        self._record = record
        self._secure = secure
        self._overview = overview
        self._plex_direct = plex_direct or secure is not None
        self._of_world = {server.machine_identifier: server for server in world.media_servers}
        self._elsewhere: dict[str, Replies | Upstream | None] = {}
        self._context: ssl.SSLContext | None = None
        self._server: Server | None = None

    def speak_tls(self, context: ssl.SSLContext, on_failure: Callable[[int], None]) -> None:
        """Answer https too on every port from now on, once started; from any thread.

        Args:
            context: what TLS is spoken with.
            on_failure: told of the port at which TLS could not be agreed on.
        """
        if self._server is None:
            raise RuntimeError("the local Plex has not started")
        self._server.doorkeeper.on_failure = on_failure
        self._server.doorkeeper.context = context

    async def serve(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Run until `stop` is set.

        Args:
            ready: called once every address answers.
            stop: ends it, within the settings' `stop_seconds` and a moment, whatever clients do.
        """
        path = self._database_path()
        with contextlib.ExitStack() as held:
            listeners = self.take_plex_tv(held)
            if path is not None:
                from ticketstub.local_plex.storage.sqlite_lock import hold  # loaded only to be run

                held.enter_context(hold(path))
            if path is not None and self._reset:
                await self._start_over(path, listeners, held)
            async with self._opened(path) as instance:
                if not self._reset:
                    self._take_the_rest(await instance.store.media_servers(), listeners, held)
                await self._run(instance, listeners, ready, stop)

    @contextlib.contextmanager
    def running(self) -> Generator[LocalPlex, None, None]:
        """Run in a thread of its own for as long as the `with` lasts."""
        from ticketstub.local_plex.http.server import running  # loaded only to be run

        with running(self.serve, "ticketstub-local-plex"):
            yield self

    def _database_path(self) -> Path | None:
        """Return the database's file; `None` where it is in memory."""
        if self._db is None:
            return None
        from ticketstub.local_plex.storage.sqlite_file import database_path  # likewise

        return database_path(self._db).resolve()

    async def _start_over(self, path: Path, listeners: list[socket.socket], held: contextlib.ExitStack) -> None:
        """Replace the database by a new one with the world in it, once every address is taken."""
        from ticketstub.local_plex.domain.passwords import Passwords  # likewise
        from ticketstub.local_plex.storage.seed import seed  # likewise
        from ticketstub.local_plex.storage.sqlite import SqliteStore  # likewise
        from ticketstub.local_plex.storage.sqlite_file import replacing  # likewise

        with replacing(path) as draft:
            keys = Keys.for_database(path, starts_over=True)
            store = SqliteStore(f"sqlite:///{draft}", instance=keys.id)
            with contextlib.closing(Passwords()) as passwords:
                try:
                    await seed(store, self.world, keys, passwords, int(self._clock()))
                    self._take_the_rest(await store.media_servers(), listeners, held)
                finally:
                    await store.close()

    def _take_the_rest(
        self, rows: Sequence[MediaServerRow], listeners: list[socket.socket], held: contextlib.ExitStack
    ) -> None:
        """Take the media servers' addresses, and make what can fail of that which answers there."""
        from ticketstub.local_plex.content.fallback import elsewhere  # likewise

        listeners += self.take_the_rest(rows, held)
        for row in rows:
            found = self._of_world.get(row.machine_identifier)
            more = elsewhere(found, row.name, self._record, self.world) if found else None
            self._elsewhere[row.machine_identifier] = more
        if self._secure:
            digits = [plex_direct_digits(server.machine_identifier) for server in self.media_servers]
            self._context = self._secure.context(certified_names(digits))

    @contextlib.asynccontextmanager
    async def _opened(self, path: Path | None) -> AsyncGenerator[Instance, None]:
        """Open the database and bring the world in."""
        from ticketstub.local_plex.domain.instance import Instance  # likewise
        from ticketstub.local_plex.domain.passwords import Passwords  # likewise
        from ticketstub.local_plex.storage.seed import seed  # likewise
        from ticketstub.local_plex.storage.sqlite import SqliteStore  # likewise

        # The keys first: a database without its key is refused before it is touched.
        keys = Keys.for_database(path) if path else Keys.ephemeral()
        store = SqliteStore(f"sqlite:///{path}", instance=keys.id) if path else SqliteStore()
        passwords = self.passwords = Passwords(remembers=path is None)
        rates = Rates(self._settings, self._hand.clock.ticks if self._hand else time.monotonic)
        instance = Instance(store, keys, passwords, self._clock, self.world.answers, {}, rates)
        instance.plex_direct = self._plex_direct
        try:
            await seed(store, self.world, keys, passwords, instance.now())
            await instance.signing.refresh(instance.now())
            if self._overview is not None:
                instance.overview = self._overview
                await self._overview.begin(instance, seeded=self._db is None)
            yield instance
        finally:
            if self._hand is not None:
                self._hand.let_go()
            passwords.close()
            await instance.settle()
            await store.close()

    async def _sites(self, instance: Instance) -> tuple[PlexTv, dict[int, MediaServer]]:
        """Make plex.tv and the media servers, with nothing in memory."""
        from ticketstub.local_plex.api.media_server import MediaServer  # likewise
        from ticketstub.local_plex.api.plex_tv import PlexTv  # likewise

        sites: dict[int, MediaServer] = {}
        for row, running in zip(await instance.store.media_servers(), self.media_servers, strict=True):
            found, reached_at = self._of_world.get(row.machine_identifier), self.reached_at
            given = found.addresses if found else None
            instance.addresses[row.machine_identifier] = addresses(reached_at, running.port, given)
            sites[running.port] = MediaServer(row, instance, self._elsewhere[row.machine_identifier])
        return PlexTv(instance), sites

    async def _run(
        self, instance: Instance, listeners: list[socket.socket], ready: Callable[[], None], stop: asyncio.Event
    ) -> None:
        from ticketstub.local_plex.http.application import App  # likewise
        from ticketstub.local_plex.http.server import Server  # likewise

        settings, sites, hand = self._settings, partial(self._sites, instance), self._hand
        if hand is None:
            app = App(*await sites(), settings, self._on_answer, self._clock)
        else:
            names = {server.port: server.name for server in self.media_servers}
            control, on_answer = self.control, self._on_answer
            app = await hand.take(
                instance, self.world, sites, settings=settings, places=names, control=control, on_answer=on_answer
            )
        kept = {server.port: settings.media_server_keep_alive_seconds for server in self.media_servers}
        server = self._server = Server(app, settings, kept, self._context)
        if hand is not None:
            hand.serves(server, self.host, (self.port, *self.more_ports))
        for listener in listeners:
            server.open_port(listener)
        try:
            ready()
            await stop.wait()
        finally:
            if self._hand is not None:
                self._hand.end_waits()
            instance.passwords.close()
            await server.close()
