"""A bridge under test: its configuration, and a clock that can be moved."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
from starlette.applications import Starlette

from ticketstub.testing import LocalPlexController
from ticketstub_bridge.app import create_app
from ticketstub_bridge.config import Config, parse_config
from ticketstub_bridge.core import Bridge
from ticketstub_bridge.logout import deliver_logouts
from ticketstub_bridge.recheck import check_due
from ticketstub_bridge.sealing import digest
from ticketstub_bridge.storage import Clock, Database
from ticketstub_bridge.storage.migrate import migrate

URL = "https://auth.example.test"
KEY = bytes(range(32))
ATTIC, MIRA = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8", 10500123
SECRET = "client-secret-of-films-0123456789-abcdefghij"
OTHER_SECRET = "client-secret-of-books-0123456789-abcdefghi"
FILMS = "https://films.example.test/callback"
BOOKS = "https://books.example.test/callback"
PHONE = "https://phone.example.test/callback"
SIGNED_OUT = "https://films.example.test/signed-out"

CONFIG = f"""
url = "{URL}"
database = "sqlite:///bridge.db"
@top@

[access]
allow = ["owner", "home", "managed", "friend"]
@access@

[[server]]
name = "Attic"
machine_identifier = "{ATTIC}"
owner_id = {MIRA}

[[client]]
id = "films"
name = "Films"
secret_hash = "{digest(SECRET)}"
redirect_uris = ["{FILMS}"]
post_logout_redirect_uris = ["{SIGNED_OUT}"]
backchannel_logout_uri = "https://films.example.test/back-channel"

[[client]]
id = "books"
name = "Books"
secret_hash = "{digest(OTHER_SECRET)}"
redirect_uris = ["{BOOKS}", "app.books:///oauth-callback", "https://books.example.test/login?via=bridge"]
signing = "EdDSA"
backchannel_logout_uri = "https://books.example.test/back-channel"

[[client]]
id = "phone"
name = "Phone"
redirect_uris = ["{PHONE}"]

[[client]]
id = "studio"
name = "Studio"
secret_hash = "{digest(SECRET)}"
redirect_uris = ["https://studio.example.test/callback"]
allow = ["owner"]
@more@
"""


def make_config(folder: Path, *, top: str = "", access: str = "", more: str = "", **changes: str) -> Config:
    """Return the configuration of a test; `changes` replaces text in it."""
    text = CONFIG.replace("@top@", top).replace("@access@", access).replace("@more@", more)
    for old, new in changes.items():
        text = text.replace(old, new)
    return parse_config(text, folder)


class BridgeUnderTest:
    """A bridge, and what a test needs to look into it.

    Args:
        local_plex: its Plex.
        config: its configuration.
        is_migrated: whether its database has its tables.
    """

    def __init__(self, local_plex: LocalPlexController, config: Config, *, is_migrated: bool = False) -> None:
        self.local_plex = local_plex
        self.url = URL
        self.clock = Clock()
        self.logouts: list[tuple[str, str]] = []
        self.logout_status = 200
        self.answer_logout: Callable[[str], Awaitable[int]] | None = None
        if not is_migrated:
            migrate(config.database)
        self.database = Database(config.database, self.clock)
        plex = local_plex.async_client(signed_in=False)
        self.bridge = Bridge(config, KEY, self.database, plex, self._send_logout)
        self.app: Starlette = create_app(self.bridge, with_background=False)

    async def _send_logout(self, url: str, token: str) -> int:
        self.logouts.append((url, token))
        return await self.answer_logout(url) if self.answer_logout else self.logout_status

    @property
    def store(self) -> Any:
        return self.bridge.store

    def advance(self, seconds: float) -> None:
        """Move the bridge's clock."""
        self.clock.offset += seconds

    def set_clock(self, error: float) -> None:
        """Make the bridge's clock wrong by so many seconds."""
        self.clock.error = error

    async def work(self) -> None:
        """Do what the background does: ask for memberships, tell applications."""
        await check_due(self.bridge)
        await deliver_logouts(self.bridge)

    def transport(self) -> httpx.ASGITransport:
        return httpx.ASGITransport(self.app)

    def http(self, **options: Any) -> httpx.AsyncClient:
        """Return an HTTP client that reaches the bridge."""
        return httpx.AsyncClient(transport=self.transport(), base_url=URL, **options)


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Return the header of client_secret_basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def get_query(url: str) -> dict[str, str]:
    """Return the parameters of a URL, each of which occurs once."""
    return dict(httpx.QueryParams(urlsplit(url).query).multi_items())
