"""`connect` in real programs: Ctrl-C during a race, and a child that is forked during one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.local_plex.asking import MIRA
from tests.local_plex.small import small
from ticketstub.testing import LocalPlexController, local_plex

SOURCE = Path(__file__).parents[2] / "src"

SYNC = """
import sys, time
from ticketstub import Device, Plex
plex = Plex(plex_tv=sys.argv[1], token=sys.argv[2], device=Device(client_identifier="x", product="Demo"))
plex.resources()
print("ready", flush=True)
try:
    plex.connect("Attic", max_wait=60)
finally:
    print(time.monotonic(), flush=True)
"""

ASYNC = """
import asyncio, sys, time
from ticketstub import AsyncPlex, Device
async def main():
    async with AsyncPlex(
        plex_tv=sys.argv[1], token=sys.argv[2], device=Device(client_identifier="x", product="Demo")
    ) as plex:
        await plex.resources()
        print("ready", flush=True)
        try:
            await plex.connect("Attic", max_wait=60)
        finally:
            print(time.monotonic(), flush=True)
asyncio.run(main())
"""

FORK = """
import os, sys, threading, time
from ticketstub import Device, Plex
plex = Plex(plex_tv=sys.argv[1], token=sys.argv[2], device=Device(client_identifier="x", product="Demo"))
plex.resources()
thread = threading.Thread(target=lambda: plex.connect("Attic", max_wait=5), daemon=True)
thread.start()
time.sleep(0.3)
if os.fork() == 0:
    try:
        plex.connect("Attic", max_wait=5)
    except BaseException as error:
        print(type(error).__name__, flush=True)
    else:
        print("connected", flush=True)
    os._exit(0)
os.wait()
"""


def run(program: str, plex: LocalPlexController) -> subprocess.Popen[bytes]:
    """Start a program with mira's token."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program, plex.url, MIRA],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )


@pytest.mark.skipif(sys.platform != "linux", reason="dead addresses are Linux's")
@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["sync", "async"])
def test_ctrl_c_during_a_race(program: str) -> None:
    """Ctrl-C during a race ends it at once; on an idle machine that is within 100 ms."""
    hanging = [{"behaviour": "dead"}, {"behaviour": "slow", "delay": 60}, {"behaviour": "dripping"}]
    with local_plex(small(address=hanging)) as plex, run(program, plex) as child:
        assert child.stdout
        assert b"ready\n" == child.stdout.readline()
        deadline = time.monotonic() + 60
        while plex.addresses[2].connections == 0 and time.monotonic() < deadline:
            time.sleep(0.005)
        begun = time.monotonic()
        child.send_signal(signal.SIGINT)
        ended = float(child.stdout.readline())
        _, errors = child.communicate(timeout=60)
    assert ended - begun < 2
    assert b"KeyboardInterrupt" in errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_during_a_race() -> None:
    """A child that is forked while a thread of its parent connects makes a race of its own."""
    with local_plex(small(address=[{"behaviour": "slow", "delay": 1.5}])) as plex, run(FORK, plex) as child:
        answer, errors = child.communicate(timeout=60)
    assert (b"connected\n", b"") == (answer, errors)
