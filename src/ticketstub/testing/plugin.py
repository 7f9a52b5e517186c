"""The pytest plugin: fixtures for a local Plex and for clients that are signed in to it.

Rule: loading the plugin is fast; the local Plex is loaded by the first test that uses a fixture. Each process runs one
local Plex for each world (with xdist: one in each worker, on its own ports), and resets it before each test. A failed
test shows the requests that its local Plex received. All fixtures are plain: no asyncio plugin is needed.
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
    """Register the ini option `ticketstub_world`."""
    parser.addini(
        _OPTION,
        "the world of the fixture local_plex: a TOML file, relative to this file; by default the demonstration world",
        type="paths",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker `ticketstub_world`."""
    config.addinivalue_line(
        "markers",
        "ticketstub_world(world): the world of this test's local_plex: a mapping, TOML text, a file, or a World",
    )


@pytest.fixture(scope="session")
def local_plex_of() -> Generator[Callable[[object], LocalPlexController], None, None]:
    """A function that returns a local Plex with the given world, just reset; it runs until the test session ends."""
    started: list[tuple[World, LocalPlexController]] = []

    def get_local_plex(world: object) -> LocalPlexController:
        from ticketstub.testing import local_plex, to_world  # loaded only when a test needs it

        requested = to_world(world)  # type: ignore[arg-type]  # a marker holds anything; `to_world` checks it
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
    """The world of `local_plex`. Override this fixture, in any scope, to use another one."""
    paths = pytestconfig.getini(_OPTION)
    return paths[0] if paths else None


@pytest.fixture
def local_plex(
    request: pytest.FixtureRequest, local_plex_of: Callable[[object], LocalPlexController], local_plex_world: object
) -> LocalPlexController:
    """A running local Plex, reset before each test; see `ticketstub.testing.LocalPlexController`."""
    marker = request.node.get_closest_marker(_OPTION)
    world = marker.args[0] if marker is not None and marker.args else local_plex_world
    try:
        return local_plex_of(world)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ticketstub"):
            raise
        reason = str(error)
    except ValueError as error:  # WorldError
        reason = "\n".join(["the world of the local Plex is invalid:", *str(error).splitlines()])
    return pytest.fail(reason, pytrace=False)


@pytest.fixture
def plex_tv_is_local(local_plex: LocalPlexController) -> Generator[LocalPlexController, None, None]:
    """`local_plex`, which the test's own HTTP libraries reach as `https://plex.tv`; see `intercept`."""
    with local_plex.intercept():
        yield local_plex


@pytest.fixture
def plex(local_plex: LocalPlexController) -> Generator[Plex, None, None]:
    """A `Plex` that is signed in to `local_plex` as the world's first account; it uses no sockets."""
    with local_plex.client() as client:
        yield client


@pytest.fixture
def async_plex(local_plex: LocalPlexController) -> AsyncPlex:
    """An `AsyncPlex` that is signed in as the world's first account."""
    return local_plex.async_client()  # nothing to close


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the requests that a failed test's local Plex received."""
    report = yield
    plex: LocalPlexController | None = getattr(item, "funcargs", {}).get("local_plex")
    if plex is not None and report.failed and report.when == "call":
        lines = "\n".join(map(str, plex.requests[-20:]))
        report.sections.append(("requests to the local Plex", lines or "none"))
    return report
