"""The async façade: `AsyncPlex`, the media server's client that `at` gives, and the driver that awaits flows.

Rule: the twin of client.py, where everything is explained; same names, same signatures, same requests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from inspect import isawaitable
from typing import TYPE_CHECKING, Literal, Self, TypeVar, Unpack

from ticketstub.errors import PlexError
from ticketstub.flows.exchange import exchange
from ticketstub.flows.steps import Flow, Send, Sleep, Step
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
    derived,
    placed,
    with_token,
)
from ticketstub.outcome import Err, Ok, Outcome
from ticketstub.token import Secret, Token
from ticketstub.transports import async_transport_for
from ticketstub.transports.base import AsyncTransport
from ticketstub.wire.call import Call
from ticketstub.wire.http import Response
from ticketstub.wire.media_server import GetIdentity, GetServerInformation, RawRequest

if TYPE_CHECKING:
    from ticketstub.device import Device
    from ticketstub.records import Account, Identity, Resource, ServerInformation, Source, TransientToken
    from ticketstub.wire.media_server import Verb
    from ticketstub.wire.security import TransientTokenScope, TransientTokenType

V = TypeVar("V")


async def run(flow: Flow[V], transport: AsyncTransport) -> V:
    """Drive a flow to its end: do what it yields, hand back what came, throw in what failed."""
    try:
        step = next(flow)
        while True:
            try:
                answer = await _do(step, transport)
            except PlexError as failure:
                step = flow.throw(failure)
            else:
                step = flow.send(answer)
    except StopIteration as end:
        value: V = end.value
        return value
    finally:
        flow.close()


async def _do(step: Step, transport: AsyncTransport) -> object:
    if isinstance(step, Send):
        return await transport.send(step.request, deadline=step.deadline, connect_timeout=step.connect_timeout)
    if isinstance(step, Sleep):
        await transport.sleep(step.seconds)
        return None
    if step.refused is not None and (tell := getattr(step.source, "refused", None)):
        await _awaited(tell(step.refused))
    return await _awaited(step.source())


async def _awaited(answer: object) -> object:
    return await answer if isawaitable(answer) else answer


class AsyncSender:
    """As `Sender`, awaited."""

    def __init__(self, settings: Settings, link: Link[AsyncTransport]) -> None:
        self._settings = settings
        self._link = link

    async def send(self, call: Call[V], **options: Unpack[Options]) -> V:
        """As `Sender.send`."""
        return (await self._exchange(call, options))[0]

    async def attempt(self, call: Call[V], **options: Unpack[Options]) -> Outcome[V]:
        """As `Sender.attempt`."""
        try:
            return Ok(*await self._exchange(call, options))
        except PlexError as error:
            return Err(error, error.response)

    async def _exchange(self, call: Call[V], options: Options) -> tuple[V, Response]:
        settings = derived(self._settings, options) if options else self._settings
        transport = self._link.open()
        device = settings.device or self._link.remembered
        if device is None:
            device = await asyncio.to_thread(self._link.remember)
        return await run(exchange(call, settings, device, time.monotonic), transport)

    def with_options(self, **options: Unpack[Options]) -> Self:
        """As `Sender.with_options`."""
        copy = object.__new__(type(self))
        AsyncSender.__init__(copy, derived(self._settings, options), self._link)
        return copy

    async def close(self) -> None:
        """As `Sender.close`."""
        if transport := self._link.close():
            await transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._settings.server or self._settings.plex_tv}>"

    async def identity(self, **options: Unpack[Options]) -> Identity:
        """As `Sender.identity`."""
        return await self.send(GetIdentity(), **options)

    async def server_information(self, **options: Unpack[Options]) -> ServerInformation:
        """As `Sender.server_information`."""
        return await self.send(GetServerInformation(), **options)


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
