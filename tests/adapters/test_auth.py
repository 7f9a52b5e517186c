"""`PlexAuth` of each library: what it adds, for which addresses, and what happens when Plex refuses the token."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

from tests.adapters.conftest import DEVICE, TOKEN, Answer, Library, Recorder, reply
from tests.client.transports.hostile import Server
from tests.local_plex.asking import START, Clock
from tests.tables import every
from ticketstub import AsyncPlex, CredentialsError, MemoryStore, Plex, Unreachable
from ticketstub.adapters.aiohttp import PlexAuth as AiohttpAuth
from ticketstub.adapters.httpx import PlexAuth as HttpxAuth
from ticketstub.adapters.requests import PlexAuth as RequestsAuth
from ticketstub.testing import LocalPlexController, local_plex

Record = Callable[[Answer], Recorder]
NEW = "rEnEwEd-7f3kQ2vTz8Lm"
WEEK = 7 * 86400
JSON = {"Accept": "application/json"}


class Source:
    """A program's token source, which has a new token for each one that is refused."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = [*tokens]
        self.refusals: list[str] = []

    def __call__(self) -> str:
        return self.tokens[0]

    def refused(self, token: Any) -> None:
        self.refusals.append(token.reveal())
        if len(self.tokens) > 1:
            self.tokens.pop(0)


def accepting(*tokens: str, status: int = 401) -> Answer:
    return lambda _line, fields: reply() if fields.get("x-plex-token") in tokens else reply(status, body=b"no")


def test_device_and_token(library: Library, record: Record) -> None:
    """A request to the client's own address carries its device headers, its additional headers and its token."""
    server = record(accepting(TOKEN))
    plex = library.client(plex_tv=server.url, headers={"X-Door": "opened", "Accept": "text/xml"})
    sent = library.send(plex, f"{server.url}/api/v2/user?a=b%20c", headers=JSON)
    assert (200, "ok") == (sent.status, sent.text)
    ((line, fields, _),) = server.requests
    assert "GET /api/v2/user?a=b%20c HTTP/1.1" == line
    expected = {"x-plex-token": TOKEN, "x-plex-client-identifier": "demo-client-7c1f", "x-plex-product": "Demo App"}
    assert (expected | {"x-door": "opened", "x-plex-device-name": "Büro"}).items() <= fields.items()
    assert "application/json" == fields["accept"]


def test_another_origin_gets_nothing(library: Library, record: Record) -> None:
    """A request to another port of the same host carries neither the token nor a header of the client."""
    server, other = record(accepting(TOKEN)), record(accepting(TOKEN))
    plex = library.client(plex_tv=server.url, headers={"X-Door": "opened"})
    assert 401 == library.send(plex, f"{other.url}/").status
    ((_, fields, _),) = other.requests
    assert [] == [name for name in fields if name.startswith("x-plex") or name == "x-door"]


def test_a_media_servers_client(library: Library, record: Record) -> None:
    """The client of a media server adds that server's token, there only; that of the account adds its own elsewhere."""
    server, plex_tv = record(accepting("its-own-token")), record(accepting(TOKEN))
    plex = library.client(plex_tv=plex_tv.url)
    attic = plex.at(server.url, token="its-own-token")
    assert 200 == library.send(attic, f"{server.url}/library/sections").status
    assert 401 == library.send(attic, f"{plex_tv.url}/api/v2/user").status
    assert 401 == library.send(plex, f"{server.url}/library/sections").status
    assert (["its-own-token", None], [None]) == (server.tokens, plex_tv.tokens)


def test_a_token_of_the_programs_own(library: Library, record: Record) -> None:
    """A request with its own X-Plex-Token keeps it, and is not repeated."""
    server = record(accepting(TOKEN))
    plex = library.client(plex_tv=server.url)
    assert 401 == library.send(plex, f"{server.url}/", headers={"X-Plex-Token": "another"}).status
    assert ["another"] == server.tokens


def test_what_a_response_shows(library: Library, record: Record) -> None:
    """The request of a response, which programs log, has the program's headers and none of the client's."""
    server, source = record(accepting(NEW)), Source(TOKEN, NEW)
    plex = library.client(plex_tv=server.url, token=source, headers={"X-Door": "opened"})
    shown = library.send(plex, f"{server.url}/", headers={"X-Mine": "kept", "X-Plex-Product": "Mine"}).shown
    assert all(text in shown.lower() for text in ("x-mine", "kept"))
    assert not any(text in shown for text in (TOKEN, NEW, "opened", "demo-client-7c1f"))
    assert ["Demo App"] * 2 == [fields["x-plex-product"] for _, fields, _ in server.requests]


def test_no_token(library: Library, record: Record) -> None:
    """A client without a token adds its device headers, and a 401 is returned as it is."""
    server = record(accepting(TOKEN))
    assert 401 == library.send(library.client(plex_tv=server.url, token=None), f"{server.url}/").status
    ((_, fields, _),) = server.requests
    assert (None, "Demo App") == (fields.get("x-plex-token"), fields["x-plex-product"])


@every("status", [401, 498])
def test_a_refused_token_is_replaced_once(library: Library, record: Record, status: int) -> None:
    """After 401 or 498 the source is told, and the request is sent once more with its new token."""
    server, source = record(accepting(NEW, status=status)), Source(TOKEN, NEW)
    plex = library.client(plex_tv=server.url, token=source)
    assert 200 == library.send(plex, f"{server.url}/", "POST", body=b"the body").status
    assert ([TOKEN, NEW], [TOKEN]) == (server.tokens, source.refusals)
    assert [b"the body"] * 2 == [body for *_, body in server.requests]


def test_a_second_refusal_is_returned(library: Library, record: Record) -> None:
    """A new token that is refused, too, ends it: the request is sent at most twice."""
    server, source = record(accepting()), Source(TOKEN, NEW, "third", "fourth")
    plex = library.client(plex_tv=server.url, token=source)
    assert (401, "no") == library.send(plex, f"{server.url}/")[:2]
    assert [TOKEN, NEW] == server.tokens


async def test_a_refusal_that_is_not_read_keeps_no_connection(record: Record) -> None:
    """aiohttp, with one connection at a time, repeats a request whose long refusal nobody reads."""
    server = record(
        lambda _line, fields: reply(200 if fields.get("x-plex-token") == NEW else 401, body=b"no" * 1_000_000)
    )
    source = Source(TOKEN, NEW)
    async with (
        AsyncPlex(plex_tv=server.url, token=source, device=DEVICE) as plex,
        aiohttp.ClientSession(
            middlewares=(AiohttpAuth(plex),), connector=aiohttp.TCPConnector(limit=1), timeout=aiohttp.ClientTimeout(5)
        ) as session,
        session.get(f"{server.url}/") as response,
    ):
        assert 200 == response.status


def test_other_refusals_are_returned(library: Library, record: Record) -> None:
    """A 403 says nothing about the token, which is not renewed; a fixed token has no other."""
    server, source = record(lambda *_: reply(403)), Source(TOKEN, NEW)
    assert 403 == library.send(library.client(plex_tv=server.url, token=source), f"{server.url}/").status
    refusing = record(accepting())
    assert 401 == library.send(library.client(plex_tv=refusing.url), f"{refusing.url}/").status
    assert ([TOKEN], [], [TOKEN]) == (server.tokens, source.refusals, refusing.tokens)


def test_a_streamed_body_is_not_repeated(library: Library) -> None:
    """A body that is gone after the first time is not sent again: the program gets the refusal."""

    def behave(server: Server, sock: Any) -> None:
        request = b""
        while not request.endswith(b"\r\n0\r\n\r\n") and (piece := sock.recv(65536)):
            request += piece
        server.requests.append(request)
        sock.sendall(reply(401))

    source = Source(TOKEN, NEW)
    with Server(behave) as server:
        plex = library.client(plex_tv=server.url, token=source)
        assert 401 == library.send(plex, f"{server.url}/", "POST", body=iter([b"the ", b"body"])).status
    assert ([], 1) == (source.refusals, len(server.requests))
    assert all(part in server.requests[0] for part in (TOKEN.encode(), b"the ", b"body"))


def test_a_renewal_that_fails(library: Library, record: Record) -> None:
    """If the token source fails, its error reaches the program as it is, and no frame of ours shows the token."""
    server = record(accepting())

    class Failing(Source):
        def refused(self, token: Any) -> None:
            raise Unreachable("the vault did not answer", sent=True)

    plex = library.client(plex_tv=server.url, token=Failing(TOKEN))
    with pytest.raises(Unreachable, match="vault") as raised:
        library.send(plex, f"{server.url}/")
    traceback = raised.value.__traceback__
    while traceback:
        if (
            "ticketstub" in traceback.tb_frame.f_code.co_filename
            and "adapters" in traceback.tb_frame.f_code.co_filename
        ):
            assert not any(TOKEN in repr(value) for value in traceback.tb_frame.f_locals.values())
        traceback = traceback.tb_next


def test_a_token_of_the_wrong_kind(library: Library, record: Record) -> None:
    """A JWT is not sent to a media server, nor a transient token to plex.tv, as by the client itself."""
    server = record(accepting())
    jwt = library.client(plex_tv=server.url).at(server.url, token="eyJhbGciOiJFZERTQSJ9.e30.c2ln")
    with pytest.raises(CredentialsError, match="JWT"):
        library.send(jwt, f"{server.url}/")
    transient = library.client(plex_tv=server.url, token="transient-5b7e1c90-2d4f-4a63-9e18-c0d7a4f2b631")
    with pytest.raises(CredentialsError, match="transient"):
        library.send(transient, f"{server.url}/")
    assert [] == server.requests


# A local Plex, and a sign-in that is renewed.


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def local(clock: Clock) -> Iterator[LocalPlexController]:
    with local_plex(clock=clock) as plex:
        yield plex


def sign_in(library: Library, local: LocalPlexController, **options: Any) -> Any:
    """Sign in with a device key: the token is a JWT, which expires after a week."""
    from ticketstub import Browser

    def approve(pending: Any) -> None:
        local.approve(pending.code, "mira_quill")

    plex = library.run(
        library.client_class.sign_in(
            "Demo App",
            device_key=True,
            store=MemoryStore(),
            plex_tv=local.url,
            device=DEVICE,
            method=Browser(approve, open=False),
            **options,
        )
    )
    library._made.append(plex)
    return plex


def test_a_jwt_that_has_expired(library: Library, local: LocalPlexController, clock: Clock) -> None:
    """A JWT that plex.tv answers with 498 is renewed, as by a call of the client, and stored."""
    plex = sign_in(library, local)
    first = plex.token
    assert '"mira_quill"' in library.send(plex, f"{local.url}/api/v2/user", headers=JSON).text
    clock.now += WEEK + 120
    assert '"mira_quill"' in library.send(plex, f"{local.url}/api/v2/user", headers=JSON).text
    assert first != plex.token
    assert [200, 498, 200] == [one.status for one in local.requests if one.path == "/api/v2/user"][-3:]


def test_one_renewal_for_many_threads(local: LocalPlexController, clock: Clock) -> None:
    """When sixteen threads with one session meet an expired JWT, it is renewed once, and all get their answer."""
    library, calls = Library("requests"), list[str]()
    plex = sign_in(library, local, on_request=lambda request: calls.append(request.call))
    clock.now += WEEK + 120
    calls.clear()
    with requests.Session() as session, ThreadPoolExecutor(16) as threads:
        session.auth = RequestsAuth(plex)
        found = threads.map(lambda _: session.get(f"{local.url}/api/v2/user", headers=JSON).status_code, range(16))
        assert [200] * 16 == [*found]
    assert 1 == calls.count("exchange_device_jwt")
    library.close()


def test_a_media_server_of_the_local_plex(library: Library, local: LocalPlexController) -> None:
    """The token of a media server reads its library."""
    plex = library.client(plex_tv=local.url, token=local.token_for("mira_quill").reveal())
    attic = next(one for one in library.run(plex.resources()) if one.name == "Attic")
    server = plex.at(local.media_server("Attic").url, token=attic.access_token)
    assert 200 == library.send(server, f"{server.url}/", headers=JSON).status


# What is not accepted.


def test_a_client_of_the_other_kind_is_refused() -> None:
    """An async client is not for a sync library, nor the other way round; the message says which takes which."""
    plex, aplex = Plex(device=DEVICE), AsyncPlex(device=DEVICE)
    with pytest.raises(TypeError, match="requests takes a Plex or MediaServer, not an AsyncPlex"):
        RequestsAuth(aplex)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="aiohttp takes an AsyncPlex or AsyncMediaServer, not a Plex"):
        AiohttpAuth(plex)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not a str"):
        HttpxAuth(TOKEN)  # type: ignore[arg-type]
    for name, client in (("httpx", aplex), ("httpx2 async", plex)):
        library = Library(name)
        with pytest.raises(TypeError, match=r"Client of httpx takes an? \w+ or \w+, not an? \w+"):
            library.send(client, "http://127.0.0.1:9/")
        library.close()


WITHOUT = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
from ticketstub import Plex
from ticketstub.adapters import aiohttp, httpx, plexapi, requests
try:
    exec(sys.argv[2])
except ImportError as error:
    print(error.name, error)
"""


@pytest.mark.long
@every(
    ("blocked", "statement", "named"),
    [
        (
            "requests",
            "requests.PlexAuth(Plex())",
            "requests this adapter needs requests, which is not installed: pip install requests",
        ),
        (
            "httpx,httpx2",
            "httpx.PlexAuth(Plex())",
            "httpx this adapter needs httpx or httpx2, which is not installed: pip install httpx",
        ),
        (
            "httpx",
            "httpx.PlexAuth(Plex()); import httpx2; print(isinstance(httpx.PlexAuth(Plex()), httpx2.Auth))",
            "True",
        ),
        (
            "plexapi",
            "plexapi.account(Plex())",
            "plexapi this adapter needs plexapi, which is not installed: pip install plexapi",
        ),
    ],
)
def test_without_the_library(blocked: str, statement: str, named: str) -> None:
    """Each adapter is imported without its library; what needs it raises an ImportError that says what to install."""
    command = [sys.executable, "-c", WITHOUT, blocked, statement]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, cwd=Path(__file__).parents[2]
    )
    assert named == done.stdout.strip()


def test_importing_loads_no_library() -> None:
    """`import ticketstub.adapters` and its module for aiohttp load no HTTP library."""
    program = "import sys, ticketstub.adapters.aiohttp; print({'aiohttp', 'httpx', 'requests'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "set()" == done.stdout.strip()
