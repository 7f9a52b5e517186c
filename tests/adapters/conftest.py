"""Each library with its `PlexAuth` behind one synchronous interface, and loopback servers that record what arrives."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import aiohttp
import httpx
import httpx2
import pytest
import requests

from tests.client.scripts import head_of
from tests.client.transports.hostile import Server
from ticketstub import AsyncPlex, Device, Plex
from ticketstub.adapters.aiohttp import PlexAuth as AiohttpAuth
from ticketstub.adapters.httpx import PlexAuth as HttpxAuth
from ticketstub.adapters.requests import PlexAuth as RequestsAuth

TOKEN = "cAnArY-7f3kQ2vTz8Lm1"
DEVICE = Device(client_identifier="demo-client-7c1f", product="Demo App", device_name="Büro")
CONTEXT = ssl.create_default_context()  # made once: it takes long
NAMES = ("requests", "httpx", "httpx2", "httpx async", "httpx2 async", "aiohttp")


class Sent(NamedTuple):
    """What a program sees of a response."""

    status: int
    text: str
    shown: str = ""
    """The headers of the request that the response shows, as text."""


class Library:
    """One library, with a client of ours of the kind that it takes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_async = name.endswith(("async", "aiohttp"))
        self.client_class: Any = AsyncPlex if self.is_async else Plex
        self._runner = asyncio.Runner()
        self._made: list[Any] = []

    def run(self, answer: Any) -> Any:
        """Await a coroutine; return anything else."""
        return self._runner.run(answer) if asyncio.iscoroutine(answer) else answer

    def client(self, **options: Any) -> Any:
        """Make a client; it is closed at the end."""
        self._made.append(self.client_class(**({"device": DEVICE, "token": TOKEN} | options)))
        return self._made[-1]

    def send(self, plex: Any, url: str, method: str = "GET", **options: Any) -> Sent:
        """Send one request with `PlexAuth`, following redirects; `body` and `headers` are the program's."""
        return self.run(self._choose()(plex, url, method, **options))

    def _choose(self) -> Callable[..., Any]:
        if self.name == "requests":
            return send_by_requests
        if self.name == "aiohttp":
            return send_by_aiohttp
        library: Any = httpx2 if self.name.startswith("httpx2") else httpx
        return self._by_async_httpx(library) if self.is_async else self._by_httpx(library)

    def _by_httpx(self, library: Any) -> Callable[..., Any]:
        def send(plex: Any, url: str, method: str, *, body: Any = None, **options: Any) -> Sent:
            with library.Client(auth=HttpxAuth(plex), follow_redirects=True, verify=CONTEXT) as session:
                response = session.request(method, url, content=body, **options)
                return Sent(response.status_code, response.text, f"{[*response.request.headers.items()]}")

        return send

    def _by_async_httpx(self, library: Any) -> Callable[..., Any]:
        async def send(plex: Any, url: str, method: str, *, body: Any = None, **options: Any) -> Sent:
            async with library.AsyncClient(auth=HttpxAuth(plex), follow_redirects=True, verify=CONTEXT) as session:
                content = pieces_of(body) if is_stream(body) else body
                response = await session.request(method, url, content=content, **options)
                return Sent(response.status_code, response.text, f"{[*response.request.headers.items()]}")

        return send

    def close(self) -> None:
        """Close every client."""
        for plex in self._made:
            self.run(plex.close())
        self._runner.close()


def send_by_requests(plex: Any, url: str, method: str, *, body: Any = None, **options: Any) -> Sent:
    with requests.Session() as session:
        session.auth = RequestsAuth(plex)
        response = session.request(method, url, data=body, **options)
        return Sent(response.status_code, response.text, f"{response.request.headers}")


async def send_by_aiohttp(plex: Any, url: str, method: str, *, body: Any = None, **options: Any) -> Sent:
    async with aiohttp.ClientSession(middlewares=(AiohttpAuth(plex),)) as session:
        data = pieces_of(body) if is_stream(body) else body
        async with session.request(method, url, data=data, **options) as response:
            return Sent(response.status, await response.text(), f"{response.request_info.headers}")


def is_stream(body: Any) -> bool:
    return body is not None and not isinstance(body, bytes)


async def pieces_of(body: Any) -> AsyncIterator[bytes]:
    for piece in body:
        yield piece


@pytest.fixture(params=NAMES)
def library(request: pytest.FixtureRequest) -> Iterator[Library]:
    one = Library(request.param)
    yield one
    one.close()


class Recorder:
    """A server that answers each request by a function of its head, and keeps the requests."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.url = server.url

    @property
    def requests(self) -> list[tuple[str, dict[str, str], bytes]]:
        """The requests: request line, header fields with lower-case names, and body."""
        return [(*head_of(request), request.partition(b"\r\n\r\n")[2]) for request in self._server.requests]

    @property
    def tokens(self) -> list[str | None]:
        """The token of each request."""
        return [fields.get("x-plex-token") for _, fields, _ in self.requests]


Answer = Callable[[str, dict[str, str]], bytes]


@pytest.fixture
def record() -> Iterator[Callable[[Answer], Recorder]]:
    """Start servers that record; all are stopped at the end."""
    with ExitStack() as stack:

        def start(answer: Answer) -> Recorder:
            def behave(server: Server, sock: Any) -> None:
                if sock.recv(1, socket.MSG_PEEK) == b"\x16":
                    return  # https, which it does not speak
                while request := server.read(sock):
                    sock.sendall(answer(*head_of(request)))

            return Recorder(stack.enter_context(Server(behave)))

        yield start


def reply(status: int = 200, location: str = "", body: bytes = b"ok") -> bytes:
    moved = f"Location: {location}\r\n" if location else ""
    return f"HTTP/1.1 {status} Reply\r\n{moved}Content-Length: {len(body)}\r\n\r\n".encode() + body
