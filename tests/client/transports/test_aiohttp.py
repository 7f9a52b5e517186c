"""The async transport: cancelling, event loops, and the program's own session."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from contextlib import suppress

import aiohttp
import pytest

from tests.client.transports import hostile
from tests.client.transports.conftest import SHORT, TIMEOUT, Authority, request
from ticketstub.client.transports.aiohttp import AiohttpTransport
from ticketstub.errors import Unreachable


async def send(transport: AiohttpTransport, url: str):
    return await transport.send(request(url), deadline=time.monotonic() + TIMEOUT, connect_timeout=TIMEOUT)


async def test_cancel_closes_the_exchange() -> None:
    """Cancelling a send closes its connection, and the server notices."""
    transport = AiohttpTransport()
    for behave in (hostile.silent, hostile.dripping_body):
        with hostile.Server(behave) as server:
            task = asyncio.create_task(send(transport, server.url))
            await asyncio.sleep(SHORT)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
            if behave is hostile.silent:
                assert await asyncio.to_thread(server.ended.wait, 1)
    await transport.close()


async def test_cancel_waits_for_no_tls_shutdown(authority: Authority) -> None:
    """Cancelling a send over TLS closes its connection at once, also if the server never answers the TLS shutdown."""

    def answer_nothing(server: hostile.Server, sock: socket.socket) -> None:
        server.read(sock)
        received.set()
        with socket.socket(fileno=os.dup(sock.fileno())) as below, suppress(ConnectionResetError):
            while below.recv(65536):
                pass
        server.ended.set()

    received = threading.Event()
    transport = AiohttpTransport(ssl_context=authority.trusting())
    with hostile.Server(answer_nothing, authority.serving("127.0.0.1")) as server:
        task = asyncio.create_task(send(transport, server.url))
        assert await asyncio.to_thread(received.wait, 60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await asyncio.to_thread(server.ended.wait, 20)  # asyncio would wait for 30
    await transport.close()


def test_a_session_for_each_loop() -> None:
    """One transport works in one event loop after another."""
    transport = AiohttpTransport()

    async def once(url: str) -> bytes:
        try:
            return (await send(transport, url)).body
        finally:
            await transport.close()

    with hostile.Server(hostile.answer(hostile.OK)) as server:
        for _ in range(2):
            assert b"ok" == asyncio.run(once(server.url))


async def test_many_at_once() -> None:
    """Many tasks share one transport."""
    transport = AiohttpTransport()
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        answers = await asyncio.gather(*(send(transport, server.url) for _ in range(50)))
    await transport.close()
    assert [b"ok"] * 50 == [answer.body for answer in answers]


async def test_their_session_stays_open() -> None:
    """The program's session is used and never closed; its default headers are sent."""
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        async with aiohttp.ClientSession(headers={"X-Mine": "1"}, raise_for_status=True) as session:
            transport = AiohttpTransport(session)
            await send(transport, server.url)
            await transport.close()
            assert not session.closed
        assert b"X-Mine: 1" in server.requests[0]
        assert b"User-Agent" not in server.requests[0]


async def test_closed_while_a_request_is_under_way() -> None:
    """A request that was sent is not said to be unsent because its session was closed before the response."""
    tracing = aiohttp.TraceConfig()

    async def close(session: aiohttp.ClientSession, *_event: object) -> None:
        await session.close()
        raise ConnectionResetError

    tracing.on_request_headers_sent.append(close)
    with hostile.Server(hostile.answer(hostile.OK)) as server:
        async with aiohttp.ClientSession(trace_configs=[tracing]) as session:
            with pytest.raises(Unreachable) as failure:
                await send(AiohttpTransport(session), server.url)
    assert failure.value.sent


async def test_their_status_check_is_off() -> None:
    """A session with `raise_for_status` does not raise for our requests."""
    with hostile.Server(hostile.answer(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")) as server:
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            assert 401 == (await send(AiohttpTransport(session), server.url)).status


async def test_sleep() -> None:
    """Sleeping lets other tasks run."""
    begun = time.monotonic()
    await AiohttpTransport().sleep(0.02)
    assert time.monotonic() - begun >= 0.015
