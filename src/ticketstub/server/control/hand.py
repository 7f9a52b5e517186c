"""The tester's hand: everything that somebody outside a test's program can do to a local Plex, as verbs.

Rule: each verb does at once what a person, Plex or time would do, by the same store verbs and the same policy; none is
reached over plex.tv's API. They run on the local Plex's own event loop. What does not exist is a `LookupError`, what
is no longer possible `TooLate`, a wrong argument a `ValueError`; no message repeats a secret. All of this is ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from ticketstub.server import pins
from ticketstub.server.chaos import Chaos
from ticketstub.server.control.calls import Pattern
from ticketstub.server.control.clock import ShiftedClock
from ticketstub.server.control.recorded import Requests
from ticketstub.server.control.rules import DelayNext, RefuseNext
from ticketstub.server.control.watched import Watch, WatchedApp
from ticketstub.server.instance import Clock, Instance
from ticketstub.server.keys import VERIFICATION
from ticketstub.server.store.base import AccountRow, DeviceRow, SignIn
from ticketstub.server.store.pins import PinRow
from ticketstub.server.store.rewinding import Moment
from ticketstub.server.store.seed import seed
from ticketstub.server.transient import TransientTokens
from ticketstub.server.world import World
from ticketstub.token import Secret, Token

DEVICE = DeviceRow(client_identifier="ticketstub-hand", product="Ticketstub", name="The tester's hand")
"""Whose the tokens are that `token_for` gives."""


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
        self._world = World()
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
        self._instance, self._world, self._renew = instance, world, renew
        self.app, self.loop = app, loop
        self._moment = await instance.store.rewinding.moment()

    def reaches(self, transient: Sequence[TransientTokens]) -> None:
        """Learn where the media servers' transient tokens are."""
        self._transient = transient

    def let_go(self) -> None:
        """Have nothing in hand: the local Plex ends."""
        self._instance = None

    @property
    def instance(self) -> Instance:
        """The local Plex in hand."""
        if self._instance is None:
            raise RuntimeError("the local Plex does not run")
        return self._instance

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
        found, row = await self._pin(pin), await self._account(account)
        if found.account_id is not None or found.denied_at is not None:
            raise TooLate("this PIN was approved or denied already")
        if not await pins.approve(self.instance, found, row.id):
            raise TooLate("this PIN cannot be approved any more, or the account is disabled")

    async def deny(self, pin: int | str) -> None:
        """Deny a PIN, as its user would in the browser; raises as `approve`."""
        found = await self._pin(pin)
        if not await self.instance.store.pins.deny(found.id, self.instance.now()):
            raise TooLate("this PIN was approved or denied already")

    async def refuse_next(
        self,
        call: str,
        *,
        status: int = 429,
        times: int = 1,
        code: int | None = None,
        message: str | None = None,
        retry_after: int | None = None,
        body: str | None = None,
        at: str | None = None,
    ) -> None:
        """Refuse the next calls of a kind, before anything of them happens.

        Args:
            call: `POST /api/v2/users/signin`; `{id}` in a path is any one piece, `*` any method.
            status: 400 to 599.
            times: how many of them.
            code: Plex's error code; by default the one that belongs to the status.
            message: Plex's message, likewise.
            retry_after: seconds that the Retry-After field says.
            body: the whole body, in place of Plex's in the format that was asked for.
            at: `plex.tv`, or a media server by name; by default wherever it is asked.

        Raises:
            ValueError: one of these cannot be.
        """
        self.watch.rules.add(
            RefuseNext(
                Pattern.read(call, at),
                times,
                status=status,
                code=code,
                message=message,
                retry_after=retry_after,
                body=body,
            )
        )

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

    async def reset(self) -> None:
        """Put everything back as it was at the start: world, clock, tokens, rates, rules, what came in."""
        await self.instance.settle()
        self.watch.reset()
        self.clock.put_back()
        self.instance.rates.forget()
        await self.instance.store.rewinding.go_back(self._moment)
        await self._renew()

    async def add_account(self, described: Mapping[str, object]) -> AccountRow:
        """Add an account.

        Args:
            described: as `[[account]]` of a world file has it; the e-mail address may be left out.

        Raises:
            WorldError: the description is faulty.
            StoreConflict: its id, user name or address is somebody else's.
        """
        named = {"email": f"{described.get('username', '')}@example.test", **described}
        world, instance = World.from_dict({"account": [named]}), self.instance
        await seed(instance.store, world, instance.keys, instance.passwords, instance.now())
        return await self._account(world.accounts[0].username)

    async def account(self, name: str | int | None = None) -> AccountRow:
        """Return an account by user name, e-mail address or id; by default the world's first.

        Raises:
            LookupError: there is none.
        """
        return await self._account(name)

    async def set_password(self, account_id: int, password: Secret) -> None:
        """Give an account another password; its tokens stay."""
        row, passwords = await self._account(account_id), self.instance.passwords
        if row.password_hash is None:
            raise ValueError("this account has no password: make another one that has")
        if not passwords.verify_now(row.password_hash, password):
            new = passwords.hash_now(password)
            await self.instance.store.replace_password_hash(account_id, row.password_hash, new)

    async def code_for(self, account: str | int | None = None) -> Secret:
        """Return an account's verification code of now. Each works once: `advance(seconds=30)` leads to the next.

        Raises:
            LookupError: there is no such account, or it asks for no codes.
        """
        from pyotp.totp import TOTP  # only accounts that ask for codes need it

        row = await self._account(account)
        if row.sealed_verification is None:
            raise LookupError("this account asks for no verification codes")
        secret = self.instance.keys.unseal(row.sealed_verification, VERIFICATION)
        return Secret(TOTP(secret).generate_otp(self.instance.now() // 30))

    async def token_for(self, account: str | int | None = None) -> Token:
        """Make a token of an account's own, as a sign-in of `DEVICE` would.

        Raises:
            LookupError: there is no such account, or it is disabled.
        """
        row, instance = await self._account(account), self.instance
        text = instance.keys.new_token()
        signed_in = await instance.store.sign_in(
            SignIn(
                account_id=row.id,
                device=DEVICE,
                digest=instance.keys.digest(text),
                sealed_token=instance.keys.seal(text),
                now=instance.now(),
            )
        )
        if not signed_in:
            raise LookupError("this account is disabled")
        return Token.received(text)

    async def _account(self, name: str | int | None) -> AccountRow:
        if name is None and not self._world.accounts:
            raise LookupError("the world has no account")
        wanted = self._world.accounts[0].username if name is None else name
        store = self.instance.store
        row = await (store.account(wanted) if isinstance(wanted, int) else store.find_account(wanted))
        if row is None:
            known = ", ".join(account.username for account in self._world.accounts)
            raise LookupError(f"there is no such account; the world has {known or 'none'}")
        return row

    async def _pin(self, pin: int | str) -> PinRow:
        """Find a living PIN by its id or code."""
        store, now = self.instance.store.pins, self.instance.now()
        if isinstance(pin, str) and pin.isdecimal() and len(pin) > 4:
            pin = int(pin)
        if isinstance(pin, int):
            found = await store.find(pin, now)
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
