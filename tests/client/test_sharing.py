"""Threads, tasks, a user's own HTTP client, and Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, cast

import aiohttp
import httpx
import httpx2
import pytest

from tests.client.conftest import DEVICE, FACADES, Script, reply
from tests.client.scripts import head_of
from tests.client.transports.hostile import Server, silent
from tests.samples.reading import sample
from tests.tables import first_of
from ticketstub import AsyncPlex, Plex, Unauthorized
from ticketstub.client.config import SharedTransport

Serve = Callable[..., Script]


def test_threads_share_one_client(serve: Serve) -> None:
    """When sixteen threads with sixteen users share one client, each gets the reply to its own request."""
    server = serve()
    names = [f"user{number:02}" for number in range(16)]
    for name in names:
        server.answers[f"/{name}"] = reply(name.encode())
    with Plex(device=DEVICE).at(server.url, token="t" * 20) as attic, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda name: attic.get(f"/{name}").text, names * 10))
    assert names * 10 == found
    assert 16 >= server.connections


def test_tasks_share_one_client(serve: Serve) -> None:
    """A hundred tasks share one async client."""
    server = serve()
    names = [f"user{number:02}" for number in range(100)]
    for name in names:
        server.answers[f"/{name}"] = reply(name.encode())

    async def all_at_once() -> list[str]:
        async with AsyncPlex(device=DEVICE).at(server.url, token="t" * 20) as attic:
            return [found.text for found in await asyncio.gather(*(attic.get(f"/{name}") for name in names))]

    assert names == asyncio.run(all_at_once())


def test_two_first_calls_make_one_transport() -> None:
    """Threads that make their first calls at the same time share one transport."""
    made: list[object] = []

    def make() -> object:
        time.sleep(0.02)
        made.append(object())
        return made[-1]

    link = SharedTransport(make)
    with ThreadPoolExecutor(8) as pool:
        opened = set(pool.map(lambda _: link.get_transport(), range(8)))
    assert (1, 1) == (len(made), len(opened))


def test_a_later_call_takes_no_lock() -> None:
    """Once there is a transport, calls take no lock: a child forked while a thread held it would wait for ever."""
    link = SharedTransport(object)
    first = link.get_transport()
    with ThreadPoolExecutor(1) as pool:
        with link._lock:
            later = pool.submit(link.get_transport)
            done, _ = wait([later], timeout=2.0)
        assert first is later.result(2.0)
    assert {later} == done


def test_async_token_source(serve: Serve) -> None:
    """The async client awaits an async token source, and its `refused`."""

    class Source:
        tokens = ("first", "second")
        told: tuple[object, ...] = ()

        async def __call__(self) -> str:
            await asyncio.sleep(0)
            return self.tokens[len(self.told)]

        async def refused(self, token: object) -> None:
            self.told += (token,)

    server = serve()
    server.answers["/api/v2/ping"] = [reply(b"", 401), reply(sample("ping.json"))]

    async def call() -> bool:
        async with AsyncPlex(device=DEVICE, plex_tv=server.url, token=Source()) as plex:
            return await plex.ping()

    assert True is asyncio.run(call())
    assert ["first", "second"] == [head_of(came)[1]["x-plex-token"] for came in server.came]


def test_token_source_that_has_run_out(serve: Serve) -> None:
    """A token source that raises StopIteration is an error in both façades, and nothing is sent."""
    server = serve()
    spent: Iterator[str] = iter(())
    with Plex(device=DEVICE, plex_tv=server.url, token=spent.__next__) as plex, pytest.raises(RuntimeError):
        plex.ping()

    async def call() -> None:
        async with AsyncPlex(device=DEVICE, plex_tv=server.url, token=spent.__next__) as plex:
            await plex.ping()

    with pytest.raises(RuntimeError):
        asyncio.run(call())
    assert [] == server.came


def test_cancelled_call_leaves_the_client_usable(serve: Serve) -> None:
    """Cancelling a task ends its call at once and leaves the client usable."""
    server = serve()
    server.answers["/api/v2/ping"] = reply(sample("ping.json"))

    async def scenario() -> tuple[float, bool]:
        with Server(silent) as hanging:
            async with AsyncPlex(device=DEVICE, plex_tv=server.url, token="t" * 20) as plex:
                task = asyncio.create_task(plex.ping(base_url=hanging.url, token="u" * 20))
                await asyncio.sleep(0.05)
                begun = time.monotonic()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                return time.monotonic() - begun, await plex.ping()

    seconds, pong = asyncio.run(scenario())
    assert seconds < 30
    assert pong


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_own_client(serve: Serve, library: Any) -> None:
    """`Plex` sends with your own httpx or httpx2 client, and does not close it."""
    server = serve()
    server.answers["/api/v2/user"] = [reply(sample("account.json")), reply(b"", 401)]
    with library.Client(headers={"X-Theirs": "1"}, follow_redirects=True) as client:
        with Plex(device=DEVICE, plex_tv=server.url, token="t" * 20, transport=client) as plex:
            assert "mira_quill" == plex.authentication.get_token_details().username
            with pytest.raises(Unauthorized):
                plex.authentication.get_token_details()
        assert not client.is_closed
    assert "x-theirs" not in head_of(server.came[0])[1]


@pytest.mark.parametrize("kind", ["aiohttp", "httpx", "httpx2"])
def test_own_async_client(serve: Serve, kind: str) -> None:
    """`AsyncPlex` sends with your own aiohttp session or httpx or httpx2 client, and does not close it."""
    server = serve()
    server.answers["/api/v2/user"] = [reply(sample("account.json")), reply(b"", 401)]
    make: dict[str, Callable[[], Any]] = {
        "aiohttp": aiohttp.ClientSession,
        "httpx": httpx.AsyncClient,
        "httpx2": httpx2.AsyncClient,
    }

    async def scenario() -> None:
        async with make[kind]() as client:
            async with AsyncPlex(device=DEVICE, plex_tv=server.url, token="t" * 20, transport=client) as plex:
                assert "mira_quill" == (await plex.authentication.get_token_details()).username
                with pytest.raises(Unauthorized):
                    await plex.authentication.get_token_details()
            assert not (client.closed if kind == "aiohttp" else client.is_closed)

    asyncio.run(scenario())
    assert 2 == len(server.came)


def test_the_wrong_kind_of_client() -> None:
    """An HTTP client for the other façade, or of an unknown library, is a TypeError that lists the accepted ones."""
    with pytest.raises(TypeError, match="Plex sends with an httpx2"):
        Plex(device=DEVICE, token="t" * 20, transport=cast("Any", httpx.AsyncClient())).ping()
    with httpx.Client() as client, pytest.raises(TypeError, match="AsyncPlex sends with an aiohttp"):
        asyncio.run(AsyncPlex(device=DEVICE, token="t" * 20, transport=cast("Any", client)).ping())


PROGRAM = """
import asyncio, sys
from ticketstub import AsyncPlex, Device, Plex
facade, url = sys.argv[1:]
given = {"device": Device(client_identifier="x"), "plex_tv": url, "token": "t" * 20, "timeout": 60.0}
if facade == "sync":
    Plex(**given).ping()
else:
    async def main():
        async with AsyncPlex(**given) as plex:
            await plex.ping()
    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("facade", first_of(FACADES))
def test_ctrl_c(facade: str) -> None:
    """Ctrl-C during a hanging call ends a script at once, with a KeyboardInterrupt."""
    with Server(silent) as server:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", PROGRAM, facade, server.url]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
            _wait_for(lambda: bool(server.requests))
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
            seconds = time.monotonic() - begun
    assert (-signal.SIGINT, b"KeyboardInterrupt") == (process.returncode, errors.strip().splitlines()[-1])
    assert seconds < 10  # the call alone would take longer
    assert b"t" * 20 not in errors


def _wait_for(ready: Callable[[], bool]) -> None:
    """Wait for at most a minute."""
    until = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < until, "the program never sent its request"
        time.sleep(0.01)
