"""The tester's commands: everything that somebody outside a test's program can do to a local Plex.

Rule: each command does at once what a person, Plex or time would do, by the same store and the same policy; none is
reached over plex.tv's API. What does not exist is a `LookupError`, what is no longer possible `TooLate`, a wrong
argument a `ValueError`; no message repeats a secret. An account is named by user name, e-mail address or id, and is the
world's first where none is named; a media server by its name or machine identifier. All of this is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from ticketstub.local_plex.control.chaos import Chaos
from ticketstub.local_plex.control.declaration import COMMANDS, PREFIX, WithCode, WithId, command
from ticketstub.local_plex.control.recorder import Recorded
from ticketstub.local_plex.control.targets import Pattern, Rule
from ticketstub.local_plex.domain import pins
from ticketstub.local_plex.domain.verification_codes import current_code
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.storage.base import AccountRow, DeviceRow, MediaServerRow, SignIn
from ticketstub.local_plex.storage.pins import PinRow
from ticketstub.local_plex.storage.seed import seed
from ticketstub.local_plex.world.schema import World
from ticketstub.refusals import kind_of
from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.local_plex.control.controller import Hand
    from ticketstub.local_plex.domain.instance import Instance
    from ticketstub.local_plex.http.application import Site
    from ticketstub.local_plex.http.request import Asked, Headers

__all__ = ["COMMANDS", "DEVICE", "PREFIX", "Commands", "TooLate"]

DEVICE = DeviceRow(client_identifier="ticketstub-hand", product="Ticketstub", name="The tester's hand")
"""Whose the tokens are that `token_for` gives."""

NUMBERS = range(2**63)
"""What a number of an account or PIN can be: a database holds no greater ones."""

_BODILESS = frozenset({204, 205, 304})

PinName = int | str | WithCode
AccountName = int | str | WithId
# The pattern is for readers of the OpenAPI document: `Pattern.read` says what is wrong in words.
Call = Annotated[str, Meta(extra_json_schema={"pattern": r"^\s*(\*|[A-Za-z]{3,10}) +/\S*\s*$"})]
Times = Annotated[int, Meta(ge=1)]
Span = Annotated[float, Meta(ge=0)]
Field = Annotated[str, Meta(pattern=r"^[ -~]*$", description="Printable ASCII.")]


class TooLate(Exception):
    """It cannot be done any more: the PIN was approved or denied already."""


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """An account that was added."""

    id: int
    uuid: str | None
    username: str | None
    email: str | None


class Commands:
    """What can be done to one local Plex.

    Args:
        hand: the hand on it.

    They raise `LookupError` for what does not exist, `TooLate` for what was decided already, `ValueError` for what
    cannot be, and `RuntimeError` while the local Plex does not run.
    """

    def __init__(self, hand: Hand) -> None:
        self.hand = hand

    @property
    def _instance(self) -> Instance:
        return self.hand.instance

    @command("GET", "", told="verbs")
    async def _list(self) -> list[str]:
        """List the commands."""
        return [f"{method} {path}" for path, methods in COMMANDS.items() for method in methods]

    @command("POST", "/pins/approve")
    async def approve(self, pin: PinName, account: AccountName | None = None) -> None:
        """Approve a PIN, as its user would in the browser.

        Args:
            pin: its id, its code, or what has one: a `Pin`, or a begun sign-in.
            account: who approves it: a user name, e-mail address or id; by default the world's first account.
        """
        found, row = await self._pin(pin), await self._account(account)
        if found.account_id is not None or found.denied_at is not None:
            raise TooLate("this PIN was approved or denied already")
        if not await pins.approve(self._instance, found, row.id):
            raise TooLate("this PIN cannot be approved any more, or the account is disabled")

    @command("POST", "/pins/deny")
    async def deny(self, pin: PinName) -> None:
        """Deny a PIN, as its user would in the browser."""
        found = await self._pin(pin)
        if not await self._instance.store.pins.deny(found.id, self._instance.now()):
            raise TooLate("this PIN was approved or denied already")

    def expire(self, what: Token | PinName) -> None:
        """End the time of a token (a `Token`), or of a PIN (its id, its code, or what has one).

        A JWT is refused as one whose time is over (498).
        """
        if isinstance(what, Token):
            self._expire_token(what)
        else:
            self._expire_pin(what)

    @command("POST", "/pins/expire")
    async def _expire_pin(self, pin: PinName) -> None:
        """End the time of a PIN."""
        found = await self._pin(pin)
        await self._instance.store.rewinding.expire_pin(found.id, self._instance.now())

    @command("POST", "/tokens", told="token")
    async def token_for(self, account: AccountName | None = None) -> Token:
        """Make a new token of an account's own, as a sign-in would; by default of the world's first account."""
        row, instance = await self._account(account), self._instance
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

    @command("POST", "/tokens/revoke")
    async def revoke(self, token: str | Token) -> None:
        """End a token, as a sign-out would."""
        text, instance, now = _text(token), self._instance, self._instance.now()
        ended = await instance.store.revoke_token(instance.keys.digest(text), now)
        if not ended and not self.hand.end_transient(text):
            raise LookupError("no living token is this one")

    @command("POST", "/tokens/expire")
    async def _expire_token(self, token: str | Token) -> None:
        """End the time of a token."""
        text, instance, now = _text(token), self._instance, self._instance.now()
        digest = instance.keys.digest(text)
        if not await instance.store.rewinding.expire_token(digest, now) and not self.hand.end_transient(text):
            raise LookupError("no living token is this one")
        if Token.received(text).kind == "jwt":
            self.hand.expired.add(digest)

    @command("POST", "/codes", told="code")
    async def code_for(self, account: AccountName | None = None) -> str:
        """Return an account's verification code of now. Each works once; `advance(seconds=30)` leads to the next."""
        code = current_code(self._instance.keys, await self._account(account), self._instance.now())
        if code is None:
            raise LookupError("this account asks for no verification codes")
        return code

    @command("POST", "/accounts")
    async def _add_account(
        self,
        /,
        username: str,
        email: str | None = None,
        password: str | None = None,
        verification_secret: str | None = None,
        **more: object,
    ) -> Added:
        """Add an account until the next reset; `more` are any other members of a world file's `[[account]]`."""
        given = {"username": username, "email": email or f"{username}@example.test", "password": password}
        given["verification_secret"] = verification_secret
        described = {name: value for name, value in {**more, **given}.items() if value is not None}
        world, instance = World.from_dict({"account": [described]}), self._instance
        await seed(instance.store, world, instance.keys, instance.passwords, instance.now())
        row = await self._account(world.accounts[0].username)
        return Added(id=row.id, uuid=row.record.uuid, username=row.record.username, email=row.record.email)

    @command("POST", "/shares")
    async def share(self, media_server: str, account: AccountName) -> None:
        """Share a media server with an account, which has it among its resources then, with a token of its own.

        One that has it already gets another token.
        """
        server, row = await self._media_server(media_server), await self._account(account)
        if server.owner_id is None or server.owner_id == row.id:
            raise ValueError("a media server is shared by its owner, with somebody else")
        keys, text = self._instance.keys, self._instance.keys.new_token()
        await self._instance.store.users.share(
            server.machine_identifier,
            owner_id=server.owner_id,
            guest_id=row.id,
            digest=keys.digest(text),
            sealed_token=keys.seal(text),
            now=self._instance.now(),
        )

    @command("POST", "/shares/end")
    async def unshare(self, media_server: str, account: AccountName) -> None:
        """End a share: the account's token for the server dies, and the server is not among its resources."""
        server, row = await self._media_server(media_server), await self._account(account)
        if not await self._instance.store.users.unshare(row.id, server.machine_identifier, self._instance.now()):
            raise LookupError("this media server is not shared with this account")

    @command("POST", "/refusals")
    async def refuse_next(
        self,
        call: Call,
        *,
        status: Annotated[int, Meta(ge=400, le=599)] = 429,
        times: Times = 1,
        code: int | None = None,
        message: str | None = None,
        retry_after: Annotated[int, Meta(ge=0)] | None = None,
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
        """
        kind = kind_of(status, code, message)
        refusal = kind(message or kind.default.message, status=status, code=code or kind.default.code)

        def refuse(site: Site, asked: Asked) -> Answer:
            answer = site.refuse(refusal, asked)
            if retry_after is not None:
                answer.headers = [*answer.headers, (b"retry-after", b"%d" % retry_after)]
            if body is not None:
                answer.body = body.encode()
            return answer

        self.hand.answers.append(Rule(Pattern.read(call, at), times, refuse))

    @command("POST", "/answers")
    async def answer_next(
        self,
        call: Call,
        *,
        status: Annotated[int, Meta(ge=200, le=599)] = 200,
        body: str = "",
        media_type: Field = "text/html",
        location: Field | None = None,
        times: Times = 1,
        at: str | None = None,
    ) -> None:
        """Answer the next calls of a kind with something that Plex never said: a captive portal's page, say.

        Args:
            call: as in `refuse_next`, and likewise `times` and `at`.
            status: 200 to 599.
            body: all of it.
            media_type: what its Content-Type says.
            location: where a redirect leads.
            times: how many of them.
            at: where.
        """
        if status in _BODILESS and body:
            raise ValueError(f"an answer of status {status} has no body")
        fields: Headers = [(b"content-type", media_type.encode()), (b"cache-control", b"no-store")]
        if location is not None:
            fields.append((b"location", location.encode()))
        self.hand.answers.append(
            Rule(Pattern.read(call, at), times, lambda _site, _asked: Answer(status, fields, body.encode()))
        )

    @command("POST", "/delays")
    async def delay(
        self, call: Call, seconds: Annotated[float, Meta(ge=0, le=3600)], *, times: Times = 1, at: str | None = None
    ) -> None:
        """Let the next calls of a kind wait before they are answered; `call` and `at` as in `refuse_next`."""
        self.hand.delays.append(Rule(Pattern.read(call, at), times, seconds=seconds))

    @command("POST", "/chaos")
    async def chaos(
        self,
        share: Annotated[float, Meta(ge=0, le=1)],
        *,
        seed: int = 0,
        longest: Annotated[float, Meta(ge=0, le=60)] = 0.5,
    ) -> None:
        """Let a share of the calls go wrong until the next reset: refused, late, or cut off.

        Args:
            share: 0.05 is one of twenty; 0 ends it.
            seed: the same seed and sequence of calls make the same trouble.
            longest: seconds that a late answer waits at most.
        """
        self.hand.chaos = Chaos(share, seed, longest) if share else None

    @command("POST", "/places/down")
    async def take_down(self, place: str, *, hangs: bool = False) -> None:
        """Let a place be unreachable, until `bring_up` or a reset: its connections end, and new ones are refused.

        Args:
            place: `plex.tv`, or a media server by name.
            hangs: whether new connections are not even refused: whoever connects waits until its time is over.
        """
        await self.hand.ports.take_down(place, hangs=hangs)

    @command("POST", "/places/up")
    async def bring_up(self, place: str) -> None:
        """Let a place be reached again, at the same address."""
        await self.hand.ports.bring_up(place)

    @command("GET", "/clock", told="now")
    async def _now(self) -> int:
        """Tell what the clock shows."""
        return self._instance.now()

    @command("POST", "/clock/advance", told="now")
    async def advance(self, *, days: Span = 0, hours: Span = 0, minutes: Span = 0, seconds: Span = 0) -> int:
        """Move the clock forwards: PINs, tokens, codes and lock-outs grow old, and limits of pace have room again.

        Returns what it shows then, in seconds since 1970.
        """
        self.hand.clock.advance(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
        return self._instance.now()

    @command("GET", "/requests", told="requests")
    async def _requests(self) -> list[Recorded]:
        """Tell what came in."""
        return self.hand.requests

    @command("DELETE", "/requests")
    async def _forget_requests(self) -> None:
        """Forget what came in."""
        self.hand.requests.clear()

    @command("POST", "/reset")
    async def reset(self) -> None:
        """Put everything back as it was at the start: world, clock, tokens, limits, rules, chaos, places, requests."""
        await self.hand.reset()

    async def _account(self, name: AccountName | None = None) -> AccountRow:
        """Find an account; by default the world's first."""
        known = [account.username for account in self.hand.world.accounts]
        if name is None and not known:
            raise LookupError("the world has no account")
        wanted: Any = known[0] if name is None else name
        store = self._instance.store
        if isinstance(wanted, int):
            row = await store.account(wanted) if wanted in NUMBERS else None
        else:
            row = await store.find_account(wanted)
        if row is None:
            raise LookupError(f"there is no such account; the world has {', '.join(known) or 'none'}")
        return row

    async def _set_password(self, row: AccountRow, password: Secret) -> None:
        """Give an account another password; its tokens stay."""
        passwords = self._instance.passwords
        if row.password_hash is None:
            raise ValueError("this account has no password: make another one that has")
        if not passwords.verify_now(row.password_hash, password):
            new = passwords.hash_now(password)
            await self._instance.store.replace_password_hash(row.id, row.password_hash, new)

    async def _pin(self, name: PinName) -> PinRow:
        """Find a living PIN by its id or code."""
        store, now, wanted = self._instance.store.pins, self._instance.now(), str(name)
        if isinstance(name, int) or (wanted.isdecimal() and len(wanted) > 4):
            found = await store.find(int(wanted), now) if int(wanted) in NUMBERS else None
        else:
            code = pins.code_of(wanted, any_case=True)
            found = await store.find_code(code, now) if code else None
        if found is None:
            raise LookupError("there is no living PIN of this id or code")
        return found

    async def _media_server(self, name: str) -> MediaServerRow:
        for row in await self._instance.store.media_servers():
            if name in {row.name, row.machine_identifier}:
                return row
        raise LookupError("no media server has this name")


def _text(token: str | Token) -> str:
    return token if isinstance(token, str) else token.reveal()
