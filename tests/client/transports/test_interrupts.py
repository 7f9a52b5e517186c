"""Ctrl-C in a real program, during each kind of wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.client.transports import hostile

SOURCE = Path(__file__).parents[2] / "src"

SYNC = """
import sys, time
from ticketstub.client.transports.http1 import StandardTransport
from ticketstub.messages import Request
transport = StandardTransport(resolver=lambda host, port: print("asked", flush=True) or time.sleep(30))
print("ready", flush=True)
transport.send(Request("t", "GET", sys.argv[1], {}), deadline=time.monotonic() + 30, connect_timeout=30)
"""

# asyncio notices a signal that comes between its look for signals and its wait only at the next event: hence the beat.
ASYNC = """
import asyncio, sys, time
from ticketstub.client.transports.aiohttp import AiohttpTransport
from ticketstub.messages import Request
transport = AiohttpTransport(resolver=lambda host, port: print("asked", flush=True) or time.sleep(30))
async def beat():
    while True:
        await asyncio.sleep(0.1)
async def main():
    beating = asyncio.create_task(beat())
    print("ready", flush=True)
    try:
        await transport.send(Request("t", "GET", sys.argv[1], {}), deadline=time.monotonic() + 30, connect_timeout=30)
    finally:
        await transport.close()
asyncio.run(main())
"""

ON_HTTPX = """
import ssl, sys, time
import httpx2
from ticketstub.client.transports.httpx import HttpxTransport
from ticketstub.messages import Request
transport = HttpxTransport(httpx2.Client(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)))
print("ready", flush=True)
transport.send(Request("t", "GET", sys.argv[1], {}), deadline=time.monotonic() + 30, connect_timeout=30)
"""


@pytest.mark.parametrize("program", [SYNC, ASYNC, ON_HTTPX], ids=["standard", "aiohttp", "httpx2"])
def test_during_a_silent_reply(program: str) -> None:
    """Ctrl-C while a server is silent ends the program at once."""
    with hostile.Server(hostile.silent) as server:
        _interrupted(program, f"http://127.0.0.1:{server.port}/", lambda: bool(server.requests))


@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["standard", "aiohttp"])
def test_during_a_stalled_look_up(program: str) -> None:
    """Ctrl-C while the resolver stalls ends the program at once."""
    _interrupted(program, "http://plex.example.test/", None)


def _interrupted(program: str, url: str, waiting) -> None:
    """Start a program, interrupt it once it waits, and expect it to end by KeyboardInterrupt in time."""
    child = subprocess.Popen(
        [sys.executable, "-c", program, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )
    with child:
        assert child.stdout
        assert b"ready\n" == child.stdout.readline()
        if waiting is None:
            assert b"asked\n" == child.stdout.readline()
        deadline = time.monotonic() + 60
        while waiting and not waiting() and time.monotonic() < deadline:
            time.sleep(0.005)
        begun = time.monotonic()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=60)
        assert time.monotonic() - begun < 15
    assert b"KeyboardInterrupt" in errors
