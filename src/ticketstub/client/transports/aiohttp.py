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

from ticketstub.client.transports.failures import (
    closed_early,
    cut_off,
    failed_client,
    malformed,
    no_tunnel,
    timed_out,
    unreachable,
)
from ticketstub.client.transports.heads import (
    BREATH,
    HAVE_LENGTH,
    LONGEST,
    AsyncSleeping,
    check_announced,
    grow,
    prepare,
    read_fields,
)
from ticketstub.client.transports.proxies import ProxyFor, proxy_for
from ticketstub.dns import Resolver, alook_up, system_resolver
from ticketstub.errors import PlexError
from ticketstub.messages import Place, Request, Response

_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_MOST_CONNECTIONS = 256
_LONGEST_IDLE = 15.0
_NEVER_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)


class AiohttpTransport(AsyncSleeping):
    """Sends for `AsyncPlex`, for many tasks at once, in whatever event loop it is used; see `base.AsyncTransport`.

    Args:
        session: the user's own session. It is never closed here. Redirects, decompression and repetitions are off for
            our requests; its default headers, default auth, cookies, proxy settings, resolver, tracing and limits
            remain the user's choice and take part, its middlewares do not.
        resolver: looks names up for our own session.
        proxy_for: says which places our own session reaches through a proxy; the default asks the environment.
        ssl_context: used by our own session as it is; the default checks against the computer's authorities.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession | None = None,
        *,
        resolver: Resolver = system_resolver,
        proxy_for: ProxyFor = proxy_for,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._theirs = session
        self._own: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}
        self._resolver = resolver
        self._proxy_for = proxy_for
        self._ssl_context = ssl_context

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`; `sent` is True wherever aiohttp leaves it open."""
        place, target, _, left = prepare(request, deadline)
        url = _checked_url(place, target)
        try:
            async with asyncio.timeout(left + BREATH):
                return await self._exchange(request, place, url, min(connect_timeout, left))
        except Exception as error:  # noqa: BLE001  # tracing, resolver and connector of a session may raise anything
            closed = self._theirs is not None and self._theirs.closed
            failure = error if isinstance(error, PlexError) else _translated(place, error, closed=closed)
        raise failure  # outside the handler: aiohttp's error must not become its context

    async def _exchange(self, request: Request, place: Place, url: URL, connect_timeout: float) -> Response:
        proxy = None if self._theirs else self._proxy_for(place)
        credentials = proxy.authorization if proxy else None
        response = await (self._theirs or self._session()).request(
            request.method,
            url,
            data=request.body or None,
            headers=request.headers,
            skip_auto_headers=_AUTOMATIC,
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=False,
            middlewares=(_once,),
            proxy=URL(f"http://{proxy.place}") if proxy else None,
            proxy_headers={"Proxy-Authorization": credentials.reveal()} if credentials else None,
            timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout, ceil_threshold=LONGEST),
        )
        try:
            fields = read_fields(response.raw_headers)
            check_announced(place, request, response.status, fields)
            return Response(response.status, fields, await _body(place, response))
        except BaseException:  # cancelled, too
            response.close()
            raise

    def _session(self) -> aiohttp.ClientSession:
        """Return our session of the running loop; an aiohttp session cannot leave its loop."""
        loop = asyncio.get_running_loop()
        if (session := self._own.get(loop)) is None:
            self._own = {known: kept for known, kept in list(self._own.items()) if not known.is_closed()}
            session = self._own[loop] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_MOST_CONNECTIONS,
                    keepalive_timeout=_LONGEST_IDLE,
                    resolver=_Names(self._resolver),
                    ssl=self._ssl_context or True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return session

    async def close(self) -> None:
        """Close our session of the running loop. The user's own stays open; those of other loops end with them."""
        if (session := self._own.pop(asyncio.get_running_loop(), None)) is not None:
            await session.close()


def _checked_url(place: Place, target: str) -> URL:
    """Build aiohttp's address from our own parts, and refuse it unless aiohttp finds the same parts in it.

    Raises:
        ValueError: aiohttp does not take it, or reads another host or port in it; nothing was sent.
    """
    with suppress(ValueError):  # its text repeats the address
        url = URL(place.origin + target, encoded=True)
        if (url.scheme, url.raw_host, url.port) == place:
            return url
    raise ValueError("an address that aiohttp does not read as it is written cannot be used")


class _Broken(Exception):
    """Hides the two kinds of error on which aiohttp repeats a request; carries the error itself as its cause."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send once: aiohttp's own repetition knows nothing of our tries and hooks. Public interface, unlike its switch."""
    if request.method not in HAVE_LENGTH and request.headers.get("Content-Length") == "0":
        del request.headers["Content-Length"]  # aiohttp adds it to a DELETE without a body
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Broken from error


async def _body(place: Place, response: aiohttp.ClientResponse) -> bytes:
    """Read a body as it came, at most `MAX_BODY` bytes of it."""
    body = bytearray()
    try:
        if response.content_length:  # and not too much, as was seen
            return await response.content.read()
        async for piece in response.content.iter_any():
            grow(place, body, piece)
    except (aiohttp.ClientError, ConnectionError):
        raise cut_off(place) from None
    return bytes(body)


def _translated(place: Place, error: BaseException, *, closed: bool) -> PlexError:
    """Turn whatever aiohttp or a part of the user's session raised into one of ours."""
    error = error.__cause__ or error if isinstance(error, _Broken) else error
    sent = not (closed or isinstance(error, _NEVER_SENT))
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return no_tunnel(place, None, error.status)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return unreachable(Place("http", error.host, error.port or 80), error, sent=False)
    if isinstance(error, aiohttp.ClientResponseError):
        return malformed(place, "it is not HTTP")
    if isinstance(error, TimeoutError):
        return timed_out(place, sent=sent)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return closed_early(place)
    return failed_client(place, error, sent=sent)


class _Names(AbstractResolver):
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
                host=f"{address.ip}%{address.scope}" if address.scope else address.ip,
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
