"""What the command asks of a running bridge, over a Unix socket beside bridge.toml.

Rule: only the user who runs the bridge can open the socket, and with it do everything here. The command
never opens the database of a running bridge. Answers are JSON without secrets.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ticketstub_bridge.config import Config, ConfigError
from ticketstub_bridge.core import Bridge
from ticketstub_bridge.logout import end_person
from ticketstub_bridge.observing import log
from ticketstub_bridge.recheck import look_for_servers

SOCKET_NAME = "bridge.sock"
_TIMEOUT = 30


class NotRunning(Exception):
    """No bridge listens on the socket."""


class ControlRefused(Exception):
    """The bridge refused; the message says why."""


def create_control_app(bridge: Bridge, load: Callable[[], Config]) -> Starlette:
    """Return the application that answers on the socket.

    Args:
        bridge: the bridge.
        load: reads bridge.toml again.
    """

    async def list_people(_request: Request) -> Response:
        people = await bridge.run(bridge.store.people.list_all)
        return JSONResponse([_describe(each, ("plex_token",)) for each in people])

    async def list_sessions(_request: Request) -> Response:
        sessions = await bridge.run(bridge.store.sessions.list_active)
        return JSONResponse(
            [
                _describe(each, ("person", "age")) | {"handle": each.person.handle, "sub": each.person.sub}
                for each in sessions
            ]
        )

    async def list_events(request: Request) -> Response:
        limit = min(int((await request.json()).get("limit", 100)), 1000)
        return JSONResponse([_describe(each) for each in await bridge.run(bridge.store.events.list_newest, limit)])

    async def sign_out(request: Request) -> Response:
        name = str((await request.json()).get("person", ""))
        person = await bridge.run(bridge.store.people.find, name)
        if person is None:
            return JSONResponse({"error": f"there is no person {name!r}: see `ticketstub bridge people`"}, 404)
        ended = await bridge.run(end_person, bridge, person.sub, "signed_out_by_administrator")
        return JSONResponse({"handle": person.handle, "sessions": ended})

    async def rotate_keys(_request: Request) -> Response:
        kids = await bridge.run(bridge.keys.rotate, bridge.config.lifetimes.key_overlap)
        log("keys_rotated", keys=len(kids))
        return JSONResponse({"kids": kids})

    async def check_servers(_request: Request) -> Response:
        return JSONResponse(await look_for_servers(bridge))

    async def reload(_request: Request) -> Response:
        try:
            waiting = await bridge.run(lambda: bridge.reload(load()))
        except ConfigError as error:
            return JSONResponse({"error": "bridge.toml is refused", "problems": error.problems}, 400)
        return JSONResponse({"clients": len(bridge.config.clients), "waiting": waiting})

    routes = {
        "/people": list_people,
        "/sessions": list_sessions,
        "/events": list_events,
        "/sign-out": sign_out,
        "/keys/rotate": rotate_keys,
        "/reload": reload,
        "/servers": check_servers,
    }
    return Starlette(routes=[Route(path, endpoint, methods=["POST"]) for path, endpoint in routes.items()])


def _describe(stored: Any, hidden: tuple[str, ...] = ()) -> dict[str, Any]:  # noqa: ANN401  # one of the store's structs
    names = (name for name in stored.__struct_fields__ if name not in hidden)
    return {
        name: value if isinstance(value := getattr(stored, name), str | int | float | None) else dict(value)
        for name in names
    }


def open_socket(path: Path) -> socket.socket:
    """Open the socket for the bridge, for this user only.

    Raises:
        OSError: another bridge runs here, or the path is too long or not writable.
    """
    if path.is_socket():
        try:
            call_bridge(path, "/events", {"limit": 1})
        except (NotRunning, ControlRefused):
            path.unlink()  # left by a bridge that was killed
        else:
            raise OSError(f"a bridge is running here already: {path} answers")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)  # it must not be open to others for a moment either
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(16)
    except BaseException:
        listener.close()
        raise
    return listener


def call_bridge(path: Path, call: str, arguments: dict[str, Any] | None = None) -> Any:  # noqa: ANN401  # JSON
    """Ask a running bridge for something; returns its answer.

    Args:
        path: the socket.
        call: what to do: a path of `create_control_app`.
        arguments: its arguments.

    Raises:
        NotRunning: no bridge listens there.
        ControlRefused: it refused.
    """
    connection = _SocketConnection(path)
    try:
        connection.request("POST", call, json.dumps(arguments or {}), {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotRunning from error
    finally:
        connection.close()
    try:
        answer = json.loads(content)
    except ValueError:
        raise ControlRefused(f"the bridge failed (status {response.status}): see its log") from None
    if response.status != 200:
        raise ControlRefused("\n".join([answer.get("error", "refused"), *answer.get("problems", [])]))
    return answer


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("bridge", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(str(self._path))
