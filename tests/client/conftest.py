"""Both façades behind one synchronous interface, and a scripted loopback server in place of Plex."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest

from tests.client.transports.hostile import Server
from ticketstub import AsyncPlex, Device, Plex
from ticketstub.client import async_groups
from ticketstub.client.async_account import AsyncBaseClient

TOKEN = "Xk3mPz_9Q-vT7rLb2NfW"
DEVICE = Device(client_identifier="demo-client-7c1f", product="Demo App")
FACADES = ["sync", "async"]


GROUPS = tuple(kind for name, kind in vars(async_groups).items() if name.startswith("Async"))


class View:
    """An async client, or a part of one, behind a synchronous interface that runs each coroutine."""

    def __init__(self, inner: object, runner: asyncio.Runner) -> None:
        self.inner = inner
        self.runner = runner

    def __getattr__(self, name: str) -> Any:
        return self._seen(getattr(self.inner, name))

    def _seen(self, value: object) -> Any:
        if inspect.iscoroutine(value):
            value = self.runner.run(value)
        if isinstance(value, (AsyncBaseClient, *GROUPS)):
            return View(value, self.runner)
        if inspect.ismethod(value):
            return lambda *args, **named: self._seen(value(*args, **named))
        return value

    def __enter__(self) -> Self:
        self.__getattr__("__aenter__")()
        return self

    def __exit__(self, *exception: object) -> None:
        self.__getattr__("__aexit__")(*exception)


Make = Callable[..., Any]


@pytest.fixture(params=FACADES)
def facade(request: pytest.FixtureRequest) -> str:
    """Each façade in turn, by name."""
    return request.param


@pytest.fixture
def make(facade: str) -> Iterator[Make]:
    """Create clients of the façade; all are closed at the end."""
    runner = asyncio.Runner()
    made: list[Any] = []

    def client(**given: Any) -> Any:
        whole: dict[str, Any] = {"device": DEVICE, "token": TOKEN} | given
        made.append(Plex(**whole) if facade == "sync" else View(AsyncPlex(**whole), runner))
        return made[-1]

    yield client
    for one in made:
        one.close()
    runner.close()


def reply(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """Write a reply of HTTP/1.1; `Content_Type` is the header Content-Type."""
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body


class Script:
    """A server that answers by path and records the requests."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = {path: list(given) if isinstance(given, list) else given for path, given in answers.items()}
        self._server = Server(self._behave)

    def _behave(self, server: Server, sock: socket.socket) -> None:
        while came := server.read(sock):
            path = came.split(b" ")[1].decode().partition("?")[0]
            answer = self.answers.get(path, reply(b"{}", 404))
            sock.sendall(answer.pop(0) if isinstance(answer, list) else answer)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.__exit__(*exception)

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def came(self) -> list[bytes]:
        return self._server.requests

    @property
    def connections(self) -> int:
        return self._server.connections


@pytest.fixture
def serve() -> Iterator[Callable[..., Script]]:
    """Start scripted servers; all are stopped at the end."""
    running: list[Script] = []

    def start(**answers: Any) -> Script:
        running.append(Script({f"/{path}": answer for path, answer in answers.items()}))
        return running[-1].__enter__()

    yield start
    for one in running:
        one.__exit__(None, None, None)
