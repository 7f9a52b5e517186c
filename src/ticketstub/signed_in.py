"""What the sync client does for the account that is signed in: ask about it, renew, switch users, sign out.

Rule: no logic beyond naming things; what both façades must do alike is in flows/. Its twin is asigned_in.py: same
names, same signatures, same requests.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self, Unpack

from ticketstub.driver import Sender
from ticketstub.flows.steps import Living
from ticketstub.frames import hide_locals
from ticketstub.options import Options
from ticketstub.token import Secret, Token

if TYPE_CHECKING:
    from ticketstub.flows.kept import SignedIn
    from ticketstub.records import Account, HomeUser, Resource


@hide_locals
class SignedInAccount:
    """The account that a client is signed in to, as it was when it was asked for."""

    def __init__(self, sender: Sender, details: Account) -> None:
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

    def can_reach(
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
        from ticketstub.flows.servers import reaches
        from ticketstub.wire.resources import GetResources

        found = self._sender.send(GetResources(), **options)
        return reaches(self._details, found, server, owned=owned, owner=owner)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


@hide_locals
class SignedInSender(Sender):
    """What `Plex` does for the account that it is signed in to."""

    @property
    def signed_in(self) -> SignedIn | None:
        """How this client was signed in, since when and until when; `None` where it was given its token."""
        if not isinstance(self._settings.token, Living):
            return None
        from ticketstub.flows.kept import kept_in

        kept = kept_in(self._settings)
        return kept.signed_in if kept else None

    @property
    def token(self) -> Token | None:
        """The account's token as it is now, if it is not a callable's affair. A JWT is another one after a renewal."""
        held = self._settings.token
        if held is None or isinstance(held, Token):
            return held
        from ticketstub.flows.kept import token_in

        return token_in(self._settings)

    def account(self, **options: Unpack[Options]) -> SignedInAccount:
        """Ask plex.tv whose account this is.

        Raises:
            Unauthorized: the token is unknown or revoked.
            CredentialsError: the client has no token; nothing was sent.
        """
        from ticketstub.wire.accounts import GetTokenDetails

        return SignedInAccount(self, self.send(GetTokenDetails(), **options))

    def ping(self, **options: Unpack[Options]) -> bool:
        """Keep the token alive; true, or an error (observed)."""
        from ticketstub.wire.accounts import Ping

        return self.send(Ping(), **options)

    def resources(
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
        from ticketstub.flows.servers import resources
        from ticketstub.wire.resources import GetResources

        call = GetResources(include_https=include_https, include_relay=include_relay, include_ipv6=include_ipv6)
        return self.follow(partial(resources, call), **options)

    def media_server_token(self, *, passcode: str | Secret | None = None, **options: Unpack[Options]) -> Token:
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
        from ticketstub.flows.home import media_server_token

        return self.follow(partial(media_server_token, passcode), **options)

    def switch_home_user(
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
        from ticketstub.flows.home import switched

        account = self.follow(partial(switched, user, passcode), **options)
        return self.with_options(token=account.auth_token)

    def renew(self, **options: Unpack[Options]) -> SignedIn:
        """Get a new JWT for the device key at once, whether or not it is time; keep an opaque token alive with a ping.

        Returns:
            How the client is signed in now, with the new time.

        Raises:
            Refusal: Plex no longer takes the key, or the token.
            CredentialsError: this client was not made by a sign-in; nothing was sent.
        """
        from ticketstub.flows.renew import renew

        return self.follow(renew, **options)

    def keep_alive(self, **options: Unpack[Options]) -> float:
        """Do what is due now to stay signed in: ping with an opaque token once a day, renew a JWT in time.

        A long-running program calls this, sleeps as long as it says, and calls it again.

        Returns:
            In how many seconds it should be called again.

        Raises:
            Unauthorized: the token is unknown or revoked; sign in again. Other errors of the call mean: try later.
        """
        from ticketstub.flows.renew import keep_alive

        return self.follow(keep_alive, **options)

    def sign_out(self, **options: Unpack[Options]) -> None:
        """End the account's token at Plex, then forget what was kept of the sign-in.

        What Plex no longer knows is forgotten too. If Plex cannot be reached, everything stays kept.

        Raises:
            Unreachable, ServerError: the token still lives.
            CredentialsError: the client has no token, or what was kept cannot be removed.
        """
        from ticketstub.flows.sign_out import sign_out

        self.follow(sign_out, **options)
