"""A local Plex for the snippets: mira's servers Attic (refuses with web pages) and Documented (refuses in JSON)."""

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
    """plex.tv's address, as the SDKs want it."""
    return f"{plex.url}/api/v2"


@pytest.fixture(scope="module")
def attic(plex: LocalPlexController) -> str:
    """The address of a media server that refuses as it was observed."""
    return plex.media_server("Attic").url


@pytest.fixture(scope="module")
def documented(plex: LocalPlexController) -> str:
    """The address of a media server that refuses as the pages say."""
    return plex.media_server("Documented").url
