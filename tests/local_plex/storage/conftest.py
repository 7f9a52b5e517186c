"""The keys and the hasher that the stores' tests share: hashing takes its time."""

from __future__ import annotations

import pytest

from ticketstub.local_plex.domain.passwords import Passwords
from ticketstub.local_plex.storage.seal import Keys


@pytest.fixture(name="keys", scope="session")
def _keys():
    return Keys(b"s" * 32)


@pytest.fixture(name="passwords", scope="session")
def _passwords():
    return Passwords()
