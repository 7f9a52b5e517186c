"""Waits for an answer that never comes, until it is interrupted: `sync`, `async`, or just `sleep`."""

import asyncio
import sys
import time

from ticketstub import AsyncPlex, Device, Plex

how, url = sys.argv[1], sys.argv[2]
device = Device(client_identifier="bench")


async def waiting() -> None:
    async with AsyncPlex(device=device, server=url) as plex:
        print("begins", flush=True)
        await plex.identity()


if how == "async":
    asyncio.run(waiting())
print("begins", flush=True)
if how == "sync":
    Plex(device=device, server=url).identity()
time.sleep(60)
