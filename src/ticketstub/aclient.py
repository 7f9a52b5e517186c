"""The async façade: `AsyncPlex`, and the media server's client that `at` gives.

Rule: the twin of client.py, where everything is explained; same names, same signatures, same requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Self, Unpack

from ticketstub.adriver import AsyncSender
from ticketstub.agroups import AsyncAuthentication, AsyncSecurityCalls
from ticketstub.asigned_in import AsyncSignedInSender
from ticketstub.errors import PlexError
from ticketstub.frames import hide_locals, without_our_frames
from ticketstub.link import DEFAULT_PROGRAM, Link
from ticketstub.options import (
    PLEX_TV,
    ClientOptions,
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
from ticketstub.transports import guarded_async_transport_for
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
    from ticketstub.credentials import Credentials, Storage
    from ticketstub.device import Device
    from ticketstub.flows.browser import OpenBrowser
    from ticketstub.flows.password import AskCode
    from ticketstub.flows.wish import OnCode
    from ticketstub.keys import DeviceKey
    from ticketstub.sign_in import AsyncSignIn
    from ticketstub.wire.media_server import Verb


@hide_locals
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


@hide_locals
class AsyncPlex(AsyncSignedInSender):
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
        link = Link(lambda: guarded_async_transport_for(transport))
        super().__init__(with_token(settings, token, beside=server), link)

    @property
    def plex_tv(self) -> str:
        """As `Plex.plex_tv`."""
        return self._settings.base("plex.tv")

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

    @classmethod
    async def sign_in(
        cls,
        app: str = DEFAULT_PROGRAM,
        *,
        login: str | None = None,
        password: str | Secret | None = None,
        ask_code: AskCode | None = None,
        remember_me: bool = False,
        device_key: bool = False,
        profile: str = "default",
        code: bool = False,
        forward_url: str | None = None,
        on_code: OnCode | None = None,
        open_browser: bool | OpenBrowser = True,
        give_up: float | None = None,
        credentials: Credentials | None = None,
        storage: Storage = "auto",
        **client: Unpack[ClientOptions],
    ) -> Self:
        """As `Plex.sign_in`."""
        from ticketstub.flows.sign_in import sign_in
        from ticketstub.flows.wish import Keeping, Showing, Wish, installation
        from ticketstub.sign_in import tell_terminal

        showing = Showing(code, forward_url, on_code, open_browser, give_up)
        keeping = Keeping(app, profile, credentials, storage)
        wish = Wish.of(
            login,
            password,
            ask_code,
            showing,
            keeping,
            remember_me=remember_me,
            device_key=device_key,
            own_device=client.get("device") is not None,
            tell=tell_terminal,
        )
        plex = cls(**client)
        try:
            device = client.get("device")
            if device is None:
                device = await asyncio.to_thread(installation, app, profile)
            kept = await plex.follow(partial(sign_in, wish), device=device)
            return plex.with_options(token=kept, device=kept.device)
        except PlexError as failure:  # for a person to read: our own frames say nothing more
            await plex.close()
            raise without_our_frames(failure) from failure.__cause__
        except BaseException:
            await plex.close()
            raise

    async def begin_sign_in(
        self,
        *,
        forward_url: str | None = None,
        code: bool = False,
        device_key: DeviceKey | None = None,
        **options: Unpack[Options],
    ) -> AsyncSignIn:
        """As `Plex.begin_sign_in`."""
        from ticketstub.flows.pin import begin
        from ticketstub.sign_in import AsyncSignIn

        begun = await self.follow(partial(begin, strong=not code, forward_url=forward_url, key=device_key), **options)
        return AsyncSignIn(self.with_options(**options) if options else self, begun, device_key=device_key)
