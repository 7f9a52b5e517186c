"""The pytest fixtures: a local Plex for each test, and clients signed in to it.

Rule: loading this costs nothing; the local Plex is loaded with the first test that asks for it. One runs for each
world and process (with xdist: in each worker, on ports of its own), and is put back before each test. A failed test
shows what its local Plex was asked. Everything is a plain fixture: no asyncio plugin is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ticketstub.client.async_plex import AsyncPlex
    from ticketstub.client.plex import Plex
    from ticketstub.local_plex.world.schema import World
    from ticketstub.testing import LocalPlexController

_OPTION = "ticketstub_world"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know the ini option `ticketstub_world`."""
    parser.addini(
        _OPTION,
        "the world of the fixture local_plex: a TOML file, from the folder of this file; by default the demonstration",
        type="paths",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker `ticketstub_world`."""
    config.addinivalue_line(
        "markers",
        "ticketstub_world(world): the world of this test's local_plex: a mapping, TOML text, a file, or a World",
    )


@pytest.fixture(scope="session")
def local_plex_of() -> Generator[Callable[[object], LocalPlexController], None, None]:
    """Returns the local Plex of a world, one for each in this process, as at its start; they end with the session."""
    started: list[tuple[World, LocalPlexController]] = []

    def get_local_plex(world: object) -> LocalPlexController:
        from ticketstub.testing import local_plex, to_world  # not before a test needs it

        requested = to_world(world)  # type: ignore[arg-type]  # whatever a marker holds: what is none is refused there
        for known, plex in started:
            if known == requested:
                plex.reset()
                return plex
        plex = stack.enter_context(local_plex(requested))
        started.append((requested, plex))
        return plex

    with ExitStack() as stack:
        yield get_local_plex


@pytest.fixture(scope="session")
def local_plex_world(pytestconfig: pytest.Config) -> object:
    """The world of `local_plex`: override this fixture, in whatever scope, to have another one."""
    paths = pytestconfig.getini(_OPTION)
    return paths[0] if paths else None


@pytest.fixture
def local_plex(
    request: pytest.FixtureRequest, local_plex_of: Callable[[object], LocalPlexController], local_plex_world: object
) -> LocalPlexController:
    """A running local Plex, as at its start; see `ticketstub.testing.LocalPlexController`."""
    marker = request.node.get_closest_marker(_OPTION)
    world = marker.args[0] if marker is not None and marker.args else local_plex_world
    try:
        return local_plex_of(world)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ticketstub"):
            raise
        reason = str(error)
    except ValueError as error:  # WorldError
        reason = "\n".join(["the world of the local Plex cannot be used:", *str(error).splitlines()])
    return pytest.fail(reason, pytrace=False)


@pytest.fixture
def plex_tv_is_local(local_plex: LocalPlexController) -> Generator[LocalPlexController, None, None]:
    """`local_plex`, while the test's own HTTP libraries find it at `https://plex.tv`; see `intercept`."""
    with local_plex.intercept():
        yield local_plex


@pytest.fixture
def plex(local_plex: LocalPlexController) -> Generator[Plex, None, None]:
    """A `Plex`, signed in to `local_plex` as the world's first account; it needs no socket."""
    with local_plex.client() as client:
        yield client


@pytest.fixture
def async_plex(local_plex: LocalPlexController) -> AsyncPlex:
    """An `AsyncPlex`, signed in as `plex` is."""
    return local_plex.async_client()  # there is nothing to close


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what a failed test's local Plex was asked."""
    report = yield
    plex: LocalPlexController | None = getattr(item, "funcargs", {}).get("local_plex")
    if plex is not None and report.failed and report.when == "call":
        lines = [str(each) for each in plex.requests][-20:]
        report.sections.append(("what the local Plex was asked", "\n".join(lines or ["nothing"])))
    return report
