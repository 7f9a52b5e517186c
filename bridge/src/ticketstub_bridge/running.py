"""A bridge that runs in a thread beside a local Plex: for the demonstration, and for tests in any language.

Rule: everything is on loopback and in a temporary folder, with people and secrets that are made up. People are
signed in by a robot that uses the bridge as their browser would.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from ticketstub import Resource
from ticketstub.testing import LocalPlexController
from ticketstub_bridge.app import create_app
from ticketstub_bridge.config import Config, parse_config
from ticketstub_bridge.core import Bridge
from ticketstub_bridge.robot import Robot
from ticketstub_bridge.sealing import create_key_file, digest, make_secret, read_key_file
from ticketstub_bridge.serving import BridgeServer, create_bridge, open_listener, open_logout_sender
from ticketstub_bridge.storage.migrate import migrate

CLIENT_ID = "app"
CLIENT_SECRET = "made-up-secret-of-the-app"  # noqa: S105  # for loopback only
PUBLIC_CLIENT_ID = "public-app"
_START_SECONDS = 30


class RunningBridge:
    """A bridge for tests: an OpenID provider whose people are those of a local Plex.

    Attributes:
        url: the issuer.
        client_id, client_secret: an application that may use it.
        public_client_id: one without a secret.
        local_plex: the local Plex, whose `approve` signs people in.
        bridge: the bridge itself.
        control_url, control_key: where programs in any language ask for sign-ins.
    """

    def __init__(
        self, config: Config, local_plex: LocalPlexController, bridge: Bridge, robot: Robot, control: tuple[str, str]
    ) -> None:
        self.url = config.url
        self.client_id = CLIENT_ID
        self.client_secret = CLIENT_SECRET
        self.public_client_id = PUBLIC_CLIENT_ID
        self.local_plex = local_plex
        self.bridge = bridge
        self.control_url, self.control_key = control
        self._robot = robot

    def sign_in(self, authorization_url: str, person: str | int) -> str:
        """Sign a person in and consent for them; returns the application's address that their browser is sent to.

        Args:
            authorization_url: where the application sends the browser.
            person: an account of the local Plex: user name, e-mail address or id.

        Raises:
            SignInRefused: a page ended the sign-in, for example because the person has no access.
            ValueError: the URL is not of this bridge.
        """
        return self._robot.sign_in(authorization_url, person)[0]

    @property
    def person(self) -> str | int | None:
        """Who is signed in without a page, when an application sends a browser here; `None`: the pages are shown."""
        return self._robot.person

    @person.setter
    def person(self, person: str | int | None) -> None:
        self._robot.person = person

    @property
    def env(self) -> dict[str, str]:
        """The environment variables for a program that signs people in."""
        return {
            "BRIDGE_ISSUER": self.url,
            "BRIDGE_CLIENT_ID": self.client_id,
            "BRIDGE_CLIENT_SECRET": self.client_secret,
            "BRIDGE_PUBLIC_CLIENT_ID": self.public_client_id,
            "BRIDGE_CONTROL": self.control_url,
            "BRIDGE_CONTROL_KEY": self.control_key,
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"


@contextmanager
def run_bridge(
    local_plex: LocalPlexController, redirect_uris: list[str], *, port: int = 0, name: str = "Demo application"
) -> Generator[RunningBridge]:
    """Run a bridge for as long as the `with` block lasts.

    Args:
        local_plex: its Plex. Every person of its first media server may come in.
        redirect_uris: the addresses of the application.
        port: the port; 0 takes a free one.
        name: the application's name.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        open_listener(f"127.0.0.1:{port}") as listener,
        open_listener("127.0.0.1:0") as control_listener,
    ):
        control = (f"http://127.0.0.1:{control_listener.getsockname()[1]}", make_secret())
        url = f"http://localhost:{listener.getsockname()[1]}"
        config = parse_config(_make_config(local_plex, url, redirect_uris, name), Path(folder))
        create_key_file(Path(folder) / "bridge.key")
        migrate(config.database)
        started: list[RunningBridge] = []
        servers: list[BridgeServer] = []
        is_ready = threading.Event()
        failure: list[BaseException] = []

        async def serve() -> None:
            async with open_logout_sender() as send_logout:
                bridge = create_bridge(config, read_key_file(Path(folder) / "bridge.key"), send_logout)
                robot = Robot(url, local_plex, control[1])
                server = BridgeServer(bridge, 0, robot.wrap(create_app(bridge)))
                controls = BridgeServer(bridge, 0, robot.create_control_app())
                servers.extend((server, controls))
                started.append(RunningBridge(config, local_plex, bridge, robot, control))
                with server.ignore_signals(), controls.ignore_signals():
                    is_ready.set()
                    await asyncio.gather(server.serve([listener]), controls.serve([control_listener]))

        def run() -> None:
            try:
                uvloop.run(serve())
            except BaseException as error:  # noqa: BLE001  # handed to the thread that waits
                failure.append(error)
                is_ready.set()

        thread = threading.Thread(target=run, name="ticketstub bridge", daemon=True)
        thread.start()
        is_ready.wait(_START_SECONDS)
        if failure:
            raise failure[0]
        try:
            yield started[0]
        finally:
            for server in servers:
                server.should_exit = True
            thread.join(_START_SECONDS)


def _find_server(local_plex: LocalPlexController) -> tuple[Resource, int]:
    """Return a media server that the first account can reach, and its owner's account id."""
    with local_plex.client() as plex:
        account_id = plex.account().id
        for resource in plex.resources():
            owner_id = account_id if resource.owned else resource.owner_id
            if resource.is_media_server and owner_id is not None:
                return resource, owner_id
    raise LookupError("the first account of the local Plex's world can reach no media server")


def _make_config(local_plex: LocalPlexController, url: str, redirect_uris: list[str], name: str) -> str:
    server, owner_id = _find_server(local_plex)
    addresses = ", ".join(f'"{each}"' for each in redirect_uris)
    return f"""
url = "{url}"
plex_tv = "{local_plex.url}"

[access]
allow = ["owner", "home", "home_admin", "managed", "restricted", "friend"]

[[server]]
name = "{server.name}"
machine_identifier = "{server.client_identifier}"
owner_id = {owner_id}

[[client]]
id = "{CLIENT_ID}"
name = "{name}"
secret_hash = "{digest(CLIENT_SECRET)}"
redirect_uris = [{addresses}]

[[client]]
id = "{PUBLIC_CLIENT_ID}"
name = "{name} without a secret"
redirect_uris = [{addresses}]
"""
