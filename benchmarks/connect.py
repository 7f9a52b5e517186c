"""What it costs to find a media server's address: with dead, wrong and remembered addresses, and until Ctrl-C works.

Rule: the addresses are listeners of a local Plex on loopback; a dead one is a full backlog. The peers are
python-plexapi's `connect()` and a plain race with aiohappyeyeballs, which checks no identity. Every client gets the
list from plex.tv anew, except where it says that an address is remembered.
"""

from __future__ import annotations

import asyncio
import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from urllib.parse import urlsplit

from benchmarks.measure import Figure, Plan, Row, Subject
from tests.strangers.environments import python_environment
from ticketstub import Plex, PlexError
from ticketstub.client.transports.http1 import StandardTransport
from ticketstub.messages import Request
from ticketstub.testing import DEVICE, LocalPlexController, local_plex

_TOKEN = "Xk3mPz_9Q-vT7rLb2NfW"
_DEAD, _GOOD = {"behaviour": "dead"}, {"behaviour": "answers"}
_PLEXAPI = """
import sys, time, xml.etree.ElementTree as ElementTree, urllib.request, requests
from plexapi.myplex import MyPlexResource
class Account:
    _session, _token, _timeout = requests.Session(), {token!r}, 30
request = urllib.request.Request({url!r} + "/api/v2/resources?includeHttps=1&includeRelay=1",
                                 headers={{"X-Plex-Token": {token!r}, "X-Plex-Client-Identifier": "bench"}})
found = ElementTree.fromstring(urllib.request.urlopen(request).read())
resource = MyPlexResource(Account(), next(each for each in found if each.get("name") == "Attic"))
start = time.perf_counter()
server = resource.connect(timeout=float(sys.argv[1]))
print((time.perf_counter() - start) * 1000)
"""
_INTERRUPTED = """
import sys, time
from ticketstub import Device, Plex
plex = Plex(device=Device(client_identifier="bench"), token={token!r}, plex_tv={url!r})
print("ready", flush=True)
try:
    plex.connect("Attic")
except KeyboardInterrupt:
    print(time.perf_counter(), flush=True)
"""


def rows(plan: Plan) -> Iterator[Row]:
    """Measure `connect`."""
    stolen: list[str] = []
    yield _with_dead_ones(plan)
    yield from _remembered(plan)
    yield _all_dead()
    for first in ("dripping", "other_server", "login_page", "redirect"):
        yield _bad_one_first(plan, first, stolen)
    yield Row("tokens sent to a wrong address", "tokens", {"ours": _exactly(len(stolen))}, "0", str(len(stolen)))
    yield _interrupt(plan)


def _exactly(value: float) -> Figure:
    return Figure((value,))


def _make_world(addresses: Sequence[Mapping[str, object]], *, tls: bool = False) -> dict[str, object]:
    listed = [{"local": True, "plex_direct": tls, **address} for address in addresses]
    return {
        "account": [{"username": "mira_quill", "email": "mira@example.test", "token": _TOKEN}],
        "media_server": [{"name": "Attic", "owner": "mira_quill", "address": listed}],
    }


class _Client:
    """Our client, which counts the addresses that it dials."""

    def __init__(self, plex: LocalPlexController) -> None:
        self.dials = 0
        self.transport = StandardTransport(resolver=plex.resolve, ssl_context=plex.create_ssl_context())
        self.plex = Plex(
            device=DEVICE, token=_TOKEN, plex_tv=plex.url, transport=self.transport, on_request=self._note_request
        )

    def _note_request(self, request: Request) -> None:
        self.dials += request.call == "identity"

    def connect(self) -> float:
        """Connect, and return the milliseconds."""
        self.dials = 0
        start = time.perf_counter()
        self.plex.connect("Attic")
        return (time.perf_counter() - start) * 1000


def _connect_anew(plex: LocalPlexController, aborted: list[int] | None = None) -> Subject:
    def run() -> float:
        client = _Client(plex)
        try:
            return client.connect()
        finally:
            if aborted is not None:
                aborted.append(client.dials - 1)
            client.plex.close()

    return run


def _with_dead_ones(plan: Plan) -> Row:
    aborted: list[int] = []
    with local_plex(_make_world([_GOOD])) as alone, local_plex(_make_world([_DEAD, _DEAD, _DEAD, _GOOD])) as plex:
        figures = plan.rounds(
            {
                "ours": _connect_anew(plex, aborted),
                "ours, only the good one": _connect_anew(alone),
                "aiohappyeyeballs": lambda: asyncio.run(_race_by_happy_eyeballs(plex)),
            }
        )
        python = python_environment("plexapi_4_18_3", print)[0]
        program = _PLEXAPI.format(token=_TOKEN, url=plex.url)
        for name, timeout in (("python-plexapi, timeout=10", "10"), ("python-plexapi", "30")):
            command = [python, "-c", program, timeout]
            figures[name] = _exactly(float(subprocess.run(command, check=True, capture_output=True).stdout))
    more = figures["ours"].median - figures["ours, only the good one"].median
    return Row(
        "connect, 3 of 4 addresses dead",
        "ms",
        figures,
        "the good one + 300 ms",
        f"{more:+.0f} ms; {median(aborted):.0f} dials aborted",
    )


async def _race_by_happy_eyeballs(plex: LocalPlexController) -> float:
    """Get the list, connect to the first address that accepts, and check the token there."""
    import aiohappyeyeballs

    start = time.perf_counter()
    with Plex(device=DEVICE, token=_TOKEN, plex_tv=plex.url) as client:
        resource = next(each for each in client.resources() if each.name == "Attic")
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", (str(each.address), int(each.port or 0)))
        for each in resource.connections
    ]
    sock = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=0.25)
    reader, writer = await asyncio.open_connection(sock=sock)
    writer.write(f"GET / HTTP/1.1\r\nHost: bench\r\nX-Plex-Token: {_TOKEN}\r\nConnection: close\r\n\r\n".encode())
    assert b" 200 " in await reader.readline()
    writer.close()
    return (time.perf_counter() - start) * 1000


def _remembered(plan: Plan) -> Iterator[Row]:
    with local_plex(_make_world([_GOOD, _GOOD], tls=True)) as plex:
        first, second = plex.media_server("Attic").addresses
        client = _Client(plex)
        client.connect()
        context = plex.create_ssl_context()
        dials: list[int] = []

        def reconnect() -> float:
            client.transport.close()  # so that it dials
            taken = client.connect()
            dials.append(client.dials)
            return taken

        def floor() -> float:
            parts = urlsplit(first.url)
            start = time.perf_counter()
            sock = socket.create_connection(("127.0.0.1", parts.port or 0))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = http.client.HTTPSConnection(str(parts.hostname), context=context)
            connection.sock = context.wrap_socket(sock, server_hostname=parts.hostname)
            for path in ("/identity", "/"):
                connection.request("GET", path, headers={"X-Plex-Token": _TOKEN} if path == "/" else {})
                connection.getresponse().read()
            taken = (time.perf_counter() - start) * 1000
            connection.close()
            return taken

        figures = plan.rounds({"ours": reconnect, "http.client": floor}, 25)
        ratio = figures["ours"].median / figures["http.client"].median
        yield Row(
            "connect, remembered address alive",
            "ms",
            figures,
            "one dial, no request to plex.tv before",
            f"{ratio:.2f} × TCP, TLS, identity, token; {max(dials)} dial",
        )

        def after_death() -> float:
            plex.reset()
            client = _Client(plex)
            client.connect()
            used = first if client.plex.connect("Attic").url == first.url else second
            client.transport.close()
            plex.change_address(used, behaviour="dead")
            try:
                return client.connect()
            finally:
                client.plex.close()

        dead = plan.rounds({"ours": after_death}, 5)
        more = dead["ours"].median - figures["ours"].median
        yield Row("connect, remembered address dead", "ms", dead, "the good one + 300 ms", f"{more:+.0f} ms")
        client.plex.close()


def _all_dead() -> Row:
    with local_plex(_make_world([_DEAD, _DEAD, _DEAD])) as plex:
        client = _Client(plex)
        taken: list[float] = []
        for _ in range(2):
            start = time.perf_counter()
            try:
                client.connect()
            except PlexError:
                taken.append((time.perf_counter() - start) * 1000)
        client.plex.close()
    figure = Figure(tuple(taken))
    return Row("connect, all addresses dead", "ms", {"ours": figure}, "≤ 6,600 ms", f"{max(taken):,.0f} ms")


def _bad_one_first(plan: Plan, behaviour: str, stolen: list[str]) -> Row:
    with (
        local_plex(_make_world([_GOOD], tls=True)) as alone,
        local_plex(_make_world([{"behaviour": behaviour}, _GOOD], tls=True)) as plex,
    ):
        figures = plan.rounds({"ours": _connect_anew(plex), "ours, only the good one": _connect_anew(alone)})
        bad, _ = plex.media_server("Attic").addresses
        stolen += map(str, bad.tokens)
    more = figures["ours"].median - figures["ours, only the good one"].median
    return Row(f"connect, {behaviour} first", "ms", figures, "the good one + 100 ms", f"{more:+.0f} ms")


def _interrupt(plan: Plan) -> Row:
    with local_plex(_make_world([_DEAD, _DEAD, _DEAD])) as plex:
        program = _INTERRUPTED.format(token=_TOKEN, url=plex.url)

        def run() -> float:
            process = subprocess.Popen(
                [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert process.stdout
            process.stdout.readline()
            time.sleep(0.5)
            start = time.perf_counter()  # the same clock in all processes
            process.send_signal(signal.SIGINT)
            ended = float(process.stdout.readline())
            process.wait()
            return (ended - start) * 1000

        figures = plan.rounds({"ours": run}, 5)
    return Row("Ctrl-C during connect", "ms", figures, "100 ms", f"{figures['ours'].median:.0f} ms")
