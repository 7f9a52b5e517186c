"""Reads an account many times at once: `ours`, the `floor` (bare aiohttp with json), or the `peer` (httpx2).

The other two have default limits, send the same fields and read the same bodies. httpx2 may wait longer than by
default: with 500 calls at once it would give up.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

who, url, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
TOKEN = "Xk3mPz_9Q-vT7rLb2NfW"
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "X-Plex-Client-Identifier": "bench",
    "X-Plex-Product": "Bench",
    "X-Plex-Version": "1",
    "X-Plex-Token": TOKEN,
}


def ours() -> Callable[[], Awaitable[object]]:
    from ticketstub import AsyncPlex, Device

    device = Device(client_identifier="bench", product="Bench", version="1")
    return AsyncPlex(device=device, token=TOKEN, plex_tv=url).authentication.get_token_details


def floor() -> Callable[[], Awaitable[object]]:
    import aiohttp

    session = aiohttp.ClientSession()

    async def call() -> object:
        async with session.get(f"{url}/api/v2/user", headers=HEADERS) as response:
            return json.loads(await response.read())

    return call


def peer() -> Callable[[], Awaitable[object]]:
    import httpx2

    client = httpx2.AsyncClient(timeout=60)

    async def call() -> object:
        return json.loads((await client.get(f"{url}/api/v2/user", headers=HEADERS)).content)

    return call


async def main() -> None:
    call = {"ours": ours, "floor": floor, "peer": peer}[who]()
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        start = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(times)))
        print(time.perf_counter() - start, flush=True)


asyncio.run(main())
