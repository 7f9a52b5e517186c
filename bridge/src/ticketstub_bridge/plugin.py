"""The pytest plugin: the fixture `bridge`, an OpenID provider beside `local_plex`.

Rule: loading the plugin loads nothing else.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ticketstub.testing import LocalPlexController
    from ticketstub_bridge.running import RunningBridge


@pytest.fixture
def bridge_redirect_uris() -> list[str]:
    """The addresses of the application under test. Override this fixture to use others."""
    return ["http://127.0.0.1/callback", "http://localhost/callback"]


@pytest.fixture
def bridge(local_plex: LocalPlexController, bridge_redirect_uris: list[str]) -> Generator[RunningBridge]:
    """A running bridge, whose people are those of `local_plex`; see `ticketstub_bridge.running.RunningBridge`."""
    from ticketstub_bridge.running import run_bridge

    with run_bridge(local_plex, bridge_redirect_uris, name="Application under test") as running:
        yield running
