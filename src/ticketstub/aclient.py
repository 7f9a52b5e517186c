"""The async façade: `AsyncPlex`, and the media server's client that `at` gives.

Rule: the twin of client.py, where everything is explained; same names, same signatures, same requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Unpack

from ticketstub.adriver import AsyncSender
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
from ticketstub.transports import async_transport_for
from ticketstub.wire.http import Response

if TYPE_CHECKING:
    from ticketstub.device import Device
    from ticketstub.records import Account, Resource, Source, TransientToken
    from ticketstub.wire.media_server import Verb
    from ticketstub.wire.security import TransientTokenScope, TransientTokenType


class AsyncSecurityCalls:
    """As `SecurityCalls`, awaited."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def get_transient_token(
        self,
        *,
        type: TransientTokenType | Literal["delegation"] = "delegation",  # noqa: A002  # Plex's own name
        scope: TransientTokenScope | Literal["all"] = "all",
        **options: Unpack[Options],
    ) -> TransientToken:
        """As `SecurityCalls.get_transient_token`."""
        from ticketstub.wire.security import GetTransientToken, TransientTokenScope, TransientTokenType

        call = GetTransientToken(type=TransientTokenType(type), scope=TransientTokenScope(scope))
        return await self._sender.send(call, **options)

    async def get_source_connection_information(
        self, *, source: str, refresh: bool = False, **options: Unpack[Options]
    ) -> Source:
        """As `SecurityCalls.get_source_connection_information`."""
        from ticketstub.wire.security import GetSourceConnectionInformation

        return await self._sender.send(GetSourceConnectionInformation(source=source, refresh=refresh), **options)


class AsyncAuthentication(AsyncSecurityCalls):
    """As `Authentication`, awaited."""

    async def get_token_details(self, **options: Unpack[Options]) -> Account:
        """As `Authentication.get_token_details`."""
        from ticketstub.wire.accounts import GetTokenDetails

        return await self._sender.send(GetTokenDetails(), **options)

    async def post_users_sign_in_data(
        self,
        *,
        login: str,
        password: str | Secret,
        verification_code: str | Secret | None = None,
        remember_me: bool = False,
        **options: Unpack[Options],
    ) -> Account:
        """As `Authentication.post_users_sign_in_data`."""
        from ticketstub.wire.accounts import PostUsersSignInData

        call = PostUsersSignInData.of(login, password, verification_code, remember_me=remember_me)
        return await self._sender.send(call, **options)


class AsyncMediaServer(AsyncSender):
    """As `MediaServer`, awaited."""

    @property
    def url(self) -> str:
        """As `MediaServer.url`."""
        return self._settings.base("server")

    @property
    def token(self) -> Token | None:
        """As `MediaServer.token`."""
        return self._settings.token if isinstance(self._settings.token, Token) else None

    @property
    def authentication(self) -> AsyncSecurityCalls:
        """As `MediaServer.authentication`."""
        return AsyncSecurityCalls(self)

    async def get(self, path: str, query: Mapping[str, str] | None = None, **options: Unpack[Options]) -> Response:
        """As `MediaServer.get`."""
        return await self.request("GET", path, query, **options)

    async def request(
        self,
        method: Verb,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        content_type: str | None = None,
        **options: Unpack[Options],
    ) -> Response:
        """As `MediaServer.request`."""
        from ticketstub.wire.media_server import RawRequest

        call = RawRequest(verb=method, at=path, query=dict(query or {}), content=body, content_type=content_type)
        return await self.send(call, **options)


class AsyncPlex(AsyncSender):
    """As `Plex`, awaited."""

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
        super().__init__(with_token(settings, token, beside=server), Link(lambda: async_transport_for(transport)))

    @property
    def authentication(self) -> AsyncAuthentication:
        """As `Plex.authentication`."""
        return AsyncAuthentication(self)

    def at(self, url: str, *, token: str | Token | TokenSource | None = None) -> AsyncMediaServer:
        """As `Plex.at`."""
        return AsyncMediaServer(placed(self._settings, url, token), self._link)

    async def ping(self, **options: Unpack[Options]) -> bool:
        """As `Plex.ping`."""
        from ticketstub.wire.accounts import Ping

        return await self.send(Ping(), **options)

    async def resources(
        self,
        *,
        include_https: bool = True,
        include_relay: bool = True,
        include_ipv6: bool = True,
        **options: Unpack[Options],
    ) -> tuple[Resource, ...]:
        """As `Plex.resources`."""
        from ticketstub.wire.resources import GetResources

        call = GetResources(include_https=include_https, include_relay=include_relay, include_ipv6=include_ipv6)
        return await self.send(call, **options)
