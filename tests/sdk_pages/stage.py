"""The setting of the ledger's tests: a local Plex of one error mode, recording proxies in front of it, and clients.

Rule: the local Plex and its wires live as long as the run, one for each mode; clients are a test's own. The world is
that of the local Plex's own tests, with the pages' example sources in it and a client identifier always asked for.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from argon2 import PasswordHasher

from tests.client.conftest import Make, Script
from tests.client.scripts import head_of
from tests.client.transports.hostile import Server
from tests.local_plex.asking import ATTIC, MIRA, PASSWORDS, Clock, world
from tests.sdk_pages.ledger import operations
from tests.sdk_pages.wire import Wire, recording
from ticketstub.calls import (
    GetSourceConnectionInformation,
    GetTokenDetails,
    GetTransientToken,
    PostUsersSignInData,
    TransientTokenScope,
    TransientTokenType,
)
from ticketstub.local_plex.world.schema import World
from ticketstub.testing import LocalPlexController, local_plex

LOGIN = "mira@example.test"
PASSWORD = PASSWORDS["mira_quill"]
SOURCE = f"server://{ATTIC}"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # for hundreds of sign-ins in a few seconds
CODE = "123456"  # mira's account asks for none, and none is looked at


def world_of(mode: str) -> World:
    """Describe a world in which every media server refuses in this mode."""
    told = world(require_client_identifier=True)
    told["account"] = [account for account in told["account"] if account["username"] in {"mira_quill", "tom"}]
    for account in told["account"]:
        account["password_hash"] = CHEAP.hash(account.pop("password"))
    told["media_server"] = [server | {"errors": mode} for server in told["media_server"]]
    examples = [
        {"identifier": name, "name": "Example", "connections": ["https://source.example.test"]}
        for name in ("server://client-identifier", "provider://provider-identifier")
    ]
    for server in told["media_server"]:
        server["source"] = [*server.get("source", ()), *examples]
    return World.from_dict(told)


@dataclass
class Local:
    """A running local Plex, its clock, and the recording proxies in front of it."""

    plex: LocalPlexController
    clock: Clock
    closing: ExitStack
    wires: dict[str, Server] = field(default_factory=dict)

    def wire(self, name: str) -> Server:
        """Return the recording proxy of plex.tv or of a media server, by name."""
        if name not in self.wires:
            target = self.plex.url if name == "plex.tv" else self.plex.media_server(name).url
            self.wires[name] = self.closing.enter_context(recording(target))
        return self.wires[name]


@contextmanager
def running(mode: str, **options: Any) -> Generator[Local]:
    """Run a local Plex of this mode."""
    clock = Clock()
    with local_plex(world_of(mode), clock=clock, **options) as plex, ExitStack() as closing:
        yield Local(plex, clock, closing)


@dataclass
class Stage:
    """One test's setting: the local Plex, the recorded requests, and clients."""

    mode: str
    facade: str
    local: Local
    make: Make
    wires: dict[str, Wire] = field(default_factory=dict)

    def wire(self, name: str = "plex.tv") -> Wire:
        """Return this test's part of the recording of plex.tv or of a media server."""
        if name not in self.wires:
            self.wires[name] = Wire(self.local.wire(name))
        return self.wires[name]

    def client(self, **given: Any) -> Any:
        """Create a client of the local Plex and of mira's media server, signed in as mira."""
        usual = {"plex_tv": self.wire().url, "server": self.wire("Attic").url, "token": MIRA}
        return self.make(**(usual | given))

    def scripted(self, script: Script, **given: Any) -> Any:
        """Create a client of a scripted server."""
        return self.client(plex_tv=script.url, server=script.url, **given)

    @property
    def came(self) -> list[bytes]:
        """The recorded requests, in order for each proxy."""
        return [request for wire in self.wires.values() for request in wire.requests]

    @property
    def headers(self) -> list[dict[str, str]]:
        """The header fields of the recorded requests, with lower-case names."""
        return [head_of(request)[1] for request in self.came]

    @property
    def lines(self) -> list[str]:
        """The request lines of the recorded requests, without query and version."""
        return [head_of(request)[0].split(" HTTP/")[0].partition("?")[0] for request in self.came]


def ask(client: Any, operation: str, **given: Any) -> Any:
    """Make a call by its method, with its required arguments and these arguments or options."""
    return getattr(client.authentication, operations()[operation].method)(**(_ARGUMENTS[operation] | given))


_ARGUMENTS: dict[str, dict[str, object]] = {
    "transient": {"type": TransientTokenType.DELEGATION, "scope": TransientTokenScope.ALL},
    "source": {"source": SOURCE},
    "details": {},
    "sign-in": {"login": LOGIN, "password": PASSWORD, "verification_code": CODE},
}


def call(operation: str, source: str = SOURCE) -> Any:
    """Send a call as a value."""
    if operation == "transient":
        return GetTransientToken(type=TransientTokenType.DELEGATION, scope=TransientTokenScope.ALL)
    if operation == "source":
        return GetSourceConnectionInformation(source=source)
    return GetTokenDetails() if operation == "details" else PostUsersSignInData.from_text(LOGIN, PASSWORD, CODE)


def is_whole(operation: str, value: Any) -> bool:
    """Return whether a result contains what the operation is for."""
    if operation == "transient":
        return value.token.kind == "transient"
    if operation == "source":
        return value.access_token.kind == "transient" and bool(value.connections)
    return value.username == "mira_quill" and bool(value.auth_token)
