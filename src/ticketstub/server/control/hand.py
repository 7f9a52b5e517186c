"""The tester's hand: everything that somebody outside a test's program can do to a local Plex, as verbs.

Rule: each verb does at once what a person, Plex or time would do, by the same store verbs and the same policy; none is
reached over plex.tv's API. They run on the local Plex's own event loop. What does not exist is a `LookupError`, what
is no longer possible `TooLate`, a wrong argument a `ValueError`; no message repeats a secret. All of this is ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Unpack

from ticketstub.server import pins
from ticketstub.server.chaos import Chaos
from ticketstub.server.control.calls import Pattern
from ticketstub.server.control.clock import ShiftedClock
from ticketstub.server.control.people import NUMBERS, People
from ticketstub.server.control.recorded import Requests
from ticketstub.server.control.rules import AnswerNext, DelayNext, Refused, RefuseNext, Said
from ticketstub.server.control.watched import PLEX_TV, Watch, WatchedApp
from ticketstub.server.instance import Clock, Instance
from ticketstub.server.store.pins import PinRow
from ticketstub.server.store.rewinding import Moment
from ticketstub.server.transient import TransientTokens
from ticketstub.server.world import World
from ticketstub.token import Secret, Token

if TYPE_CHECKING:
    from ticketstub.server.control.ports import Ports
    from ticketstub.server.listening import Server


class TooLate(Exception):
    """It cannot be done any more: the PIN was approved or denied already."""


class Hand:
    """A hand on one local Plex; give it to `LocalPlex` before that starts.

    Args:
        chaos: the share of calls that go wrong from the start on.

    Its verbs raise `RuntimeError` while the local Plex does not run.
    """

    def __init__(self, *, chaos: Chaos | None = None) -> None:
        self.clock = ShiftedClock()
        self.watch = Watch(self.clock, chaos)
        self._instance: Instance | None = None
        self._people: People | None = None
        self._ports: Ports | None = None
        self._moment: Moment = {}
        self._transient: Sequence[TransientTokens] = ()
        self._renew: Callable[[], Awaitable[None]]
        self.app: WatchedApp
        self.loop: asyncio.AbstractEventLoop

    def runs_on(self, clock: Clock) -> ShiftedClock:
        """Return the clock for a local Plex that is to run on this one."""
        self.clock = self.watch.clock = ShiftedClock(clock)
        return self.clock

    async def take(
        self,
        instance: Instance,
        world: World,
        renew: Callable[[], Awaitable[None]],
        *,
        app: WatchedApp,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Take hold of a local Plex that was just seeded.

        Args:
            instance: that one.
            world: what it was seeded with.
            renew: makes everything anew that its places hold in memory.
            app: its application.
            loop: the event loop that it runs on.
        """
        self._instance, self._people, self._renew = instance, People(instance, world), renew
        self.app, self.loop = app, loop
        self._moment = await instance.store.rewinding.moment()

    def reaches(self, transient: Sequence[TransientTokens]) -> None:
        """Learn where the media servers' transient tokens are."""
        self._transient = transient

    def serves(self, server: Server, host: str, plex_tv: tuple[int, ...]) -> None:
        """Learn who listens on the ports, where, and which of them are plex.tv's."""
        from ticketstub.server.control.ports import Ports  # the HTTP server is loaded only to be run

        self.watch.cut = server.cut
        media_servers = {name: (port,) for port, name in self.watch.places.items()}
        self._ports = Ports(server, host, {PLEX_TV: plex_tv, **media_servers})

    def let_go(self) -> None:
        """Have nothing in hand: the local Plex ends."""
        self._instance = self._people = None
        if self._ports is not None:
            self._ports.close()

    @property
    def instance(self) -> Instance:
        """The local Plex in hand."""
        if self._instance is None:
            raise RuntimeError("the local Plex does not run")
        return self._instance

    @property
    def people(self) -> People:
        """Its accounts."""
        if self._people is None:
            raise RuntimeError("the local Plex does not run")
        return self._people

    @property
    def ports(self) -> Ports:
        """Its ports."""
        if self._ports is None:
            raise RuntimeError("the local Plex does not listen yet")
        return self._ports

    @property
    def requests(self) -> Requests:
        """What came in."""
        return self.watch.requests

    async def approve(self, pin: int | str, account: str | int | None = None) -> None:
        """Approve a PIN, as its user would in the browser.

        Args:
            pin: its id, or its code.
            account: who approves it, by user name, e-mail address or id; by default the world's first.

        Raises:
            LookupError: there is no such PIN or account.
            TooLate: it was approved or denied before.
        """
        found, row = await self._pin(pin), await self.people.find(account)
        if found.account_id is not None or found.denied_at is not None:
            raise TooLate("this PIN was approved or denied already")
        if not await pins.approve(self.instance, found, row.id):
            raise TooLate("this PIN cannot be approved any more, or the account is disabled")

    async def deny(self, pin: int | str) -> None:
        """Deny a PIN, as its user would in the browser; raises as `approve`."""
        found = await self._pin(pin)
        if not await self.instance.store.pins.deny(found.id, self.instance.now()):
            raise TooLate("this PIN was approved or denied already")

    async def refuse_next(self, call: str, *, times: int = 1, at: str | None = None, **how: Unpack[Refused]) -> None:
        """Refuse the next calls of a kind, before anything of them happens.

        Args:
            call: `POST /api/v2/users/signin`; `{id}` in a path is any one piece, `*` any method.
            times: how many of them.
            at: `plex.tv`, or a media server by name; by default wherever it is asked.
            how: see `RefuseNext`.

        Raises:
            ValueError: one of these cannot be.
        """
        self.watch.rules.add(RefuseNext(Pattern.read(call, at), times, **how))

    async def answer_next(self, call: str, *, times: int = 1, at: str | None = None, **what: Unpack[Said]) -> None:
        """Answer the next calls of a kind with something that Plex never said (see `AnswerNext`); as `refuse_next`."""
        self.watch.rules.add(AnswerNext(Pattern.read(call, at), times, **what))

    async def delay(self, call: str, seconds: float, *, times: int = 1, at: str | None = None) -> None:
        """Let the next calls of a kind wait before they are answered; as `refuse_next`."""
        self.watch.rules.add(DelayNext(Pattern.read(call, at), times, seconds))

    async def chaos(self, share: float, *, seed: int = 0, longest: float = 0.5) -> None:
        """Let a share of the calls go wrong (see chaos.py); 0 ends it."""
        self.watch.chaos = Chaos(share, seed, longest) if share else None

    async def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> int:
        """Move the clock forwards, and return what it shows; raises `ValueError` for backwards."""
        self.clock.advance(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
        return self.instance.now()

    async def revoke(self, token: Secret) -> None:
        """End a token as a sign-out would; raises `LookupError` where there is none alive."""
        now = self.instance.now()
        ended = await self.instance.store.revoke_token(self._digest(token), now)
        if not ended and not self._end_transient(token, now):
            raise LookupError("no living token is this one")

    async def expire(self, what: Secret | int | str) -> None:
        """End the time of a token (a `Token`) or of a PIN (its id or code); raises `LookupError` where there is none.

        A JWT is refused as one whose time is over (498, as far as the world says so).
        """
        if not isinstance(what, Secret):
            await self._expire_pin(what)
            return
        instance, now = self.instance, self.instance.now()
        ended = await instance.store.rewinding.expire_token(self._digest(what), now)
        if not ended and not self._end_transient(what, now):
            raise LookupError("no living token is this one")
        if Token.received(what.reveal()).kind == "jwt":
            self.watch.expired.add(self._digest(what))

    async def _expire_pin(self, pin: int | str) -> None:
        found = await self._pin(pin)
        await self.instance.store.rewinding.expire_pin(found.id, self.instance.now())

    async def take_down(self, place: str, *, hangs: bool = False) -> None:
        """Let plex.tv or a media server be unreachable (see ports.py).

        Args:
            place: `plex.tv`, or a media server by name.
            hangs: whether nobody answers at all, instead of a refused connection.

        Raises:
            LookupError: there is no such place.
        """
        await self.ports.take_down(place, hangs=hangs)

    async def bring_up(self, place: str) -> None:
        """Let it be reached again; raises `LookupError` where there is no such place."""
        await self.ports.bring_up(place)

    async def reset(self) -> None:
        """Put everything back as it was at the start: world, clock, tokens, rates, rules, ports, what came in."""
        await self.instance.settle()
        await self.ports.bring_all_up()
        self.watch.reset()
        self.clock.put_back()
        self.instance.rates.forget()
        await self.instance.store.rewinding.go_back(self._moment)
        await self._renew()

    async def _pin(self, pin: int | str) -> PinRow:
        """Find a living PIN by its id or code."""
        store, now = self.instance.store.pins, self.instance.now()
        if isinstance(pin, str) and pin.isdecimal() and len(pin) > 4:
            pin = int(pin)
        if isinstance(pin, int):
            found = await store.find(pin, now) if pin in NUMBERS else None
        else:
            code = pins.code_of(pin, any_case=True)
            found = await store.find_code(code, now) if code else None
        if found is None:
            raise LookupError("there is no living PIN of this id or code")
        return found

    def _digest(self, token: Secret) -> bytes:
        return self.instance.keys.digest(token.reveal())

    def _end_transient(self, token: Secret, now: int) -> bool:
        return any(held.end(token.reveal(), now) for held in self._transient)
