"""A whole local Plex without sockets: plex.tv, its pages and every media server, asked one after the other or at once.

Rule: real handlers, real store, real keys; only hashing is cheap, because twenty milliseconds a password would be all
that these tests do. Clocks are moved by hand. Whatever is started is ended with the `with`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urlencode

from argon2 import PasswordHasher

from tests.local_plex.asking import Answered, Clock
from ticketstub.local_plex.api.media_server import MediaServerSite
from ticketstub.local_plex.api.plex_tv import PlexTv
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.media_servers import build_addresses
from ticketstub.local_plex.domain.passwords import PasswordChecker
from ticketstub.local_plex.http.application import App, OnAnswer
from ticketstub.local_plex.pages.site import Pages
from ticketstub.local_plex.settings import RateLimits, Settings
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.storage.seed import seed
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.schema import World

PLEX_TV = "plex.tv"
CLIENT = "demo-client-7c1f"
PASSWORD = "paper-lantern-42"
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
HASH = CHEAP.hash(PASSWORD, salt=b"0123456789abcdef")
"""What a world's `password_hash` of `PASSWORD` is."""

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = {"Content-Type": "application/json"}
FREE = Settings(
    poll_burst=10**6,
    polls_per_second=10.0**6,
    switches_per_second=10**6,
    nonces_per_minute=10**6,
)
"""Without rates: those are tested elsewhere."""

T = TypeVar("T")
Change = Callable[[Instance], None]


class Quick(PasswordChecker):
    """Hashes as cheaply as argon2 allows; all else is as it is."""

    def __init__(self) -> None:
        super().__init__()
        self._hasher = CHEAP
        self._dummy = CHEAP.hash(b"nobody's", salt=b"0123456789abcdef")


class Whole:
    """A whole local Plex.

    Args:
        world: what is in it, as TOML would give it.
        db: its database, `sqlite:///…`; by default in memory.
        clock: its time of day.
        settings: its limits.
        change: changes the instance before anything is asked, also after a restart: a defect on purpose.
        on_answer: told of each answer.
    """

    def __init__(
        self,
        world: Mapping[str, object],
        *,
        db: str | None = None,
        clock: Clock | None = None,
        settings: Settings = FREE,
        change: Change | None = None,
        on_answer: OnAnswer | None = None,
    ) -> None:
        self.clock, self.ticks = clock or Clock(), Clock(0)
        self.instance: Instance
        self.media_servers: dict[str, MediaServerSite]
        self._world = World.from_dict(world)
        self._db = db
        self._settings = settings
        self._change = change
        self._on_answer = on_answer
        self._keys = InstanceKeys(b"w" * 32)

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self._start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.run(self._stop())
        self._runner.close()

    def restart(self) -> None:
        """End it, and start it again on the same database."""
        self.run(self._stop())
        self._start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def ask(self, method: str, target: str, token: str | None = None, **more: Any) -> Answered:
        """Ask one thing; see `request`."""
        return self.run(self.request(method, target, token, **more))

    def at_once(self, requests: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Ask many things at once."""

        async def all_of_them() -> list[T]:
            return await asyncio.gather(*requests)

        return self.run(all_of_them())

    async def request(
        self,
        method: str,
        target: str,
        token: str | None = None,
        *,
        at: str = PLEX_TV,
        client: str | None = CLIENT,
        body: bytes | str | Mapping[str, object] = b"",
        headers: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
    ) -> Answered:
        """Send one request.

        Args:
            method: HTTP's.
            target: path and query.
            token: goes into the header.
            at: plex.tv, or a media server by name.
            client: the client identifier.
            body: a mapping is sent as a JSON object.
            headers: further fields, or others in place of ours.
            address: where it comes from.
        """
        fields = {"host": "127.0.0.1:32499", "accept": "application/json"}
        fields |= {"x-plex-token": token} if token else {}
        fields |= {"x-plex-client-identifier": client} if client else {}
        if isinstance(body, Mapping):
            fields, body = fields | {"content-type": "application/json"}, json.dumps(body)
        body = body.encode() if isinstance(body, str) else body
        fields |= {name.lower(): value for name, value in (headers or {}).items()}
        fields["content-length"] = str(len(body))
        return await self._sent(method, target, fields, body, at, address)

    async def _sent(
        self, method: str, target: str, fields: Mapping[str, str], body: bytes, at: str, address: str
    ) -> Answered:
        path, _, query = target.partition("?")
        scope: dict[str, object] = {
            "type": "http",
            "method": method,
            "http_version": "1.1",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("utf-8", "surrogatepass")) for name, value in fields.items()],
            "client": (address, 50_000),
            "server": ("127.0.0.1", self._ports[at]),
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start, end = sent
        named = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Answered(start["status"], named, end["body"])

    def browser(self) -> Browser:
        return Browser(self)

    def _start(self) -> None:
        self.run(self._begin())

    async def _begin(self) -> None:
        store, passwords = SqliteStore(self._db), Quick()
        rates = RateLimits(self._settings, self.ticks)
        self.instance = Instance(store, self._keys, passwords, self.clock, self._world.answers, {}, rates)
        if self._change is not None:
            self._change(self.instance)
        now = self.instance.now()
        await seed(store, self._world, self._keys, passwords.hash_or_remember, now)
        await self.instance.signing_keys.rotate_if_old(now)
        await self._assemble()

    async def _assemble(self) -> None:
        rows = await self.instance.store.list_media_servers()
        self.media_servers = {row.name: MediaServerSite(row, self.instance) for row in rows}
        self._ports = {PLEX_TV: 1} | {name: 2 + index for index, name in enumerate(self.media_servers)}
        sites = {self._ports[name]: server for name, server in self.media_servers.items()}
        for row in rows:
            self.instance.addresses[row.machine_identifier] = build_addresses("127.0.0.1", self._ports[row.name])
        self._app = App(PlexTv(self.instance, Pages(self.instance)), sites, self._settings, self._on_answer)

    async def _stop(self) -> None:
        await asyncio.sleep(0)
        self.instance.passwords.close()
        await self.instance.cancel_background_tasks()
        await self.instance.store.close()

    def rows(self, *without: str) -> dict[str, list[Any]]:
        """Return everything that is in the database, but for some tables: in memory only."""
        store = self.instance.store
        assert isinstance(store, SqliteStore)
        connection = store._reader.connection
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)  # noqa: S608  # our own names
            for (name,) in tables
            if name not in without
        }


class Browser:
    """A browser without a screen, of one profile.

    Args:
        plex: where it is.
    """

    def __init__(self, plex: Whole) -> None:
        self._plex = plex
        self.cookie = ""

    def get(self, place: str, **more: Any) -> Answered:
        return self._kept(self._plex.ask("GET", place, client=None, headers=HTML | {"Cookie": self.cookie}, **more))

    def post(self, place: str, form: Mapping[str, str], **headers: str) -> Answered:
        """Send a form as a page of this site would."""
        said = (
            FORM | HTML | {"Cookie": self.cookie, "Origin": "http://127.0.0.1:32499", "Sec-Fetch-Site": "same-origin"}
        )
        return self._kept(self._plex.ask("POST", place, client=None, headers=said | headers, body=urlencode(form)))

    def fields(self, place: str) -> dict[str, str]:
        """Open a page and return what its forms hold, whichever they are in."""
        page = self.get(place).body.decode()
        return dict(re.findall('<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page))

    def send(self, place: str, action: str, **fields: str) -> Answered:
        """Open a page and send a form of it with these fields filled in."""
        return self.post(action, self.fields(place) | fields)

    def sign_in(self, login: str, password: str = PASSWORD) -> Answered:
        return self.send("/sign-in", "/sign-in", login=login, password=password)

    def signed_in(self, login: str) -> Browser:
        assert 303 == self.sign_in(login).status
        return self

    def _kept(self, answer: Answered) -> Answered:
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer
