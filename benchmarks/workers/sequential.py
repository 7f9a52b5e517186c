"""Reads an account many times over one connection: `ours`, the `floor` (http.client with json) or the `peer`."""

import sys
import time
from collections.abc import Callable

who, url, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
TOKEN = "Xk3mPz_9Q-vT7rLb2NfW"


def ours() -> Callable[[], object]:
    from ticketstub import Device, Plex

    plex = Plex(device=Device(client_identifier="bench", product="Bench", version="1"), token=TOKEN, plex_tv=url)
    return plex.authentication.get_token_details


def floor() -> Callable[[], object]:
    import http.client
    import json

    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "X-Plex-Client-Identifier": "bench",
        "X-Plex-Product": "Bench",
        "X-Plex-Version": "1",
        "X-Plex-Token": TOKEN,
    }

    def call() -> object:
        connection.request("GET", "/api/v2/user", headers=headers)
        return json.loads(connection.getresponse().read())

    return call


def peer() -> Callable[[], object]:
    from plex_api_client import PlexAPI

    sdk = PlexAPI(token=TOKEN, client_identifier="bench", product="Bench", version="1")
    return lambda: sdk.authentication.get_token_details(request={}, server_url=f"{url}/api/v2")


call = {"ours": ours, "floor": floor, "peer": peer}[who]()
for _line in sys.stdin:
    start = time.perf_counter()
    for _ in range(times):
        call()
    print(time.perf_counter() - start, flush=True)
