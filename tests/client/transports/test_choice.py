"""Which transport serves which client; choosing one loads no unused library."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import httpx
import httpx2
import pytest

from ticketstub.client.config import create_async_transport, create_transport
from ticketstub.client.transports.aiohttp import AiohttpTransport
from ticketstub.client.transports.http1 import StandardTransport
from ticketstub.client.transports.httpx import AsyncHttpxTransport, HttpxTransport

EMPTY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # made at once, the default is slow
SOURCE = Path(__file__).parents[2] / "src"


class Mine:
    def send(self, request, *, deadline, connect_timeout): ...
    def sleep(self, seconds): ...
    def close(self): ...


class MineAwaited:
    async def send(self, request, *, deadline, connect_timeout): ...
    async def sleep(self, seconds): ...
    async def close(self): ...


class TheirClient(httpx2.Client):
    pass


def test_sync() -> None:
    """`None` gives our own transport, a client its adapter, a transport a guard around it."""
    assert StandardTransport is type(create_transport(None))
    with httpx2.Client(verify=EMPTY) as two, httpx.Client(verify=EMPTY) as one, TheirClient(verify=EMPTY) as derived:
        assert {HttpxTransport} == {type(create_transport(client)) for client in (one, two, derived)}
    mine = Mine()
    assert mine is vars(create_transport(mine))["_inner"]


async def test_async() -> None:
    """The same for async clients."""
    assert AiohttpTransport is type(create_async_transport(None))
    async with (
        aiohttp.ClientSession() as session,
        httpx2.AsyncClient(verify=EMPTY) as two,
        httpx.AsyncClient(verify=EMPTY) as one,
    ):
        assert AiohttpTransport is type(create_async_transport(session))
        assert {AsyncHttpxTransport} == {type(create_async_transport(client)) for client in (one, two)}
    mine = MineAwaited()
    assert mine is vars(create_async_transport(mine))["_inner"]


async def test_anything_else() -> None:
    """Anything else is a TypeError that lists what is accepted."""
    async with httpx2.AsyncClient(verify=EMPTY) as asynchronous:
        for wrong in (asynchronous, MineAwaited(), object(), "http://127.0.0.1"):
            with pytest.raises(TypeError, match=r"Plex sends with an httpx2.Client or httpx.Client, or a transport"):
                create_transport(wrong)
    with httpx2.Client(verify=EMPTY) as synchronous:
        for wrong in (synchronous, Mine(), object()):
            with pytest.raises(TypeError, match=r"AsyncPlex sends with an aiohttp.ClientSession, .* is none of these"):
                create_async_transport(wrong)


@pytest.mark.long
def test_nothing_heavy_is_loaded() -> None:
    """Importing the package loads no HTTP library, and the sync transport loads no async one."""
    program = """
import sys
from ticketstub.client.config import create_transport
print([name for name in ("http.client", "ssl", "asyncio", "aiohttp", "httpx2") if name in sys.modules])
create_transport(None)
print([name for name in ("asyncio", "aiohttp", "httpx2", "httpx", "yarl") if name in sys.modules])
"""
    run = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True
    )
    assert "[]\n[]\n" == run.stdout
