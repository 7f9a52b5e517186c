# signed_in.py is generated from this file by scripts/make_sync.py.
"""What every client does: it sends calls and follows flows; and what one does for the account that is signed in.

Rule: no logic beyond naming things; what both façades must do alike is in flows/.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from ticketstub.client.config import Options, Settings, derived
from ticketstub.client.driver import SENSES, arun
from ticketstub.client.flows.request import Caller, exchange
from ticketstub.client.flows.steps import Flow, Living, do
from ticketstub.client.link import Link
from ticketstub.client.outcome import Err, Ok, Outcome
from ticketstub.client.transports.base import AsyncTransport
from ticketstub.errors import PlexError
from ticketstub.protocol.call import Call
from ticketstub.tokens import Secret, Token
from ticketstub.tracebacks import hide_locals, without_this_frame

if TYPE_CHECKING:
    from ticketstub.client.flows.stored_session import SignedIn
    from ticketstub.models import Account, HomeUser, Identity, Resource, ServerInformation

V = TypeVar("V")


@hide_locals
class AsyncSender:
    """What sends calls: its settings, and the connections that it shares with those derived from it."""

    def __init__(self, settings: Settings, link: Link[AsyncTransport]) -> None:
        self._settings = settings
        self._link = link

    async def send(self, call: Call[V], **options: Unpack[Options]) -> V:
        """Make a call and return its value.

        Args:
            call: what to ask, as a value.
            options: how (see `Options`), for this call only.

        Raises:
            PlexError: whatever Plex or the network did; its kinds are drawn in `ticketstub.errors`.
            ValueError: an option or the call itself is wrong; nothing was sent.
        """
        return (await self.follow(partial(exchange, call), **options))[0]

    async def attempt(self, call: Call[V], **options: Unpack[Options]) -> Outcome[V]:
        """Make a call and return `Ok(value, response)` or `Err(error, response)`; never raises a `PlexError`."""
        try:
            return Ok(*await self.follow(partial(exchange, call), **options))
        except PlexError as error:
            return Err(without_this_frame(error), error.response)

    async def follow(self, flow: Callable[[Caller], Flow[V]], **options: Unpack[Options]) -> V:
        """Run a flow: several calls that belong together (see `ticketstub.client.flows`).

        Args:
            flow: given who calls, makes the generator.
            options: how (see `Options`), for each of its calls.
        """
        settings = derived(self._settings, options) if options else self._settings
        transport = self._link.open()
        device = settings.device or self._link.remembered
        if device is None:
            device = await arun(do(self._link.remember), transport)
        return await arun(flow(Caller(settings, device, SENSES, self._link.published)), transport)

    def with_options(self, **options: Unpack[Options]) -> Self:
        """Return a client with these options that shares this one's connections; this one stays as it is."""
        copy = object.__new__(type(self))
        AsyncSender.__init__(copy, derived(self._settings, options), self._link)
        return copy

    async def close(self) -> None:
        """Close the connections, also of the clients that share them. Using one of them later is an error."""
        if transport := self._link.close():
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


@hide_locals
class AsyncSignedInAccount:
    """The account that a client is signed in to, as it was when it was asked for."""

    def __init__(self, sender: AsyncSender, details: Account) -> None:
        self._sender = sender
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
        known = self._details
        return known.username or known.title or known.email or str(known.id)

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
        from ticketstub.client.flows.servers import reaches
        from ticketstub.protocol.resource import GetResources

        found = await self._sender.send(GetResources(), **options)
        return reaches(self._details, found, server, owned=owned, owner=owner)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


@hide_locals
class AsyncSignedInSender(AsyncSender):
    """What `AsyncPlex` does for the account that it is signed in to."""

    @property
    def signed_in(self) -> SignedIn | None:
        """How this client was signed in, since when and until when; `None` where it was given its token."""
        if not isinstance(self._settings.token, Living):
            return None
        from ticketstub.client.flows.stored_session import kept_in

        kept = kept_in(self._settings)
        return kept.signed_in if kept else None

    @property
    def token(self) -> Token | None:
        """The account's token as it is now, if it is not a callable's affair. A JWT is another one after a renewal."""
        held = self._settings.token
        return held() if isinstance(held, Living) else held if isinstance(held, Token) else None

    async def account(self, **options: Unpack[Options]) -> AsyncSignedInAccount:
        """Ask plex.tv whose account this is.

        Raises:
            Unauthorized: the token is unknown or revoked.
            CredentialsError: the client has no token; nothing was sent.
        """
        from ticketstub.protocol.account import GetTokenDetails

        return AsyncSignedInAccount(self, await self.send(GetTokenDetails(), **options))

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
        from ticketstub.client.flows.servers import resources
        from ticketstub.protocol.resource import GetResources

        call = GetResources(include_https=include_https, include_relay=include_relay, include_ipv6=include_ipv6)
        return await self.follow(partial(resources, call), **options)

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
        from ticketstub.client.flows.home import media_server_token

        return await self.follow(partial(media_server_token, passcode), **options)

    async def switch_home_user(
        self, user: str | int | HomeUser, *, passcode: str | Secret | None = None, **options: Unpack[Options]
    ) -> Self:
        """Return a client that is signed in as another user of the Home; this one stays as it is (observed).

        The other's token is not kept: switch again next time.

        Args:
            user: the user, or its title, user name, e-mail address, uuid or id.
            passcode: the user's digits, where it is protected.
            options: how to make the calls (see `Options`).

        Raises:
            PasscodeRequired: the passcode is missing or wrong.
            SignInFailed: the Home has no such user, or several.
        """
        from ticketstub.client.flows.home import switched

        account = await self.follow(partial(switched, user, passcode), **options)
        return self.with_options(token=account.auth_token)

    async def renew(self, **options: Unpack[Options]) -> SignedIn:
        """Get a new JWT for the device key at once, whether or not it is time; keep an opaque token alive with a ping.

        Returns:
            How the client is signed in now, with the new time.

        Raises:
            Refusal: Plex no longer takes the key, or the token.
            CredentialsError: this client was not made by a sign-in; nothing was sent.
        """
        from ticketstub.client.flows.session import renew

        return await self.follow(renew, **options)

    async def keep_alive(self, **options: Unpack[Options]) -> float:
        """Do what is due now to stay signed in: ping with an opaque token once a day, renew a JWT in time.

        A long-running program calls this, sleeps as long as it says, and calls it again.

        Returns:
            In how many seconds it should be called again.

        Raises:
            Unauthorized: the token is unknown or revoked; sign in again. Other errors of the call mean: try later.
        """
        from ticketstub.client.flows.session import keep_alive

        return await self.follow(keep_alive, **options)

    async def sign_out(self, **options: Unpack[Options]) -> None:
        """End the account's token at Plex, then forget what was kept of the sign-in.

        What Plex no longer knows is forgotten too. If Plex cannot be reached, everything stays kept.

        Raises:
            Unreachable, ServerError: the token still lives.
            CredentialsError: the client has no token, or what was kept cannot be removed.
        """
        from ticketstub.client.flows.session import sign_out

        await self.follow(sign_out, **options)
