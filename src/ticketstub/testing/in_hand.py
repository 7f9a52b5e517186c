"""A running local Plex with the tester's hand on it, for the thread of a test.

Rule: each verb hands its work to the local Plex's own event loop and waits for it; what it does and means is the
hand's (server/control/hand.py). Clients made here send into the process itself, by the loopback transports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast
from urllib.parse import urlsplit

from ticketstub.device import Device
from ticketstub.testing.named import AccountInHand, WithCode, name_of, named, pin_of, token_of
from ticketstub.token import Secret, Token

if TYPE_CHECKING:
    from ticketstub.aclient import AsyncPlex
    from ticketstub.client import Plex
    from ticketstub.options import ClientOptions
    from ticketstub.server.control.hand import Hand
    from ticketstub.server.control.recorded import Requests
    from ticketstub.server.control.rules import Refused, Said
    from ticketstub.server.local_plex import LocalPlex
    from ticketstub.server.places import RunningMediaServer
    from ticketstub.testing.lead import Lead
    from ticketstub.transports.loopback import Loopback, Reach

DEVICE = Device(client_identifier="ticketstub-testing", product="Ticketstub", device_name="A test")
"""Whom clients made here say they are."""


T = TypeVar("T")
_PATIENCE = 60.0


class PlexInHand:
    """A running local Plex and the tester's hand on it.

    Its verbs raise `LookupError` for what does not exist, `TooLate` for what was decided already, and `ValueError` for
    what cannot be.
    """

    def __init__(self, plex: LocalPlex, hand: Hand, lead: Lead) -> None:
        self._plex = plex
        self._hand = hand
        self._lead = lead

    @property
    def url(self) -> str:
        """plex.tv's address."""
        return self._plex.url

    @property
    def media_servers(self) -> tuple[RunningMediaServer, ...]:
        """The media servers, each with its `url`."""
        return self._plex.media_servers

    def media_server(self, name: str) -> RunningMediaServer:
        """Return a media server by its name or machine identifier; its `url` is where it answers."""
        return self._plex.media_server(name)

    @property
    def env(self) -> dict[str, str]:
        """The environment variables by which a program in any language finds it in Plex's place.

        Use it as `{**os.environ, **local_plex.env}`. They name a proxy, which is started with their first use, and an
        authority. Other hosts are refused, this machine excepted. Who asks plex.tv by its name is told of media servers
        by theirs below plex.direct, as by Plex itself.
        """
        found = self._lead.variables()
        self._hand.instance.leads_by_name = True
        return found

    def lead(self) -> AbstractContextManager[None]:
        """Lead this process's own HTTP libraries to this local Plex, for as long as the `with` lasts.

        Within it, `https://plex.tv` and the media servers' names below plex.direct lead here, for libraries that take
        proxies from the environment: requests (and so python-plexapi), urllib, httpx, aiohttp with `trust_env=True`,
        and `Plex` itself. An httpx client is to be made within it. Other hosts are refused, this machine excepted. It
        sets the environment variables of `env`, for all threads, and puts back what was there.
        """
        from ticketstub.testing.lead import lead_this_process  # loaded only to be used

        return lead_this_process(self.env)

    @property
    def requests(self) -> Requests:
        """What came in, oldest first, secrets masked: `requests[-1].status`, `requests.of("POST /api/v2/pins")`."""
        return self._hand.requests

    @property
    def now(self) -> int:
        """What its clock shows, in seconds since 1970."""
        return self._hand.instance.now()

    def approve(self, pin: int | str | WithCode, account: str | int | AccountInHand | None = None) -> None:
        """Approve a PIN, as its user would in the browser.

        Args:
            pin: its id, its code, or what has one: a `Pin`, or a begun sign-in.
            account: who approves it: a user name, e-mail address or id; by default the world's first account.
        """
        self._do(self._hand.approve(pin_of(pin), name_of(account)))

    def deny(self, pin: int | str | WithCode) -> None:
        """Deny a PIN, as its user would in the browser."""
        self._do(self._hand.deny(pin_of(pin)))

    def refuse_next(
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
        """
        how: Refused = {"status": status, "code": code, "message": message, "retry_after": retry_after, "body": body}
        self._do(self._hand.refuse_next(call, times=times, at=at, **how))

    def answer_next(
        self,
        call: str,
        *,
        status: int = 200,
        body: str = "",
        media_type: str = "text/html",
        location: str | None = None,
        times: int = 1,
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
        what: Said = {"status": status, "body": body, "media_type": media_type, "location": location}
        self._do(self._hand.answer_next(call, times=times, at=at, **what))

    def take_down(self, place: str, *, hangs: bool = False) -> None:
        """Let a place be unreachable, until `bring_up` or a reset: its connections end, and new ones are refused.

        Args:
            place: `plex.tv`, or a media server by name.
            hangs: whether new connections are not even refused: whoever connects waits until its time is over.
        """
        self._do(self._hand.take_down(place, hangs=hangs))

    def bring_up(self, place: str) -> None:
        """Let a place be reached again, at the same address."""
        self._do(self._hand.bring_up(place))

    def share(self, media_server: str, account: str | int | AccountInHand) -> None:
        """Share a media server with an account, which has it among its resources then, with a token of its own."""
        self._do(self._hand.people.share(media_server, named(account)))

    def unshare(self, media_server: str, account: str | int | AccountInHand) -> None:
        """End a share: the account's token for the server dies, and the server is not among its resources."""
        self._do(self._hand.people.unshare(media_server, named(account)))

    def delay(self, call: str, seconds: float, *, times: int = 1, at: str | None = None) -> None:
        """Let the next calls of a kind wait before they are answered; `call` and `at` as in `refuse_next`."""
        self._do(self._hand.delay(call, seconds, times=times, at=at))

    def chaos(self, share: float, *, seed: int = 0, longest: float = 0.5) -> None:
        """Let a share of the calls go wrong until the next reset: refused, late, or cut off.

        Args:
            share: 0.05 is one of twenty; 0 ends it.
            seed: the same seed and sequence of calls make the same trouble.
            longest: seconds that a late answer waits at most.
        """
        self._do(self._hand.chaos(share, seed=seed, longest=longest))

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move its clock forwards: PINs, tokens, codes and lock-outs grow old, and limits of pace have room again."""
        self._do(self._hand.advance(days=days, hours=hours, minutes=minutes, seconds=seconds))

    def revoke(self, token: str | Token) -> None:
        """End a token, as a sign-out would."""
        self._do(self._hand.revoke(token_of(token)))

    def expire(self, what: Token | int | str | WithCode) -> None:
        """End the time of a token (a `Token`), or of a PIN (its id, its code, or what has one)."""
        self._do(self._hand.expire(what if isinstance(what, Token) else pin_of(what)))

    def reset(self) -> None:
        """Put everything back as it was at the start: world, clock, tokens, limits, rules, chaos, places, requests."""
        self._do(self._hand.reset())

    def add_account(self, username: str, **described: object) -> AccountInHand:
        """Add an account until the next reset.

        Args:
            username: its user name.
            described: as `[[account]]` of a world file has it: `password`, `email`, `verification_secret` …

        Raises:
            WorldError: the description is faulty.
        """
        row = self._do(self._hand.people.add({"username": username, **described}))
        return AccountInHand(self, row, cast("str | None", described.get("password")))

    def account(self, name: str | int | None = None, *, password: str | None = None) -> AccountInHand:
        """Return an account, made if there is none of that name.

        Args:
            name: user name, e-mail address or id; by default the world's first account.
            password: what signs it in from now on.
        """
        try:
            row = self._do(self._hand.people.find(name))
        except LookupError:
            if not isinstance(name, str):
                raise
            given = {"email": name} if "@" in name else {}
            given |= {"password": password} if password else {}
            return self.add_account(name.partition("@")[0], **given)
        if password is not None:
            self._do(self._hand.people.set_password(row.id, Secret(password)))
        return AccountInHand(self, row, password)

    def code_for(self, account: str | int | AccountInHand | None = None) -> str:
        """Return an account's verification code of now. Each works once; `advance(seconds=30)` leads to the next."""
        return self._do(self._hand.people.code_for(name_of(account))).reveal()

    def token_for(self, account: str | int | AccountInHand | None = None) -> Token:
        """Make a new token of an account's own; by default of the world's first."""
        return self._do(self._hand.people.token_for(name_of(account)))

    def client(
        self,
        account: str | int | AccountInHand | None = None,
        *,
        signed_in: bool = True,
        **options: Unpack[ClientOptions],
    ) -> Plex:
        """Return a client that reaches this local Plex without sockets.

        Args:
            account: who is signed in; by default the world's first account.
            signed_in: whether anybody is.
            options: as the constructor's arguments of these names; `transport` in place of ours.
        """
        from ticketstub.client import Plex  # a server alone needs no client
        from ticketstub.transports.loopback import LoopbackTransport  # likewise

        given = self._with_defaults(options, LoopbackTransport(self.loopback()))
        return Plex(token=self.token_for(account) if signed_in else None, **given)

    def async_client(
        self,
        account: str | int | AccountInHand | None = None,
        *,
        signed_in: bool = True,
        **options: Unpack[ClientOptions],
    ) -> AsyncPlex:
        """As `client`, for `AsyncPlex`."""
        from ticketstub.aclient import AsyncPlex  # as above
        from ticketstub.transports.loopback import AsyncLoopbackTransport  # likewise

        given = self._with_defaults(options, AsyncLoopbackTransport(self.loopback()))
        return AsyncPlex(token=self.token_for(account) if signed_in else None, **given)

    def _with_defaults(self, options: ClientOptions, transport: object) -> ClientOptions:
        options.setdefault("device", DEVICE)
        options.setdefault("plex_tv", self.url)
        options.setdefault("transport", transport)
        return options

    def loopback(self) -> Loopback:
        """Return what the transports without sockets send into."""
        from ticketstub.server.answers import STAND_IN  # likewise
        from ticketstub.transports.loopback import Loopback  # likewise

        name, value = STAND_IN
        return Loopback(self._hand.app, self._hand.loop, self._reach, {name.lower(): value})

    def _reach(self, host: str, port: int) -> Reach:
        own = {urlsplit(self.url).port, *(server.port for server in self.media_servers)}
        names = {"127.0.0.1", "localhost", "::1", urlsplit(self.url).hostname}
        by_https = {server.https_url for server in self.media_servers}
        if f"https://{host}:{port}" not in by_https and (port not in own or host not in names):
            return "refused"
        ports = self._hand.ports
        return "refused" if ports.is_down(port) else "silent" if ports.hangs(port) else "answers"

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a verb on the local Plex's own event loop."""
        try:
            doing = asyncio.run_coroutine_threadsafe(work, self._hand.loop)
        except RuntimeError:  # the loop is closed
            work.close()
            raise RuntimeError("the local Plex has ended") from None
        return doing.result(_PATIENCE)

    def __repr__(self) -> str:
        return f"<PlexInHand {self.url}>"
