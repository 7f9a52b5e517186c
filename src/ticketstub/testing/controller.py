"""A running local Plex with the tester's hand on it, for the thread of a test.

Rule: its commands are `ControlCommands` (local_plex/control/commands.py): each hands its work to the local Plex's own
event loop and waits for it. Clients made here send into the process itself, by the loopback transports.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Unpack
from urllib.parse import urlsplit

from ticketstub.device import Device
from ticketstub.local_plex.control.commands import AccountReference, ControlCommands
from ticketstub.local_plex.control.recorder import RequestLog
from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.client.async_plex import AsyncPlex
    from ticketstub.client.config import ClientOptions
    from ticketstub.client.plex import Plex
    from ticketstub.client.transports.in_process import InProcessApp, Reachability
    from ticketstub.local_plex.control.controller import Controller
    from ticketstub.local_plex.http.listeners import RunningMediaServer
    from ticketstub.local_plex.local_plex import LocalPlex
    from ticketstub.testing.programs import Interceptor

DEVICE = Device(client_identifier="ticketstub-testing", product="Ticketstub", device_name="A test")
"""Whom clients made here say they are."""


class LocalPlexAccount:
    """An account of a local Plex in hand.

    Attributes:
        id: its number.
        username: its user name.
        email: its e-mail address.
        password: what signs it in, as far as it was given.
    """

    def __init__(
        self, plex: LocalPlexController, account_id: int, username: str | None, email: str | None, password: str | None
    ) -> None:
        self._plex = plex
        self.id = account_id
        self.username = username or ""
        self.email = email or ""
        self.password = None if password is None else Secret(password)

    def create_token(self) -> Token:
        """Make a new token of its own."""
        return self._plex.token_for(self.id)

    def get_code(self) -> str:
        """Return its verification code of now."""
        return self._plex.code_for(self.id)

    def client(self, **options: Unpack[ClientOptions]) -> Plex:
        """Return a client signed in to it, without sockets."""
        return self._plex.client(self.id, **options)

    def __repr__(self) -> str:
        return f"<AccountInHand {self.username}>"


class LocalPlexController(ControlCommands):
    """A running local Plex and the tester's hand on it.

    Its verbs raise `LookupError` for what does not exist, `TooLate` for what was decided already, and `ValueError` for
    what cannot be.
    """

    def __init__(self, plex: LocalPlex, controller: Controller, interceptor: Interceptor) -> None:
        super().__init__(controller)
        self._plex = plex
        self._interceptor = interceptor

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
        found = self._interceptor.get_variables()
        self.controller.instance.plex_direct_for_proxied = True
        return found

    def intercept(self) -> AbstractContextManager[None]:
        """Lead this process's own HTTP libraries to this local Plex, for as long as the `with` lasts.

        Within it, `https://plex.tv` and the media servers' names below plex.direct lead here, for libraries that take
        proxies from the environment: requests (and so python-plexapi), urllib, httpx, aiohttp with `trust_env=True`,
        and `Plex` itself. An httpx client is to be made within it. Other hosts are refused, this machine excepted. It
        sets the environment variables of `env`, for all threads, and puts back what was there.
        """
        from ticketstub.testing.programs import intercept_this_process  # loaded only to be used

        return intercept_this_process(self.env)

    @property
    def requests(self) -> RequestLog:
        """What came in, oldest first, secrets masked: `requests[-1].status`, `requests.of("POST /api/v2/pins")`."""
        return self.controller.requests

    @property
    def now(self) -> int:
        """What its clock shows, in seconds since 1970."""
        return self.controller.instance.now()

    def add_account(
        self,
        username: str,
        *,
        email: str | None = None,
        password: str | None = None,
        verification_secret: str | None = None,
        **fields: object,
    ) -> LocalPlexAccount:
        """Add an account until the next reset.

        Args:
            username: its user name.
            email: its address; by default one is made of the user name.
            password: what signs it in; by default nothing does.
            verification_secret: base 32: sign-in then needs a code.
            fields: what else `[[account]]` of a world file may have.

        Raises:
            WorldError: the description is faulty.
        """
        account = self._add_account(username, email, password, verification_secret, **fields)
        return LocalPlexAccount(self, account.id, account.username, account.email, password)

    def account(self, name: str | int | None = None, *, password: str | None = None) -> LocalPlexAccount:
        """Return an account, made if there is none of that name.

        Args:
            name: user name, e-mail address or id; by default the world's first account.
            password: what signs it in from now on.
        """
        try:
            row = self.controller.run(self._find_account(name))
        except LookupError:
            if not isinstance(name, str):
                raise
            return self.add_account(name.partition("@")[0], email=name if "@" in name else None, password=password)
        if password is not None:
            self.controller.run(self._set_password(row, Secret(password)))
        return LocalPlexAccount(self, row.id, row.record.username, row.record.email, password)

    def client(
        self,
        account: AccountReference | None = None,
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
        from ticketstub.client.plex import Plex  # a server alone needs no client
        from ticketstub.client.transports.in_process import InProcessTransport  # likewise

        merged = self._merge_defaults(options, InProcessTransport(self.create_loopback()))
        return Plex(token=self.token_for(account) if signed_in else None, **merged)

    def async_client(
        self,
        account: AccountReference | None = None,
        *,
        signed_in: bool = True,
        **options: Unpack[ClientOptions],
    ) -> AsyncPlex:
        """As `client`, for `AsyncPlex`."""
        from ticketstub.client.async_plex import AsyncPlex  # as above
        from ticketstub.client.transports.in_process import AsyncInProcessTransport  # likewise

        merged = self._merge_defaults(options, AsyncInProcessTransport(self.create_loopback()))
        return AsyncPlex(token=self.token_for(account) if signed_in else None, **merged)

    def _merge_defaults(self, options: ClientOptions, transport: object) -> ClientOptions:
        defaults: ClientOptions = {"device": DEVICE, "plex_tv": self.url, "transport": transport}
        return {**defaults, **options}

    def create_loopback(self) -> InProcessApp:
        """Return what the transports without sockets send into."""
        from ticketstub.client.transports.in_process import InProcessApp  # likewise
        from ticketstub.local_plex.http.response import LOCAL_PLEX_HEADER  # likewise

        name, value = LOCAL_PLEX_HEADER
        return InProcessApp(self.controller.app, self.controller.loop, self._check_reach, {name.lower(): value})

    def _check_reach(self, host: str, port: int) -> Reachability:
        ports = {urlsplit(self.url).port, *(server.port for server in self.media_servers)}
        names = {"127.0.0.1", "localhost", "::1", urlsplit(self.url).hostname}
        https_urls = {server.https_url for server in self.media_servers}
        if f"https://{host}:{port}" not in https_urls and (port not in ports or host not in names):
            return "refused"
        return self.controller.ports.get_state(port)

    def __repr__(self) -> str:
        return f"<PlexInHand {self.url}>"
