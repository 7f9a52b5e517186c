"""Local Plexes to ask."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.local_plex.asking import Clock, world
from ticketstub.testing import LocalPlexController, local_plex

Start = Callable[..., LocalPlexController]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a local Plex with these answers, this `world` and these settings; it ends with the test."""
    with ExitStack() as running:

        def begin(answers: dict[str, object] | None = None, **options: Any) -> LocalPlexController:
            told = options.pop("world", None) or world()
            return running.enter_context(local_plex({**told, "answers": answers or {}}, **options))

        yield begin


@pytest.fixture
def fresh(start: Start) -> LocalPlexController:
    """A local Plex of one test's own, whose clock stands still."""
    return start(clock=Clock())


@pytest.fixture(scope="module")
def clock() -> Clock:
    """The clock of `plex`."""
    return Clock()


@pytest.fixture(scope="module")
def plex(clock: Clock) -> Iterator[LocalPlexController]:
    """A local Plex for the tests of one file that change nothing another test sees."""
    with local_plex(world(), clock=clock) as running:
        yield running


@pytest.fixture
def attic(plex: LocalPlexController) -> str:
    """The address of mira's media server."""
    return plex.media_server("Attic").url
