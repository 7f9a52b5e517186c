"""Groups of calls that the sync clients offer: `authentication`, of media servers and of plex.tv.

Rule: a group names calls and nothing else; what happens to a call is the sender's affair. Its twin is agroups.py: same
names, same signatures, same requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Unpack

from ticketstub.driver import Sender
from ticketstub.frames import hide_locals
from ticketstub.options import Options
from ticketstub.token import Secret

if TYPE_CHECKING:
    from ticketstub.records import Account, Source, TransientToken
    from ticketstub.wire.security import TransientTokenScope, TransientTokenType


@hide_locals
class SecurityCalls:
    """The `authentication` group of a media server."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get_transient_token(
        self,
        *,
        type: TransientTokenType | Literal["delegation"] = "delegation",  # noqa: A002  # Plex's own name
        scope: TransientTokenScope | Literal["all"] = "all",
        **options: Unpack[Options],
    ) -> TransientToken:
        """Get a token with the caller's rights that lives for at most 48 hours (documented).

        Args:
            type: what it is for; `delegation` is the only one.
            scope: what it reaches; `all` is the only one.
            options: how to make the call (see `Options`).

        Raises:
            Unauthorized, Forbidden, BadRequest: the media server refused.
            ValueError: an unknown type or scope; nothing was sent.
        """
        from ticketstub.wire.security import GetTransientToken, TransientTokenScope, TransientTokenType

        call = GetTransientToken(type=TransientTokenType(type), scope=TransientTokenScope(scope))
        return self._sender.send(call, **options)

    def get_source_connection_information(
        self, *, source: str, refresh: bool = False, **options: Unpack[Options]
    ) -> Source:
        """Ask how to reach a source that the media server knows, and get a transient token for it (documented).

        Needs the owner's token or a transient token made from it, and Plex Media Server 1.15.4 or newer.

        Args:
            source: `server://` and a machine identifier, or `provider://` and a provider's identifier.
            refresh: whether the server asks anew instead of answering from memory.
            options: how to make the call (see `Options`).

        Raises:
            Unauthorized, Forbidden, BadRequest: the media server refused.
            NotFound: it does not know the source, or is too old (assumed).
            ValueError: the source has no such prefix; nothing was sent.
        """
        from ticketstub.wire.security import GetSourceConnectionInformation

        return self._sender.send(GetSourceConnectionInformation(source=source, refresh=refresh), **options)


@hide_locals
class Authentication(SecurityCalls):
    """The `authentication` group of `Plex`: the media server's two calls, and plex.tv's two."""

    def get_token_details(self, **options: Unpack[Options]) -> Account:
        """Ask plex.tv whose token this is (documented).

        Returns:
            The account; its `auth_token` echoes the token that was asked about.

        Raises:
            Unauthorized: the token is unknown or revoked. TokenExpired: it was a JWT and has run out.
            CredentialsError: the client has no token; nothing was sent.
        """
        from ticketstub.wire.accounts import GetTokenDetails

        return self._sender.send(GetTokenDetails(), **options)

    def post_users_sign_in_data(
        self,
        *,
        login: str,
        password: str | Secret,
        verification_code: str | Secret | None = None,
        remember_me: bool = False,
        **options: Unpack[Options],
    ) -> Account:
        """Sign in with login and password (documented). The client itself stays as it is.

        Args:
            login: user name or e-mail address.
            password: the password.
            verification_code: six digits, where the account asks for them; each works once.
            remember_me: whether the token ends after 14 days (observed).
            options: how to make the call (see `Options`). Whatever `retry` says, it is repeated only where nothing
                had been sent.

        Returns:
            The account; its `auth_token` is the new token: `plex.with_options(token=account.auth_token)`.

        Raises:
            VerificationCodeRequired, WrongVerificationCode, TooManyFailures, Unauthorized: plex.tv refused.
        """
        from ticketstub.wire.accounts import PostUsersSignInData

        call = PostUsersSignInData.of(login, password, verification_code, remember_me=remember_me)
        return self._sender.send(call, **options)
