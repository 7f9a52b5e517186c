"""The async façade: `AsyncPlex`, and the media server's client that `at` gives.

Rule: the twin of client.py, where everything is explained; same names, same signatures, same requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Unpack

from ticketstub.adriver import AsyncSender
from ticketstub.agroups import AsyncAuthentication, AsyncSecurityCalls
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
from ticketstub.token import Token
from ticketstub.transports import async_transport_for
from ticketstub.wire.http import Response

if TYPE_CHECKING:
    from ticketstub.acall_groups import (
        AsyncAuthKeys,
        AsyncClaims,
        AsyncDevices,
        AsyncHomeCalls,
        AsyncPins,
        AsyncServerClaims,
    )
    from ticketstub.device import Device
    from ticketstub.records import Resource
    from ticketstub.wire.media_server import Verb


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

    @property
    def claims(self) -> AsyncServerClaims:
        """As `MediaServer.claims`."""
        from ticketstub.acall_groups import AsyncServerClaims

        return AsyncServerClaims(self)

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

    @property
    def pins(self) -> AsyncPins:
        """As `Plex.pins`."""
        from ticketstub.acall_groups import AsyncPins

        return AsyncPins(self)

    @property
    def auth_keys(self) -> AsyncAuthKeys:
        """As `Plex.auth_keys`."""
        from ticketstub.acall_groups import AsyncAuthKeys

        return AsyncAuthKeys(self)

    @property
    def home(self) -> AsyncHomeCalls:
        """As `Plex.home`."""
        from ticketstub.acall_groups import AsyncHomeCalls

        return AsyncHomeCalls(self)

    @property
    def devices(self) -> AsyncDevices:
        """As `Plex.devices`."""
        from ticketstub.acall_groups import AsyncDevices

        return AsyncDevices(self)

    @property
    def claims(self) -> AsyncClaims:
        """As `Plex.claims`."""
        from ticketstub.acall_groups import AsyncClaims

        return AsyncClaims(self)

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
