"""The proxy of a run: takes connections for Plex's hosts, passes the others on, or refuses them.

Rule: everything is bounded: connections, the size and time of a head, handshakes, silence. TLS for Plex's hosts ends
here, with the run's certificate; what is inside goes to the local Plex as it came, its Host field too. The journal
names hosts and never what was sent to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Generator
from typing import Literal
from weakref import WeakSet

import msgspec

from ticketstub.server.proxy.entrance import Entrance, Gone
from ticketstub.server.proxy.heads import BadHead, Head, read_head
from ticketstub.server.proxy.hosts import Hosts, PassedOn, Refused, Taken, Verdict, is_loopback
from ticketstub.server.proxy.legs import Pair
from ticketstub.server.proxy.names import dial

_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_STOPS_WITHIN = 5.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the proxy; times are seconds, all values are ours.

    Attributes:
        connections: how many clients at once (503 beyond).
        head_bytes: the longest head of a request to the proxy (431 beyond).
        head_seconds: how long it may take (408 beyond).
        dial_seconds: how long connecting may take (504 beyond).
        handshake_seconds: how long a client may take to agree on TLS.
        idle_seconds: how long a connection may be silent.
    """

    connections: int = 1000
    head_bytes: int = 16 * 1024
    head_seconds: float = 10.0
    dial_seconds: float = 15.0
    handshake_seconds: float = 10.0
    idle_seconds: float = 900.0


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a connection.

    Attributes:
        target: where it was to go, HOST:PORT; empty where that was not to be read.
        outcome: `taken` by this run, `passed on` to somebody else, `refused`, or `failed` on the way.
        reason: why it was refused or failed.
    """

    target: str
    outcome: Literal["taken", "passed on", "refused", "failed"]
    reason: str = ""


class Proxy:
    """A proxy on loopback. Constructing one starts nothing.

    Args:
        hosts: says which host is whose.
        context: what TLS for Plex's hosts is ended with.
        limits: the bounds.
        on_event: told what became of each connection.
    """

    def __init__(
        self,
        hosts: Hosts,
        context: ssl.SSLContext,
        *,
        limits: Limits | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._hosts = hosts
        self._context = context
        self._limits = limits or Limits()
        self._tell = on_event or _nobody
        self._tasks: set[asyncio.Task[None]] = set()
        self._pairs: set[Pair] = set()
        self._entrances: WeakSet[Entrance] = WeakSet()
        self._port = 0

    @property
    def url(self) -> str:
        """Its address, once started."""
        return f"http://127.0.0.1:{self._port}"

    async def serve(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Run until `stop` is set; `ready` is called once it listens. Raises `ListenError`."""
        from ticketstub.server.listening import listen  # loaded only to be run

        with contextlib.closing(listen("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
            loop = asyncio.get_running_loop()
            server = await loop.create_server(self._entrance, sock=listener)
            ready()
            await stop.wait()
            server.close()
            await self._end()

    @contextlib.contextmanager
    def running(self) -> Generator[Proxy, None, None]:
        """Run in a thread of its own for as long as the `with` lasts."""
        from ticketstub.server.listening import new_event_loop  # likewise

        ready, endings, failure = threading.Event(), list[Callable[[], object]](), list[BaseException]()

        async def serve() -> None:
            stop, loop = asyncio.Event(), asyncio.get_running_loop()
            endings.append(lambda: loop.call_soon_threadsafe(stop.set))
            await self.serve(ready.set, stop)

        def run() -> None:
            try:
                with asyncio.Runner(loop_factory=new_event_loop) as runner:
                    runner.run(serve())
            except BaseException as error:  # noqa: BLE001  # it is raised again where `running` was called
                failure.append(error)
            finally:
                ready.set()

        thread = threading.Thread(target=run, name="ticketstub-proxy", daemon=True)
        thread.start()
        ready.wait()
        try:
            if not failure:
                yield self
        finally:
            with contextlib.suppress(RuntimeError, IndexError):  # it ended by itself
                endings[0]()
            thread.join(_STOPS_WITHIN)
        if failure:
            raise failure[0]

    def _entrance(self) -> Entrance:
        return Entrance(self._begin, self._limits.head_bytes)

    def _begin(self, entrance: Entrance) -> None:
        self._entrances.add(entrance)
        if len(self._tasks) >= self._limits.connections:
            entrance.refuse(self._noted("", Refused(503, "there are too many connections at once")))
            return
        task = asyncio.get_running_loop().create_task(self._serve(entrance))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        for pair in self._pairs:
            pair.abort()
        for entrance in list(self._entrances):  # those that linger after a refusal
            entrance.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, entrance: Entrance) -> None:
        """See one client through, from its head to its end."""
        try:
            raw = await entrance.head(self._limits.head_seconds)
            head = raw if isinstance(raw, Refused) else _read(raw)
            if isinstance(head, Refused):
                entrance.refuse(self._noted("", head))
                return
            verdict = self._hosts.decide(head.target)
            if isinstance(verdict, Refused):
                entrance.refuse(self._noted(str(head.target), verdict))
            else:
                await self._connected(entrance, head, verdict)
        except Gone:
            pass
        finally:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # it is one: `_begin` made it
                entrance.transport.abort()

    def _noted(self, target: str, refused: Refused) -> Refused:
        self._tell(Event(target=target, outcome="refused", reason=refused.reason))
        return refused

    async def _connected(self, entrance: Entrance, head: Head, verdict: Taken | PassedOn) -> None:
        ends_tls = isinstance(verdict, Taken) and verdict.tls
        if ends_tls and (head.forwarded is not None or entrance.rest):
            entrance.refuse(self._noted(str(head.target), Refused(400, "TLS begins once the tunnel is there")))
            return
        pair = Pair(self._limits.idle_seconds)
        self._pairs.add(pair)
        try:
            far = await self._dialled(pair, head, verdict)
            if isinstance(far, Refused):
                entrance.refuse(far)
            elif await self._joined(pair, entrance, head, ends_tls=ends_tls):
                await pair.over
        finally:
            pair.abort()
            self._pairs.discard(pair)

    async def _dialled(self, pair: Pair, head: Head, verdict: Taken | PassedOn) -> asyncio.Transport | Refused:
        pair.far.hold()  # whatever it says first waits until the client's side is there
        try:
            far = await dial(verdict.address, lambda: pair.far, self._limits.dial_seconds)
        except TimeoutError:
            return self._noted(str(head.target), Refused(504, f"{head.target} did not answer in time"))
        except OSError as error:
            why = error.strerror or str(error)
            return self._noted(str(head.target), Refused(502, f"{head.target} cannot be reached: {why}"))
        peer = far.get_extra_info("peername")
        if peer and peer[1] == self._port and is_loopback(peer[0]):
            return self._noted(str(head.target), Refused(508, f"{head.target} is this proxy itself"))
        return far

    async def _joined(self, pair: Pair, entrance: Entrance, head: Head, *, ends_tls: bool) -> bool:
        """Join the client's side, behind TLS or plain; false where it left on the way."""
        near: asyncio.Transport | None = entrance.transport
        if head.forwarded is None:
            entrance.transport.write(_ESTABLISHED)
        if ends_tls:
            near = await self._in_tls(pair, entrance, str(head.target))
        if near is None or near.is_closing():
            return False
        self._tell(Event(target=str(head.target), outcome=_outcome(self._hosts.decide(head.target))))
        pair.near.join(near)
        if not ends_tls:
            pair.far.write((head.forwarded or b"") + entrance.rest)
            near.set_protocol(pair.near)
            near.resume_reading()
        pair.far.release()
        return True

    async def _in_tls(self, pair: Pair, entrance: Entrance, target: str) -> asyncio.Transport | None:
        seconds, loop = self._limits.handshake_seconds, asyncio.get_running_loop()
        try:
            return await loop.start_tls(
                entrance.transport,
                pair.near,
                self._context,
                server_side=True,
                ssl_handshake_timeout=seconds,
            )
        except (OSError, TimeoutError):
            entrance.transport.abort()
            reason = "TLS could not be agreed on: perhaps the program does not trust the run's authority"
            self._tell(Event(target=target, outcome="failed", reason=reason))
            return None


def _nobody(_event: Event) -> None:
    """Listen to nothing."""


def _read(raw: bytes) -> Head | Refused:
    try:
        return read_head(raw)
    except BadHead as bad:
        return Refused(400, bad.reason)


def _outcome(verdict: Verdict) -> Literal["taken", "passed on"]:
    return "taken" if isinstance(verdict, Taken) else "passed on"
