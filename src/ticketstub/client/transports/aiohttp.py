"""The transport of `AsyncPlex`: aiohttp, on a session of our own or on one that the user brings.

Rule: as every transport: one request, exactly the fields it is given, no repetition, no redirect, no cookies of ours.
aiohttp repeats a GET by itself when a kept connection turns out closed, and calls a reply that is not HTTP a refusal
with status 400: both are undone here. Its errors hold whole addresses and headers, so none of them leaves this module,
not even as the cause of ours. Observed in 3.14, and out of our reach: bytes that come unasked on an idle connection are
taken for the next reply on it (those that come together with a reply are not).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ticketstub.client.transports.base import (
    DEADLINE_GRACE,
    MAX_WAIT,
    METHODS_WITH_LENGTH,
    AsyncSleepMixin,
    append_to_body,
    check_response_head,
    make_client_error,
    make_closed_early_error,
    make_cut_off_error,
    make_malformed_error,
    make_timeout_error,
    make_tunnel_error,
    make_unreachable_error,
    prepare_request,
    read_fields,
)
from ticketstub.client.transports.dial import FindProxy, find_proxy
from ticketstub.dns import Resolver, alook_up, resolve_with_system
from ticketstub.errors import PlexError
from ticketstub.messages import Origin, Request, Response

_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_MAX_CONNECTIONS = 256
_IDLE_TIMEOUT = 15.0
_NOT_SENT_ERRORS = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)


class AiohttpTransport(AsyncSleepMixin):
    """Sends for `AsyncPlex`, for many tasks at once, in whatever event loop it is used; see `base.AsyncTransport`.

    Args:
        session: the user's own session. It is never closed here. Redirects, decompression and repetitions are off for
            our requests; its default headers, default auth, cookies, proxy settings, resolver, tracing and limits
            remain the user's choice and take part, its middlewares do not.
        resolver: looks names up for our own session.
        find_proxy: says which places our own session reaches through a proxy; the default asks the environment.
        ssl_context: used by our own session as it is; the default checks against the computer's authorities.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession | None = None,
        *,
        resolver: Resolver = resolve_with_system,
        find_proxy: FindProxy = find_proxy,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._user_session = session
        self._own_sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}
        self._resolver = resolver
        self._find_proxy = find_proxy
        self._ssl_context = ssl_context

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`; `sent` is True wherever aiohttp leaves it open."""
        origin, target, _, left = prepare_request(request, deadline)
        url = _build_url(origin, target)
        try:
            async with asyncio.timeout(left + DEADLINE_GRACE):
                return await self._exchange(request, origin, url, min(connect_timeout, left))
        except Exception as error:  # noqa: BLE001  # tracing, resolver and connector of a session may raise anything
            closed = self._user_session is not None and self._user_session.closed
            failure = error if isinstance(error, PlexError) else _translate_error(origin, error, closed=closed)
        raise failure  # outside the handler: aiohttp's error must not become its context

    async def _exchange(self, request: Request, origin: Origin, url: URL, connect_timeout: float) -> Response:
        proxy = None if self._user_session else self._find_proxy(origin)
        credentials = proxy.authorization if proxy else None
        response = await (self._user_session or self._get_session()).request(
            request.method,
            url,
            data=request.body or None,
            headers=request.headers,
            skip_auto_headers=_AUTO_HEADERS,
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=False,
            middlewares=(_send_once,),
            proxy=URL(f"http://{proxy.origin}") if proxy else None,
            proxy_headers={"Proxy-Authorization": credentials.reveal()} if credentials else None,
            timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout, ceil_threshold=MAX_WAIT),
        )
        try:
            fields = read_fields(response.raw_headers)
            check_response_head(origin, request, response.status, fields)
            return Response(response.status, fields, await _read_body(origin, response))
        except BaseException:  # cancelled, too
            response.close()
            raise

    def _get_session(self) -> aiohttp.ClientSession:
        """Return our session of the running loop; an aiohttp session cannot leave its loop."""
        loop = asyncio.get_running_loop()
        if (session := self._own_sessions.get(loop)) is None:
            self._own_sessions = {
                open_loop: open_session
                for open_loop, open_session in list(self._own_sessions.items())
                if not open_loop.is_closed()
            }
            session = self._own_sessions[loop] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_MAX_CONNECTIONS,
                    keepalive_timeout=_IDLE_TIMEOUT,
                    resolver=_ThreadedResolver(self._resolver),
                    ssl=self._ssl_context or True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return session

    async def close(self) -> None:
        """Close our session of the running loop. The user's own stays open; those of other loops end with them."""
        if (session := self._own_sessions.pop(asyncio.get_running_loop(), None)) is not None:
            await session.close()


def _build_url(origin: Origin, target: str) -> URL:
    """Build aiohttp's address from our own parts, and refuse it unless aiohttp finds the same parts in it.

    Raises:
        ValueError: aiohttp does not take it, or reads another host or port in it; nothing was sent.
    """
    with suppress(ValueError):  # its text repeats the address
        url = URL(origin.url + target, encoded=True)
        if (url.scheme, url.raw_host, url.port) == origin:
            return url
    raise ValueError("an address that aiohttp does not read as it is written cannot be used")


class _ConnectionLost(Exception):
    """Hides the two kinds of error on which aiohttp repeats a request; carries the error itself as its cause."""


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send once: aiohttp's own repetition knows nothing of our tries and hooks. Public interface, unlike its switch."""
    if request.method not in METHODS_WITH_LENGTH and request.headers.get("Content-Length") == "0":
        del request.headers["Content-Length"]  # aiohttp adds it to a DELETE without a body
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _ConnectionLost from error


async def _read_body(origin: Origin, response: aiohttp.ClientResponse) -> bytes:
    """Read a body as it came, at most `MAX_BODY_SIZE` bytes of it."""
    body = bytearray()
    try:
        if response.content_length:  # and not too much, as was seen
            return await response.content.read()
        async for piece in response.content.iter_any():
            append_to_body(origin, body, piece)
    except (aiohttp.ClientError, ConnectionError):
        raise make_cut_off_error(origin) from None
    return bytes(body)


def _translate_error(origin: Origin, error: BaseException, *, closed: bool) -> PlexError:
    """Turn whatever aiohttp or a part of the user's session raised into one of ours."""
    error = error.__cause__ or error if isinstance(error, _ConnectionLost) else error
    sent = not (closed or isinstance(error, _NOT_SENT_ERRORS))
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return make_tunnel_error(origin, None, error.status)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return make_unreachable_error(Origin("http", error.host, error.port or 80), error, sent=False)
    if isinstance(error, aiohttp.ClientResponseError):
        return make_malformed_error(origin, "it is not HTTP")
    if isinstance(error, TimeoutError):
        return make_timeout_error(origin, sent=sent)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return make_closed_early_error(origin)
    return make_client_error(origin, error, sent=sent)


class _ThreadedResolver(AbstractResolver):
    """Our look-up on a daemon thread, as aiohttp asks for one."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look a name up; aiohttp tries the addresses, two at a time where the first is slow."""
        return [
            ResolveResult(
                hostname=host,
                host=f"{address.ip}%{address.scope_id}" if address.scope_id else address.ip,
                port=address.port,
                family=address.family,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await alook_up(host, port, self._resolver)
            if family in (socket.AF_UNSPEC, address.family)
        ]

    async def close(self) -> None:
        """Nothing is held."""
