"""Start a local Plex for a test, and control it from the test's thread.

Rule: the local Plex runs in its own thread, on free loopback ports, with its database in memory. Commands
(`ControlCommands` in local_plex/control/commands.py) may be called from any thread: each hands its work to the local
Plex's event loop and waits for the result. Clients created here reach it in process, without sockets; other programs
use HTTP at `url`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack
from urllib.parse import urlsplit

import ticketstub.local_plex.http.server  # noqa: F401  # pyright: ignore[reportUnusedImport]  # fails if the extra is not installed
from ticketstub.device import Device
from ticketstub.local_plex.control.commands import AccountReference, ControlCommands
from ticketstub.local_plex.control.controller import Controller
from ticketstub.local_plex.control.recorder import RequestLog
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.world.schema import World
from ticketstub.testing.programs import Interceptor, intercept_this_process
from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    import ssl

    from ticketstub.client.async_plex import AsyncPlex
    from ticketstub.client.config import AsyncClientOptions, ClientOptions
    from ticketstub.client.plex import Plex
    from ticketstub.client.transports.base import AsyncTransport, Transport
    from ticketstub.client.transports.in_process import InProcessApp, Reachability
    from ticketstub.dns import ResolvedAddress
    from ticketstub.local_plex.addresses.listener import AddressListener
    from ticketstub.local_plex.listeners import RunningMediaServer

DEVICE = Device(client_identifier="ticketstub-testing", product="Ticketstub", device_name="A test")
"""The device that clients created here identify as."""


class LocalPlexOptions(TypedDict, total=False):
    """How a local Plex is started, apart from its world.

    Args:
        db: a database URL such as `sqlite:///file.db`; by default the database is in memory.
        host: the address of plex.tv.
        port: the port of plex.tv; by default a free one.
        clock: a callable that returns seconds since 1970.
        settings: time and size limits.
    """

    db: str | None
    host: str
    port: int
    clock: Callable[[], float]
    settings: Settings


@contextmanager
def local_plex(
    world: World | Mapping[str, object] | str | Path | None = None, **options: Unpack[LocalPlexOptions]
) -> Generator[LocalPlexController, None, None]:
    """Run a local Plex for as long as the `with` block lasts.

    Args:
        world: a `World`, a mapping as read from TOML, TOML text, or a file; by default the demonstration world.
        options: see `LocalPlexOptions`.

    Raises:
        WorldError: the world is invalid.
        ListenError, StoreError, InstanceKeysError: the local Plex cannot be started.
    """
    controller = Controller()
    with (
        LocalPlex(to_world(world), controller=controller, **options).run_in_thread() as plex,
        Interceptor(plex) as interceptor,
    ):
        yield LocalPlexController(plex, controller, interceptor)


def to_world(world: World | Mapping[str, object] | str | Path | None) -> World:
    """Return the world that a `World`, a mapping, TOML text or a file describes; see `local_plex`."""
    match world:
        case None:
            return World.demo()
        case World():
            return world
        case Mapping():
            return World.from_dict(world)
        case str() if "\n" in world or "[" in world:
            return World.parse(world)
        case _:
            return World.load(world)


class LocalPlexAccount:
    """An account of a controlled local Plex.

    Attributes:
        id: its number.
        username: its user name.
        email: its e-mail address.
        password: its password, if it was given when this object was made; else `None`.
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
        """Create a new token of this account."""
        return self._plex.token_for(self.id)

    def get_code(self) -> str:
        """Return its current verification code."""
        return self._plex.code_for(self.id)

    def client(self, **options: Unpack[ClientOptions]) -> Plex:
        """Return a client that is signed in to this account; it uses no sockets."""
        return self._plex.client(self.id, **options)

    def __repr__(self) -> str:
        return f"<LocalPlexAccount {self.username}>"


class LocalPlexController(ControlCommands):
    """A running local Plex, controlled by a test.

    Its commands raise `LookupError` for what does not exist, `TooLate` for what is already decided, and `ValueError`
    for invalid values.
    """

    def __init__(self, plex: LocalPlex, controller: Controller, interceptor: Interceptor) -> None:
        super().__init__(controller)
        self._plex = plex
        self._interceptor = interceptor

    @property
    def url(self) -> str:
        """The address of plex.tv."""
        return self._plex.url

    @property
    def media_servers(self) -> tuple[RunningMediaServer, ...]:
        """The media servers, each with its `url`."""
        return self._plex.media_servers

    def media_server(self, name: str) -> RunningMediaServer:
        """Return a media server by its name or machine identifier; its `url` is its address."""
        return self._plex.media_server(name)

    @property
    def addresses(self) -> tuple[AddressListener, ...]:
        """The media servers' addresses that have a listener of their own (`behaviour`, `plex_direct` in the world).

        Each has its `url`, and `connections`, `received` and `tokens` of its clients. `change_address` changes one.
        """
        return self._plex.addresses

    @property
    def authority(self) -> str:
        """The certificate authority of the addresses below plex.direct, as PEM; empty if the world has none.

        Programs that are started with `env` trust it already.
        """
        return self._plex.address_authority.decode()

    def create_ssl_context(self) -> ssl.SSLContext:
        """Return a client's TLS context that trusts `authority`, and no other one."""
        import ssl  # loaded only when used

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.authority:
            context.load_verify_locations(cadata=self.authority)
        return context

    def resolve(self, host: str, port: int) -> list[ResolvedAddress]:
        """Look up a name as the world says (`dns` of an address): a `ticketstub.dns.Resolver`.

        A name below plex.direct leads to the address that is written in it. No other name but this machine's is known.

        Raises:
            socket.gaierror: the name has no address.
        """
        from ticketstub.local_plex.addresses.names import resolve_name  # loaded only when used

        return resolve_name(self.addresses, host, port)

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that direct a program in any language to this local Plex.

        Use them as `{**os.environ, **local_plex.env}`. They name a proxy, which starts when this is first read, and a
        certificate authority. The proxy refuses all other hosts except this machine. Programs that use the name
        `plex.tv` get the media servers' plex.direct names, as from Plex itself.
        """
        found = self._interceptor.get_variables()
        self.controller.instance.plex_direct_for_proxied = True
        return found

    def intercept(self) -> AbstractContextManager[None]:
        """Direct this process's own HTTP libraries to this local Plex for as long as the `with` block lasts.

        Inside the block, requests to `https://plex.tv` and to the media servers' plex.direct names reach this local
        Plex, from all libraries that read proxies from the environment: requests (and so python-plexapi), urllib,
        httpx, aiohttp with `trust_env=True`, and `Plex` itself. Create httpx clients inside the block. All other hosts
        except this machine are refused. The environment variables of `env` are set for all threads, and restored
        afterwards.
        """
        return intercept_this_process(self.env)

    @property
    def requests(self) -> RequestLog:
        """The received requests, oldest first, with secrets masked.

        For example `requests[-1].status`, or `requests.filter("POST /api/v2/pins")`.
        """
        return self.controller.requests

    @property
    def now(self) -> int:
        """The current time of the local Plex, in seconds since 1970."""
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
            email: its e-mail address; by default one is made from the user name.
            password: its password; without one, it cannot sign in by password.
            verification_secret: in base 32; signing in then needs a verification code.
            fields: other keys of `[[account]]` in a world file.

        Raises:
            WorldError: the description is invalid.
        """
        account = self._add_account(username, email, password, verification_secret, **fields)
        return LocalPlexAccount(self, account.id, account.username, account.email, password)

    def account(self, name: str | int | None = None, *, password: str | None = None) -> LocalPlexAccount:
        """Return an account; add it if it does not exist.

        Args:
            name: user name, e-mail address or id; by default the world's first account.
            password: its new password.
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
        """Return a client that reaches this local Plex without sockets, but for `addresses`.

        Args:
            account: the account to sign in; by default the world's first one.
            signed_in: whether the client has a token.
            options: arguments of the constructor; a `transport` replaces the in-process one.
        """
        from ticketstub.client.plex import Plex  # the server alone needs no client

        options = {"device": DEVICE, "plex_tv": self.url, "transport": self._create_transport(), **options}
        return Plex(token=self.token_for(account) if signed_in else None, **options)

    def async_client(
        self,
        account: AccountReference | None = None,
        *,
        signed_in: bool = True,
        **options: Unpack[AsyncClientOptions],
    ) -> AsyncPlex:
        """Return an `AsyncPlex`; see `client`."""
        from ticketstub.client.async_plex import AsyncPlex  # as above

        options = {"device": DEVICE, "plex_tv": self.url, "transport": self._create_async_transport(), **options}
        return AsyncPlex(token=self.token_for(account) if signed_in else None, **options)

    def _create_transport(self) -> Transport:
        from ticketstub.client.transports.in_process import InProcessTransport  # as above

        in_process = InProcessTransport(self.create_in_process_app())
        if not self.addresses:
            return in_process
        from ticketstub.client.transports.http1 import StandardTransport  # only for addresses with listeners
        from ticketstub.testing.address_transports import AddressTransport  # as above

        sockets = StandardTransport(
            resolver=self.resolve, find_proxy=lambda _origin: None, ssl_context=self.create_ssl_context()
        )
        return AddressTransport(in_process, sockets, (address.port for address in self.addresses))

    def _create_async_transport(self) -> AsyncTransport:
        from ticketstub.client.transports.in_process import AsyncInProcessTransport  # as above

        in_process = AsyncInProcessTransport(self.create_in_process_app())
        if not self.addresses:
            return in_process
        from ticketstub.client.transports.aiohttp import AiohttpTransport  # as above
        from ticketstub.testing.address_transports import AsyncAddressTransport  # as above

        sockets = AiohttpTransport(
            resolver=self.resolve, find_proxy=lambda _origin: None, ssl_context=self.create_ssl_context()
        )
        return AsyncAddressTransport(in_process, sockets, (address.port for address in self.addresses))

    def create_in_process_app(self) -> InProcessApp:
        """Return the app to which the in-process transports send their requests."""
        from ticketstub.client.transports.in_process import InProcessApp  # as above
        from ticketstub.local_plex.http.response import LOCAL_PLEX_HEADER  # as above

        name, value = LOCAL_PLEX_HEADER
        return InProcessApp(self.controller.app, self.controller.loop, self._check_reach, {name.lower(): value})

    def _check_reach(self, host: str, port: int) -> Reachability:
        url = urlsplit(self.url)
        is_by_name = any(server.https_url == f"https://{host}:{port}" for server in self.media_servers)
        is_local = host in {"127.0.0.1", "localhost", "::1", url.hostname}
        is_open = port == url.port or any(server.port == port for server in self.media_servers)
        return self.controller.ports.get_state(port) if is_by_name or (is_local and is_open) else "refused"

    def __repr__(self) -> str:
        return f"<LocalPlexController {self.url}>"
