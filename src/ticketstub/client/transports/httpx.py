"""The transports on an httpx2 or httpx client that the program passes, sync and async.

Rule: neither library is imported here; its classes come from the client's own module. A request bypasses what the
client would add (headers, cookies, auth, base URL, redirects). The client's event hooks, proxies, certificates, limits
and transports apply. The client is never closed. Observed, and not avoidable here: both libraries read bytes that a
server sends after a response as the next response on that connection.
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
    encode_fields,
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
# Only this text distinguishes "closed without an answer" from "not HTTP". httpx also uses it for a response that ends
# before its first empty line, whatever was in it.
_NO_ANSWER = "Server disconnected"
# httpx resolves the target of a redirect even if it does not follow it, and fails if that is not a URL.
_NO_ADDRESS = "Invalid URL in location header"


class _HttpxExchange:
    """One request in the classes of the client's library; both transports share it."""

    def __init__(self, client: object, request: Request, deadline: float, connect_timeout: float) -> None:
        self.origin, target, self.remaining = prepare_request(request, deadline)
        fields = encode_fields(request)
        kinds = [base.__module__.partition(".")[0] for base in type(client).__mro__]
        self._library = import_module("httpx2" if "httpx2" in kinds else "httpx")
        self._client = client
        self._request = request
        self.has_head = False
        timeouts = {
            "connect": min(connect_timeout, self.remaining),
            **dict.fromkeys(("read", "write", "pool"), self.remaining),
        }
        if request.address:
            # The library's pool does not know for which name a certificate was checked, so nothing may be reused.
            fields = [(b"Host", self.origin.host_header.encode("ascii")), (b"Connection", b"close"), *fields]
        # Our fields, Host and the length, and nothing else.
        self.library_request = cast("type[httpx2.Request]", self._library.Request)(
            request.method,
            self._build_url(target),
            headers=fields,
            content=request.body,
            extensions={
                "timeout": timeouts,
                "target": target.encode("ascii"),  # exactly as it is
                **({"sni_hostname": self.origin.host} if request.address else {}),  # checked against the certificate
            },
        )

    def _build_url(self, target: str) -> httpx2.URL:
        """Build the library's URL from our own parts, and refuse it unless the library reads the same parts in it.

        Raises:
            ValueError: the library rejects it, or reads another host or port in it; nothing was sent.
        """
        origin = self.origin._replace(host=self._request.address) if self._request.address else self.origin
        with suppress(Exception):  # its text repeats the URL
            url = cast("type[httpx2.URL]", self._library.URL)(
                scheme=origin.scheme, host=origin.host, port=origin.port, raw_path=target.encode("ascii")
            )
            # `host` decodes punycode, which the library's request needs: undecodable hosts are refused here.
            if url.host and (url.scheme, url.raw_host.decode(), url.port or origin.default_port) == origin:
                return url
        raise ValueError(f"an address that {self._library.__name__} does not read as it is written cannot be used")

    def read_head(self, reply: httpx2.Response) -> dict[str, str]:
        """Note that the head has arrived, and return its fields.

        Raises:
            MalformedReply: the body that it announces cannot be read.
        """
        self.has_head = True
        fields = read_fields(reply.headers.raw)
        check_response_head(self.origin, self._request, reply.status_code, fields)
        return fields

    def translate_error(self, error: Exception) -> PlexError:
        """Turn an error that the client raised, the library's or a hook's, into one of ours."""
        if isinstance(error, PlexError):
            return error
        kinds = {kind.__name__ for kind in type(error).__mro__}
        sent = not (kinds & _NOT_SENT_ERRORS or getattr(self._client, "is_closed", False))
        if "TimeoutException" in kinds or isinstance(error, TimeoutError):
            return make_timeout_error(self.origin, sent=sent)
        if self.has_head:
            return make_cut_off_error(self.origin)
        if "InvalidURL" in kinds or ("RemoteProtocolError" in kinds and str(error).startswith(_NO_ADDRESS)):
            return make_malformed_error(self.origin, "it redirects to no valid address")
        if "RemoteProtocolError" in kinds:
            return (
                make_closed_early_error(self.origin)
                if str(error).startswith(_NO_ANSWER)
                else make_malformed_error(self.origin, "it is not HTTP")
            )
        return make_unreachable_error(self.origin, error, sent=sent)


class HttpxTransport(Transport):
    """Sends for `Plex` with the program's `Client`.

    httpx bounds each wait, but neither their sum nor a name look-up. So each exchange runs on a daemon thread, which
    the caller abandons at the deadline or on Ctrl-C. It closes its connection when httpx next returns.

    Args:
        client: an `httpx2.Client` or `httpx.Client`.
    """

    def __init__(self, client: object) -> None:
        self._client = cast("httpx2.Client", client)

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`; `sent` is True where httpx does not say."""
        exchange = _HttpxExchange(self._client, request, deadline, connect_timeout)
        try:
            return run_with_deadline(lambda: self._run(exchange, deadline), deadline + DEADLINE_GRACE)
        except TimeoutError:
            raise make_timeout_error(exchange.origin, sent=True) from None

    def _run(self, exchange: _HttpxExchange, deadline: float) -> Response:
        try:
            reply = self._client.send(exchange.library_request, stream=True, auth=None, follow_redirects=False)
            with closing(reply):
                fields, body = exchange.read_head(reply), bytearray()
                for piece in reply.iter_raw():
                    append_to_body(exchange.origin, body, piece)
                    if time.monotonic() >= deadline:
                        raise TimeoutError  # noqa: TRY301  # it is translated below, as httpx's own is
                return Response(reply.status_code, fields, bytes(body))
        except Exception as error:  # noqa: BLE001  # hooks and transports of the client may raise anything
            failure = exchange.translate_error(error)
        raise failure  # outside the handler: httpx's error must not become its context


class AsyncHttpxTransport(AsyncTransport):
    """Sends for `AsyncPlex` with the program's `AsyncClient`, under asyncio.

    Args:
        client: an `httpx2.AsyncClient` or `httpx.AsyncClient`.
    """

    def __init__(self, client: object) -> None:
        self._client = cast("httpx2.AsyncClient", client)

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        """As `base.Transport.send`; `sent` is True where httpx does not say."""
        exchange = _HttpxExchange(self._client, request, deadline, connect_timeout)
        try:
            async with asyncio.timeout(exchange.remaining + DEADLINE_GRACE):
                return await self._run(exchange)
        except Exception as error:  # noqa: BLE001  # as above
            failure = exchange.translate_error(error)
        raise failure  # outside the handler: httpx's error must not become its context

    async def _run(self, exchange: _HttpxExchange) -> Response:
        reply = await self._client.send(exchange.library_request, stream=True, auth=None, follow_redirects=False)
        async with aclosing(reply):
            fields, body = exchange.read_head(reply), bytearray()
            async for piece in reply.aiter_raw():
                append_to_body(exchange.origin, body, piece)
            return Response(reply.status_code, fields, bytes(body))
