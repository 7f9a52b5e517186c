"""The transports on an httpx2 or httpx client that the user brings, sync and async.

Rule: neither library is imported here; what is needed is taken from the module that the client comes from. A request
bypasses what the client would add (its headers, cookies, auth, base address, redirects); its event hooks, proxies,
certificates, limits and transports remain the user's choice and take part. The client is never closed. Observed, and
out of our reach: both libraries take bytes that a server sends behind a reply for the next reply on that connection.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, closing, suppress
from importlib import import_module
from typing import TYPE_CHECKING, cast

from ticketstub.client.transports.base import (
    DEADLINE_GRACE,
    AsyncTransport,
    Transport,
    append_to_body,
    check_response_head,
    make_closed_early_error,
    make_cut_off_error,
    make_malformed_error,
    make_timeout_error,
    make_unreachable_error,
    prepare_request,
    read_fields,
)
from ticketstub.dns import run_with_deadline
from ticketstub.errors import PlexError
from ticketstub.messages import Request, Response

if TYPE_CHECKING:
    import httpx2

_NOT_SENT_ERRORS = frozenset({"ConnectTimeout", "PoolTimeout", "ConnectError", "ProxyError", "UnsupportedProtocol"})
# The only sign by which httpx tells "closed without an answer" from "not HTTP". It also says so of an answer that ends
# before its first empty line, whatever was in it.
_NO_ANSWER = "Server disconnected"
# httpx works out where a redirect leads although it does not follow it, and fails where that is no address.
_NO_ADDRESS = "Invalid URL in location header"


class _HttpxExchange:
    """What both transports share: one request of ours, said and judged in the words of the client's library."""

    def __init__(self, client: object, request: Request, deadline: float, connect_timeout: float) -> None:
        self.origin, self._target, self._fields, self.remaining = prepare_request(request, deadline)
        self._request = request
        self._connect_timeout = connect_timeout
        kinds = [base.__module__.partition(".")[0] for base in type(client).__mro__]
        self._library = import_module("httpx2" if "httpx2" in kinds else "httpx")
        self._client = client
        self._url = self._build_url()
        self.has_head = False

    def _build_url(self) -> httpx2.URL:
        """Build the library's address from our own parts, and refuse it unless the library finds the same parts in it.

        Raises:
            ValueError: the library does not take it, or reads another host or port in it; nothing was sent.
        """
        origin = self.origin
        with suppress(Exception):  # whatever it is, its text repeats the address
            url = cast("type[httpx2.URL]", self._library.URL)(
                scheme=origin.scheme, host=origin.host, port=origin.port, raw_path=self._target.encode("ascii")
            )
            # `host` decodes punycode, which the library's request needs: what it cannot decode is refused here.
            if url.host and (url.scheme, url.raw_host.decode(), url.port or origin.default_port) == origin:
                return url
        raise ValueError(f"an address that {self._library.__name__} does not read as it is written cannot be used")

    def build_request(self) -> httpx2.Request:
        """Return the library's own request: our fields, Host and the length, nothing else."""
        connect = min(self._connect_timeout, self.remaining)
        timeouts = {"connect": connect, "read": self.remaining, "write": self.remaining, "pool": self.remaining}
        return cast("type[httpx2.Request]", self._library.Request)(
            self._request.method,
            self._url,
            headers=self._fields,
            content=self._request.body,
            extensions={"timeout": timeouts, "target": self._target.encode("ascii")},  # the target as it is, unquoted
        )

    def read_head(self, reply: httpx2.Response) -> dict[str, str]:
        """Take note that the head is there, and return its fields.

        Raises:
            MalformedReply: what it announces is nothing to read.
        """
        self.has_head = True
        fields = read_fields(reply.headers.raw)
        check_response_head(self.origin, self._request, reply.status_code, fields)
        return fields

    def translate_error(self, error: Exception) -> PlexError:
        """Turn what the client raised, be it the library's error or that of a hook, into one of ours."""
        if isinstance(error, PlexError):
            return error
        kinds = {kind.__name__ for kind in type(error).__mro__}
        sent = not (kinds & _NOT_SENT_ERRORS or getattr(self._client, "is_closed", False))
        if "TimeoutException" in kinds or isinstance(error, TimeoutError):
            return make_timeout_error(self.origin, sent=sent)
        if self.has_head:
            return make_cut_off_error(self.origin)
        if "InvalidURL" in kinds or ("RemoteProtocolError" in kinds and str(error).startswith(_NO_ADDRESS)):
            return make_malformed_error(self.origin, "it redirects to no address")
        if "RemoteProtocolError" in kinds:
            return (
                make_closed_early_error(self.origin)
                if str(error).startswith(_NO_ANSWER)
                else make_malformed_error(self.origin, "it is not HTTP")
            )
        return make_unreachable_error(self.origin, error, sent=sent)


class HttpxTransport(Transport):
    """Sends for `Plex` with the user's `Client`; see `base.Transport`.

    httpx bounds each wait but no sum of them, and no name look-up: so each exchange runs on a daemon thread, and the
    caller leaves it behind when the deadline passes or Ctrl-C comes. It closes its connection when httpx next returns.

    Args:
        client: an `httpx2.Client` or `httpx.Client`.
    """

    def __init__(self, client: object) -> None:
        self._client = cast("httpx2.Client", client)

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`; `sent` is True wherever httpx leaves it open."""
        exchange = _HttpxExchange(self._client, request, deadline, connect_timeout)
        try:
            return run_with_deadline(lambda: self._run(exchange, deadline), deadline + DEADLINE_GRACE)
        except TimeoutError:
            raise make_timeout_error(exchange.origin, sent=True) from None

    def _run(self, exchange: _HttpxExchange, deadline: float) -> Response:
        try:
            reply = self._client.send(exchange.build_request(), stream=True, auth=None, follow_redirects=False)
            with closing(reply):
                fields, body = exchange.read_head(reply), bytearray()
                for piece in reply.iter_raw():
                    append_to_body(exchange.origin, body, piece)
                    if time.monotonic() >= deadline:
                        raise TimeoutError  # noqa: TRY301  # it is judged below as httpx's own is
                return Response(reply.status_code, fields, bytes(body))
        except Exception as error:  # noqa: BLE001  # hooks, transports and auth of the client's may raise anything
            failure = exchange.translate_error(error)
        raise failure  # outside the handler: httpx's error must not become its context


class AsyncHttpxTransport(AsyncTransport):
    """Sends for `AsyncPlex` with the user's `AsyncClient`, under asyncio; see `base.AsyncTransport`.

    Args:
        client: an `httpx2.AsyncClient` or `httpx.AsyncClient`.
    """

    def __init__(self, client: object) -> None:
        self._client = cast("httpx2.AsyncClient", client)

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`; `sent` is True wherever httpx leaves it open."""
        exchange = _HttpxExchange(self._client, request, deadline, connect_timeout)
        try:
            async with asyncio.timeout(exchange.remaining + DEADLINE_GRACE):
                return await self._run(exchange)
        except Exception as error:  # noqa: BLE001  # as above
            failure = exchange.translate_error(error)
        raise failure  # outside the handler: httpx's error must not become its context

    async def _run(self, exchange: _HttpxExchange) -> Response:
        reply = await self._client.send(exchange.build_request(), stream=True, auth=None, follow_redirects=False)
        async with aclosing(reply):
            fields, body = exchange.read_head(reply), bytearray()
            async for piece in reply.aiter_raw():
                append_to_body(exchange.origin, body, piece)
            return Response(reply.status_code, fields, bytes(body))
