"""`connect` and `reachability` of both façades, with the addresses of a real local Plex."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest

from tests.client.conftest import DEVICE, Make
from tests.local_plex.asking import ATTIC, MIRA
from tests.local_plex.small import small
from ticketstub import AsyncPlex, Plex
from ticketstub.client.transports.aiohttp import AiohttpTransport
from ticketstub.client.transports.http1 import StandardTransport
from ticketstub.credentials import FileStore
from ticketstub.credentials.store import Credential
from ticketstub.errors import ServerUnreachable
from ticketstub.messages import Request
from ticketstub.testing import LocalPlexController, local_plex
from ticketstub.tokens import Token

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="dead addresses and /proc are Linux's")

BAD: dict[str, dict[str, object]] = {
    "no_answer": {"behaviour": "dead"},
    "refused": {"behaviour": "refusing"},
    "wrong_server": {"behaviour": "other_server"},
    "not_plex": {"behaviour": "login_page"},
    "not_plex, redirect": {"behaviour": "redirect"},
    "no_answer, dripping": {"behaviour": "dripping", "delay": 0.05},
    "no_answer, slow": {"behaviour": "slow", "delay": 30},
    "no_answer, slow_tls": {"behaviour": "slow_tls", "delay": 30},
    "certificate_expired": {"certificate": "expired"},
    "certificate_untrusted": {"certificate": "self_signed"},
    "certificate_name": {"certificate": "other_name"},
}
GOOD: dict[str, dict[str, object]] = {
    "agrees": {},
    "removed": {"dns": "fails"},
    "differs": {"dns": "private"},
    "agrees, lies": {"dns": "lies"},
}
Start = Callable[..., LocalPlexController]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start local Plexes whose Attic has these addresses, all below plex.direct."""
    with ExitStack() as running:

        def begin(*addresses: dict[str, object]) -> LocalPlexController:
            return running.enter_context(
                local_plex(small(address=[{"plex_direct": True} | each for each in addresses]))
            )

        yield begin


def transport_of(plex: LocalPlexController, facade: str) -> Any:
    """Make the façade's own transport, which knows the local Plex's names and authority."""
    kind = StandardTransport if facade == "sync" else AiohttpTransport
    return kind(resolver=plex.resolve, ssl_context=plex.create_ssl_context())


@pytest.fixture
def client(make: Make, facade: str) -> Callable[..., Any]:
    """Make a client of mira for a local Plex."""

    def client(plex: LocalPlexController, **options: Any) -> Any:
        return make(**{"plex_tv": plex.url, "token": MIRA, "transport": transport_of(plex, facade)} | options)

    return client


def test_no_bad_address_gets_a_token(start: Start, client: Any) -> None:
    """With an address of each bad kind before the good one, that is found, and no other one has got a token."""
    plex = start(*BAD.values(), {})
    *bad, good = plex.addresses
    attic = client(plex).connect("Attic")
    assert good.url == attic.url
    assert ("Attic", ATTIC, "remote", "ipv4") == (
        attic.name,
        attic.machine_identifier,
        attic.how.kind,
        attic.how.family,
    )
    assert 200 == attic.get("/library").status
    assert {address.url: () for address in bad} == {address.url: tuple(address.tokens) for address in bad}
    assert good.tokens


def test_reachability_names_each_fate(start: Start, client: Any) -> None:
    """`reachability` says what became of each address, and what DNS says of its name."""
    plex = start(*BAD.values(), *GOOD.values())
    reports = {each.url: each for each in client(plex).reachability("Attic", max_wait=0.6)}
    addresses = plex.addresses
    fates = [reports[address.url].fate for address in addresses[: len(BAD)]]
    assert [name.partition(",")[0] for name in BAD] == fates
    good = [reports[address.url] for address in addresses[len(BAD) :]]
    assert [("reachable", name.partition(",")[0]) for name in GOOD] == [(each.fate, each.dns) for each in good]
    assert not any(address.tokens for address in addresses[: len(BAD)])
    assert not any(address.impostor and address.impostor.tokens for address in addresses)


@pytest.mark.parametrize("dns", ["fails", "private", "lies"])
def test_the_address_in_a_name_is_dialled(dns: str, start: Start, client: Any) -> None:
    """Whatever DNS says about a name below plex.direct, the address in it is dialled, also for later requests."""
    plex = start({"dns": dns})
    attic = client(plex).connect("Attic")
    assert "127.0.0.1" == attic.how.address
    assert 200 == attic.get("/library").status
    (address,) = plex.addresses
    assert not (address.impostor and address.impostor.connections)


@pytest.mark.long
def test_all_addresses_are_bad(start: Start, client: Any) -> None:
    """If all addresses are bad, the error at the deadline says what became of each, and none has got a token."""
    plex = start(*BAD.values())
    begun = time.monotonic()
    with pytest.raises(ServerUnreachable) as caught:
        client(plex).connect("Attic", max_wait=1.6)
    assert time.monotonic() - begun < 10
    fates = {each.url: each.fate for each in caught.value.addresses}
    assert not any(address.tokens for address in plex.addresses)
    assert [name.partition(",")[0] for name in BAD] == [fates[address.url] for address in plex.addresses]


def test_no_local_variable_shows_a_token(start: Start, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The traceback of a failed `connect`, with the local variables of each frame, shows no token."""
    monkeypatch.setattr(Token, "__repr__", Token.reveal)
    plex = start({"behaviour": "other_server"}, {"behaviour": "refusing"})
    mine = client(plex)
    (own_token,) = (each.access_token.reveal() for each in mine.resources() if each.name == "Attic")
    with pytest.raises(ServerUnreachable) as caught:
        mine.connect("Attic", max_wait=1.0)
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    shown = [f"{frame.name} {frame.locals}" for frame in frames if "/src/ticketstub/" in frame.filename]
    assert shown
    assert not [each for each in shown if MIRA in each or own_token in each]


# Memory


def test_a_second_program_asks_plex_tv_after_it_has_connected(start: Start, tmp_path: Path) -> None:
    """With a stored sign-in, the next program connects to the remembered address and asks plex.tv only afterwards."""
    plex = start({"behaviour": "dead"}, {})
    store = FileStore(tmp_path / "store")
    credential = Credential(issuer=plex.url, app="Demo App", token=Token(MIRA), client_identifier="demo-client-7c1f")
    assert store.save(credential, replacing=None)
    asked: list[str] = []
    is_refreshed = threading.Event()
    reasons: list[str] = []

    def note(request: Request, *_: object) -> None:
        if request.call == "resources":
            is_refreshed.set()

    for _ in range(2):
        asked.clear()
        is_refreshed.clear()
        with Plex.load(
            "Demo App",
            store=store,
            plex_tv=plex.url,
            device=DEVICE,
            transport=transport_of(plex, "sync"),
            on_request=lambda request: asked.append(request.call),
            on_response=note,
        ) as mine:
            route = mine.connect("Attic").how
            assert route
            reasons.append(route.reason)
            assert is_refreshed.wait(60)
    assert "remembered" == reasons[1]
    assert ["identity", "server_information", "resources"] == asked
    assert 0 == plex.addresses[0].connections


# At the same time


def test_threads_share_one_race(start: Start) -> None:
    """100 threads that connect to one server at the same time make one race, on one connection."""
    plex = start({"behaviour": "slow", "delay": 0.2})
    with Plex(plex_tv=plex.url, token=MIRA, device=DEVICE, transport=transport_of(plex, "sync")) as mine:
        with ThreadPoolExecutor(100) as pool:
            found = list(pool.map(lambda _: mine.connect("Attic").url, range(100)))
        assert [plex.addresses[0].url] * 100 == found
        assert plex.addresses[0].connections <= 2


async def test_tasks_share_one_race(start: Start) -> None:
    """100 tasks that connect to one server at the same time make one race, on one connection."""
    plex = start({"behaviour": "slow", "delay": 0.2})
    async with AsyncPlex(plex_tv=plex.url, token=MIRA, device=DEVICE, transport=transport_of(plex, "async")) as mine:
        found = await asyncio.gather(*(mine.connect("Attic") for _ in range(100)))
        assert {plex.addresses[0].url} == {each.url for each in found}
        assert 1 == plex.addresses[0].connections


async def test_a_cancelled_race_leaves_nothing(start: Start) -> None:
    """A task that is cancelled during a race leaves no task and no socket."""
    plex = start(*(BAD[name] for name in BAD if name.startswith("no_answer")))
    async with AsyncPlex(plex_tv=plex.url, token=MIRA, device=DEVICE, transport=transport_of(plex, "async")) as mine:
        await mine.resources()  # the connection to plex.tv stays
        before = count_sockets(plex)
        task = asyncio.create_task(mine.connect("Attic"))
        await until(lambda: sum(address.connections for address in plex.addresses) >= 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert {asyncio.current_task()} == asyncio.all_tasks()
        begun = time.monotonic()
        await until(lambda: count_sockets(plex) <= before)
        assert time.monotonic() - begun < 15


def count_sockets(plex: LocalPlexController) -> int:
    """Count the connections of this process to a local Plex's addresses; a dead one's backlog counts, too."""
    ports = {f":{int(address.url.rsplit(':', 1)[1]):04X}" for address in plex.addresses}
    inodes = set[str]()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    return sum(line[9] in inodes and line[2][8:] in ports for line in lines)


@pytest.mark.long
def test_a_race_of_threads_leaves_nothing(start: Start) -> None:
    """When a race on threads is over, the losers' threads and sockets end."""
    plex = start(*BAD.values(), {})
    before = count_sockets(plex)
    with Plex(plex_tv=plex.url, token=MIRA, device=DEVICE, transport=transport_of(plex, "sync")) as mine:
        mine.connect("Attic")
        wait_for(lambda: count_threads() == 0)
    assert before == count_sockets(plex)


def count_threads() -> int:
    return sum(thread.name == "ticketstub-detached" for thread in threading.enumerate())


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # what it waits for sets no event
            await asyncio.sleep(0.005)


# In the background


@pytest.mark.long
def test_a_better_address_is_offered(start: Start) -> None:
    """A better address that begins to answer after the connection is offered to `on_better`, as a working client."""
    plex = start({"behaviour": "slow", "delay": 1.0}, {})
    better, found = threading.Event(), list[Any]()

    def offer(server: Any) -> None:
        found.append(server)
        better.set()

    with Plex(plex_tv=plex.url, token=MIRA, device=DEVICE, transport=transport_of(plex, "sync")) as mine:
        assert plex.addresses[1].url == mine.connect("Attic", on_better=offer).url
        assert better.wait(60)
        assert plex.addresses[0].url == found[0].url
        assert 200 == found[0].get("/library").status


@pytest.mark.long
async def test_a_better_address_is_offered_to_a_task(start: Start) -> None:
    """The same for `AsyncPlex`."""
    plex = start({"behaviour": "slow", "delay": 1.0}, {})
    found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    async with AsyncPlex(plex_tv=plex.url, token=MIRA, device=DEVICE, transport=transport_of(plex, "async")) as mine:
        assert plex.addresses[1].url == (await mine.connect("Attic", on_better=found.set_result)).url
        assert plex.addresses[0].url == (await asyncio.wait_for(found, 60)).url


def test_closing_ends_the_background(start: Start) -> None:
    """Closing the client ends what `on_better` still tries."""
    plex = start({"behaviour": "dead"}, {})
    before = count_sockets(plex)
    mine = Plex(plex_tv=plex.url, token=MIRA, device=DEVICE, transport=transport_of(plex, "sync"))
    mine.connect("Attic", on_better=lambda _: None)
    assert count_threads() > 0
    mine.close()
    wait_for(lambda: count_threads() == 0)
    assert before == count_sockets(plex)


async def test_closing_ends_the_background_of_tasks(start: Start) -> None:
    """The same for `AsyncPlex`."""
    plex = start({"behaviour": "dead"}, {})
    before = count_sockets(plex)
    mine = AsyncPlex(plex_tv=plex.url, token=MIRA, device=DEVICE, transport=transport_of(plex, "async"))
    await mine.connect("Attic", on_better=lambda _: None)
    assert len(asyncio.all_tasks()) > 1
    await mine.close()
    await until(lambda: len(asyncio.all_tasks()) == 1)
    assert before == count_sockets(plex)


# Clients of the program's own


@pytest.mark.parametrize("library", [httpx2, httpx])
def test_a_client_of_httpx(library: Any, start: Start) -> None:
    """With a client of httpx names below plex.direct are dialled without a look-up, too."""
    plex = start({"behaviour": "refusing"}, {"certificate": "other_name"}, {"dns": "fails"})
    with (
        library.Client(verify=plex.create_ssl_context()) as client,
        Plex(plex_tv=plex.url, token=MIRA, device=DEVICE, transport=client) as mine,
    ):
        attic = mine.connect("Attic")
        assert plex.addresses[2].url == attic.url
        assert 200 == attic.get("/library").status
    assert not plex.addresses[1].tokens


@pytest.mark.parametrize("library", [httpx2, httpx])
async def test_an_async_client_of_httpx(library: Any, start: Start) -> None:
    """The same for an async client of httpx."""
    plex = start({"behaviour": "refusing"}, {"certificate": "other_name"}, {"dns": "fails"})
    async with (
        library.AsyncClient(verify=plex.create_ssl_context()) as client,
        AsyncPlex(plex_tv=plex.url, token=MIRA, device=DEVICE, transport=client) as mine,
    ):
        attic = await mine.connect("Attic")
        assert plex.addresses[2].url == attic.url
        assert 200 == (await attic.get("/library")).status
    assert not plex.addresses[1].tokens


async def test_a_session_of_aiohttp(start: Start) -> None:
    """The same for a session of aiohttp."""
    plex = start({"behaviour": "refusing"}, {"certificate": "other_name"}, {"dns": "fails"})
    connector = aiohttp.TCPConnector(ssl=plex.create_ssl_context())
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        AsyncPlex(plex_tv=plex.url, token=MIRA, device=DEVICE, transport=session) as mine,
    ):
        attic = await mine.connect("Attic")
        assert plex.addresses[2].url == attic.url
        assert 200 == (await attic.get("/library")).status
    assert not plex.addresses[1].tokens
