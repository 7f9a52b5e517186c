"""Errors of the program's own client, session or transport become a `PlexError` without a cause."""

from __future__ import annotations

import asyncio
import concurrent.futures
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
import h11
import httpx
import httpx2
import pytest

from tests.client.transports import hostile
from tests.client.transports.conftest import CANARY, assert_no_canary
from tests.tables import every
from ticketstub import AsyncPlex, Device, MalformedReply, Plex, PlexError, Retry, Unreachable
from ticketstub.messages import Request, Response

EMPTY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
OPTIONS: dict[str, Any] = {
    "device": Device(client_identifier="demo-client-7c1f"),
    "token": CANARY,
    "retry": Retry(attempts=1),
}
PONG = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"pong":true}'

ERRORS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError(CANARY),
    "TypeError": lambda: TypeError(CANARY),
    "RuntimeError": lambda: RuntimeError(CANARY),
    "KeyError": lambda: KeyError(CANARY),
    "Exception": lambda: Exception(CANARY),
    "AssertionError": lambda: AssertionError(CANARY),
    "StopIteration": lambda: StopIteration(CANARY),
    "RecursionError": lambda: RecursionError(CANARY),
    "MemoryError": lambda: MemoryError(CANARY),
    "ExceptionGroup": lambda: ExceptionGroup(CANARY, [ValueError(CANARY)]),
    "OSError": lambda: OSError(CANARY),
    "SSLError": lambda: ssl.SSLError(CANARY),
    "TimeoutError": lambda: TimeoutError(CANARY),
    "a future's CancelledError": lambda: concurrent.futures.CancelledError(CANARY),
    "httpx.InvalidURL": lambda: httpx.InvalidURL(CANARY),
    "httpx2.InvalidURL": lambda: httpx2.InvalidURL(CANARY),
    "httpx.StreamConsumed": httpx.StreamConsumed,
    "httpx.CookieConflict": lambda: httpx.CookieConflict(CANARY),
    "h11": lambda: h11.RemoteProtocolError(CANARY),
    "aiohttp": lambda: aiohttp.ClientError(CANARY),
    "UnicodeError": lambda: UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, CANARY),
}
PASSED_ON: dict[str, type[BaseException]] = {
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": SystemExit,
    "GeneratorExit": GeneratorExit,
    "CancelledError": asyncio.CancelledError,
}


class Raising:
    """A part of the program that raises at a chosen place."""

    def __init__(self, make: Callable[[], BaseException]) -> None:
        self.make = make
        self.asked = 0

    def hook(self, *_: object, **__: object) -> None:
        self.asked += 1
        raise self.make()

    async def awaited_hook(self, *_: object, **__: object) -> None:
        self.asked += 1
        raise self.make()


class RaisingTransport:
    """A transport for `Plex` that raises."""

    def __init__(self, raising: Raising) -> None:
        self._raising = raising

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        self._raising.hook()
        raise AssertionError(request)

    def sleep(self, seconds: float) -> None:
        self._raising.hook()

    def close(self) -> None:
        self._raising.hook()


class AsyncRaisingTransport:
    """A transport for `AsyncPlex` that raises."""

    def __init__(self, raising: Raising) -> None:
        self._raising = raising

    async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        await self._raising.awaited_hook()
        raise AssertionError(request)

    async def sleep(self, seconds: float) -> None:
        await self._raising.awaited_hook()

    async def close(self) -> None:
        await self._raising.awaited_hook()


Ask = Callable[[Raising, str], None]


def _with_httpx(library: Any, when: str) -> Ask:
    def ask(raising: Raising, url: str) -> None:
        with library.Client(verify=EMPTY, event_hooks={when: [raising.hook]}) as client:
            Plex(plex_tv=url, transport=client, **OPTIONS).ping()

    return ask


def _with_async_httpx(library: Any, when: str) -> Ask:
    async def ask(raising: Raising, url: str) -> None:
        async with library.AsyncClient(verify=EMPTY, event_hooks={when: [raising.awaited_hook]}) as client:
            await AsyncPlex(plex_tv=url, transport=client, **OPTIONS).ping()

    return lambda raising, url: asyncio.run(ask(raising, url))


def _with_transport_of_httpx(library: Any) -> Ask:
    def ask(raising: Raising, url: str) -> None:
        with library.Client(transport=library.MockTransport(raising.hook)) as client:
            Plex(plex_tv=url, transport=client, **OPTIONS).ping()

    return ask


def _with_aiohttp(when: str) -> Ask:
    async def ask(raising: Raising, url: str) -> None:
        tracing = aiohttp.TraceConfig()
        getattr(tracing, when).append(raising.awaited_hook)
        async with aiohttp.ClientSession(trace_configs=[tracing]) as session:
            await AsyncPlex(plex_tv=url, transport=session, **OPTIONS).ping()

    return lambda raising, url: asyncio.run(ask(raising, url))


def _with_transport(raising: Raising, url: str) -> None:
    Plex(plex_tv=url, transport=RaisingTransport(raising), **OPTIONS).ping()


def _with_async_transport(raising: Raising, url: str) -> None:
    asyncio.run(AsyncPlex(plex_tv=url, transport=AsyncRaisingTransport(raising), **OPTIONS).ping())


USES: dict[str, Ask] = {
    **{
        f"{library.__name__}, {when} hook": _with_httpx(library, when)
        for library in (httpx, httpx2)
        for when in ("request", "response")
    },
    **{
        f"async {library.__name__}, {when} hook": _with_async_httpx(library, when)
        for library in (httpx, httpx2)
        for when in ("request", "response")
    },
    **{f"{library.__name__}, transport": _with_transport_of_httpx(library) for library in (httpx, httpx2)},
    **{f"aiohttp, {when}": _with_aiohttp(when) for when in ("on_request_start", "on_request_end")},
    "a transport": _with_transport,
    "an async transport": _with_async_transport,
}


@every("use", USES)
def test_nothing_foreign_leaves(use: Ask) -> None:
    """An error of the program's client becomes a PlexError with `sent=True` and without a cause."""
    with hostile.Server(hostile.answer(PONG)) as server:
        for name, make in ERRORS.items():
            raising = Raising(make)
            with pytest.raises(PlexError) as caught:
                use(raising, server.url)
            assert raising.asked, name
            assert getattr(caught.value, "sent", True), name
            assert (None, None) == (caught.value.__cause__, caught.value.__context__), name
            assert_no_canary(caught.value)


@every("use", USES)
def test_what_ends_a_program_passes(use: Ask) -> None:
    """KeyboardInterrupt, SystemExit, GeneratorExit and cancellation pass through."""
    with hostile.Server(hostile.answer(PONG)) as server:
        for kind in PASSED_ON.values():
            with pytest.raises(kind):
                use(Raising(kind), server.url)


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_client_that_is_closed(library: Any) -> None:
    """A closed client is Unreachable with `sent=False`, so that even a sign-in may be repeated."""
    with hostile.Server(hostile.answer(PONG)) as server:
        client = library.Client(verify=EMPTY)
        client.close()
        with pytest.raises(Unreachable) as caught:
            Plex(plex_tv=server.url, transport=client, **OPTIONS).ping()
        assert (False, True) == (caught.value.sent, "RuntimeError" in caught.value.message)

        async def ask() -> None:
            other = library.AsyncClient(verify=EMPTY)
            await other.aclose()
            await AsyncPlex(plex_tv=server.url, transport=other, **OPTIONS).ping()

        with pytest.raises(Unreachable) as caught:
            asyncio.run(ask())
        assert not caught.value.sent


def test_session_that_is_closed() -> None:
    """So is a closed aiohttp session."""

    async def ask() -> None:
        session = aiohttp.ClientSession()
        await session.close()
        await AsyncPlex(plex_tv="http://127.0.0.1:9", transport=session, **OPTIONS).ping()

    with pytest.raises(Unreachable) as caught:
        asyncio.run(ask())
    assert not caught.value.sent


@pytest.mark.parametrize("kind", ["aiohttp", "httpx", "httpx2"])
def test_another_event_loop(kind: str) -> None:
    """A client from an ended event loop gives a response or a PlexError in the next one, never its own error."""
    with hostile.Server(hostile.answer(PONG)) as server:
        first, second = asyncio.Runner(), asyncio.Runner()

        async def make() -> Any:
            if kind == "aiohttp":
                return aiohttp.ClientSession()
            return {"httpx": httpx, "httpx2": httpx2}[kind].AsyncClient(verify=EMPTY)

        client = first.run(make())
        plex = AsyncPlex(plex_tv=server.url, transport=client, **OPTIONS)
        assert first.run(plex.ping())
        with suppress(PlexError):
            second.run(plex.ping())
        first.run(client.close() if kind == "aiohttp" else client.aclose())
        first.close()
        with suppress(PlexError):
            second.run(plex.ping())
        second.close()


@pytest.mark.parametrize(
    "location", ["mailto:a@b", "myapp:callback", "javascript:x()", "http://[", "http://a:b:c/", "x:1"]
)
def test_location_that_httpx_cannot_read(make_sender, location: str) -> None:
    """A redirect whose URL httpx cannot parse is a malformed reply, although it is not followed."""
    answer = f"HTTP/1.1 302 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    with hostile.Server(hostile.answer(answer)) as server:
        for name in ("httpx", "httpx2", "async httpx2"):
            sender = make_sender(name)
            with suppress(MalformedReply):
                assert 302 == sender.send(Request("test", "GET", server.url, {})).status


class Silent:
    """A transport that returns no response."""

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Any:
        return {"status": 200, "token": CANARY}

    def sleep(self, seconds: float) -> None: ...
    def close(self) -> None: ...


def test_transport_that_returns_no_response() -> None:
    """Anything but a Response is a MalformedReply that does not repeat it."""
    with pytest.raises(MalformedReply, match="returned no Response") as caught:
        Plex(transport=Silent(), **OPTIONS).ping()
    assert_no_canary(caught.value)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_sleeping_and_closing(kind: str) -> None:
    """Errors while waiting or closing become a PlexError too."""
    raising = Raising(lambda: KeyError(CANARY))
    options = {**OPTIONS, "retry": Retry(attempts=2, backoff=0.01)}
    if kind == "sync":
        plex = Plex(transport=RaisingTransport(raising), **options)
        with pytest.raises(Unreachable, match="cannot wait"):
            plex.ping()
        with pytest.raises(Unreachable, match="cannot close"):
            plex.close()
        return

    async def ask() -> None:
        plex = AsyncPlex(transport=AsyncRaisingTransport(raising), **options)
        with pytest.raises(Unreachable, match="cannot wait"):
            await plex.ping()
        with pytest.raises(Unreachable, match="cannot close"):
            await plex.close()

    asyncio.run(ask())


def test_mistakes_are_found_before_the_transport_is_asked() -> None:
    """A request that cannot be sent is a ValueError; the program's transport does not receive it."""
    raising = Raising(lambda: AssertionError("it was asked"))
    with pytest.raises(ValueError, match="a path starts with one slash"):
        Plex(transport=RaisingTransport(raising), **OPTIONS).at("http://127.0.0.1:9").get("/\\evil")
    assert 0 == raising.asked
