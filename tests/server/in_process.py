"""The application of a local Plex without sockets: requests from any address, every clock in the test's hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from tests.server.asking import Answered, Clock, world
from ticketstub.server.app import App
from ticketstub.server.instance import Instance
from ticketstub.server.keys import Keys
from ticketstub.server.limits import Rates
from ticketstub.server.passwords import Passwords
from ticketstub.server.plex_tv import PlexTv
from ticketstub.server.settings import Settings
from ticketstub.server.store.seed import seed
from ticketstub.server.store.sqlite import SqliteStore
from ticketstub.server.world import World


class InProcess:
    """A local Plex to ask. `clock` is its time of day, `ticks` the clock of its rates."""

    def __init__(self, instance: Instance, clock: Clock, ticks: Clock, settings: Settings) -> None:
        self.instance = instance
        self.clock = clock
        self.ticks = ticks
        self._app = App(PlexTv(instance), {}, settings)

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        address: str = "127.0.0.1",
    ) -> Answered:
        path, _, query = target.partition("?")
        fields = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        scope: dict[str, object] = {
            "type": "http",
            "method": method,
            "http_version": "1.1",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [*fields, (b"content-length", b"%d" % len(body))],
            "client": (address, 50_000),
            "server": ("127.0.0.1", 1),
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start, end = sent
        return Answered(
            start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, end["body"]
        )


@asynccontextmanager
async def in_process(
    settings: Settings | None = None, *, db: str | None = None, **answers: object
) -> AsyncGenerator[InProcess, None]:
    """Make one of the tests' world."""
    settings, clock, ticks = settings or Settings(), Clock(), Clock(0)
    keys, store = Keys(b"s" * 32), SqliteStore(db)
    passwords = Passwords(remembers=True)
    made = World.from_dict(world(**answers))
    await seed(store, made, keys, passwords, int(clock.now))
    instance = Instance(store, keys, passwords, clock, made.answers, {}, Rates(settings, ticks))
    try:
        yield InProcess(instance, clock, ticks, settings)
    finally:
        passwords.close()
        await instance.settle()
        await store.close()
