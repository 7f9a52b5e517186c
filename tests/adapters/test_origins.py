"""No request and no redirect, of any library, takes the token or a header of the client to another origin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import aiohttp
import httpx
import httpx2
import pytest
import requests
import yarl
from hypothesis import example, given
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter

from tests.adapters.conftest import DEVICE, NAMES, TOKEN, Answer, Library, Recorder, reply
from tests.security.test_redirects import HOSTILE, PLACES, STATUSES
from tests.tables import every, paired
from ticketstub import AsyncPlex, Plex
from ticketstub.adapters.aiohttp import PlexAuth as AiohttpAuth
from ticketstub.adapters.httpx import PlexAuth as HttpxAuth
from ticketstub.adapters.requests import PlexAuth as RequestsAuth

Record = Callable[[Answer], Recorder]
SECRET_HEADER = {"X-Door": "oPeNeD-by-this"}
ADDED = ("x-plex-token", "x-plex-client-identifier", "x-door")
TARGETS = PLACES | HOSTILE


def assert_nothing_of_ours(other: Recorder) -> None:
    assert [] == [name for _, fields, _ in other.requests for name in ADDED if name in fields]
    assert not any(text in f"{other.requests}" for text in (TOKEN, *SECRET_HEADER.values()))


def leave(library: Library, plex: Any, url: str, method: str = "GET", **options: Any) -> None:
    """Send a request. Most of these addresses are errors, of any class: what counts is what arrived where."""
    with suppress(Exception):
        library.send(plex, url, method, **options)


@pytest.mark.parametrize(("library", "status"), paired(NAMES, STATUSES), indirect=["library"])
def test_a_redirect_to_another_origin(library: Library, record: Record, status: int) -> None:
    """Whatever the status, the address and the way it is written: what follows the redirect carries nothing of ours."""
    other = record(lambda *_: reply(401))
    target = ""
    server = record(lambda *_: reply(status, target))
    plex = library.client(plex_tv=server.url, headers=SECRET_HEADER)
    here, there = (one.url.rpartition(":")[2] for one in (server, other))
    for place in TARGETS.values():
        target = place.format(here=here, sink=there)
        if target.isascii():
            leave(library, plex, f"{server.url}/", "POST", body=b"{}")
            assert_nothing_of_ours(other)
    assert other.requests  # the plain ones were followed
    assert {TOKEN, None} >= {*server.tokens}


def test_a_redirect_within_the_origin(library: Library, record: Record) -> None:
    """A redirect to another path of the same origin ends at the answer, and not at a refusal for want of the token."""

    def answer(line: str, fields: dict[str, str]) -> bytes:
        if " /old " in line:
            return reply(302, "/new")
        return reply() if fields.get("x-plex-token") == TOKEN else reply(401)

    server = record(answer)
    sent = library.send(library.client(plex_tv=server.url), f"{server.url}/old")
    assert (200, "ok") == (sent.status, sent.text)
    assert server.tokens[0] == server.tokens[-1] == TOKEN


def test_a_detour_over_another_origin(library: Library, record: Record) -> None:
    """Another origin that redirects back chooses the path: requests and httpx send the token to none that it chose."""
    back = ""
    other = record(lambda *_: reply(302, back))

    def answer(line: str, fields: dict[str, str]) -> bytes:
        return reply(302, other.url) if " /old " in line else reply() if "x-plex-token" in fields else reply(401)

    server = record(answer)
    back = f"{server.url}/chosen"
    sent = library.send(library.client(plex_tv=server.url), f"{server.url}/old")
    assert_nothing_of_ours(other)
    # aiohttp tells its middlewares nothing of redirects: a request for the client's own address is one.
    assert ((200, TOKEN) if library.name == "aiohttp" else (401, None)) == (sent.status, server.tokens[-1])


def test_a_redirect_to_another_of_the_clients_addresses(library: Library, record: Record) -> None:
    """A redirect from plex.tv to the client's media server is another origin, too."""
    attic = record(lambda _line, fields: reply() if "x-plex-token" in fields else reply(401))
    server = record(lambda *_: reply(307, attic.url))
    library.send(library.client(plex_tv=server.url, server=attic.url), f"{server.url}/")
    assert [TOKEN if library.name == "aiohttp" else None] == attic.tokens


@every("change", ["scheme", "port", "host"])
def test_scheme_port_and_host(library: Library, record: Record, change: str) -> None:
    """A URL of which only the scheme, only the port or only the host differs gets nothing."""
    server, other = record(lambda *_: reply(401)), record(lambda *_: reply(401))
    port = server.url.rpartition(":")[2]
    urls = {"scheme": f"https://127.0.0.1:{port}/", "port": other.url, "host": f"http://localhost:{port}/"}
    leave(library, library.client(plex_tv=server.url, headers=SECRET_HEADER), urls[change])
    assert_nothing_of_ours(server)
    assert_nothing_of_ours(other)


# Without connections: what each library would send, and where to.

HOSTS = st.sampled_from(
    ["attic.example", "ATTIC.example", "attic.example.", "evil.example", "127.0.0.1", "[::1]", "\u24d0.example"]
)
AUTHORITIES = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(
        ["", "", "", "user@", "attic.example@", "a:b@", "attic.example:32400@", "attic.example\\@", "attic.example%40"]
    ),
    HOSTS,
    st.sampled_from(["", ":32400", ":32400", ":80", ":443", ":", ":032400", ":0", ":99999", ":32400@evil.example"]),
)
URLS = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(["http://", "https://", "HTTP://", "http:\\\\", "http:/", "http:", "//", "ftp://", "http:///"]),
    AUTHORITIES,
    st.sampled_from(["", "/", "/library", "?a=b", "#f", "/\u00e9", "/%2e%2e/", "/a b", "\\x", "/\t", ";p"]),
) | st.text(max_size=60).map(lambda text: f"http://attic.example:32400{text}")
NO_ADDRESS = (
    *(requests.RequestException, httpx.InvalidURL, httpx2.InvalidURL, httpx.HTTPError, httpx2.HTTPError),
    *(ValueError, UnicodeError, IndexError, TypeError),
)
"""What the libraries raise for a text that is no URL."""
Destination = tuple[str, str, int]
DEFAULT_PORTS = {"http": 80, "https": 443}


def prepare_by_requests(plex: Any, url: str) -> tuple[Destination, str | None]:
    request = requests.Session().prepare_request(requests.Request("GET", url, auth=RequestsAuth(plex)))
    pool = HTTPAdapter().get_connection_with_tls_context(request, verify=True)
    return (pool.scheme or "", pool.host, pool.port or 0), cast("str | None", request.headers.get("X-Plex-Token"))


def prepare_by_httpx(library: Any) -> Callable[[Any, str], tuple[Destination, str | None]]:
    def prepare(plex: Any, url: str) -> tuple[Destination, str | None]:
        request = next(HttpxAuth(plex).sync_auth_flow(library.Client(verify=False).build_request("GET", url)))
        sent = {name.lower(): value.decode() for name, value in request.headers.raw}
        port = request.url.port or DEFAULT_PORTS.get(request.url.scheme, 0)
        return (request.url.scheme, request.url.raw_host.decode(), port), sent.get(b"x-plex-token")

    return prepare


async def prepare_by_aiohttp(plex: Any, url: str) -> tuple[Destination, str | None]:
    seen: list[Any] = []

    async def handler(request: Any) -> Any:
        seen.append((request.url, dict(request.headers)))
        raise aiohttp.ClientError

    async def stop(request: Any, _handler: Any) -> Any:
        return await AiohttpAuth(plex)(request, handler)

    async with aiohttp.ClientSession(middlewares=(stop,)) as session:
        with suppress(aiohttp.ClientError):
            await session.get(url)
    reached: yarl.URL = seen[0][0]
    return (reached.scheme, reached.raw_host or "", reached.port or 0), seen[0][1].get("X-Plex-Token")


PREPARE: dict[str, tuple[Any, Callable[[Any, str], tuple[Destination, str | None]]]] = {
    "requests": (Plex, prepare_by_requests),
    "httpx": (Plex, prepare_by_httpx(httpx)),
    "httpx2": (Plex, prepare_by_httpx(httpx2)),
    "aiohttp": (AsyncPlex, lambda plex, url: asyncio.run(prepare_by_aiohttp(plex, url))),
}


@pytest.mark.long
@every(("client_class", "prepare"), PREPARE)
@every(
    ("base", "destination"),
    [
        ("http://attic.example:32400", ("http", "attic.example", 32400)),
        ("https://attic.example", ("https", "attic.example", 443)),
        ("http://[::1]:32400", ("http", "::1", 32400)),
        ("http://127.0.0.1", ("http", "127.0.0.1", 80)),
    ],
)
def test_urls(base: str, destination: Destination, client_class: Any, prepare: Any) -> None:
    """However a URL is written: a library that adds the token connects to the client's own scheme, host and port."""
    plex = client_class(plex_tv=base, token=TOKEN, device=DEVICE)
    added: list[str] = []

    @example(f"{base}/library?a=b")
    @given(URLS | URLS.map(lambda url: url.replace("attic.example", base.partition("//")[2])))
    def check(url: str) -> None:
        with suppress(*NO_ADDRESS):
            (scheme, host, port), token = prepare(plex, url)
            if token:
                added.append(url)
                assert destination == (scheme, host.strip("[]"), port)

    check()
    assert added
