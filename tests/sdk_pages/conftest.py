"""Fixtures of the ledger's tests; one local Plex for each error mode is started when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.client.conftest import Make, make, serve
from tests.local_plex.asking import MIRA, transient
from tests.sdk_pages.stage import Local, Stage, running

__all__ = ["make", "serve"]  # fixtures of the façades' tests, used here too

Locals = Callable[[str], Local]


@pytest.fixture(scope="session")
def local() -> Iterator[Locals]:
    """The local Plex of a mode."""
    with ExitStack() as stack:
        yield cache(lambda mode: stack.enter_context(running(mode)))


@pytest.fixture(scope="session")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Local, str]]]:
    """A restarted local Plex of a mode, and a transient token from before the restart."""
    folder: Path = tmp_path_factory.mktemp("restarted")

    def begin(stack: ExitStack, mode: str) -> tuple[Local, str]:
        db = f"sqlite:///{(folder / mode).as_posix()}.db"
        with running(mode, db=db) as first:
            token = transient(first.plex.media_server("Attic").url, MIRA)
        return stack.enter_context(running(mode, db=db)), token

    with ExitStack() as stack:
        yield cache(lambda mode: begin(stack, mode))


@pytest.fixture
def stage(mode: str, facade: str, local: Locals, make: Make) -> Stage:
    """The stage of one test."""
    return Stage(mode, facade, local(mode), make)
