# account.py is generated from this file by scripts/make_sync.py.
"""What every client can do: send calls and run flows; and the methods for the account that is signed in.

Rule: no logic beyond naming things. What both façades have in common is in flows/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from ticketstub.client.config import CallSettings, Err, Ok, Options, Outcome, SharedTransport, merge_options
from ticketstub.client.driver import SYSTEM_CLOCK, arun
from ticketstub.client.flows.request import Flow, FlowContext, RenewableTokenSource, run_blocking, send_call
from ticketstub.client.sign_ins import SignInState
from ticketstub.client.transports.base import AsyncTransport
from ticketstub.errors import PlexError
from ticketstub.protocol.call import Call
from ticketstub.tokens import Secret, Token
from ticketstub.tracebacks import drop_current_frame, hide_locals

if TYPE_CHECKING:
    from ticketstub.credentials import CredentialStore, StoreKind
    from ticketstub.messages import Response
    from ticketstub.models import Account, HomeUser, Identity, Resource, ServerInformation
    from ticketstub.protocol.media_server import Method

V = TypeVar("V")


@hide_locals
class AsyncBaseClient:
    """What sends calls: its settings, and the connections that it shares with those derived from it."""

    def __init__(self, settings: CallSettings, shared: SharedTransport[AsyncTransport]) -> None:
        self._settings = settings
        self._shared = shared

    async def send(self, call: Call[V], **options: Unpack[Options]) -> V:
        """Make a call and return its value.

        Args:
            call: what to ask, as a value.
            options: how (see `Options`), for this call only.

        Raises:
            PlexError: whatever Plex or the network did; its kinds are drawn in `ticketstub.errors`.
            ValueError: an option or the call itself is wrong; nothing was sent.
        """
        return (await self.run_flow(partial(send_call, call), **options))[0]

    async def attempt(self, call: Call[V], **options: Unpack[Options]) -> Outcome[V]:
        """Make a call and return `Ok(value, response)` or `Err(error, response)`; never raises a `PlexError`."""
        try:
            return Ok(*await self.run_flow(partial(send_call, call), **options))
        except PlexError as error:
            return Err(drop_current_frame(error), error.response)

    async def run_flow(self, flow: Callable[[FlowContext], Flow[V]], **options: Unpack[Options]) -> V:
        """Run a flow: several calls that belong together (see `ticketstub.client.flows`).

        Args:
            flow: given who calls, makes the generator.
            options: how (see `Options`), for each of its calls.
        """
        settings = merge_options(self._settings, options) if options else self._settings
        transport = self._shared.get_transport()
        device = settings.device or self._shared.device
        if device is None:
            device = await arun(run_blocking(self._shared.load_device), transport)
        return await arun(flow(FlowContext(settings, device, SYSTEM_CLOCK, self._shared.published_keys)), transport)

    def with_options(self, **options: Unpack[Options]) -> Self:
        """Return a client with these options that shares this one's connections; this one stays as it is."""
        copy = object.__new__(type(self))
        AsyncBaseClient.__init__(copy, merge_options(self._settings, options), self._shared)
        return copy

    async def close(self) -> None:
        """Close the connections, also of the clients that share them. Using one of them later is an error."""
        if transport := self._shared.mark_closed():
            await transport.close()

    aclose = close  # async only: the name that `contextlib.aclosing` asks for

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._settings.server or self._settings.plex_tv}>"

    async def identity(self, **options: Unpack[Options]) -> Identity:
        """Ask the media server who it is. No token is sent (documented)."""
        from ticketstub.protocol.media_server import GetIdentity

        return await self.send(GetIdentity(), **options)

    async def server_information(self, **options: Unpack[Options]) -> ServerInformation:
        """Ask the media server about itself: name, version, platform, whether it is signed in (observed)."""
        from ticketstub.protocol.media_server import GetServerInformation

        return await self.send(GetServerInformation(), **options)

    async def get(self, path: str, query: Mapping[str, str] | None = None, **options: Unpack[Options]) -> Response:
        """Send any other GET request to the media server; `json()` reads the response.

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
        """Send any other request to the media server; like `get`, with a method, a body and its media type."""
        from ticketstub.protocol.media_server import RawRequest

        call = RawRequest(method=method, path=path, query=dict(query or {}), content=body, content_type=content_type)
        return await self.send(call, **options)


@hide_locals
class AsyncAccountHandle:
    """The account that a client is signed in to, as it was when it was asked for."""

    def __init__(self, client: AsyncBaseClient, details: Account) -> None:
        self._client = client
        self._details = details

    @property
    def details(self) -> Account:
        """Everything that plex.tv says of it."""
        return self._details

    @property
    def id(self) -> int | None:
        """Its number."""
        return self._details.id

    @property
    def uuid(self) -> str | None:
        """Its other number, 16 hexadecimal digits."""
        return self._details.uuid

    @property
    def name(self) -> str:
        """What to call it: user name, else title, else e-mail address, else its number."""
        details = self._details
        return details.username or details.title or details.email or str(details.id)

    async def can_reach(
        self, server: str, *, owned: bool | None = None, owner: int | None = None, **options: Unpack[Options]
    ) -> bool:
        """Ask plex.tv whether the account can reach a media server, its own or one that is shared with it.

        To let people in because of it, name the server by its identifier and give `owner`, your own account's id: a
        name is chosen by whoever owns a server, and anybody can own one that is called like yours.

        Args:
            server: its identifier (machineIdentifier), or its name.
            owned: whether only servers that the account owns count, or only those of others.
            owner: the id of the account that owns it.
            options: how to make the call (see `Options`).
        """
        from ticketstub.client.flows.home import can_reach
        from ticketstub.protocol.resource import GetResources

        resources = await self._client.send(GetResources(), **options)
        return can_reach(self._details, resources, server, owned=owned, owner=owner)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


@hide_locals
class AsyncAccountClient(AsyncBaseClient):
    """What `AsyncPlex` does for the account that it is signed in to."""

    @property
    def sign_in_state(self) -> SignInState | None:
        """How this client was signed in, since when and until when; `None` where it was given its token."""
        if not isinstance(self._settings.token, RenewableTokenSource):
            return None
        from ticketstub.client.flows.session import get_stored_session

        session = get_stored_session(self._settings)
        return session.state if session else None

    @property
    def token(self) -> Token | None:
        """The account's token as it is now, if it is not a callable's affair. A JWT is another one after a renewal."""
        source = self._settings.token
        return source() if isinstance(source, RenewableTokenSource) else source if isinstance(source, Token) else None

    async def account(self, **options: Unpack[Options]) -> AsyncAccountHandle:
        """Ask plex.tv whose account this is.

        Raises:
            Unauthorized: the token is unknown or revoked.
            CredentialsError: the client has no token; nothing was sent.
        """
        from ticketstub.protocol.account import GetTokenDetails

        return AsyncAccountHandle(self, await self.send(GetTokenDetails(), **options))

    async def ping(self, **options: Unpack[Options]) -> bool:
        """Keep the token alive; true, or an error (observed)."""
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

        For a JWT plex.tv names that JWT as the token of the account's own servers, which refuse it (observed). In its
        place stands the token of `media_server_token`; where a passcode is needed for that and none was given before,
        such a server has no `access_token` here.

        Args:
            include_https: whether addresses are given as https ones of plex.direct.
            include_relay: whether Plex's relays are among them.
            include_ipv6: whether IPv6 addresses are.
            options: how to make the call (see `Options`).
        """
        from ticketstub.client.flows.home import list_resources
        from ticketstub.protocol.resource import GetResources

        call = GetResources(include_https=include_https, include_relay=include_relay, include_ipv6=include_ipv6)
        return await self.run_flow(partial(list_resources, call), **options)

    async def media_server_token(self, *, passcode: str | Secret | None = None, **options: Unpack[Options]) -> Token:
        """Return a token of this account that its own media servers take.

        That is the account's token, unless that is a JWT: then one is got by switching to the user that one is already
        (observed), and kept beside the JWT.

        Args:
            passcode: the user's own digits, where it is protected.
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
        """Return a client that is signed in as another user of the Home; this one stays as it is (observed).

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

        flow = partial(sign_in_as_home_user, user, passcode, store, app, profile)
        session = await self.run_flow(flow, **options)
        return self.with_options(token=session, device=session.device)

    async def renew(self, **options: Unpack[Options]) -> SignInState:
        """Get a new JWT for the device key at once, whether or not it is time; keep an opaque token alive with a ping.

        Returns:
            How the client is signed in now, with the new time.

        Raises:
            Refusal: Plex no longer takes the key, or the token.
            CredentialsError: this client was not made by a sign-in; nothing was sent.
        """
        from ticketstub.client.flows.session import renew

        return await self.run_flow(renew, **options)

    async def keep_alive(self, **options: Unpack[Options]) -> float:
        """Do what is due now to stay signed in: ping with an opaque token once a day, renew a JWT in time.

        A long-running program calls this, sleeps as long as it says, and calls it again.

        Returns:
            In how many seconds it should be called again.

        Raises:
            Unauthorized: the token is unknown or revoked; sign in again. Other errors of the call mean: try later.
        """
        from ticketstub.client.flows.session import keep_alive

        return await self.run_flow(keep_alive, **options)

    async def sign_out(self, **options: Unpack[Options]) -> None:
        """End the account's token at Plex, then forget what was kept of the sign-in.

        What Plex no longer knows is forgotten too. If Plex cannot be reached, everything stays kept.

        Raises:
            Unreachable, ServerError: the token still lives.
            CredentialsError: the client has no token, or what was kept cannot be removed.
        """
        from ticketstub.client.flows.session import sign_out

        await self.run_flow(sign_out, **options)
