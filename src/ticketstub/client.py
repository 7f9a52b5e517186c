"""The sync façade: `Plex`, and the media server's client that `at` gives.

Rule: no logic of its own beyond naming things; what both façades must do alike is in flows/ and options.py. Its
twin is aclient.py: same names, same signatures, same requests (tests hold them together).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Unpack

from ticketstub.driver import Sender
from ticketstub.link import Link
from ticketstub.options import (
    PLEX_TV,
    Hooks,
    OnRequest,
    OnResponse,
    OnRetry,
    Options,
    Retry,
    Settings,
    TokenSource,
    allowed,
    based,
    placed,
    with_token,
)
from ticketstub.token import Secret, Token
from ticketstub.transports import transport_for
from ticketstub.wire.http import Response

if TYPE_CHECKING:
    from ticketstub.device import Device
    from ticketstub.records import Account, Resource, Source, TransientToken
    from ticketstub.wire.media_server import Verb
    from ticketstub.wire.security import TransientTokenScope, TransientTokenType


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


class MediaServer(Sender):
    """One media server and the token for it; `Plex.at` makes one."""

    @property
    def url(self) -> str:
        """Its address."""
        return self._settings.base("server")

    @property
    def token(self) -> Token | None:
        """The token for it, if it is not a callable's affair."""
        return self._settings.token if isinstance(self._settings.token, Token) else None

    @property
    def authentication(self) -> SecurityCalls:
        """The media server's security calls."""
        return SecurityCalls(self)

    def get(self, path: str, query: Mapping[str, str] | None = None, **options: Unpack[Options]) -> Response:
        """Ask for anything else by GET: `attic.get("/library/sections").json()`.

        Args:
            path: from its leading slash, percent-encoded where need be.
            query: names and values.
            options: how to make the call (see `Options`); `headers={"Accept": "text/xml"}` asks for XML.

        Raises:
            Refusal: a status from 400 on, by meaning.
        """
        return self.request("GET", path, query, **options)

    def request(
        self,
        method: Verb,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        content_type: str | None = None,
        **options: Unpack[Options],
    ) -> Response:
        """Ask for anything else by any method; as `get`, with a body and its media type."""
        from ticketstub.wire.media_server import RawRequest

        call = RawRequest(verb=method, at=path, query=dict(query or {}), content=body, content_type=content_type)
        return self.send(call, **options)


class Plex(Sender):
    """Plex, from a program's point of view: plex.tv and, where one is named, a media server.

    Args:
        device: who asks; by default this installation's own, remembered from its first request on.
        token: the account's token: a text, a `Token`, or a callable that is asked before each request.
        server: the media server's address. Naming it with a token vouches that the token belongs there.
        plex_tv: plex.tv's address, or a local Plex's.
        timeout: seconds for a call in all. connect_timeout: seconds of them for reaching the other side.
        retry: when to try again. headers: sent with every request.
        transport: your own httpx client or transport instead of ours.
        on_request, on_response, on_retry: plain functions, told of each request; of each response, with its seconds;
            and of each failure that is tried again, with the seconds until then.

    Raises:
        ValueError: an address or a token is none; nothing is ever sent by a constructor.
    """

    def __init__(
        self,
        *,
        device: Device | None = None,
        token: str | Token | TokenSource | None = None,
        server: str | None = None,
        plex_tv: str = PLEX_TV,
        timeout: float = 15.0,
        connect_timeout: float = 5.0,
        retry: Retry = Retry(),  # noqa: B008  # frozen
        headers: Mapping[str, str] | None = None,
        transport: object | None = None,
        on_request: OnRequest | None = None,
        on_response: OnResponse | None = None,
        on_retry: OnRetry | None = None,
    ) -> None:
        settings = Settings(
            device=device,
            server=based(server) if server else None,
            plex_tv=based(plex_tv),
            timeout=timeout,
            connect_timeout=connect_timeout,
            retry=retry,
            headers=allowed(headers or {}),
            hooks=Hooks(on_request=on_request, on_response=on_response, on_retry=on_retry),
        )
        super().__init__(with_token(settings, token, beside=server), Link(lambda: transport_for(transport)))

    @property
    def authentication(self) -> Authentication:
        """The four operations of Plex's Authentication reference pages."""
        return Authentication(self)

    def at(self, url: str, *, token: str | Token | TokenSource | None = None) -> MediaServer:
        """Return the client of one media server, sharing this one's connections.

        Args:
            url: its address.
            token: the token for it, which you thereby say belongs there. Without one, none is sent.
        """
        return MediaServer(placed(self._settings, url, token), self._link)

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

        Args:
            include_https: whether addresses are given as https ones of plex.direct.
            include_relay: whether Plex's relays are among them.
            include_ipv6: whether IPv6 addresses are.
            options: how to make the call (see `Options`).
        """
        from ticketstub.wire.resources import GetResources

        call = GetResources(include_https=include_https, include_relay=include_relay, include_ipv6=include_ipv6)
        return self.send(call, **options)
