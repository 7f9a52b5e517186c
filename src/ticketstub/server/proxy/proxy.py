"""The proxy of a run: takes connections for Plex's hosts, passes the others on, or refuses them.

Rule: everything is bounded: connections, the size and time of a head, handshakes, silence. TLS for Plex's hosts ends
here, with the run's certificate; what is inside goes to the local Plex as it came, its Host field too. The journal
names hosts and never what was sent to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Generator
from weakref import WeakSet

from ticketstub.server.proxy.callers import Callers
from ticketstub.server.proxy.entrance import Entrance, Gone
from ticketstub.server.proxy.heads import BadHead, Head, read_head, read_proof
from ticketstub.server.proxy.hosts import Hosts, Refused
from ticketstub.server.proxy.passage import Event, Limits, Means, Passage
from ticketstub.server.proxy.upstream import Upstream


class Proxy:
    """A proxy on loopback. Constructing one starts nothing.

    Args:
        hosts: says which host is whose.
        context: what TLS for Plex's hosts is ended with.
        limits: the bounds.
        upstream: the proxy by which everything else is reached, loopback excepted.
        on_event: told what became of each connection.
        callers: tells the programs of this user from others.
    """

    def __init__(
        self,
        hosts: Hosts,
        context: ssl.SSLContext,
        *,
        limits: Limits | None = None,
        upstream: Upstream | None = None,
        on_event: Callable[[Event], None] | None = None,
        callers: Callers | None = None,
    ) -> None:
        self._callers = callers or Callers()
        self._hosts = hosts
        self._limits = limits or Limits()
        self._means = Means(self._limits, context, upstream, on_event or _nobody)
        self._tasks: set[asyncio.Task[None]] = set()
        self._passages: set[Passage] = set()
        self._entrances: WeakSet[Entrance] = WeakSet()

    @property
    def url(self) -> str:
        """Its address, once started, with the secret by which programs prove that they are this user's."""
        return f"http://{self._callers.userinfo}@127.0.0.1:{self._means.own_port}"

    async def serve(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Run until `stop` is set; `ready` is called once it listens. Raises `ListenError`."""
        from ticketstub.server.connections import BACKLOG  # loaded only to be run
        from ticketstub.server.listening import listen  # likewise

        with contextlib.closing(listen("127.0.0.1", 0)) as listener:
            self._means.own_port = listener.getsockname()[1]
            loop = asyncio.get_running_loop()
            server = await loop.create_server(self._entrance, sock=listener, backlog=BACKLOG)
            ready()
            await stop.wait()
            server.close()
            await self._end()

    @contextlib.contextmanager
    def running(self) -> Generator[Proxy, None, None]:
        """Run in a thread of its own for as long as the `with` lasts."""
        from ticketstub.server.listening import running  # loaded only to be run

        with running(self.serve, "ticketstub-proxy"):
            yield self

    def _entrance(self) -> Entrance:
        return Entrance(self._begin, self._limits.head_bytes)

    def _begin(self, entrance: Entrance) -> None:
        self._entrances.add(entrance)
        if len(self._tasks) >= self._limits.connections:
            self._refuse(entrance, "", Refused(503, "there are too many connections at once"))
            return
        task = asyncio.get_running_loop().create_task(self._serve(entrance))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        for passage in self._passages:
            passage.abort()
        for entrance in list(self._entrances):  # those that linger after a refusal
            entrance.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, entrance: Entrance) -> None:
        """See one client through, from its head to its end."""
        try:
            raw = await entrance.head(self._limits.head_seconds)
            proof = read_proof(raw) if isinstance(raw, bytes) else b""
            if unproven := self._callers.refuse(entrance.transport, proof):
                # A program that shows the secret only when it is asked for is nothing to tell of.
                self._refuse(entrance, "", unproven, is_told=bool(proof) or self._callers.knows_users)
                return
            head = _head(raw)
            if isinstance(head, Refused):
                self._refuse(entrance, "", head)
                return
            verdict = self._hosts.decide(head.target)
            if isinstance(verdict, Refused):
                self._refuse(entrance, str(head.target), verdict)
            else:
                await self._pass(Passage(self._means, entrance, head, verdict))
        except Gone:
            pass
        finally:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # it is one: `_begin` made it
                entrance.transport.abort()

    async def _pass(self, passage: Passage) -> None:
        self._passages.add(passage)
        try:
            await passage.run()
        finally:
            self._passages.discard(passage)

    def _refuse(self, entrance: Entrance, target: str, refused: Refused, *, is_told: bool = True) -> None:
        if is_told:
            self._means.tell(Event(target=target, outcome="refused", reason=refused.reason))
        entrance.refuse(refused)


def _nobody(_event: Event) -> None:
    """Listen to nothing."""


def _head(raw: bytes | Refused) -> Head | Refused:
    if isinstance(raw, Refused):
        return raw
    try:
        return read_head(raw)
    except BadHead as bad:
        return Refused(bad.status, bad.reason)
