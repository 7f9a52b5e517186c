"""A local Plex for the snippets. Mira's servers are Attic (refuses with web pages) and Documented (refuses in JSON)."""

from collections.abc import Iterator

import pytest

from tests.client.conftest import serve
from tests.local_plex.asking import world
from ticketstub.testing import LocalPlexController, local_plex

__all__ = ["serve"]


@pytest.fixture(scope="module")
def plex() -> Iterator[LocalPlexController]:
    """A local Plex that no test changes."""
    with local_plex(world()) as running:
        yield running


@pytest.fixture(scope="module")
def plex_tv(plex: LocalPlexController) -> str:
    """The URL of plex.tv as the SDKs expect it."""
    return f"{plex.url}/api/v2"


@pytest.fixture(scope="module")
def attic(plex: LocalPlexController) -> str:
    """The URL of a media server that refuses as observed."""
    return plex.media_server("Attic").url


@pytest.fixture(scope="module")
def documented(plex: LocalPlexController) -> str:
    """The URL of a media server that refuses as the reference pages say."""
    return plex.media_server("Documented").url
