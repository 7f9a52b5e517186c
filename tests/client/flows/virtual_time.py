"""Drives flows that run beside each other in virtual time, against a scripted network: nothing waits, nothing is sent.

Rule: a flow's steps mean what they mean to the real drivers. Time passes only where a script says so.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from math import inf
from typing import Any, cast

import msgspec

from tests.client.flows.stepping import DEVICE
from ticketstub.client.config import CallSettings, KnownServers, PublishedKeyCache, with_token
from ticketstub.client.flows.candidates import ConnectOptions
from ticketstub.client.flows.connect import connect
from ticketstub.client.flows.reachability import measure_addresses
from ticketstub.client.flows.request import (
    Clock,
    Detach,
    Finished,
    Flow,
    FlowContext,
    Invoke,
    LookUp,
    NextFinished,
    RunBlocking,
    RunShared,
    Send,
    Sleep,
    Start,
)
from ticketstub.client.network import Network
from ticketstub.dns import ResolvedAddress
from ticketstub.errors import PlexError, TimedOut, Unreachable
from ticketstub.messages import Request, Response, split_url
from ticketstub.models import Connection, Resource
from ticketstub.routes import AddressReport
from ticketstub.tokens import Token

PLEX_TV = "https://plex.tv"
ATTIC = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
CELLAR = "1111111111111111111111111111111111111111"
ACCOUNT = "Xk3mPz_9Q-vT7rLb2NfW"
ATTIC_TOKEN = "Qw7-Zr2_LmN8tYb4HsKd"
CELLAR_TOKEN = "Cc7-Zr2_LmN8tYb4HsKd"
HASH = "a" * 32
NEVER = inf

REFUSED = Unreachable("refused", sent=False, reason="refused")
RESET = Unreachable("the connection was reset", sent=True)


def direct(address: str, port: int = 32400, digest: str = HASH) -> str:
    """Return the URL of an address below plex.direct."""
    return f"https://{address.replace('.', '-').replace(':', '-')}.{digest}.plex.direct:{port}"


def at(
    url: str, *, local: bool = False, relay: bool = False, address: str | None = None, port: int | None = None
) -> Connection:
    """Make one address of a server, without a variant over http unless an `address` is given."""
    return Connection(
        protocol=url.partition(":")[0], uri=url, local=local, relay=relay, address=address, port=port or 32400
    )


def attic(*connections: Connection, **members: Any) -> Resource:
    """Make the listing of the media server Attic."""
    whole: dict[str, Any] = {
        "name": "Attic",
        "client_identifier": ATTIC,
        "provides": "server",
        "owned": True,
        "access_token": Token(ATTIC_TOKEN),
    }
    return Resource(**(whole | members), connections=connections)


def cellar(*connections: Connection, **members: Any) -> Resource:
    """Make the listing of another media server."""
    return attic(
        *connections,
        **({"name": "Cellar", "client_identifier": CELLAR, "access_token": Token(CELLAR_TOKEN)} | members),
    )


@dataclass
class Host:
    """What answers at an address.

    Attributes:
        seconds: until it answers `/identity`. later: until it answers anything else.
        error: what happens instead. identifier: whose identity it claims. tokens: those that it accepts.
        reply: what it answers to `/identity` instead. status: what it answers to an accepted token.
    """

    seconds: float = 0.01
    error: PlexError | None = None
    identifier: str = ATTIC
    tokens: tuple[str, ...] = (ATTIC_TOKEN,)
    reply: Response | None = None
    status: int = 200
    later: float = 0.01

    def answer(self, request: Request) -> tuple[float, Response | PlexError]:
        if request.path == "/identity":
            body = json.dumps({"MediaContainer": {"machineIdentifier": self.identifier}}).encode()
            return self.seconds, self.error or self.reply or Response(200, {}, body)
        if request.headers.get("X-Plex-Token") not in self.tokens:
            return self.later, Response(401, {"content-type": "text/html"}, b"<html>401 Unauthorized</html>")
        return self.later, Response(self.status, {}, b'{"MediaContainer":{"machineIdentifier":"x"}}')


DEAD = Host(NEVER)


@dataclass
class Runner:
    """One flow that is being run."""

    flow: Flow[Any]
    on_end: Callable[[Runner], None]
    children: dict[int, Runner] = field(default_factory=dict)
    finished: list[Finished] = field(default_factory=list)
    value: Any = None
    error: BaseException | None = None
    is_over: bool = False
    wait: int = 0  # the number of the `NextFinished` that it waits for


class Race:
    """A virtual computer with one client: its clock, its network, plex.tv, and the flows that run."""

    def __init__(
        self,
        *resources: Resource,
        hosts: Mapping[Any, Host] | None = None,
        plex_tv: float | PlexError | Response = 0.05,
        names: dict[str, Sequence[str] | OSError] | None = None,
        sources: Callable[[str], str | None] = lambda address: "::2" if ":" in address else "192.168.1.2",
        token: Any = Token(ACCOUNT),  # noqa: B008  # frozen
    ) -> None:
        self.resources = resources
        self.body: bytes | None = None  # what plex.tv answers instead
        self.hosts: Mapping[Any, Host] = hosts or {}
        self.plex_tv = plex_tv
        self.names = names or {}
        self.network_name = "192.168.1.0/24"
        self.now = 1000.0
        self.sent: list[tuple[float, Request]] = []
        self.looked_up: list[str] = []
        self.verified: set[tuple[str, str | None, str]] = set()
        self.leaks: list[str] = []
        self.blocking_seconds: list[float] = []
        self.start_seconds = 0.0  # how long a thread takes to begin
        self.offered: list[CallSettings] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._shared: dict[object, list[Runner]] = {}
        self.network = Network(sources, lambda: self.network_name)
        clock = Clock(lambda: self.now, lambda: self.now + 1_793_000_000, lambda: 0.5)
        settings = with_token(CallSettings(plex_tv=PLEX_TV), token)
        self.context = FlowContext(settings, DEVICE, clock, PublishedKeyCache(), KnownServers())

    # What the tests ask for.

    def connect(self, server: str | Resource = "Attic", *, drain: bool = True, **options: Any) -> CallSettings:
        """Run `connect`, and, by default, what it leaves in the background."""
        on_better = self.offered.append if options.pop("on_better", False) else None
        settings = options.pop("settings", {})
        whole = ConnectOptions(
            server, options.pop("allow_http", False), options.pop("max_wait", 6.5), on_better, self.network
        )
        assert not options
        context = self.context._replace(settings=msgspec.structs.replace(self.context.settings, **settings))
        try:
            return self.run(connect(whole, context))
        finally:
            self.ended_at = self.now
            if drain:
                self.drain()
            assert [] == self.leaks

    def reachability(self, server: str | Resource = "Attic", **options: Any) -> tuple[AddressReport, ...]:
        whole = ConnectOptions(
            server, options.get("allow_http", False), options.get("max_wait", 6.5), None, self.network
        )
        try:
            return self.run(measure_addresses(whole, self.context))
        finally:
            assert [] == self.leaks

    @property
    def tried(self) -> list[str]:
        """The URLs that were asked for their identity, in this order."""
        return [request.url.removesuffix("/identity") for _, request in self.sent if request.call == "identity"]

    @property
    def starts(self) -> list[float]:
        """When each of them was asked, in seconds from the first request."""
        return [round(moment - 1000.0, 6) for moment, request in self.sent if request.call == "identity"]

    @property
    def calls(self) -> list[str]:
        return [request.call for _, request in self.sent]

    @property
    def elapsed(self) -> float:
        """How many seconds the flow took."""
        return round(self.ended_at - 1000.0, 6)

    def again(self) -> None:
        """Forget what was sent, and let the clock begin anew; what is remembered stays."""
        self.now = 1000.0
        self.sent, self.looked_up, self.verified = [], [], set()

    # The driver.

    def run(self, flow: Flow[Any]) -> Any:
        """Run a flow to its end, and return its value or raise its error."""
        main = self._start(flow, lambda _: None)
        while not main.is_over:
            assert self._events, "the flow waits for nothing"
            self._step()
        if main.error is not None:
            raise main.error
        return main.value

    def drain(self) -> None:
        """Run what is left in the background to its end."""
        while self._events:
            self._step()

    def _step(self) -> None:
        moment, _, callback = heapq.heappop(self._events)
        self.now = max(self.now, moment)
        callback()

    def _later(self, seconds: float, callback: Callable[[], None]) -> None:
        if seconds < inf:
            heapq.heappush(self._events, (self.now + max(0.0, seconds), next(self._order), callback))

    def _start(self, flow: Flow[Any], on_end: Callable[[Runner], None], seconds: float = 0.0) -> Runner:
        runner = Runner(flow, on_end)
        self._later(seconds, lambda: self._resume(runner, None))
        return runner

    def _resume(self, runner: Runner, result: object) -> None:
        if runner.is_over:
            return
        try:
            is_failure = isinstance(result, Exception) and not isinstance(result, OSError)  # that is a look-up's result
            step = runner.flow.throw(cast("Exception", result)) if is_failure else runner.flow.send(result)
        except StopIteration as end:
            self._end(runner, end.value, None)
        except BaseException as error:  # noqa: BLE001  # as the drivers do
            self._end(runner, None, error)
        else:
            self._perform(runner, step)

    def _end(self, runner: Runner, value: object, error: BaseException | None) -> None:
        runner.is_over, runner.value, runner.error = True, value, error
        for child in runner.children.values():
            self._cancel(child)
        runner.on_end(runner)

    def _cancel(self, runner: Runner) -> None:
        if not runner.is_over:
            runner.is_over = True
            for child in runner.children.values():
                self._cancel(child)
            runner.flow.close()

    def _perform(self, runner: Runner, step: Any) -> None:  # noqa: C901  # one case for each step
        resume: Callable[[float, object], None] = lambda seconds, result: self._later(  # noqa: E731
            seconds, lambda: self._resume(runner, result)
        )
        match step:
            case Send():
                self._send(runner, step)
            case Sleep(seconds):
                resume(seconds, None)
            case RunBlocking(work):
                try:
                    result: object = work()
                except Exception as error:  # noqa: BLE001  # it is thrown in
                    result = error
                resume(self.blocking_seconds.pop(0) if self.blocking_seconds else 0.0, result)
            case Invoke(callback):
                resume(0.0, callback())
            case LookUp(host, port, deadline):
                self.looked_up.append(host)
                found = self.names.get(host, OSError("no such name"))
                answers = found if isinstance(found, OSError) else [_resolved(each, port) for each in found]
                resume(min(0.001, deadline - self.now), answers)
            case Start(flow):
                number = len(runner.children) + 1
                end: Callable[[Runner], None] = lambda child: self._finish(runner, number, child)  # noqa: E731
                runner.children[number] = self._start(flow, end, self.start_seconds)
                resume(0.0, number)
            case NextFinished(seconds):
                self._wait(runner, seconds)
            case Detach(flow):
                self._start(flow, lambda _: None)
                resume(0.0, None)
            case RunShared(key, create):
                self._share(runner, key, create)
            case _:
                raise AssertionError(step)

    def _finish(self, parent: Runner, number: int, child: Runner) -> None:
        parent.finished.append(Finished(number, child.value, child.error))
        if parent.wait:
            parent.wait = 0
            self._later(0.0, lambda: self._resume(parent, parent.finished.pop(0)))

    def _wait(self, runner: Runner, seconds: float) -> None:
        if runner.finished:
            self._later(0.0, lambda: self._resume(runner, runner.finished.pop(0)))
            return
        number = runner.wait = next(self._order) + 1

        def give_up() -> None:
            if runner.wait == number:
                runner.wait = 0
                self._resume(runner, None)

        self._later(seconds, give_up)

    def _share(self, runner: Runner, key: object, create: Callable[[], Flow[object]]) -> None:
        waiting = self._shared.setdefault(key, [])
        waiting.append(runner)
        if len(waiting) > 1:
            return

        def end(shared: Runner) -> None:
            result = shared.value if shared.error is None else shared.error
            for each in self._shared.pop(key):
                self._later(0.0, partial(self._resume, each, result))

        child = self._start(create(), end)
        runner.children[-1] = child

    # The network.

    def _send(self, runner: Runner, step: Send) -> None:
        request = step.request
        self.sent.append((self.now, request))
        seconds, answer = self._answer(request)
        left = step.deadline - self.now
        if seconds >= left:
            seconds, answer = left, TimedOut("no answer in time", sent=True, reason="no_answer")

        def arrive() -> None:
            if not runner.is_over:
                self._note(request, answer)
            self._resume(runner, answer)

        self._later(seconds, arrive)

    def _answer(self, request: Request) -> tuple[float, Response | PlexError]:
        if request.url.startswith(PLEX_TV):
            assert ACCOUNT == request.headers.get("X-Plex-Token")
            if isinstance(self.plex_tv, PlexError | Response):
                return 0.05, self.plex_tv
            return self.plex_tv, Response(200, {}, self.body or encode(*self.resources))
        self._watch(request)
        base = split_url(request.url)[0].url
        host = self.hosts.get((base, request.address)) or self.hosts.get(base, DEAD)
        return host.answer(request)

    def _watch(self, request: Request) -> None:
        """Note a token that leaves before the address has proved whose it is."""
        base = split_url(request.url)[0].url
        token = request.headers.get("X-Plex-Token")
        owner = {ATTIC_TOKEN: ATTIC, CELLAR_TOKEN: CELLAR}.get(token or "")
        if token and (base, request.address, owner) not in self.verified:
            self.leaks.append(f"{token} to {request.url} ({request.address})")
        everything = f"{request.url} {request.headers} {request.body!r}"
        if any(each in everything for each in (ACCOUNT, *([] if token else [ATTIC_TOKEN, CELLAR_TOKEN]))):
            self.leaks.append(everything)

    def _note(self, request: Request, answer: Response | PlexError) -> None:
        """Note whose identity an address has proved."""
        if request.call == "identity" and isinstance(answer, Response) and answer.status == 200:
            with suppress(ValueError, KeyError, TypeError):
                identifier = json.loads(answer.body)["MediaContainer"]["machineIdentifier"]
                self.verified.add((split_url(request.url)[0].url, request.address, identifier))


def encode(*resources: Resource) -> bytes:
    """Write resources as plex.tv lists them."""
    return msgspec.json.encode(resources, enc_hook=Token.reveal)


def _resolved(address: str, port: int) -> ResolvedAddress:
    return ResolvedAddress(10 if ":" in address else 2, address, port)
