"""What the library costs: at import, at a program's first call, per call, at once, and per account read.

Rule: each row has its floor (`http.client` or aiohttp, with `json`) or its peer (plex-api-client 0.36.3, httpx2) in the
same run.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from benchmarks.measure import Curve, Figure, Plan, Result, Row, Subject
from benchmarks.processes import ACCOUNT, COMPILED, WORKERS, free_port, peer_python, server, worker

_CALLS = 300
_FIRST_CALL = {
    "ours": (
        "from ticketstub import Plex, Device\n"
        "plex = Plex(device=Device(client_identifier='bench'), token='{token}', plex_tv='{url}')\n"
        "assert plex.authentication.get_token_details().id"
    ),
    "http.client": (
        "import http.client, json\n"
        "connection = http.client.HTTPConnection('{host}')\n"
        "connection.request('GET', '/api/v2/user', headers={{'X-Plex-Token': '{token}'}})\n"
        "assert json.loads(connection.getresponse().read())['id']"
    ),
    "plex-api-client": (
        "from plex_api_client import PlexAPI\n"
        "sdk = PlexAPI(token='{token}', client_identifier='bench')\n"
        "assert sdk.authentication.get_token_details(request={{}}, server_url='{url}/api/v2').user_plex_account.id"
    ),
}


def rows(plan: Plan) -> Iterator[Result]:
    """Measure the library."""
    port = free_port()
    with server([sys.executable, str(WORKERS / "canned.py"), str(port), str(ACCOUNT)], port) as url:
        yield _first_call(plan, url)
        yield _import(plan)
        yield _sequential(plan, url)
        yield _at_once(plan, url)
    yield _decode(plan)
    yield _interrupt(plan)


def _process(code: str, python: str = sys.executable) -> Subject:
    def run() -> float:
        start = time.perf_counter()
        subprocess.run([python, "-c", code], check=True, env=COMPILED)
        return (time.perf_counter() - start) * 1000

    return run


def _first_call(plan: Plan, url: str) -> Row:
    facts = {"url": url, "host": url.removeprefix("http://"), "token": "Xk3mPz_9Q-vT7rLb2NfW"}
    pythons = {"plex-api-client": peer_python()}
    figures = plan.rounds(
        {name: _process(code.format(**facts), pythons.get(name, sys.executable)) for name, code in _FIRST_CALL.items()}
    )
    ours, floor, peer = (figures[name] for name in _FIRST_CALL)
    verdict = f"{ours.ratio(floor):.2f} × http.client, {ours.ratio(peer):.2f} of plex-api-client"
    reach = "≤ 1.5 × http.client, ≤ 0.25 of plex-api-client"
    return Row("fresh process to first answer", "ms", figures, reach, verdict)


def _interrupt(plan: Plan) -> Row:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        names = {"ours": "sync", "ours, async": "async", "time.sleep": "sleep"}
        figures = plan.rounds({name: partial(_until_ended, how, url) for name, how in names.items()})
    worst = max(figure.median for figure in figures.values())
    return Row("Ctrl-C during a hanging call to the end of the process", "ms", figures, "≤ 1000 ms", f"{worst:.0f} ms")


def _until_ended(how: str, url: str) -> float:
    """Send SIGINT to a process that waits for an answer that never comes, and time its end."""
    process = subprocess.Popen(
        [sys.executable, str(WORKERS / "hanging.py"), how, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout
        process.stdout.readline()
        time.sleep(0.15)  # from the word that it begins until it waits
        start = time.perf_counter()
        process.send_signal(signal.SIGINT)
        process.wait(10)
        return (time.perf_counter() - start) * 1000
    finally:
        process.kill()
        process.wait()


def _import(plan: Plan) -> Row:
    figures = plan.rounds(
        {"import ticketstub": _process("import ticketstub"), "bare interpreter": _process("pass")}, 11
    )
    over = figures["import ticketstub"].median - figures["bare interpreter"].median
    return Row("import ticketstub", "ms", figures, "≤ 60 ms over a bare interpreter", f"{over:.0f} ms over")


def _sequential(plan: Plan, url: str) -> Row:
    arguments = (url, str(_CALLS))
    with (
        worker("sequential.py", "ours", *arguments) as ours,
        worker("sequential.py", "floor", *arguments) as floor,
        worker("sequential.py", "peer", *arguments, python=peer_python()) as peer,
    ):
        workers = {"ours": ours, "http.client + json": floor, "plex-api-client": peer}
        figures = plan.rounds({name: _per_call(each.turn, _CALLS) for name, each in workers.items()})
    mine, least, theirs = figures.values()
    verdict = f"{mine.ratio(least):.2f} × http.client, {theirs.ratio(mine):.1f} × faster than plex-api-client"
    reach = "≤ 1.05 × http.client, ≥ 8 × faster than plex-api-client"
    return Row("get_token_details, one after the other", "µs", figures, reach, verdict)


def _at_once(plan: Plan, url: str) -> Curve:
    names = {"ours": "ours", "aiohttp + json": "floor", "httpx2": "peer"}
    sizes = plan.choose_sizes(1, 10, 50, 200, 500)
    figures: dict[str, list[Figure]] = {who: [] for who in names}
    for size in sizes:
        with ExitStack() as stack:
            workers = {
                who: stack.enter_context(worker("at_once.py", name, url, str(size))) for who, name in names.items()
            }
            subjects = {who: _per_call(each.turn, size) for who, each in workers.items()}
            measured = plan.rounds(subjects, 11)
        for who in names:
            figures[who].append(measured[who])
    verdict = [
        f"{mine.ratio(least):.2f} × aiohttp, {theirs.ratio(mine):.1f} × faster than httpx2"
        for mine, least, theirs in zip(*figures.values(), strict=True)
    ]
    reach = "at 200: ≤ 1.25 × aiohttp, ≥ 4 × faster than httpx2"
    return Curve("at-once", "get_token_details, async, per call", "µs", "calls at once", sizes, figures, reach, verdict)


def _per_call(turn: Subject, calls: int) -> Subject:
    return lambda: turn() / calls * 1e6


def _decode(plan: Plan) -> Row:
    from ticketstub import Response
    from ticketstub.calls import GetTokenDetails

    call, response = GetTokenDetails(), Response(200, {}, ACCOUNT.read_bytes().strip())

    def many() -> float:
        start = time.perf_counter()
        for _ in range(5000):
            call.read(response)
        return (time.perf_counter() - start) / 5000 * 1e6

    figures = plan.rounds({"ours": many})
    return Row("read one well-formed account", "µs", figures, "≤ 15 µs", f"{figures['ours'].median:.1f} µs")
