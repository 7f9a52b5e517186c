"""Local Plexes to ask."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.server.asking import Clock, world
from ticketstub.server.local_plex import LocalPlex
from ticketstub.server.world import World

Start = Callable[..., LocalPlex]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a local Plex with these answers, this `world` and these settings; it ends with the test."""
    with ExitStack() as running:

        def begin(answers: dict[str, object] | None = None, **options: Any) -> LocalPlex:
            told = options.pop("world", None) or world()
            plex = LocalPlex(World.from_dict({**told, "answers": answers or {}}), **options)
            return running.enter_context(plex.running())

        yield begin


@pytest.fixture
def fresh(start: Start) -> LocalPlex:
    """A local Plex of one test's own, whose clock stands still."""
    return start(clock=Clock())


@pytest.fixture(scope="module")
def clock() -> Clock:
    """The clock of `plex`."""
    return Clock()


@pytest.fixture(scope="module")
def plex(clock: Clock) -> Iterator[LocalPlex]:
    """A local Plex for the tests of one file that change nothing another test sees."""
    with LocalPlex(World.from_dict(world()), clock=clock).running() as running:
        yield running


@pytest.fixture
def attic(plex: LocalPlex) -> str:
    """The address of mira's media server."""
    return plex.media_server("Attic").url
