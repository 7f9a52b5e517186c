"""The tester's commands: everything that a test can do to a local Plex from outside.

Rule: each command does at once what a person, Plex or time would do, through the same store and the same policy. None
is reachable over plex.tv's API. No error message contains a secret. An account is named by user name, e-mail address or
id, and is by default the world's first. A media server is named by its name or machine identifier.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ticketstub.local_plex.api.notifications import NOTIFICATION_MEMBERS
from ticketstub.local_plex.control.declaration import COMMANDS, PREFIX, CommandSet, HasCode, HasId, HasUrl, command
from ticketstub.local_plex.control.faults import CallPattern, CallRule, Chaos
from ticketstub.local_plex.control.recorder import Recorded
from ticketstub.local_plex.domain import pins
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.overview import generate_current_code
from ticketstub.local_plex.http.application import Site
from ticketstub.local_plex.http.request import Headers, IncomingRequest
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.storage.base import AccountRow, DeviceRow, MediaServerRow, NewSignIn
from ticketstub.local_plex.storage.pins import PinRow
from ticketstub.local_plex.storage.seed import seed
from ticketstub.local_plex.world.addresses import Behaviour, CertificateKind, DnsKind
from ticketstub.local_plex.world.schema import World
from ticketstub.refusals import find_refusal_class
from ticketstub.tokens import Secret, Token

__all__ = ["COMMANDS", "PREFIX", "ControlCommands", "TooLate"]

_TOKEN_DEVICE = DeviceRow(client_identifier="ticketstub-control", product="Ticketstub", name="The tester's commands")
_VALID_IDS = range(2**63)  # what SQLite can hold

PinReference = int | str | HasCode
AccountReference = int | str | HasId
AddressReference = str | HasUrl
# The pattern is for the OpenAPI document only: `CallPattern.parse` has the better error message.
CallText = Annotated[str, Meta(extra_json_schema={"pattern": r"^\s*(\*|[A-Za-z]{3,10}) +/\S*\s*$"})]
Times = Annotated[int, Meta(ge=1)]
Duration = Annotated[float, Meta(ge=0)]
HeaderText = Annotated[str, Meta(pattern=r"^[ -~]*$", description="Printable ASCII.")]


class TooLate(Exception):
    """The command is no longer possible: the PIN was approved or denied already."""


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """An account that was added."""

    id: int
    uuid: str | None
    username: str | None
    email: str | None


class AddressState(msgspec.Struct, frozen=True, kw_only=True):
    """An address that has a listener of its own, and what it received.

    Attributes:
        media_server: the name of its media server.
        url: its base URL.
        behaviour: what a client meets there.
        certificate: its certificate; `None` if it does not speak TLS.
        dns: how its name is resolved.
        connections: how many connections it accepted.
        received: how many bytes clients sent there.
        tokens: how many tokens were among them.
    """

    media_server: str
    url: str
    behaviour: Behaviour
    certificate: CertificateKind | None
    dns: DnsKind
    connections: int
    received: int
    tokens: int


class ControlCommands(CommandSet):
    """The commands of one local Plex.

    They raise `LookupError` for what does not exist, `TooLate` for what is no longer possible, `ValueError` for an
    invalid argument, and `RuntimeError` while the local Plex does not run.

    Args:
        controller: the local Plex's controller.
    """

    @property
    def _instance(self) -> Instance:
        return self.controller.instance

    @command("GET", "", result_name="verbs")
    async def _list(self) -> list[str]:
        """List the commands."""
        return [f"{method} {path}" for path, methods in COMMANDS.items() for method in methods]

    @command("POST", "/pins/approve")
    async def approve(self, pin: PinReference, account: AccountReference | None = None) -> None:
        """Approve a PIN, as its user would in the browser.

        Args:
            pin: its id, its code, or an object that has the code: a `Pin`, or a pending sign-in.
            account: who approves it: a user name, e-mail address or id; by default the world's first account.
        """
        found, row = await self._find_pin(pin), await self._find_account(account)
        if found.account_id is not None or found.denied_at is not None:
            raise TooLate("this PIN was approved or denied already")
        if not await pins.approve_pin(self._instance, found, row.id):
            raise TooLate("this PIN can no longer be approved, or the account is disabled")

    @command("POST", "/pins/deny")
    async def deny(self, pin: PinReference) -> None:
        """Deny a PIN, as its user would in the browser."""
        found = await self._find_pin(pin)
        if not await self._instance.store.pins.deny(found.id, self._instance.now()):
            raise TooLate("this PIN was approved or denied already")

    def expire(self, what: Token | PinReference) -> None:
        """Expire a token (a `Token`), or a PIN (its id, its code, or an object that has the code).

        An expired JWT is refused with 498.
        """
        if isinstance(what, Token):
            self._expire_token(what)
        else:
            self._expire_pin(what)

    @command("POST", "/pins/expire")
    async def _expire_pin(self, pin: PinReference) -> None:
        """Expire a PIN."""
        found = await self._find_pin(pin)
        await self._instance.store.control.expire_pin(found.id, self._instance.now())

    @command("POST", "/tokens", result_name="token")
    async def token_for(self, account: AccountReference | None = None) -> Token:
        """Issue a new token to an account, as a sign-in would; by default to the world's first account."""
        row, instance = await self._find_account(account), self._instance
        text = instance.keys.generate_token()
        signed_in = await instance.store.sign_in(
            NewSignIn(
                account_id=row.id,
                device=_TOKEN_DEVICE,
                digest=instance.keys.digest(text),
                sealed_token=instance.keys.seal(text),
                now=instance.now(),
            )
        )
        if not signed_in:
            raise LookupError("this account is disabled")
        return Token.from_wire(text)

    @command("POST", "/tokens/revoke")
    async def revoke(self, token: str | Token) -> None:
        """Revoke a token, as a sign-out would."""
        await self._end_token(token, self._instance.store.revoke_token)

    @command("POST", "/tokens/expire")
    async def _expire_token(self, token: str | Token) -> None:
        """Expire a token."""
        ended = await self._end_token(token, self._instance.store.control.expire_token)
        if ended.kind == "jwt":
            self.controller.expired_jwt_digests.add(self._instance.keys.digest(ended.reveal()))

    @command("POST", "/codes", result_name="code")
    async def code_for(self, account: AccountReference | None = None) -> str:
        """Return an account's current verification code. Each works once; `advance(seconds=30)` gives the next."""
        code = generate_current_code(self._instance.keys, await self._find_account(account), self._instance.now())
        if code is None:
            raise LookupError("this account has no verification codes")
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
        """Add an account until the next reset; `more` takes any other member of a world file's `[[account]]`."""
        members = {
            **more,
            "username": username,
            "email": email or f"{username}@example.test",
            "password": password,
            "verification_secret": verification_secret,
        }
        fields = {name: value for name, value in members.items() if value is not None}
        world, instance = World.from_dict({"account": [fields]}), self._instance
        await seed(instance.store, world, instance.keys, instance.passwords.hash_or_remember, instance.now())
        row = await self._find_account(world.accounts[0].username)
        return Added(id=row.id, uuid=row.record.uuid, username=row.record.username, email=row.record.email)

    @command("POST", "/shares")
    async def share(self, media_server: str, account: AccountReference) -> None:
        """Share a media server with an account: its resources then list the server, with a separate token.

        If the account already has the share, it gets another token.
        """
        server, row = await self._find_media_server(media_server), await self._find_account(account)
        if server.owner_id is None or server.owner_id == row.id:
            raise ValueError("only an owner can share a media server, and only with somebody else")
        keys, text = self._instance.keys, self._instance.keys.generate_token()
        await self._instance.store.shares.share(
            server.machine_identifier,
            owner_id=server.owner_id,
            guest_id=row.id,
            digest=keys.digest(text),
            sealed_token=keys.seal(text),
            now=self._instance.now(),
        )

    @command("POST", "/shares/end")
    async def unshare(self, media_server: str, account: AccountReference) -> None:
        """End a share: the account's token for the server is revoked, and its resources no longer list the server."""
        server, row = await self._find_media_server(media_server), await self._find_account(account)
        if not await self._instance.store.shares.unshare(row.id, server.machine_identifier, self._instance.now()):
            raise LookupError("this media server is not shared with this account")

    @command("POST", "/notifications", result_name="sockets")
    async def notify(
        self, media_server: str, kind: str, items: Sequence[Mapping[str, object]], *, member: str | None = None
    ) -> int:
        """Send a notification to the open WebSockets of a media server, and return how many got it.

        Args:
            media_server: its name or machine identifier.
            kind: the notification's type, such as `playing`, `timeline` or `activity`.
            items: what happened, such as `[{"sessionKey": "1", "state": "playing"}]`.
            member: the member that holds the items; by default the one that Plex uses for this type.
        """
        row, name = await self._find_media_server(media_server), member or NOTIFICATION_MEMBERS.get(kind)
        if name is None:
            raise ValueError(f"give the member for this kind; known ones are {', '.join(NOTIFICATION_MEMBERS)}")
        if name in {"type", "size"}:
            raise ValueError("type and size are members of every notification: choose another one for the items")
        return await self.controller.find_media_server(row.machine_identifier).notifications.send(kind, items, name)

    @command("POST", "/refusals")
    async def refuse_next(
        self,
        call: CallText,
        *,
        status: Annotated[int, Meta(ge=400, le=599)] = 429,
        times: Times = 1,
        code: int | None = None,
        message: str | None = None,
        retry_after: Annotated[int, Meta(ge=0)] | None = None,
        body: str | None = None,
        at: str | None = None,
    ) -> None:
        """Refuse the next calls of a kind, before they have any effect.

        Args:
            call: as in `POST /api/v2/users/signin`; `{id}` in the path matches any one segment, `*` any method.
            status: 400 to 599.
            times: how many calls.
            code: Plex's error code; by default the one that belongs to the status.
            message: Plex's message; by default the one that belongs to the status.
            retry_after: the seconds in the Retry-After field.
            body: the whole body, in place of Plex's in the requested format.
            at: `plex.tv`, or a media server by name; by default all of them.
        """
        kind = find_refusal_class(status, code, message)
        refusal = kind(message or kind.default.message, status=status, code=code or kind.default.code)

        def refuse(site: Site, request: IncomingRequest) -> OutgoingResponse:
            answer = site.write_refusal(refusal, request)
            if retry_after is not None:
                answer.headers = [*answer.headers, (b"retry-after", b"%d" % retry_after)]
            if body is not None:
                answer.body = body.encode()
            return answer

        self.controller.answer_rules.append(CallRule(CallPattern.parse(call, at), times, refuse))

    @command("POST", "/answers")
    async def answer_next(
        self,
        call: CallText,
        *,
        status: Annotated[int, Meta(ge=200, le=599)] = 200,
        body: str = "",
        media_type: HeaderText = "text/html",
        location: HeaderText | None = None,
        times: Times = 1,
        at: str | None = None,
    ) -> None:
        """Answer the next calls of a kind with a response that is not Plex's, such as a captive portal's page.

        Args:
            call: as in `refuse_next`.
            status: 200 to 599.
            body: the whole body.
            media_type: its Content-Type.
            location: the target of a redirect.
            times: how many calls.
            at: as in `refuse_next`.
        """
        if status in {204, 205, 304} and body:
            raise ValueError(f"an answer with status {status} has no body")
        redirect: Headers = [] if location is None else [(b"location", location.encode())]
        headers = [(b"content-type", media_type.encode()), (b"cache-control", b"no-store"), *redirect]
        answer = OutgoingResponse(status, headers, body.encode())
        self.controller.answer_rules.append(
            CallRule(CallPattern.parse(call, at), times, lambda _site, _request: answer)
        )

    @command("POST", "/delays")
    async def delay(
        self, call: CallText, seconds: Annotated[float, Meta(ge=0, le=3600)], *, times: Times = 1, at: str | None = None
    ) -> None:
        """Delay the next calls of a kind before they are answered; `call` and `at` are as in `refuse_next`."""
        self.controller.delay_rules.append(CallRule(CallPattern.parse(call, at), times, delay_seconds=seconds))

    @command("POST", "/chaos")
    async def chaos(
        self,
        share: Annotated[float, Meta(ge=0, le=1)],
        *,
        seed: int = 0,
        longest: Annotated[float, Meta(ge=0, le=60)] = 0.5,
    ) -> None:
        """Make a share of the calls fail until the next reset: they are refused, answered late, or cut off.

        Args:
            share: 0.05 is one in twenty; 0 ends the chaos.
            seed: the same seed and the same sequence of calls give the same faults.
            longest: the longest delay of a late answer, in seconds.
        """
        self.controller.chaos = Chaos(share, seed, longest) if share else None

    @command("POST", "/places/down")
    async def take_down(self, place: str, *, hangs: bool = False) -> None:
        """Make a place unreachable until `bring_up` or a reset: cut its connections and refuse new ones.

        Args:
            place: `plex.tv`, or a media server by name.
            hangs: leave new connections unanswered instead of refusing them, so that clients time out.
        """
        await self.controller.ports.take_down(place, hangs=hangs)

    @command("POST", "/places/up")
    async def bring_up(self, place: str) -> None:
        """Make a place reachable again, at the same address."""
        await self.controller.ports.bring_up(place)

    @command("GET", "/addresses", result_name="addresses")
    async def _addresses(self) -> list[AddressState]:
        """Return the addresses of media servers that have a listener of their own, and what each received."""
        return [
            AddressState(
                media_server=each.media_server,
                url=each.url,
                behaviour=each.behaviour,
                certificate=each.certificate,
                dns=each.dns,
                connections=each.connections,
                received=len(each.received),
                tokens=len(each.tokens),
            )
            for each in self.controller.addresses
        ]

    @command("POST", "/addresses")
    async def change_address(
        self,
        address: AddressReference,
        *,
        behaviour: Behaviour | None = None,
        delay: Annotated[float, Meta(ge=0, le=3600)] | None = None,
        certificate: CertificateKind | None = None,
        dns: DnsKind | None = None,
    ) -> None:
        """Change what a client meets at an address, until the next reset. Its connections are cut.

        Args:
            address: its URL, or an object that has it. It has to have a listener of its own.
            behaviour: as in a world file, like the arguments below; what is not given stays.
            delay: the seconds of a slow or dripping behaviour.
            certificate: the certificate.
            dns: how the name is resolved.
        """
        found = [each for each in self.controller.addresses if each.url == address]
        if not found:
            raise LookupError("no address with a listener of its own has this URL")
        changes = {"behaviour": behaviour, "delay": delay, "certificate": certificate, "dns": dns}
        await found[0].change(**{name: value for name, value in changes.items() if value is not None})

    @command("GET", "/clock", result_name="now")
    async def _now(self) -> int:
        """Return the clock's time, in seconds since 1970."""
        return self._instance.now()

    @command("POST", "/clock/advance", result_name="now")
    async def advance(
        self, *, days: Duration = 0, hours: Duration = 0, minutes: Duration = 0, seconds: Duration = 0
    ) -> int:
        """Move the clock forwards: PINs, tokens, codes and lock-outs age, and rate limits recover.

        Returns the new time, in seconds since 1970.
        """
        self.controller.clock.advance(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
        return self._instance.now()

    @command("GET", "/requests", result_name="requests")
    async def _requests(self) -> list[Recorded]:
        """Return the requests that came in."""
        return self.controller.requests

    @command("DELETE", "/requests")
    async def _forget_requests(self) -> None:
        """Clear the request log."""
        self.controller.requests.clear()

    @command("POST", "/reset")
    async def reset(self) -> None:
        """Restore the state at the start: world, clock, tokens, limits, rules, chaos, places, requests."""
        await self.controller.reset()

    async def _find_account(self, name: AccountReference | None = None) -> AccountRow:
        """Find an account; by default the world's first."""
        usernames = [account.username for account in self.controller.world.accounts]
        if name is None and not usernames:
            raise LookupError("the world has no account")
        key: Any = usernames[0] if name is None else name
        store = self._instance.store
        if isinstance(key, int):
            row = await store.find_account_by_id(key) if key in _VALID_IDS else None
        else:
            row = await store.find_account_by_login(key)
        if row is None:
            raise LookupError(f"there is no such account; the world has {', '.join(usernames) or 'none'}")
        return row

    async def _set_password(self, row: AccountRow, password: Secret) -> None:
        """Change an account's password; its tokens stay valid."""
        passwords = self._instance.passwords
        if row.password_hash is None:
            raise ValueError("this account has no password: use an account that has one")
        if not passwords.verify_blocking(row.password_hash, password):
            await self._instance.store.control.replace_password_hash(
                row.id, row.password_hash, passwords.hash_blocking(password)
            )

    async def _find_pin(self, name: PinReference) -> PinRow:
        """Find a valid PIN by its id or code."""
        store, now, text = self._instance.store.pins, self._instance.now(), str(name)
        if isinstance(name, int) or (text.isdecimal() and len(text) > 4):
            found = await store.find(int(text), now) if int(text) in _VALID_IDS else None
        else:
            code = pins.normalize_code(text, any_case=True)
            found = await store.find_by_code(code, now) if code else None
        if found is None:
            raise LookupError("no valid PIN has this id or code")
        return found

    async def _end_token(self, token: str | Token, end: Callable[[bytes, int], Awaitable[bool]]) -> Token:
        """Revoke or expire a token in the store, or else revoke it as a transient token of a media server."""
        ended = token if isinstance(token, Token) else Token.from_wire(token)
        was_valid = await end(self._instance.keys.digest(ended.reveal()), self._instance.now())
        if not was_valid and not self.controller.revoke_transient_token(ended.reveal()):
            raise LookupError("this token is not valid")
        return ended

    async def _find_media_server(self, name: str) -> MediaServerRow:
        for row in await self._instance.store.list_media_servers():
            if name in {row.name, row.machine_identifier}:
                return row
        raise LookupError("no media server has this name")
