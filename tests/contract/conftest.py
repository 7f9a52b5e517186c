"""A local Plex that gets very many requests in a short time."""

from collections.abc import Iterator

import pytest

from tests.local_plex.asking import world
from ticketstub.local_plex.control.controller import Controller
from ticketstub.local_plex.listeners import ControlConfig
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.world.schema import World
from ticketstub.tokens import Secret

KEY = "k3y-of-the-test-0123456789-0123456789"
_MANY = 1_000_000
PATIENT = Settings(
    max_pins=_MANY,
    poll_burst=_MANY,
    polls_per_second=_MANY,
    switches_per_second=_MANY,
    nonces_per_minute=_MANY,
)


@pytest.fixture
def patient() -> Iterator[LocalPlex]:
    """A local Plex without passwords and limits, which answers every invalid token with 401, as the tool expects."""
    described = world(legacy_dead_token=401)
    for account in described["account"]:
        account.pop("password", None)
    local = LocalPlex(
        World.from_dict(described), settings=PATIENT, controller=Controller(), control=ControlConfig(Secret(KEY))
    )
    with local.run_in_thread() as running:
        yield running
