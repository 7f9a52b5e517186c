"""Every transport behind one synchronous face, so that one table of servers serves them all."""

from __future__ import annotations

import asyncio
import ssl
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import trustme

from ticketstub.client.transports.aiohttp import AiohttpTransport
from ticketstub.client.transports.base import AsyncTransport, Transport
from ticketstub.client.transports.http1 import StandardTransport
from ticketstub.client.transports.httpx import AsyncHttpxTransport, HttpxTransport
from ticketstub.errors import PlexError, TimedOut, Unreachable
from ticketstub.messages import Request, Response

CANARY = "canary-5f3a9c71d2e8"
# Ample where the reply or the error is expected, so that a busy machine fails nothing; short where the end is awaited.
TIMEOUT = 30.0
SHORT = 0.1


def request(url: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b"") -> Request:
    """Return a request whose query and headers hold the canary."""
    fields = {"Accept": "application/json", "X-Plex-Token": CANARY} | (headers or {})
    return Request("test", method, f"{url}/path?X-Plex-Token={CANARY}", fields, body)


class Sender:
    """A transport of either kind with a synchronous `send`; it also closes what the transport was given."""

    def __init__(self, transport: Transport | AsyncTransport, name: str = "", closing: object = None) -> None:
        self.transport = transport
        self.name = name
        self._closing = closing
        self.runner = asyncio.Runner()

    def send(self, request: Request, timeout: float = TIMEOUT, connect: float = TIMEOUT) -> Response:
        sent = self.transport.send(request, deadline=time.monotonic() + timeout, connect_timeout=connect)
        return self._done(sent)

    def pause(self, seconds: float) -> None:
        """Let time pass as in a program: with the event loop running, if there is one."""
        self._done(self.transport.sleep(seconds))

    def close(self) -> None:
        self._done(self.transport.close())
        close = getattr(self._closing, "aclose", None) or getattr(self._closing, "close", None)
        self._done(close() if close else None)
        self.runner.close()

    def _done(self, result):
        return self.runner.run(result) if isinstance(result, Coroutine) else result


NAMES = ["standard", "aiohttp", "aiohttp session", "httpx2", "async httpx2"]
DISTINCT = [name for name in NAMES if name != "aiohttp session"]


@pytest.fixture
def make_sender() -> Iterator[Callable[..., Sender]]:
    """Make senders by name; keyword arguments go to our own transports. All are closed after the test."""
    made: list[Sender] = []

    def make(name: str, context: ssl.SSLContext | None = None, **ours) -> Sender:
        made.append(_made(name, context, ours))
        return made[-1]

    yield make
    for sender in made:
        sender.close()


def _made(name: str, context: ssl.SSLContext | None, ours: dict[str, Any]) -> Sender:
    verify = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # an empty one is made at once, the default is slow
    if name == "standard":
        return Sender(StandardTransport(ssl_context=context, **ours), name)
    if name == "aiohttp":
        return Sender(AiohttpTransport(ssl_context=context, **ours), name)
    if name == "aiohttp session":
        return _with_session(verify)
    if name == "async httpx2":
        asynchronous = httpx2.AsyncClient(verify=verify)
        return Sender(AsyncHttpxTransport(asynchronous), name, asynchronous)
    client = httpx2.Client(verify=verify) if name == "httpx2" else httpx.Client(verify=verify)
    return Sender(HttpxTransport(client), name, client)


def _with_session(context: ssl.SSLContext) -> Sender:
    async def opened() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))

    runner = asyncio.Runner()
    session = runner.run(opened())
    sender = Sender(AiohttpTransport(session), "aiohttp session", session)
    sender.runner.close()
    sender.runner = runner
    return sender


@pytest.fixture(params=NAMES)
def sender(request: pytest.FixtureRequest, make_sender: Callable[..., Sender]) -> Sender:
    """Each transport in turn."""
    return make_sender(request.param)


@pytest.fixture(params=DISTINCT)
def distinct(request: pytest.FixtureRequest, make_sender: Callable[..., Sender]) -> Sender:
    """Each transport with its own way of waiting; the others share one of these."""
    return make_sender(request.param)


@pytest.fixture(params=["standard", "aiohttp"])
def own(request: pytest.FixtureRequest) -> str:
    """The name of each of our own two transports in turn."""
    return request.param


def failure_of(sender: Sender, request: Request, **times: float) -> PlexError:
    """Send, and expect one of our errors in time, without a secret in anything that could be printed."""
    begun = time.monotonic()
    with pytest.raises(PlexError) as caught:
        sender.send(request, **times)
    elapsed = time.monotonic() - begun
    allowed = (
        min(times.get("timeout", TIMEOUT), times.get("connect", TIMEOUT)) if isinstance(caught.value, TimedOut) else 1
    )
    assert elapsed <= max(allowed, 0) + 20, f"took {elapsed:.2f} s"
    assert_no_canary(caught.value)
    return caught.value


def unreached(sender: Sender, request: Request, **times: float) -> Unreachable:
    """As `failure_of`, for a request without a response."""
    error = failure_of(sender, request, **times)
    assert isinstance(error, Unreachable)
    return error


def assert_no_canary(error: BaseException) -> None:
    """Check that no error in the chain, shown or suppressed, holds the canary in a form that a log would show."""
    assert CANARY not in "".join(traceback.format_exception(error))
    link: BaseException | None = error
    while link is not None:
        assert CANARY not in f"{link!s}{link!r}{link.args!r}{getattr(link, 'hint', '')}"
        link = link.__cause__ or link.__context__


class Authority:
    """A certificate authority of the tests, with the faulty certificates that they need."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self._stranger = trustme.CA()

    def trusting(self) -> ssl.SSLContext:
        """Return a client's context that trusts only this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the default one reads all of the computer's authorities
        self._authority.configure_trust(context)
        return context

    def write(self, path: Path) -> None:
        """Write the authority's certificate to a file, for clients that take one."""
        self._authority.cert_pem.write_to_path(str(path))

    @cache  # noqa: B019  # there is one authority, as long as the tests
    def serving(self, *hosts: str, expired: bool = False, trusted: bool = True) -> ssl.SSLContext:
        """Return a server's context with a certificate for these hosts."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        yesterday = datetime.now(UTC) - timedelta(days=1)
        issuer = self._authority if trusted else self._stranger
        issuer.issue_cert(*hosts, not_after=yesterday if expired else None).configure_cert(context)
        return context


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()
