"""What known applications need: their addresses, the groups they expect, and the settings to paste.

Rule: a preset is one TOML file. In its texts `{address}` is the application's address, `{issuer}` the bridge's, and
`{client_id}`, `{client_secret}` and `{random}` are what their names say. `tested` names the test that runs the real
application with these settings; without it, they are from the application's documentation, which `source` names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from ticketstub_bridge.config import Server
from ticketstub_bridge.sealing import make_secret

_HERE = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in _HERE.glob("*.toml")))
"""The presets, by name."""


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An application that this version knows.

    Attributes:
        title: its name for people.
        source: the page of its documentation.
        tested: the test that runs the application itself; without one, the settings are from its documentation.
        place: where the settings go.
        language: the language of the settings, for display.
        settings: the settings to paste.
        redirect_uris, post_logout_redirect_uris: its addresses.
        backchannel_logout_uri: where it takes logout messages.
        groups: which groups it gets, each for these roles; without any, it gets `server:role`.
    """

    title: str
    source: str
    place: str
    settings: str
    redirect_uris: tuple[str, ...]
    language: str = "text"
    tested: str | None = None
    post_logout_redirect_uris: tuple[str, ...] = ()
    backchannel_logout_uri: str | None = None
    groups: Mapping[str, tuple[str, ...]] = {}

    @property
    def origin(self) -> str:
        """Where the settings are from, in words."""
        if self.tested:
            return "run with the application itself in the tests"
        return f"from its documentation, not run in the tests: {self.source}"

    def make_client(self, address: str, servers: tuple[Server, ...]) -> dict[str, Any]:
        """Return the keys of the application's `[[client]]`.

        Args:
            address: the application's address.
            servers: the media servers, whose roles its groups are made of.
        """
        values: dict[str, Any] = {
            "name": self.title,
            "redirect_uris": [each.format(address=address) for each in self.redirect_uris],
            "post_logout_redirect_uris": [each.format(address=address) for each in self.post_logout_redirect_uris],
            "backchannel_logout_uri": (self.backchannel_logout_uri or "").format(address=address),
            "groups": {
                name: [f"{server.slug}:{role}" for server in servers for role in roles]
                for name, roles in self.groups.items()
            },
        }
        return {key: value for key, value in values.items() if value}

    def render(self, *, address: str, issuer: str, client_id: str, client_secret: str) -> str:
        """Return the settings to paste.

        Args:
            address: the application's address.
            issuer: the bridge's address.
            client_id: its id.
            client_secret: its secret.
        """
        return self.settings.format(
            address=address,
            address_quoted=quote(address, safe=""),
            host=address.partition("://")[2],
            issuer=issuer,
            client_id=client_id,
            client_secret=client_secret,
            random=make_secret()[:32],
        )


def load_preset(name: str) -> Preset:
    """Return the preset of a name of `NAMES`."""
    return msgspec.convert(tomllib.loads((_HERE / f"{name}.toml").read_text("utf-8")), Preset)
