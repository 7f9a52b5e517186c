# account.py is generated from this file by scripts/make_sync.py.
"""What every client can do: send calls and run flows; and the methods for the account that is signed in.

Rule: no logic beyond naming things. What both façades have in common is in flows/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Self, Unpack

from ticketstub.client.config import CallSettings, Err, Ok, Options, SharedTransport, T, merge_options
from ticketstub.client.driver import SYSTEM_CLOCK, arun
from ticketstub.client.flows.request import Flow, FlowContext, RenewableTokenSource, run_blocking, send_call
from ticketstub.client.sign_ins import SignInState
from ticketstub.client.transports.base import AsyncTransport
from ticketstub.errors import PlexError
from ticketstub.protocol.call import Call
from ticketstub.tokens import Secret, Token, drop_current_frame, hide_locals

if TYPE_CHECKING:
    from ticketstub.credentials import CredentialStore, StoreKind
    from ticketstub.messages import Response
    from ticketstub.models import Account, HomeUser, Identity, Resource, Role, ServerInformation
    from ticketstub.protocol.media_server import Method


@hide_locals
class AsyncBaseClient:
    """A client: its settings, and the connections that it shares with the clients derived from it."""

    def __init__(self, settings: CallSettings, shared: SharedTransport[AsyncTransport]) -> None:
        self._settings = settings
        self._shared = shared

    @property
    def token(self) -> Token | None:
        """The current token; `None` if there is none or a callable provides it. A JWT changes when it is renewed."""
        source = self._settings.token
        return source() if isinstance(source, RenewableTokenSource) else source if isinstance(source, Token) else None

    async def send(self, call: Call[T], **options: Unpack[Options]) -> T:
        """Make a call and return its value.

        Args:
            call: the call, from `ticketstub.calls`.
            options: how to make the call (see `Options`).

        Raises:
            PlexError: Plex refused or could not be reached; `ticketstub.errors` lists the classes.
            ValueError: an option or the call is invalid; nothing was sent.
        """
        return (await self._run(partial(send_call, call), options))[0]

    async def attempt(self, call: Call[T], **options: Unpack[Options]) -> Ok[T] | Err:
        """Make a call and return `Ok(value, response)` or `Err(error, response)`; never raises a `PlexError`."""
        try:
            return Ok(*await self._run(partial(send_call, call), options))
        except PlexError as error:
            return Err(drop_current_frame(error), error.response)

    async def run_flow(self, flow: Callable[[FlowContext], Flow[T]], **options: Unpack[Options]) -> T:
        """Run a flow, that is several calls that belong together (see `ticketstub.client.flows`).

        Args:
            flow: called with the context, returns the generator.
            options: how to make each of its calls (see `Options`).
        """
        return await self._run(flow, options)

    async def _run(self, flow: Callable[[FlowContext], Flow[T]], options: Options) -> T:
        settings = merge_options(self._settings, options) if options else self._settings
        transport = self._shared.get_transport()
        known = settings.device or self._shared.device
        jobs = self._shared.jobs
        device = await arun(run_blocking(self._shared.load_device), transport, jobs) if known is None else known
        context = FlowContext(settings, device, SYSTEM_CLOCK, self._shared.published_keys, self._shared.known_servers)
        return await arun(flow(context), transport, jobs)

    def with_options(self, **options: Unpack[Options]) -> Self:
        """Return a client with these options that shares this client's connections; this client does not change."""
        copy = object.__new__(type(self))
        AsyncBaseClient.__init__(copy, merge_options(self._settings, options), self._shared)
        return copy

    async def close(self) -> None:
        """Close the connections, also for clients that share them. Using one later raises a `RuntimeError`."""
        if transport := self._shared.mark_closed():
            await transport.close()

    aclose = close  # async only: the name that `contextlib.aclosing` needs

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._settings.server or self._settings.plex_tv}>"

    async def identity(self, **options: Unpack[Options]) -> Identity:
        """Get the media server's identifier and version. No token is sent (documented)."""
        from ticketstub.protocol.media_server import GetIdentity

        return await self.send(GetIdentity(), **options)

    async def server_information(self, **options: Unpack[Options]) -> ServerInformation:
        """Get the media server's name, version, platform and sign-in state (observed)."""
        from ticketstub.protocol.media_server import GetServerInformation

        return await self.send(GetServerInformation(), **options)

    async def get(self, path: str, query: Mapping[str, str] | None = None, **options: Unpack[Options]) -> Response:
        """Send a GET request to the media server; `json()` of the response parses its body.

        Args:
            path: the path with its leading slash, percent-encoded if necessary.
            query: names and values.
            options: how to make the call (see `Options`); `headers={"Accept": "text/xml"}` asks for XML.

        Raises:
            Refusal: a status of 400 or above, by its meaning.
            ValueError: the client has no media server; nothing was sent.
        """
        return await self.request("GET", path, query, **options)

    async def request(
        self,
        method: Method,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        content_type: str | None = None,
        **options: Unpack[Options],
    ) -> Response:
        """Send a request to the media server, as `get` does, with a method, a body and its media type."""
        from ticketstub.protocol.media_server import RawRequest

        return await self.send(
            RawRequest(method=method, path=path, query=dict(query or {}), content=body, content_type=content_type),
            **options,
        )


@hide_locals
class AsyncAccountHandle:
    """The account that a client is signed in to, as it was when it was requested."""

    def __init__(self, client: AsyncBaseClient, details: Account) -> None:
        self._client = client
        self.details = details
        """Everything that plex.tv returned about the account."""

    @property
    def id(self) -> int | None:
        """The account's number."""
        return self.details.id

    @property
    def uuid(self) -> str | None:
        """The account's uuid, 16 hexadecimal digits."""
        return self.details.uuid

    @property
    def name(self) -> str:
        """The user name, else the title, else the e-mail address, else the number."""
        return self.details.username or self.details.title or self.details.email or str(self.details.id)

    async def can_reach(
        self, server: str, *, owned: bool | None = None, owner: int | None = None, **options: Unpack[Options]
    ) -> bool:
        """Ask plex.tv whether the account can reach a media server, its own or one shared with it.

        To decide whom your program admits, name the server by its identifier, and pass the id of your own account as
        `owner`: anybody can give a server the same name as yours.

        Args:
            server: the server's identifier (machineIdentifier) or name.
            owned: `True` counts only servers that the account owns, `False` only those of others.
            owner: the id of the account that owns the server.
            options: how to make the call (see `Options`).
        """
        from ticketstub.client.flows.membership import can_reach
        from ticketstub.protocol.resource import GetResources

        resources = await self._client.send(GetResources(), **options)
        return can_reach(self.details, resources, server, owned=owned, owner=owner)

    async def membership(self, server: str, *, owner: int, **options: Unpack[Options]) -> Role | None:
        """Ask plex.tv in which role the account may use a media server; `None` if it may not.

        A role is returned only for the server with this identifier *and* this owner. Names, friends and e-mail
        addresses are never compared: anybody can choose them, and anybody can run a server with your identifier.

        Args:
            server: the server's identifier (machineIdentifier).
            owner: the id of the account that owns the server.
            options: how to make the call (see `Options`).

        Raises:
            Unauthorized: the token is unknown or revoked. Any other error means that nothing is known.
        """
        from ticketstub.client.flows.membership import determine_role
        from ticketstub.protocol.resource import GetResources

        resources = await self._client.send(GetResources(), **options)
        return determine_role(self.details, resources, server, owner)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


@hide_locals
class AsyncAccountClient(AsyncBaseClient):
    """The methods of `AsyncPlex` for the account that it is signed in to."""

    @property
    def sign_in_state(self) -> SignInState | None:
        """How this client was signed in, where that is stored and until when; `None` if it was given its token."""
        if not isinstance(self._settings.token, RenewableTokenSource):
            return None
        from ticketstub.client.flows.session import get_stored_session

        session = get_stored_session(self._settings)
        return session.state if session else None

    async def account(self, **options: Unpack[Options]) -> AsyncAccountHandle:
        """Get the account from plex.tv.

        Raises:
            Unauthorized: the token is unknown or revoked.
            CredentialsError: the client has no token; nothing was sent.
        """
        from ticketstub.protocol.account import GetTokenDetails

        return AsyncAccountHandle(self, await self.send(GetTokenDetails(), **options))

    async def ping(self, **options: Unpack[Options]) -> bool:
        """Keep the token alive; returns true or raises (observed)."""
        from ticketstub.protocol.account import Ping

        return await self.send(Ping(), **options)

    async def resources(
        self,
        *,
        include_https: bool = True,
        include_relay: bool = True,
        include_ipv6: bool = True,
        **options: Unpack[Options],
    ) -> tuple[Resource, ...]:
        """List the account's media servers and players, each with its addresses and its own token (documented).

        For a JWT, plex.tv returns that JWT as the token of the account's own servers, which refuse it (observed). It is
        replaced by the token of `media_server_token`. If that needs a passcode that was not given before, such a server
        has no `access_token`.

        Args:
            include_https: whether to include https addresses below plex.direct.
            include_relay: whether to include Plex's relays.
            include_ipv6: whether to include IPv6 addresses.
            options: how to make the call (see `Options`).
        """
        from ticketstub.client.flows.home import list_resources
        from ticketstub.protocol.resource import GetResources

        call = GetResources(include_https=include_https, include_relay=include_relay, include_ipv6=include_ipv6)
        return await self.run_flow(partial(list_resources, call), **options)

    async def media_server_token(self, *, passcode: str | Secret | None = None, **options: Unpack[Options]) -> Token:
        """Return a token of this account that its own media servers accept.

        This is the account's token, unless that is a JWT. Then another token is obtained by switching to the current
        user (observed), and stored with the JWT.

        Args:
            passcode: the user's own passcode, if they are protected by one.
            options: how to make the call (see `Options`).

        Raises:
            PasscodeRequired: the passcode is missing or wrong.
            CredentialsError: the client has no token; nothing was sent.
        """
        from ticketstub.client.flows.home import get_media_server_token

        return await self.run_flow(partial(get_media_server_token, passcode), **options)

    async def switch_home_user(
        self,
        user: str | int | HomeUser,
        *,
        passcode: str | Secret | None = None,
        store: CredentialStore | StoreKind | None = None,
        app: str | None = None,
        profile: str | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """Return a client that is signed in as another user of the Home; this client does not change (observed).

        Args:
            user: the user, or their title, user name, e-mail address, uuid or id.
            passcode: the user's passcode, if they are protected by one.
            store: where to store the sign-in, as for `AsyncPlex.sign_in`; by default it is not stored.
            app: the program to store it for; by default the one that this client is signed in for.
            profile: the name to store it under, which replaces what is stored there. Required with `store`.
            options: how to make the calls (see `Options`).

        Raises:
            PasscodeRequired: the passcode is missing or wrong.
            SignInFailed: the Home has no such user, or several.
            CredentialsError: the store cannot be written.
            ValueError: `store` without `profile`; nothing was sent.
        """
        from ticketstub.client.flows.home import sign_in_as_home_user

        session = await self.run_flow(partial(sign_in_as_home_user, user, passcode, store, app, profile), **options)
        return self.with_options(token=session, device=session.device)

    async def renew(self, **options: Unpack[Options]) -> SignInState:
        """Get a new JWT for the device key now, even if it is not due; keep an opaque token alive with a ping.

        Returns:
            How the client is signed in, with the new expiry.

        Raises:
            Refusal: Plex no longer accepts the key or the token.
            CredentialsError: this client was not created by a sign-in; nothing was sent.
        """
        from ticketstub.client.flows.session import renew

        return await self.run_flow(renew, **options)

    async def keep_alive(self, **options: Unpack[Options]) -> float:
        """Do what is due to stay signed in: ping once a day with an opaque token, renew a JWT before it expires.

        A long-running program calls this, sleeps for the returned time, and calls it again.

        Returns:
            Seconds until the next call is due.

        Raises:
            Unauthorized: the token is unknown or revoked; sign in again. After any other error, try again later.
        """
        from ticketstub.client.flows.session import keep_alive

        return await self.run_flow(keep_alive, **options)

    async def sign_out(self, **options: Unpack[Options]) -> None:
        """Revoke the account's token at Plex, then remove the stored sign-in.

        A token that Plex no longer knows is removed too. If Plex cannot be reached, everything stays stored.

        Raises:
            Unreachable, ServerError: the token is still valid.
            CredentialsError: the client has no token, or the stored sign-in cannot be removed.
        """
        from ticketstub.client.flows.session import sign_out

        await self.run_flow(sign_out, **options)
