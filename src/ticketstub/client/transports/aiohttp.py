"""The transport of `AsyncPlex`: aiohttp, on sessions of our own or on one that the program passes.

Rule: every request is sent once, with exactly its own fields, no redirects and no stored cookies. aiohttp itself
repeats a GET on a closed keep-alive connection, and reports a response that is not HTTP as status 400: both are undone
here. Its errors hold whole URLs and headers, so none leaves this module, not even as a cause. Observed in 3.14, and not
avoidable here: bytes that arrive unasked on an idle connection are read as its next response (bytes that arrive
together with a response are not). And yarl keeps the last URLs, with their queries, in a cache of its own.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ticketstub.client.transports.base import (
    DEADLINE_GRACE,
    MAX_WAIT,
    METHODS_WITH_LENGTH,
    AsyncTransport,
    append_to_body,
    check_response_head,
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

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ConnectionKey

_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_MAX_CONNECTIONS = 256
_IDLE_TIMEOUT = 15.0
_NOT_SENT_ERRORS = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)


class AiohttpTransport(AsyncTransport):
    """Sends for `AsyncPlex`, for many tasks at once, in any event loop.

    Args:
        session: the program's own session. It is never closed here. Redirects, decompression and repetitions are off
            for our requests. The session's default headers, auth, cookies, proxy settings, resolver, tracing and limits
            apply; its middlewares do not.
        resolver: looks names up for our own sessions.
        find_proxy: finds the proxy for an origin for our own sessions; by default in the environment.
        ssl_context: used as it is by our own sessions; the default checks against the computer's authorities.
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
        self.resolver = resolver
        self._find_proxy = find_proxy
        self._ssl_context = ssl_context

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`; `sent` is True where aiohttp does not say."""
        origin, target, remaining = prepare_request(request, deadline)
        address = None if self._user_session is None and self._find_proxy(origin) else request.address
        url = _build_url(origin._replace(host=address) if address else origin, target)
        session = self._user_session or self._get_session()
        was_closed = session.closed  # one that is closed meanwhile may have sent the request
        try:
            async with asyncio.timeout(remaining + DEADLINE_GRACE):
                return await self._exchange(session, request, origin, url, min(connect_timeout, remaining), address)
        except PlexError:
            raise
        except Exception as error:  # noqa: BLE001  # tracing, resolver and connector of a session may raise anything
            failure = _translate_error(origin, error, was_closed=was_closed)
        raise failure  # outside the handler: aiohttp's error must not become its context

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        origin: Origin,
        url: URL,
        connect_timeout: float,
        address: str | None,
    ) -> Response:
        proxy = None if self._user_session else self._find_proxy(origin)
        credentials = proxy.authorization if proxy else None
        response = await session.request(
            request.method,
            url,
            data=request.body or None,
            headers={"Host": origin.host_header, **request.headers} if address else request.headers,
            server_hostname=origin.host if address and origin.scheme == "https" else None,
            skip_auto_headers=_AUTO_HEADERS if self._user_session else None,  # our own sessions skip them anyway
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=False,
            middlewares=(_send_once,),
            proxy=URL(f"http://{proxy.origin}") if proxy else None,
            proxy_headers={"Proxy-Authorization": credentials.reveal()} if credentials else None,
            timeout=_make_timeout(connect_timeout),
        )
        try:
            # aiohttp before 3.14.4 keeps the spaces after a value.
            fields = read_fields([(name, value.strip(b" \t")) for name, value in response.raw_headers])
            check_response_head(origin, request, response.status, fields)
            return Response(response.status, fields, await _read_body(origin, response))
        except BaseException:  # cancelled, too
            response.close()
            raise

    def _get_session(self) -> aiohttp.ClientSession:
        """Return our session for the running event loop; an aiohttp session cannot be used in two."""
        loop = asyncio.get_running_loop()
        if (session := self._own_sessions.get(loop)) is None:
            self._own_sessions = {
                each: its_session for each, its_session in list(self._own_sessions.items()) if not each.is_closed()
            }
            session = self._own_sessions[loop] = aiohttp.ClientSession(
                connector=_Connector(
                    limit=_MAX_CONNECTIONS,
                    keepalive_timeout=_IDLE_TIMEOUT,
                    resolver=_ThreadedResolver(self.resolver),
                    ssl=self._ssl_context or True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_AUTO_HEADERS,
                trust_env=False,
            )
        return session

    async def close(self) -> None:
        """Close our session of the running event loop, but not those of other loops and not the program's own."""
        if (session := self._own_sessions.pop(asyncio.get_running_loop(), None)) is not None:
            await session.close()


@lru_cache(maxsize=16)  # it is checked as it is created, and most calls have the same
def _make_timeout(connect: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect, ceil_threshold=MAX_WAIT)


def _build_url(origin: Origin, target: str) -> URL:
    """Build aiohttp's URL from our own parts, and refuse it unless aiohttp reads the same parts in it.

    Raises:
        ValueError: aiohttp rejects it, or reads another host or port in it; nothing was sent.
    """
    with suppress(ValueError):  # its text repeats the URL
        url = URL(origin.url + target, encoded=True)
        if (url.scheme, url.raw_host, url.port) == origin:
            return url
    raise ValueError("an address that aiohttp does not read as it is written cannot be used")


class _ConnectionLost(Exception):
    """Replaces the two kinds of error after which aiohttp repeats a request; the error itself is its cause."""


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Prevent aiohttp's own repetition, which ignores our retries and hooks. A middleware is public API."""
    if request.method not in METHODS_WITH_LENGTH and request.headers.get("Content-Length") == "0":
        del request.headers["Content-Length"]  # aiohttp adds it to a DELETE without a body
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _ConnectionLost from error


async def _read_body(origin: Origin, response: aiohttp.ClientResponse) -> bytes:
    """Read a body without decompressing it, up to `MAX_BODY_SIZE` bytes."""
    body = bytearray()
    try:
        if response.content_length:  # `check_response_head` has checked it
            return await response.content.read()
        async for piece in response.content.iter_any():
            append_to_body(origin, body, piece)
    except (aiohttp.ClientError, ConnectionError):
        raise make_cut_off_error(origin) from None
    return bytes(body)


def _translate_error(origin: Origin, error: BaseException, *, was_closed: bool) -> PlexError:
    """Turn an error of aiohttp, or of a part of the program's session, into one of ours."""
    error = error.__cause__ or error if isinstance(error, _ConnectionLost) else error
    sent = not (was_closed or isinstance(error, _NOT_SENT_ERRORS))
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return make_tunnel_error(origin, "the proxy", error.status)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return make_unreachable_error(Origin("http", error.host, error.port or 80), error, sent=False)
    if isinstance(error, aiohttp.ClientResponseError):
        return make_malformed_error(origin, "it is not HTTP")
    if isinstance(error, TimeoutError):
        return make_timeout_error(origin, sent=sent)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return make_closed_early_error(origin)
    return make_unreachable_error(origin, error, sent=sent)


class _Connector(aiohttp.TCPConnector):
    """Closes a TLS connection that is not used again at once.

    aiohttp leaves that to asyncio, which waits up to 30 seconds for the server's side of the TLS shutdown. Until then a
    cancelled request would occupy its socket, and the end of the event loop would leave it open.
    """

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *args: Any, **options: Any) -> None:  # noqa: ANN401
        # A method of aiohttp's own: if a later version has no such method or other parameters, requests work as before.
        transport = protocol.transport
        super()._release(key, protocol, *args, **options)
        if key.is_ssl and transport is not None and transport.is_closing():
            transport.abort()


class _ThreadedResolver(AbstractResolver):
    """Our name look-up on a daemon thread, in the form that aiohttp expects."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look a name up; aiohttp tries the addresses, two at a time if the first is slow."""
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
        """There is nothing to close."""
