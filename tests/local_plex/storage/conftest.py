"""The keys and the password hasher that the store's tests share, because hashing is slow."""

from __future__ import annotations

import pytest

from ticketstub.local_plex.domain.passwords import PasswordChecker
from ticketstub.local_plex.storage.seal import InstanceKeys


@pytest.fixture(name="keys", scope="session")
def _keys():
    return InstanceKeys(b"s" * 32)


@pytest.fixture(name="passwords", scope="session")
def _passwords():
    return PasswordChecker()
