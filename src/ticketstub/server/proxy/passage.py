"""One client's way through the proxy: the connection to where it wants to go, and the two joined.

Rule: the client hears of the other side before anything is joined: a tunnel that is there, or a sentence that says why
none is. TLS for Plex's hosts ends here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Literal

import msgspec

from ticketstub.server.proxy.bodies import Agreement, Body
from ticketstub.server.proxy.entrance import Entrance
from ticketstub.server.proxy.heads import BadHead, Head
from ticketstub.server.proxy.hosts import PassedOn, Refused, Taken, is_loopback
from ticketstub.server.proxy.legs import Pair
from ticketstub.server.proxy.names import dial
from ticketstub.server.proxy.upstream import Upstream

_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_NO_TLS = "TLS could not be agreed on: perhaps the program does not trust the run's authority"


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


class Means:
    """What all passages of one proxy share.

    Args:
        limits: the bounds.
        context: what TLS for Plex's hosts is ended with.
        upstream: the proxy by which everything else is reached, loopback excepted.
        tell: told what becomes of each connection.
    """

    def __init__(
        self, limits: Limits, context: ssl.SSLContext, upstream: Upstream | None, tell: Callable[[Event], None]
    ) -> None:
        self.limits = limits
        self.context = context
        self.upstream = upstream
        self.tell = tell
        self.own_port = 0
        """Where the proxy listens, once it does."""


class Passage:
    """The way of one client, from its head to its end.

    Args:
        means: the proxy's.
        entrance: the client's connection, its head read.
        head: that.
        verdict: where it goes.
    """

    def __init__(self, means: Means, entrance: Entrance, head: Head, verdict: Taken | PassedOn) -> None:
        self._means = means
        self._entrance = entrance
        self._head = head
        self._verdict = verdict
        self._ends_tls = isinstance(verdict, Taken) and verdict.tls
        further = isinstance(verdict, PassedOn) and not is_loopback(verdict.address.host)
        self._upstream = means.upstream if further else None
        self._pair = Pair(means.limits.idle_seconds)
        self._body = Body(head.length)
        self._agreement = Agreement()

    async def run(self) -> None:
        """See it through."""
        try:
            if refused := self._senseless() or await self._dial():
                self._tell("refused", refused.reason)
                self._entrance.refuse(refused)
            elif await self._join():
                await self._pair.over
        finally:
            self._pair.abort()

    def abort(self) -> None:
        """Cut it."""
        self._pair.abort()

    def _tell(self, outcome: Literal["taken", "passed on", "refused", "failed"], reason: str = "") -> None:
        self._means.tell(Event(target=str(self._head.target), outcome=outcome, reason=reason))

    def _senseless(self) -> Refused | None:
        if self._ends_tls and not self._head.tunnel:
            return Refused(400, f"{self._head.target} is for https, which takes CONNECT")
        if self._ends_tls and self._entrance.rest:
            return Refused(400, "TLS begins once the tunnel is there")
        return None

    async def _dial(self) -> Refused | None:
        """Connect to the other side; whatever it says first waits until the client's side is joined."""
        self._pair.far.hold()
        target, address = self._head.target, self._upstream.address if self._upstream else self._verdict.address
        try:
            far = await dial(address, lambda: self._pair.far, self._means.limits.dial_seconds)
        except TimeoutError:
            return Refused(504, f"{target} did not answer in time")
        except OSError as error:
            return Refused(502, f"{target} cannot be reached: {error.strerror or error}")
        return Refused(508, f"{target} is this proxy itself") if self._is_own(far) else None

    def _is_own(self, far: asyncio.Transport) -> bool:
        peer: tuple[str, int] | None = far.get_extra_info("peername")
        return peer is not None and peer[1] == self._means.own_port and is_loopback(peer[0])

    async def _join(self) -> bool:
        """Join the client's side, behind TLS or plain; false where it left on the way."""
        near: asyncio.Transport | None = self._entrance.transport
        if self._head.tunnel and not self._upstream:
            self._entrance.transport.write(_ESTABLISHED)
        if self._ends_tls:
            near = await self._in_tls()
        if near is None or near.is_closing():
            return False
        self._tell("taken" if isinstance(self._verdict, Taken) else "passed on")
        self._pair.near.join(near)
        if not self._ends_tls:
            near.set_protocol(self._pair.near)
            self._begin()
        self._pair.far.release()
        return True

    def _begin(self) -> None:
        """Send what goes first, and let no more of what the client sends pass than was decided on."""
        near, far, rest = self._pair.near, self._pair.far, self._entrance.rest
        far.write(self._first())
        if self._head.tunnel and self._upstream:
            far.passes = self._agreed  # until then, the client's side is not read
            return
        if not self._head.tunnel:
            near.passes = self._of_body
        near.data_received(rest)
        near.release()

    def _of_body(self, data: bytes) -> bytes:
        """Pass on the body of the one request; what comes behind it ends the connection soon."""
        try:
            passed = self._body.take(data)
        except BadHead:
            self._pair.abort()
            return b""
        if len(passed) < len(data):
            self._pair.half_closed()
            if self._pair.far.heard:  # a server that does not close by itself, as it was asked to
                asyncio.get_running_loop().call_soon(self._pair.far.finish)
        return passed

    def _agreed(self, data: bytes) -> bytes:
        """Pass on the answer of the further proxy, and open the tunnel if that is what it says."""
        self._agreement.read(data)
        if self._agreement.agreed is None:
            return data
        near, self._pair.far.passes = self._pair.near, None
        if not self._agreement.agreed:
            near.passes = self._of_body  # of which there is none: what comes would be a request of its own there
        near.data_received(self._entrance.rest)
        near.release()
        return data

    def _first(self) -> bytes:
        """What goes out before all that the client sends from now on."""
        if self._upstream:
            return self._upstream.head(self._head)
        return b"" if self._head.tunnel else self._head.for_server()

    async def _in_tls(self) -> asyncio.Transport | None:
        try:
            return await asyncio.get_running_loop().start_tls(
                self._entrance.transport,
                self._pair.near,
                self._means.context,
                server_side=True,
                ssl_handshake_timeout=self._means.limits.handshake_seconds,
            )
        except (OSError, TimeoutError):
            self._entrance.transport.abort()
            self._tell("failed", _NO_TLS)
            return None
